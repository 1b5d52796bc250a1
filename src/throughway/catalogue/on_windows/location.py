"""What mends the finding out of the location where Windows runs."""

from collections.abc import Mapping

from throughway.catalogue import location
from throughway.model.findings import Advice, Problem

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {
    location.NLS_UNREACHABLE_INSIDE.code: Advice(
        cause=(
            "The network location server does not answer: its web server is down, its "
            "certificate has expired, or its name is gone from the DNS. Clients inside then "
            "believe to be outside."
        ),
        resolution=(
            "Mend the web server. Only https counts: where just the ping is blocked, this is "
            "cosmetic and can be left."
        ),
        fix=("Invoke-WebRequest NLS_URL -UseBasicParsing",),
        verify=("Get-RemoteAccessHealth",),
    ),
}
