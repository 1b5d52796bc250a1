"""What can be wrong with who comes to a tunnel, as data: what is served, asked and said.

Each row has an authority of its own, so that no list of one row tells of another. The words are
those that charon's log has; the problems are what gateway and client make of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.ipsec_world import GATEWAY_IDENTITY, Deployment
from tests.revocation_world import Web
from throughway.model.audit import AuditEvent
from throughway.model.config import ClientConfig
from throughway.model.revocation import Revocation
from throughway.net.vici import Section
from throughway.pki.authority import Credential, Profile, Revoked, build_crl, create_root
from throughway.pki.pem import build_crl_der

UNSPECIFIED = "ipsec-auth-failure-unspecified"
NAME = "client1.corp.example.com"
Modify = Callable[[Section], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row."""

    gateway: str
    """The problem that the gateway names."""
    words: str
    """What its reason has."""
    client: str = UNSPECIFIED
    event: AuditEvent = AuditEvent.MAIN_MODE_FAILED
    """What the gateway's audit records of a refusal."""
    admitted: tuple[Revocation, ...] = ()
    """Under which it comes in all the same; it is refused under all others."""
    published: str | None = None
    """What the place serves: good, listed, stale, foreign, garbage, nothing, silent."""
    age_days: int = 0
    trusted: bool = True
    """Whether the gateway has the authority."""
    password: str = "client1"
    at_client: Modify | None = None
    """What a modified client does otherwise."""
    at_gateway: Modify | None = None


def _without_second(connection: Section) -> None:
    del connection["local-2"]


def _demands_health(connection: Section) -> None:
    connection["remote-1"]["cert_policy"] = ["1.3.6.1.4.1.311.47.1.1"]


NONE, WEAK, STRONG = Revocation.NONE, Revocation.WEAK, Revocation.STRONG
FAULTS = {
    "expired": Fault(
        gateway="ipsec-cert-expired",
        words="subject certificate invalid",
        published="good",
        age_days=60,
    ),
    "not yet valid": Fault(
        gateway="ipsec-cert-not-yet-valid",
        words="subject certificate invalid",
        published="good",
        age_days=-2,
    ),
    "untrusted root": Fault(
        gateway="ipsec-cert-wrong-chain",
        words="no issuer certificate found",
        published="good",
        trusted=False,
    ),
    "no distribution point": Fault(
        gateway="ipsec-crl-unreachable",
        words="RULE_CRL_VALIDATION is SKIPPED",
        admitted=(NONE, WEAK),
    ),
    "list unreachable": Fault(
        gateway="ipsec-crl-unreachable",
        words="the server answers 404",
        admitted=(NONE, WEAK),
        published="nothing",
    ),
    "distribution point silent": Fault(
        gateway="ipsec-crl-unreachable",
        words="RULE_CRL_VALIDATION is FAILED",
        admitted=(NONE, WEAK),
        published="silent",
    ),
    "list of another authority": Fault(
        gateway="ipsec-crl-unreachable",
        words="not signed with the key of",
        admitted=(NONE, WEAK),
        published="foreign",
    ),
    "list unusable": Fault(
        gateway="ipsec-crl-unreachable",
        words="no usable CRL",
        admitted=(NONE, WEAK),
        published="garbage",
    ),
    "list stale": Fault(
        gateway="ipsec-crl-expired",
        words="RULE_CRL_VALIDATION is STALE",
        admitted=(NONE, WEAK),
        published="stale",
    ),
    "good": Fault(gateway="", words="", admitted=(NONE, WEAK, STRONG), published="good"),
    "revoked": Fault(
        gateway="ipsec-cert-revoked",
        words="certificate was revoked on",
        admitted=(NONE,),
        published="listed",
    ),
    "wrong computer account": Fault(
        gateway="ipsec-computer-account-refused",
        words="EAP-MS-CHAPv2 verification failed",
        published="good",
        client="ipsec-computer-account-refused",
        event=AuditEvent.EXTENDED_MODE_FAILED,
        password="client2",
    ),
    "no second round": Fault(
        gateway="ipsec-policy-mismatch",
        words="insufficient authentication rounds",
        published="good",
        event=AuditEvent.EXTENDED_MODE_FAILED,
        at_client=_without_second,
    ),
    "no health certificate": Fault(
        gateway="ipsec-health-certificate-missing",
        event=AuditEvent.EXTENDED_MODE_FAILED,
        words="constraint requires cert policy",
        published="good",
        at_gateway=_demands_health,
    ),
}
"""The table "What charon says when"; tickets and smart cards of users are not here."""


