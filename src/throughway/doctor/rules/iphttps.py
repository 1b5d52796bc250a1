"""Procedure P1: why a client does not reach the server with IP-HTTPS, and P2: what codes mean."""

import ipaddress
import re
from dataclasses import replace
from functools import lru_cache
from urllib.parse import urlsplit

from throughway.catalogue import iphttps, windows
from throughway.catalogue import iphttps_certificate as certificate
from throughway.catalogue.on_windows.codes import LAST_ERROR, Meaning, of_last_error
from throughway.doctor.rule import Rule
from throughway.doctor.rules import chains, whereabouts
from throughway.doctor.rules.tables import covering, in_force
from throughway.doctor.rules.whereabouts import Sign
from throughway.model.evidence import Role
from throughway.model.facts.base import CollectedAt
from throughway.model.facts.certificates import Certificate
from throughway.model.facts.names import NRPTRule
from throughway.model.facts.network import Adapter, NameLookup, PortTest, Route
from throughway.model.facts.transition import (
    IPHTTPSConfiguration,
    IPHTTPSInterface,
    IPHTTPSStatus,
    IPv6Interface,
)
from throughway.model.findings import Confidence, Finding, Problem

MAXIMUM_URL = 256
"""Characters which netsh can hold."""
_NAME = re.compile(r"iphttps", re.IGNORECASE)
_NO_ERROR = (None, 0)
_NOT_TRYING = frozenset({IPHTTPSStatus.ACTIVE, IPHTTPSStatus.DEACTIVATED})
"""What is printed is the code of an earlier attempt."""
_LASTING = frozenset(
    {
        IPHTTPSStatus.NO_USABLE_CERTIFICATE,
        IPHTTPSStatus.INVALID_URL,
        IPHTTPSStatus.CREATION_FAILED,
    }
)
"""What is wrong wherever the client is."""
_UNRESOLVED = frozenset({0x2AF9, 0x2AFA, 0x2AFB, 0x2AFC})
_OF_EVERY_HOST = ("::1", "fe80", "ff00")
"""Routes that every table of IPv6 has."""


def url_too_long(interface: IPHTTPSInterface) -> Finding | None:
    """The URL cannot be held, or the command said that there is more of it."""
    length = len(interface.url or "")
    if not interface.more_data and length <= MAXIMUM_URL:
        return None
    what = (
        "netsh cannot print the URL" if interface.more_data else f"the URL has {length} characters"
    )
    return Finding(
        problem=iphttps.URL_TOO_LONG,
        summary=f"{what}: it is longer than {MAXIMUM_URL} characters.",
        reason="the evidence shows it directly",
        evidence=(interface.source,),
    )


def url_is_address(interface: IPHTTPSInterface | IPHTTPSConfiguration) -> Finding | None:
    """The host of the URL is an address."""
    host = host_of(interface.url)
    if host is None or not is_address(host):
        return None
    return Finding(
        problem=iphttps.URL_IS_IP_ADDRESS,
        summary=f"The IP-HTTPS URL is {interface.url}: {host} is an address, not a name.",
        reason="the URL stands in the evidence",
        evidence=(interface.source,),
    )


def url_invalid(interface: IPHTTPSInterface | IPHTTPSConfiguration) -> Finding | None:
    """The URL has no host, or the interface itself calls it invalid."""
    invalid = getattr(interface, "status", None) is IPHTTPSStatus.INVALID_URL
    host = host_of(interface.url)
    if not interface.url and not invalid:
        return None
    if not invalid and host is not None and (interface.url or "").lower().startswith("https:"):
        return None
    if host is not None and is_address(host):
        return None
    return Finding(
        problem=iphttps.URL_INVALID,
        summary=f"The IP-HTTPS URL {interface.url or ''} is not of the form https://NAME/IPHTTPS.",
        reason="the URL stands in the evidence" if interface.url else "the interface says so",
        evidence=(interface.source,),
    )


def not_configured(
    interface: IPHTTPSInterface | IPHTTPSConfiguration,
    every: tuple[IPHTTPSInterface | IPHTTPSConfiguration, ...],
) -> Finding | None:
    """There is an interface, but none was given a URL."""
    empty = interface.url == ""
    absent = getattr(interface, "status", None) is IPHTTPSStatus.NOT_INSTALLED
    if not (empty or absent) or any(other.url for other in every):
        return None
    return Finding(
        problem=iphttps.NOT_CONFIGURED,
        summary="IP-HTTPS has no URL on this machine.",
        reason="the evidence shows it directly",
        evidence=(interface.source,),
    )


