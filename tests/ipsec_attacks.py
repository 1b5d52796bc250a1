"""Who tries to come to a tunnel with what is somebody else's, or not for it: as data.

Each is made with a modified client where an honest one would not try at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.ipsec_faults import NAME, UNSPECIFIED, Modify
from tests.ipsec_world import GATEWAY_IDENTITY, Deployment
from throughway.model.audit import AuditEvent
from throughway.net.vici import Section
from throughway.pki.authority import Credential, Profile, create_root, issue
from throughway.pki.computer_certificate import IKE, IKE_INTERMEDIATE, WRONG_USAGE
from throughway.pki.pem import build_certificate_pem, build_key_pem

OTHER = "client2.corp.example.com"
STEM = "attack1"
Make = Callable[[Deployment], None]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One row; without ``gateway`` it comes in."""

    make: Make | None = None
    """Makes the certificate that is shown; client1's own is the default."""
    gateway: str = ""
    client: str = ""
    event: AuditEvent = AuditEvent.MAIN_MODE_FAILED
    account: str = "CLIENT1$"
    password: str = "client1"
    modify: Modify | None = None


def _profile(profile: Profile, *names: str) -> Make:
    def make(deployment: Deployment) -> None:
        now = datetime.now(UTC)
        put(deployment, issue(deployment.root, profile, names or (NAME,), now=now, days=30))

    return make


def _usages(*usages: x509.ObjectIdentifier) -> Make:
    """A certificate with these usages, with none at all where none are given."""

    def make(deployment: Deployment) -> None:
        now = datetime.now(UTC)
        key, old = issue(deployment.root, Profile.COMPUTER, (NAME,), now=now, days=30)
        builder = x509.CertificateBuilder(
            old.issuer,
            old.subject,
            old.public_key(),
            old.serial_number,
            old.not_valid_before_utc,
            old.not_valid_after_utc,
        )
        for extension in old.extensions:
            if not isinstance(extension.value, x509.ExtendedKeyUsage):
                builder = builder.add_extension(extension.value, extension.critical)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        put(deployment, Credential(key, builder.sign(deployment.root.key, hashes.SHA256())))

    return make


def _by_a_computer(deployment: Deployment) -> None:
    """What client2 issues with its own certificate, as if it were an authority's."""
    now = datetime.now(UTC)
    other = deployment.credential("issuer", Profile.COMPUTER, OTHER)
    put(deployment, issue(other, Profile.COMPUTER, (NAME,), now=now, days=20), other)


def _by_a_namesake(deployment: Deployment) -> None:
    now = datetime.now(UTC)
    namesake = create_root("Test Root", now - timedelta(days=300))
    put(deployment, issue(namesake, Profile.COMPUTER, (NAME,), now=now, days=20), namesake)


def put(deployment: Deployment, made: Credential, *chain: Credential) -> None:
    """Put a credential where the client of the attack has it."""
    certificates = (build_certificate_pem(each.certificate) for each in (made, *chain))
    deployment.write(f"{STEM}.crt", b"".join(certificates))
    deployment.write(f"{STEM}.key", build_key_pem(made.key))


def _without_first(connection: Section) -> None:
    del connection["local-1"]
    connection["local-2"]["id"] = NAME


def _as_distinguished_name(connection: Section) -> None:
    connection["local-1"]["id"] = f"CN={NAME}"


def _as_wildcard(connection: Section) -> None:
    connection["local-1"]["id"] = "*.corp.example.com"


def _for_the_gateway(connection: Section) -> None:
    connection["local-1"]["id"] = GATEWAY_IDENTITY


SERVER_AUTH, CLIENT_AUTH = x509.OID_SERVER_AUTH, x509.OID_CLIENT_AUTH
MISMATCH, REFUSED = "ipsec-account-certificate-mismatch", "ipsec-computer-account-refused"
CHAIN = "ipsec-cert-wrong-chain"
EXTENDED = AuditEvent.EXTENDED_MODE_FAILED


def _unfit(make: Make) -> Attack:
    """An honest client sees by itself that its certificate is none, a modified one is refused."""
    return Attack(make=make, gateway=WRONG_USAGE, client=WRONG_USAGE)


ATTACKS = {
    "for clients and servers": Attack(make=_usages(CLIENT_AUTH, SERVER_AUTH)),
    "for IKE": Attack(make=_usages(IKE)),
    "for IKE, as Windows' template for IPsec": Attack(make=_usages(IKE_INTERMEDIATE)),
    "for every use": Attack(make=_usages()),
    "certificate of a server": _unfit(_profile(Profile.SERVER)),
    "certificate of a gateway": _unfit(_profile(Profile.GATEWAY)),
    "certificate of a registrar": _unfit(_profile(Profile.REGISTRAR)),
    "certificate of a user": _unfit(_profile(Profile.USER)),
    "certificate for signing code": _unfit(_usages(x509.OID_CODE_SIGNING)),
    "issued with another computer's certificate": Attack(
        make=_by_a_computer, gateway=CHAIN, client=CHAIN
    ),
    "of an authority of the same name": Attack(make=_by_a_namesake, gateway=CHAIN, client=CHAIN),
    "for all names by a wildcard": Attack(
        make=_profile(Profile.COMPUTER, "*.corp.example.com"), gateway=CHAIN, client=UNSPECIFIED
    ),
    "certificate of another computer": Attack(
        make=_profile(Profile.COMPUTER, OTHER), gateway=CHAIN, client=UNSPECIFIED
    ),
    "stolen certificate with another account": Attack(
        account="CLIENT2$",
        password="client2",
        gateway=MISMATCH,
        client=UNSPECIFIED,
        event=EXTENDED,
    ),
    "account without a certificate": Attack(
        modify=_without_first,
        gateway="ipsec-policy-mismatch",
        client=UNSPECIFIED,
        event=AuditEvent.MAIN_MODE_FAILED_EARLY,
    ),
    "identity as a distinguished name": Attack(
        modify=_as_distinguished_name,
        gateway=REFUSED,
        client=UNSPECIFIED,
    ),
    "identity with a wildcard": Attack(
        modify=_as_wildcard, gateway=MISMATCH, client=UNSPECIFIED, event=EXTENDED
    ),
    "identity of the gateway": Attack(modify=_for_the_gateway, gateway=REFUSED, client=UNSPECIFIED),
}

TOKENS = {
    "good ticket": "",
    "ticket that was used before": "the token was used before",
    "no ticket": "no Kerberos AP-REQ",
    "ticket of another user": "the ticket is",
    "ticket of the computer": "is the account of a computer or of a service",
    "ticket of another computer": "is the account of a computer or of a service",
}
"""What users come with, and words of the gateway's; both ends say USER_REFUSED."""
USER_REFUSED = "ipsec-user-refused"
