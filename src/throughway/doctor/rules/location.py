"""Rules about finding out whether the client is inside.

A domain controller or a location server that is reached by an IPv4 address is reached without a
tunnel: DirectAccess carries nothing but IPv6.
"""

import ipaddress
from datetime import datetime

from throughway.catalogue import location as catalogue
from throughway.doctor.rule import Rule
from throughway.doctor.rules.iphttps import host_of
from throughway.doctor.rules.names import inside, outside
from throughway.doctor.rules.tables import covering, in_force
from throughway.model.evidence import Role
from throughway.model.facts.base import CollectedAt
from throughway.model.facts.certificates import Certificate
from throughway.model.facts.domain import DomainController
from throughway.model.facts.names import DAConnectionStatus, DNSClientState, NCSIPolicy, NRPTRule
from throughway.model.facts.network import Adapter, NameLookup, PortTest
from throughway.model.facts.transition import IPHTTPSInterface
from throughway.model.findings import Confidence, Finding

_HTTPS = 443
Where = tuple[DNSClientState | DAConnectionStatus | IPHTTPSInterface, ...]


def not_exempt(ncsi: NCSIPolicy, rules: tuple[NRPTRule, ...]) -> Finding | None:
    """The name of the location server is asked inside, so that it is reached by the tunnel."""
    host = host_of(ncsi.location_url)
    rule = covering(host, in_force(rules)) if host else None
    if host is None or rule is None or not rule.dns_servers:
        return None
    return Finding(
        problem=catalogue.NLS_REACHABLE_OUTSIDE,
        summary=(
            f"{host}, the network location server, is not exempted from the rule for "
            f"{', '.join(rule.namespaces or ())}: through the tunnel it answers outside, too."
        ),
        confidence=Confidence.LIKELY,
        reason="URL and rule stand in the evidence, and no narrower rule exempts the name",
        evidence=(rule.source, ncsi.source),
        values=_values(ncsi),
    )


def answers_outside(ncsi: NCSIPolicy, test: PortTest, where: Where) -> Finding | None:
    """The location server accepts connections while the client is connected from outside."""
    host = host_of(ncsi.location_url)
    remote = [
        f
        for f in where
        if isinstance(f, DAConnectionStatus) and (f.status or "").lower() == "connectedremotely"
    ]
    if test.target.lower() != host or not test.succeeded or not remote or inside(where):
        return None
    return Finding(
        problem=catalogue.NLS_REACHABLE_OUTSIDE,
        summary=f"{host}, the network location server, accepts connections from outside.",
        confidence=Confidence.LIKELY,
        reason="the connection was made while the assistant said that the client is remote",
        evidence=(test.source, remote[0].source),
        values=_values(ncsi),
    )


def server_silent(
    ncsi: NCSIPolicy, test: PortTest | NameLookup, controllers: tuple[DomainController, ...]
) -> Finding | None:
    """The client is in the intranet, and its location server does not answer."""
    host = host_of(ncsi.location_url)
    target = test.target if isinstance(test, PortTest) else test.name
    failed = test.succeeded is False if isinstance(test, PortTest) else test.failed
    near = [controller for controller in controllers if reached_directly(controller)]
    if target.lower().rstrip(".") != host or not failed or not near:
        return None
    return Finding(
        problem=catalogue.NLS_UNREACHABLE_INSIDE,
        summary=f"{host} does not answer, although the domain controller {near[0].name} is near.",
        confidence=Confidence.LIKELY,
        reason="the controller is reached without a tunnel, so the client is in the intranet",
        evidence=(test.source, near[0].source),
        values=_values(ncsi),
    )


def certificate_expired(certificate: Certificate, collected: CollectedAt) -> Finding | None:
    """The certificate of the location server was past its end when the evidence was collected."""
    end, now = certificate.not_after, _moment(collected.iso)
    if certificate.purpose != "nls" or end is None or now is None or not _is_past(end, now):
        return None
    return Finding(
        problem=catalogue.NLS_CERTIFICATE_INVALID,
        summary=f"The certificate of the network location server expired on {end:%Y-%m-%d}.",
        reason="both dates stand in the evidence",
        evidence=(certificate.source, collected.source),
    )


