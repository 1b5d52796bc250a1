"""What of a Linux machine stands in our way, whether our daemon runs there or not."""

import re
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address, ip_network

from throughway.catalogue import iphttps, iphttps_certificate, ipsec_certificate
from throughway.catalogue.gateway import NETWORK_ADAPTER_DOWN
from throughway.catalogue.host import IPV6_DISABLED
from throughway.doctor.rule import Rule
from throughway.model.evidence import Platform, Role
from throughway.model.facts.linux import (
    ConfiguredCertificate,
    DaemonReport,
    FilterRule,
    GatewayConfiguration,
    KernelRoute,
    KernelSetting,
    LinkState,
    ListeningSocket,
    WholeWay,
)
from throughway.model.findings import Confidence, Finding, Problem

_HTTPS = 443
_PREFIX = 64
_ADVERTISED = "the kernel's own setting says so"
_SOME = re.compile(r"\b(?:limit rate over|ct count over|ct state invalid|saddr|skuid|skgid)\b")
"""In a rule of the packet filter: it stops a flood, or a few, and not everybody."""
_SOMEWHERE = re.compile(r"\b(?:daddr|oif|oifname|iif|iifname)\b")
"""It stops what goes by one way; not ours, where everything is well."""
_OTHERS = ("ca", "client_ca", "trust_anchors", "authority_ca")
"""Settings that name authorities, which are judged elsewhere."""


def ipv6_disabled(setting: KernelSetting, reports: tuple[DaemonReport, ...]) -> Finding | None:
    """IPv6 is off everywhere, or on a device of ours."""
    devices = ("all", *(name for report in reports for name in report.interfaces))
    ours = {f"net.ipv6.conf.{name}.disable_ipv6" for name in devices}
    if setting.name not in ours or setting.value != "1":
        return None
    return Finding(
        problem=IPV6_DISABLED,
        summary=f"{setting.name} is 1.",
        reason=_ADVERTISED,
        evidence=(setting.source,),
    )


def not_forwarding(setting: KernelSetting) -> Finding | None:
    """The gateway keeps what clients send to the intranet."""
    if setting.name != "net.ipv6.conf.all.forwarding" or setting.value != "0":
        return None
    return Finding(
        problem=iphttps.FORWARDING_DISABLED,
        summary=f"{setting.name} is 0.",
        reason=_ADVERTISED,
        evidence=(setting.source,),
    )


def route_missing(
    configuration: GatewayConfiguration, first: KernelRoute, routes: tuple[KernelRoute, ...]
) -> Finding | None:
    """No route leads to the clients."""
    ours = [route for route in routes if ":" in route.prefix]
    if not ours or first is not ours[0] or not configuration.prefix:
        return None
    name = configuration.interface.rstrip("0123456789")
    if any(
        route.kind == "unicast"
        and route.interface.startswith(name)
        and _within(route.prefix, configuration.prefix)
        for route in ours
    ):
        return None
    return Finding(
        problem=iphttps.ROUTE_UNPUBLISHED,
        summary=f"No route leads to {configuration.prefix} by {configuration.interface}.",
        reason="the routes of the kernel are in the evidence, and it is not among them",
        evidence=(configuration.source, first.source),
        values=(("INTERFACE", configuration.interface),),
    )


def _within(prefix: str, whole: str) -> bool:
    try:
        one, other = ip_network(prefix, strict=False), ip_network(whole, strict=False)
    except ValueError:
        return False
    if one.version != 6 or other.version != 6 or one.prefixlen > _PREFIX:
        return False
    return one.subnet_of(other)


def not_listening(
    configuration: GatewayConfiguration,
    first: ListeningSocket,
    sockets: tuple[ListeningSocket, ...],
) -> Finding | None:
    """Nobody listens where clients connect."""
    if first is not sockets[0]:
        return None
    there = {(s.address, s.port) for s in sockets if s.protocol == "tcp"}
    for address, port in _endpoints(configuration):
        if not {(address, port), ("*", port)} & there:
            return Finding(
                problem=iphttps.LISTENER_DOWN,
                summary=f"Nobody listens on {address} port {port}.",
                reason="all listening sockets are in the evidence, and it is not among them",
                evidence=(configuration.source, first.source),
                values=(("PORT", str(port)),),
            )
    return None


def _endpoints(configuration: GatewayConfiguration) -> Iterator[tuple[str, int]]:
    for endpoint in configuration.listen:
        address, _, port = endpoint.rpartition(":")
        bare = address.strip("[]")
        if port.isascii() and port.isdecimal():
            yield "*" if bare in {"0.0.0.0", "::", ""} else bare, int(port)