def last_error(
    interface: IPHTTPSInterface,
    nrpt: tuple[NRPTRule, ...],
    lookups: tuple[NameLookup, ...],
    certificates: tuple[Certificate, ...],
    moments: tuple[CollectedAt, ...],
    signs: tuple[Sign, ...],
) -> tuple[Finding, ...]:
    """The Last Error Code of a client, or the words of its status where there is no code."""
    if interface.role is Role.SERVER or interface.status in _NOT_TRYING:
        return ()
    # Who is inside has no need of IP-HTTPS, and who is connected has another way.
    needless = whereabouts.outside(signs) is False or whereabouts.connected(signs)
    if needless and interface.status not in _LASTING:
        return ()
    if interface.last_error in _NO_ERROR:
        return _by_status(interface)
    meanings = of_last_error(interface.last_error or 0)
    if nrpt or _resolves(interface, lookups):
        # What the table itself shows is better than what the code makes likely.
        meanings = tuple(
            m for m in meanings if m.problem is not iphttps.NRPT_PUBLIC_NAME_NOT_EXEMPT
        )
    host = host_of(interface.url) or ""
    early = [c for c in certificates if c.names and chains.covers(c.names, host)]
    if any(chains.is_early(c, moments) for c in early):
        # One code stands for both ends of the validity; the dates say which.
        meanings = tuple(m for m in meanings if m.problem is not certificate.EXPIRED)
    return tuple(_finding(interface, meaning) for meaning in meanings)


def listener_down(interface: IPHTTPSInterface) -> Finding | None:
    """The interface of a server is not active."""
    if interface.role is not Role.SERVER or interface.status is IPHTTPSStatus.ACTIVE:
        return None
    code = interface.last_error
    if code in _NO_ERROR and interface.status is None:
        return None
    if of_last_error(code or 0)[:1] == of_last_error(0x34):
        return _finding(interface, of_last_error(0x34)[0])
    return Finding(
        problem=iphttps.LISTENER_DOWN,
        summary=f"The server's IP-HTTPS interface is not active: {_said(interface)}.",
        reason="the interface says so",
        evidence=(interface.source,),
    )


def captured_by_nrpt(
    interface: IPHTTPSInterface, rules: tuple[NRPTRule, ...]
) -> tuple[Finding, ...]:
    """The most specific rule that covers the URL's host sends it to intranet servers."""
    host = host_of(interface.url)
    if host is None or is_address(host) or interface.status is IPHTTPSStatus.ACTIVE:
        return ()
    rule = covering(host, in_force(rules))
    if rule is None or not rule.dns_servers:
        return ()
    names = ", ".join(rule.namespaces or ())
    root = Finding(
        problem=iphttps.NRPT_PUBLIC_NAME_NOT_EXEMPT,
        summary=(
            f"The rule for {names} sends {host}, the name in the IP-HTTPS URL, to "
            f"{', '.join(rule.dns_servers)}; no rule exempts it."
        ),
        reason="URL and rule stand in the evidence",
        evidence=(rule.source, interface.source),
        values=(("HOST", host),),
    )
    if interface.last_error not in _UNRESOLVED:
        return (root,)
    captured = replace(
        root,
        problem=iphttps.NAME_CAPTURED_BY_NRPT,
        summary=f"{host} is asked of {', '.join(rule.dns_servers)}, and has no address there.",
        reason="URL, rule and the code of the failed lookup stand in the evidence",
    )
    return (root, captured)


def no_global_address(interface: IPHTTPSInterface, adapters: tuple[Adapter, ...]) -> Finding | None:
    """IP-HTTPS is connected, but its adapter has no global address."""
    own = [adapter for adapter in adapters if _NAME.search(adapter.name + adapter.description)]
    if interface.status is not IPHTTPSStatus.ACTIVE or interface.role is Role.SERVER or not own:
        return None
    if any(is_global(address) for adapter in own for address in adapter.ipv6):
        return None
    return Finding(
        problem=iphttps.NO_GLOBAL_ADDRESS,
        summary=f"IP-HTTPS is active, but {own[0].name} has no global IPv6 address.",
        reason="the adapter's addresses stand in the evidence",
        evidence=(own[0].source, interface.source),
    )


