"""What mends the certificates of the tunnels where Windows runs."""

from collections.abc import Mapping

from throughway.catalogue import ipsec_certificate as certificate
from throughway.model.findings import Advice, Problem

_STORE = "certutil -store My"

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {
    certificate.NO_MACHINE_CERT.code: Advice(
        cause=(
            "The computer's store holds no certificate that can open the tunnels: unexpired, "
            "with its private key, for client authentication, and chaining to the root or "
            "intermediate that DirectAccess is configured with."
        ),
        resolution="Enrol a computer certificate that is all four, on client and server.",
        fix=("certutil -pulse", "gpupdate /force"),
        verify=(_STORE, "Get-RemoteAccess"),
    ),
}