@dataclass(frozen=True, kw_only=True)
class GatewayFault:
    """One row of what can be wrong with the gateway's certificate, as a client judges it."""

    client: str
    """The problem that the client names; the gateway knows only that it was refused."""
    admitted: tuple[Revocation, ...] = ()
    published: str | None = "good"
    age_days: int = 0
    trusted: bool = True
    identity: str = GATEWAY_IDENTITY


REFUSED_BY_CLIENT = AuditEvent.EXTENDED_MODE_FAILED
"""What the gateway's audit records where a client refuses it."""
GATEWAY_FAULTS = {
    "good": GatewayFault(client="", admitted=(NONE, WEAK, STRONG)),
    "expired": GatewayFault(client="ipsec-cert-expired", age_days=60),
    "not yet valid": GatewayFault(client="ipsec-cert-not-yet-valid", age_days=-2),
    "untrusted root": GatewayFault(client="ipsec-cert-wrong-chain", trusted=False),
    "another name": GatewayFault(client="ipsec-cert-wrong-chain", identity="other.example.com"),
    "no distribution point": GatewayFault(
        client="ipsec-crl-unreachable", admitted=(NONE, WEAK), published=None
    ),
    "list unreachable": GatewayFault(
        client="ipsec-crl-unreachable", admitted=(NONE, WEAK), published="nothing"
    ),
    "distribution point silent": GatewayFault(
        client="ipsec-crl-unreachable", admitted=(NONE, WEAK), published="silent"
    ),
    "list of another authority": GatewayFault(
        client="ipsec-crl-unreachable", admitted=(NONE, WEAK), published="foreign"
    ),
    "list unusable": GatewayFault(
        client="ipsec-crl-unreachable", admitted=(NONE, WEAK), published="garbage"
    ),
    "list stale": GatewayFault(
        client="ipsec-crl-expired", admitted=(NONE, WEAK), published="stale"
    ),
    "revoked": GatewayFault(client="ipsec-cert-revoked", admitted=(NONE,), published="listed"),
}


def root_of(name: str) -> Credential:
    """Make the authority of a row."""
    return create_root(f"Root of {name}", datetime.now(UTC) - timedelta(days=365))


def place(
    deployment: Deployment, name: str, root: Credential, web: Web, number: int = 1
) -> ClientConfig:
    """Issue the certificate of a row, and publish its list; return the client."""
    fault, path = FAULTS[name], f"/{name.replace(' ', '-')}-{number}.crl"
    stem = f"{name.replace(' ', '-')}1"
    made = deployment.credential(
        stem,
        Profile.COMPUTER,
        NAME,
        root=root,
        age_days=fault.age_days,
        crl_url=web.url(path) if fault.published else "",
    )
    web.pages[path] = publish(fault.published or "nothing", root, made)
    return deployment.client(certificate=stem, password=fault.password)


def publish(what: str, root: Credential, of: Credential, number: int = 1) -> bytes | int | str:
    """Return what a distribution point serves."""
    now = datetime.now(UTC)
    if what in ("nothing", "silent"):
        return Web.SILENT if what == "silent" else 404
    if what == "garbage":
        return b"<html>"
    made, ends = now, now + timedelta(days=1)
    if what == "stale":
        made, ends = now - timedelta(days=2), now - timedelta(days=1)
    entries = [Revoked(of.certificate.serial_number, now)] if what == "listed" else []
    by = Credential(root_of("x").key, root.certificate) if what == "foreign" else root
    return build_crl_der(build_crl(by, entries, number=number, now=made, next_update=ends))