def no_router_advertisement(
    interface: IPHTTPSInterface, adapter: Adapter, routes: tuple[Route, ...]
) -> Finding | None:
    """IP-HTTPS is connected, and neither an address nor a route came through it."""
    if interface.status is not IPHTTPSStatus.ACTIVE or interface.role is Role.SERVER:
        return None
    if not _NAME.search(adapter.name + adapter.description) or not adapter.link_local:
        return None
    learnt = [r for r in routes if ":" in r.prefix and not r.prefix.startswith(_OF_EVERY_HOST)]
    whole = any(route.prefix.startswith("ff00") for route in routes)
    if not whole or learnt or any(is_global(address) for address in adapter.ipv6):
        return None
    return Finding(
        problem=iphttps.NO_ROUTER_ADVERTISEMENT,
        summary=f"IP-HTTPS is active, but {adapter.name} was given no prefix and no route.",
        confidence=Confidence.LIKELY,
        reason="both come with a Router Advertisement, and neither is there",
        evidence=(adapter.source, interface.source),
    )


def idle(interface: IPHTTPSInterface, adapters: tuple[Adapter, ...]) -> Finding | None:
    """IP-HTTPS waits while another interface has global IPv6."""
    if interface.role is Role.SERVER or interface.last_error not in _NO_ERROR:
        return None
    if interface.status in {IPHTTPSStatus.ACTIVE, IPHTTPSStatus.CREATION_FAILED}:
        return None
    for adapter in adapters:
        if _NAME.search(adapter.name + adapter.description):
            continue
        if address := next((a for a in adapter.ipv6 if is_global(a)), None):
            return Finding(
                problem=iphttps.IDLE_OTHER_TRANSPORT_IN_USE,
                summary=f"{adapter.name} has {address}, so IP-HTTPS is not needed.",
                reason="the address stands in the evidence",
                evidence=(adapter.source, interface.source),
            )
    return None


def name_unresolvable(
    interface: IPHTTPSInterface, lookup: NameLookup, signs: tuple[Sign, ...]
) -> Finding | None:
    """A lookup of the URL's host failed; inside it need not succeed."""
    host = host_of(interface.url)
    if host is None or lookup.name.lower().rstrip(".") != host or lookup.failed is not True:
        return None
    if interface.status is IPHTTPSStatus.ACTIVE or whereabouts.outside(signs) is False:
        return None
    return Finding(
        problem=iphttps.NAME_UNRESOLVABLE,
        summary=f"{host}, the name in the IP-HTTPS URL, has no address.",
        reason="the lookup stands in the evidence",
        evidence=(lookup.source, interface.source),
        values=(("HOST", host),),
    )


def port_blocked(
    interface: IPHTTPSInterface, test: PortTest, signs: tuple[Sign, ...]
) -> Finding | None:
    """A test of the URL's host and port failed; from inside it often does."""
    host = host_of(interface.url)
    wanted = test.target.lower() == host and test.port in {None, port_of(interface.url)}
    if not wanted or test.succeeded is not False or interface.status is IPHTTPSStatus.ACTIVE:
        return None
    if whereabouts.outside(signs) is False:
        return None
    return Finding(
        problem=iphttps.PORT_BLOCKED,
        summary=f"TCP port {test.port or 443} of {host} cannot be connected to.",
        reason="the test stands in the evidence",
        evidence=(test.source, interface.source),
        values=_values(interface),
    )


def forwarding_disabled(
    interface: IPv6Interface, every: tuple[IPv6Interface, ...]
) -> Finding | None:
    """The server's IP-HTTPS interface does not forward."""
    if not _NAME.search(interface.name) or interface.forwarding is not False:
        return None
    return _of_interface(iphttps.FORWARDING_DISABLED, interface, every, "does not forward")


def advertising_disabled(
    interface: IPv6Interface, every: tuple[IPv6Interface, ...]
) -> Finding | None:
    """The server's IP-HTTPS interface does not advertise."""
    if not _NAME.search(interface.name) or interface.advertising is not False:
        return None
    return _of_interface(iphttps.ADVERTISING_DISABLED, interface, every, "does not advertise")


@lru_cache(maxsize=4096)
def host_of(url: str | None) -> str | None:
    """Return the host of a URL in lower case; None where it has none."""
    try:
        host = urlsplit((url or "").strip("`\"' ")).hostname
    except ValueError:
        return None
    return host.rstrip(".") if host else None


