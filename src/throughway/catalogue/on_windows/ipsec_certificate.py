"""What mends the certificates of the tunnels where Windows runs."""

from collections.abc import Mapping

from throughway.catalogue import ipsec_certificate as certificate
from throughway.catalogue.on_windows.revocation import EMPTIED, PUBLISH
from throughway.catalogue.on_windows.revocation import VERIFY as _VERIFY
from throughway.model.findings import Advice, Problem

_STORE = "certutil -v -store My"
_ENROL = ("certutil -pulse", "gpupdate /force")
_RULES = "netsh advfirewall consec show rule name=all"
_MAIN = "netsh advfirewall monitor show mmsa"

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {
    certificate.NO_MACHINE_CERT.code: Advice(
        cause=(
            "The computer's store holds no certificate that can open the tunnels: unexpired, "
            "with its private key, for client authentication, and chaining to the root or "
            "intermediate that DirectAccess is configured with."
        ),
        resolution="Enrol a computer certificate that is all four, on client and server.",
        fix=_ENROL,
        verify=("certutil -store My", "Get-RemoteAccess"),
    ),
    certificate.CERT_EXPIRED.code: Advice(
        cause="The computer certificate has expired; it was not renewed while inside (13801).",
        resolution="Enrol a new one: inside, over a VPN, or by requesting it for the computer.",
        fix=_ENROL,
        verify=(_STORE, _MAIN),
    ),
    certificate.CERT_EXPIRING.code: Advice(
        cause="The computer certificate expires soon; from that day on the tunnels stay down.",
        resolution="See that autoenrolment reaches the authority, and let it renew.",
        fix=_ENROL,
        verify=(_STORE,),
    ),
    certificate.CERT_NO_PRIVATE_KEY.code: Advice(
        cause=(
            "The store has the certificate but not its private key (13820): it was imported "
            "without it, or the key container is lost or unreadable for the system."
        ),
        resolution="Try to join the two again; if the key is gone, enrol a new certificate.",
        fix=('certutil -repairstore My "THUMBPRINT"', *_ENROL),
        verify=(_STORE, _MAIN),
    ),
    certificate.CERT_MISSING_CLIENT_AUTH.code: Advice(
        cause="The certificate's usages lack client authentication (1.3.6.1.5.5.7.3.2).",
        resolution="Enrol from a template that has it, such as Computer or Workstation.",
        fix=_ENROL,
        verify=(_STORE, _MAIN),
    ),
    certificate.CERT_WRONG_CHAIN.code: Advice(
        cause=(
            "The computer certificate does not chain to the root or intermediate that the rules "
            "name (13801, 13887): it is of another authority, or the authority was renewed."
        ),
        resolution="Enrol from that authority, or configure the authority that clients have.",
        fix=(*_ENROL, _RULES),
        verify=(_STORE, _MAIN),
    ),
    certificate.CERT_REVOKED.code: Advice(
        cause="The revocation list names the certificate; the computer was shut out, or by error.",
        resolution="Ask the authority's administrator why; then enrol a new certificate.",
        fix=_ENROL,
        verify=(_VERIFY, _MAIN),
    ),
    certificate.CRL_UNREACHABLE.code: Advice(
        cause=(
            "Revocation of the peer's certificate could not be checked and the check is strict "
            "(13817, 13848): the distribution point does not answer, so everybody is refused."
        ),
        resolution=(
            "Publish the list where both sides reach it, or check less strictly meanwhile: "
            "strongcrlcheck 2 refuses what cannot be checked, 1 only what is revoked, 0 nothing."
        ),
        fix=(_VERIFY, *EMPTIED, "netsh advfirewall set global ipsec strongcrlcheck 1"),
        verify=("netsh advfirewall show global", _MAIN),
    ),
    certificate.CRL_EXPIRED.code: Advice(
        cause="The list's next update is past; with a strict check every peer is refused.",
        resolution="Publish a new list; then clear the caches.",
        fix=(PUBLISH, *EMPTIED),
        verify=(_VERIFY, _MAIN),
    ),
}
