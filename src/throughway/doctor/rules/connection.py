"""Rules about what the Network Connectivity Assistant says."""

import re

from throughway.catalogue import ipsec, names
from throughway.catalogue.on_windows.location import NCASVC_STOPPED
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role
from throughway.model.facts.ipsec import Mode, SecurityAssociation
from throughway.model.facts.names import DAConnectionStatus
from throughway.model.findings import Confidence, Finding, Problem

_MEANINGS: dict[str, tuple[Problem, str]] = {
    "couldnotcontactdirectaccessserver": (
        ipsec.ENDPOINT_UNREACHABLE,
        "it says so when the server's tunnel endpoints answer no ping",
    ),
    "remotenetworkauthenticationfailure": (
        ipsec.AUTH_FAILURE_UNSPECIFIED,
        "it says so when a tunnel is refused, and not for which certificate or account",
    ),
    "nameresolutionfailure": (
        names.NRPT_DNS_SERVER_UNREACHABLE,
        "it says so when intranet names do not resolve through the tunnel",
    ),
}
"""By substatus; what else it says of the Internet stands with the network's rules."""
_COMPUTER_IS_IN = (
    "it says that a tunnel is refused, and the computer's is up: so it is the user's credentials"
)
_SERVICE = re.compile(
    r"connectivity assistant|konnektivit\S+.assistent|assistant.{0,4}connectivit"
    r"|asistente.{0,8}conectividad|ncasvc|\u8fde\u63a5\u52a9\u624b|\u9023\u7dda\u52a9\u7406",
    re.IGNORECASE,
)
"""What an error about the service itself names, in the languages that are known."""


def said(
    status: DAConnectionStatus, associations: tuple[SecurityAssociation, ...]
) -> Finding | None:
    """A substatus that points to one part of the way; associations may show it to be sound."""
    meaning = _MEANINGS.get((status.substatus or "").lower())
    if meaning is None or (status.status or "").lower().startswith("connected"):
        return None
    problem, reason = meaning
    main = [a for a in associations if a.mode is Mode.MAIN]
    if problem is ipsec.ENDPOINT_UNREACHABLE and main:
        return None
    if problem is ipsec.AUTH_FAILURE_UNSPECIFIED and any(_is_of_computer(a) for a in main):
        if any("kerb" in (a.auth2 or "").lower() for a in main):
            return None
        problem, reason = ipsec.USER_REFUSED, _COMPUTER_IS_IN
    return Finding(
        problem=problem,
        summary=f"The Network Connectivity Assistant says {status.status}: {status.substatus}.",
        confidence=Confidence.LIKELY,
        reason=reason,
        evidence=(status.source,),
    )


def _is_of_computer(association: SecurityAssociation) -> bool:
    return "ntlm" in (association.auth2 or "").lower()


def assistant_stopped(status: DAConnectionStatus) -> Finding | None:
    """The command fails because its service does not run."""
    if not status.failed or not _SERVICE.search(status.failed):
        return None
    return Finding(
        problem=NCASVC_STOPPED,
        summary="Get-DAConnectionStatus finds no Network Connectivity Assistant that runs.",
        reason="the command's error names the service",
        evidence=(status.source,),
    )


RULES = (
    Rule((*(problem for problem, _ in _MEANINGS.values()), ipsec.USER_REFUSED), said, Role.CLIENT),
    Rule((NCASVC_STOPPED,), assistant_stopped, Role.CLIENT),
)