def port_of(url: str | None) -> int:
    """Return the port of a URL."""
    try:
        return urlsplit(url or "").port or 443
    except ValueError:
        return 443


@lru_cache(maxsize=4096)
def is_address(host: str) -> bool:
    """Whether a host is written as an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_global(address: str) -> bool:
    """Whether IP-HTTPS counts it as global: 2000::/3 or fc00::/7."""
    return address[:1] in {"2", "3"} or address[:2].lower() in {"fc", "fd"}


def _by_status(interface: IPHTTPSInterface) -> tuple[Finding, ...]:
    problem = {
        IPHTTPSStatus.NO_USABLE_CERTIFICATE: certificate.NO_USABLE_CERT,
        IPHTTPSStatus.CREATION_FAILED: iphttps.INTERFACE_CREATION_FAILED,
    }.get(interface.status or IPHTTPSStatus.ACTIVE)
    if problem is None:
        return ()
    meaning = Meaning(problem, Confidence.CERTAIN, "the interface's status says exactly this")
    return (_finding(interface, meaning),)


def _finding(interface: IPHTTPSInterface, meaning: Meaning) -> Finding:
    return Finding(
        problem=meaning.problem,
        summary=f"IP-HTTPS reports {_said(interface)}.",
        confidence=meaning.confidence,
        reason=meaning.reason,
        evidence=(interface.source,),
        values=_values(interface),
    )


def _of_interface(
    problem: Problem, interface: IPv6Interface, every: tuple[IPv6Interface, ...], what: str
) -> Finding:
    indices = (i.index for i in (interface, *every) if i.name == interface.name)
    index = next((number for number in indices if number is not None), None)
    return Finding(
        problem=problem,
        summary=f"The interface {interface.name} of this server {what}.",
        reason="the interface's settings stand in the evidence",
        evidence=(interface.source,),
        values=() if index is None else (("INDEX", str(index)),),
    )


def _said(interface: IPHTTPSInterface) -> str:
    code = interface.last_error
    what = "no error code" if code is None else windows.describe(code)
    to = f" for {interface.url}" if interface.url else ""
    return f"{what}{to}"


def _values(interface: IPHTTPSInterface) -> tuple[tuple[str, str], ...]:
    host = host_of(interface.url)
    if host is None:
        return ()
    return (("HOST", host), ("PORT", str(port_of(interface.url))))


def _resolves(interface: IPHTTPSInterface, lookups: tuple[NameLookup, ...]) -> bool:
    host = host_of(interface.url)
    return any(lookup.name.lower() == host and lookup.addresses for lookup in lookups)


_BY_CODE = tuple(
    {m.problem.code: m.problem for meanings in LAST_ERROR.values() for m in meanings}.values()
)
RULES = (
    Rule((iphttps.URL_TOO_LONG,), url_too_long),
    Rule((iphttps.URL_IS_IP_ADDRESS,), url_is_address),
    Rule((iphttps.URL_INVALID,), url_invalid),
    Rule((iphttps.NOT_CONFIGURED,), not_configured),
    Rule((*_BY_CODE, iphttps.HTTP_REFUSED), last_error, Role.CLIENT),
    Rule((iphttps.LISTENER_DOWN,), listener_down, Role.SERVER),
    Rule(
        (iphttps.NRPT_PUBLIC_NAME_NOT_EXEMPT, iphttps.NAME_CAPTURED_BY_NRPT),
        captured_by_nrpt,
        Role.CLIENT,
    ),
    Rule((iphttps.NAME_UNRESOLVABLE,), name_unresolvable),
    Rule((iphttps.PORT_BLOCKED,), port_blocked),
    Rule((iphttps.NO_GLOBAL_ADDRESS,), no_global_address, Role.CLIENT),
    Rule((iphttps.NO_ROUTER_ADVERTISEMENT,), no_router_advertisement, Role.CLIENT),
    Rule((iphttps.IDLE_OTHER_TRANSPORT_IN_USE,), idle, Role.CLIENT),
    Rule((iphttps.FORWARDING_DISABLED,), forwarding_disabled, Role.SERVER),
    Rule((iphttps.ADVERTISING_DISABLED,), advertising_disabled, Role.SERVER),
)