def certificate_refused(ncsi: NCSIPolicy, test: PortTest, state: DNSClientState) -> Finding | None:
    """The location server accepts connections, and yet the client believes to be outside."""
    host = host_of(ncsi.location_url)
    port = _HTTPS if test.port is None else test.port
    private = bool(test.address) and _is_private(test.address or "")
    if test.target.lower() != host or not test.succeeded or state.inside is not False:
        return None
    if not private or port != _HTTPS:
        return None
    return Finding(
        problem=catalogue.NLS_CERTIFICATE_INVALID,
        summary=f"{host} accepts connections at {test.address}, but does not prove the location.",
        confidence=Confidence.LIKELY,
        reason=(
            "the address is one of the intranet; what then keeps the client from seeing that it "
            "is inside is mostly the certificate or its revocation list"
        ),
        evidence=(test.source, state.source),
        values=_values(ncsi),
    )


def inside_wrongly(
    state: DNSClientState | DAConnectionStatus, controllers: tuple[DomainController, ...]
) -> Finding | None:
    """The client believes to be inside, and no domain controller is found."""
    lost = [controller for controller in controllers if not controller.found]
    if not inside((state,)) or not lost or any(c.found for c in controllers):
        return None
    return Finding(
        problem=catalogue.INSIDE_DETECTED_WRONGLY,
        summary="The client believes to be inside, but finds no domain controller.",
        confidence=Confidence.LIKELY,
        reason="inside a controller would be found; the controllers themselves may be down",
        evidence=(state.source, lost[0].source),
    )


def outside_wrongly(
    state: DNSClientState | DAConnectionStatus,
    controller: DomainController,
    adapters: tuple[Adapter, ...],
) -> Finding | None:
    """The client believes to be outside, and a domain controller is near."""
    if not outside((state,)) or not reached_directly(controller):
        return None
    address = controller.address or ""
    near = [a for a in adapters if address in a.dns_servers or _same_suffix(a, controller)]
    return Finding(
        problem=catalogue.OUTSIDE_DETECTED_WRONGLY,
        summary=(
            f"The client believes to be outside, but reaches the domain controller "
            f"{controller.name or ''} at {address}."
        ).replace("  ", " "),
        confidence=Confidence.LIKELY if near else Confidence.POSSIBLE,
        reason=(
            "an adapter has the name or a DNS server of the domain, so the client is inside"
            if near
            else "the controller has an IPv4 address; the answer may be an old one, or from a VPN"
        ),
        evidence=(state.source, controller.source, *(a.source for a in near[:1])),
    )


def reached_directly(controller: DomainController) -> bool:
    """Whether a domain controller was found at an IPv4 address of an intranet."""
    address = controller.address or ""
    return controller.found and _is_private(address)


def _values(ncsi: NCSIPolicy) -> tuple[tuple[str, str], ...]:
    return (("NLS_URL", ncsi.location_url or ""),)


def _is_private(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_private
    except ValueError:
        return False


def _same_suffix(adapter: Adapter, controller: DomainController) -> bool:
    """Whether an adapter that is no tunnel has the domain for its suffix."""
    suffix, domain = (adapter.suffix or "").lower(), (controller.domain or "").lower()
    return not adapter.tunnel and bool(suffix) and suffix == domain


def _moment(iso: str) -> datetime | None:
    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        return None


def _is_past(end: datetime, now: datetime) -> bool:
    """Compare; where only one of them has a time zone, both count as local."""
    if (end.tzinfo is None) != (now.tzinfo is None):
        end, now = end.replace(tzinfo=None), now.replace(tzinfo=None)
    return end < now


RULES = (
    Rule((catalogue.NLS_CERTIFICATE_INVALID,), certificate_expired),
    Rule((catalogue.NLS_CERTIFICATE_INVALID,), certificate_refused, Role.CLIENT),
    Rule((catalogue.NLS_UNREACHABLE_INSIDE,), server_silent, Role.CLIENT),
    Rule((catalogue.NLS_REACHABLE_OUTSIDE,), not_exempt, Role.CLIENT),
    Rule((catalogue.NLS_REACHABLE_OUTSIDE,), answers_outside, Role.CLIENT),
    Rule((catalogue.INSIDE_DETECTED_WRONGLY,), inside_wrongly, Role.CLIENT),
    Rule((catalogue.OUTSIDE_DETECTED_WRONGLY,), outside_wrongly, Role.CLIENT),
)