def adapter_down(
    configuration: GatewayConfiguration, first: LinkState, links: tuple[LinkState, ...]
) -> tuple[Finding, ...]:
    """An address that clients connect to is on no device, or on one that carries nothing."""
    told = [link for link in links if link.addresses is not None]
    if first is not links[0] or not told:
        return ()
    found = []
    for wanted, _port in _endpoints(configuration):
        if wanted == "*":
            continue
        holder = next((link for link in told if _holds(link, wanted)), None)
        if holder is not None and holder.up and holder.carrier:
            continue
        how = f"{holder.name}, which has {wanted}, is down" if holder else f"no device has {wanted}"
        found.append(
            Finding(
                problem=NETWORK_ADAPTER_DOWN,
                summary=f"The gateway's address: {how}.",
                reason="all devices are in the evidence",
                evidence=(configuration.source, (holder or first).source),
                values=(("INTERFACE", holder.name),) if holder else (),
            )
        )
    return tuple(found)


def _holds(link: LinkState, wanted: str) -> bool:
    try:
        address = ip_address(wanted.partition("%")[0])
        return any(ip_address(own) == address for own in link.addresses or ())
    except ValueError:
        return False


def filtered(
    rules: tuple[FilterRule, ...],
    gateways: tuple[GatewayConfiguration, ...],
    whole: tuple[WholeWay, ...],
) -> tuple[Finding, ...]:
    """This machine's own packet filter stops IP-HTTPS."""
    ports = {port for config in gateways for _, port in _endpoints(config)} or {_HTTPS}
    hook = "input" if gateways else "output"
    stopping = (rule for rule in rules if rule.hook == hook and ports & set(rule.ports))
    return tuple(
        _stopped_by(rule)
        for rule in stopping
        if not (_SOME.search(rule.text) or (whole and _SOMEWHERE.search(rule.text)))
    )


def _stopped_by(rule: FilterRule) -> Finding:
    return Finding(
        problem=iphttps.PORT_BLOCKED,
        summary=f"The packet filter of this machine (table {rule.table}) says: {rule.text}.",
        confidence=Confidence.LIKELY,
        reason="the rule stops the gateway's port; another one before it may let it through",
        evidence=(rule.source,),
    )


def certificate_time(certificate: ConfiguredCertificate) -> Finding | None:
    """A certificate of this machine is not valid at the time of its clock."""
    if certificate.setting.rpartition(".")[2] in _OTHERS:
        return None
    problem = _wrong_at(certificate)
    if problem is None:
        return None
    until = f"valid from {certificate.not_before} to {certificate.not_after}"
    return Finding(
        problem=problem,
        summary=(
            f"{certificate.subject} in {certificate.file} ({certificate.setting}) is {until}; "
            f"the clock says {certificate.judged_at}."
        ),
        reason="the certificate and the clock were read on the machine",
        evidence=(certificate.source,),
    )


def _wrong_at(certificate: ConfiguredCertificate) -> Problem | None:
    try:
        begins, ends, now = (
            datetime.fromisoformat(moment)
            for moment in (certificate.not_before, certificate.not_after, certificate.judged_at)
        )
        public = certificate.of is Role.SERVER and certificate.setting.startswith("iphttps")
        if now > ends:
            return iphttps_certificate.EXPIRED if public else ipsec_certificate.CERT_EXPIRED
        if now < begins and public:
            return iphttps_certificate.NOT_YET_VALID
    except (ValueError, TypeError):
        pass
    return None


RULES = (
    Rule((IPV6_DISABLED,), ipv6_disabled, platform=Platform.LINUX),
    Rule((NETWORK_ADAPTER_DOWN,), adapter_down, Role.SERVER, Platform.LINUX),
    Rule((iphttps.FORWARDING_DISABLED,), not_forwarding, Role.SERVER, Platform.LINUX),
    Rule((iphttps.LISTENER_DOWN,), not_listening, Role.SERVER, Platform.LINUX),
    Rule((iphttps.ROUTE_UNPUBLISHED,), route_missing, Role.SERVER, Platform.LINUX),
    Rule((iphttps.PORT_BLOCKED,), filtered, platform=Platform.LINUX),
    Rule(
        (
            iphttps_certificate.EXPIRED,
            iphttps_certificate.NOT_YET_VALID,
            ipsec_certificate.CERT_EXPIRED,
        ),
        certificate_time,
        platform=Platform.LINUX,
    ),
)
