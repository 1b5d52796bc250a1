"""Rules about 6to4 and ISATAP.

IP-HTTPS and Teredo stand in where 6to4 does not work, so nothing is said of it where nobody uses
it: without a public IPv4 address, or while the client is connected by another way.
"""

import ipaddress

from throughway.catalogue import sixtofour as catalogue
from throughway.catalogue.on_windows import transitions
from throughway.doctor.rule import Rule
from throughway.doctor.rules.transitions import Others, connected
from throughway.model.evidence import Role
from throughway.model.facts.network import Adapter, NameLookup, PingResult
from throughway.model.facts.transition import IPv6Interface, ISATAPState, SixToFourState
from throughway.model.findings import Confidence, Finding

_PREFIX = ipaddress.IPv6Network("2002::/16")
_RELAYS = frozenset({"192.88.99.1", "2002:c058:6301::", "2002:c058:6301::1"})
"""The anycast address of all relays, by itself and within 6to4."""
_SHARED = (
    ipaddress.IPv4Network("100.64.0.0/10"),
    ipaddress.IPv4Network("198.18.0.0/15"),
    ipaddress.IPv4Network("192.0.0.0/24"),
)
"""No private addresses for 6to4, and no public ones: carriers use them behind their NAT."""
_OF_OTHERS = tuple(ipaddress.IPv4Network(f"{n}.0.0.0/8") for n in (25, 26, 28, 29, 30, 33))
"""Of owners who do not announce them; carriers borrow them."""
_EXAMPLES = tuple(
    ipaddress.IPv4Network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
)
"""For documentation; evidence that was made anonymous has them in place of real ones."""
_NAME = "6to4"


def disabled(
    sixtofour: SixToFourState, adapters: tuple[Adapter, ...], others: Others
) -> Finding | None:
    """It is off, although the client has the address to use it."""
    public = public_addresses(adapters)
    if sixtofour.state != "disabled" or not public or connected(others):
        return None
    return Finding(
        problem=catalogue.DISABLED,
        summary=f"6to4 is disabled; with {public[0]} it could be used.",
        reason="state and address stand in the evidence",
        evidence=(sixtofour.source,),
    )


def pseudo_public_address(adapter: Adapter, others: Others) -> Finding | None:
    """The IPv4 address within the 6to4 one is of a carrier's NAT."""
    for address in adapter.ipv6:
        inner = _inner(address)
        if inner is None or connected(others):
            continue
        shared = any(inner in net for net in _SHARED)
        if not shared and not any(inner in net for net in _OF_OTHERS):
            continue
        return Finding(
            problem=catalogue.PSEUDO_PUBLIC_ADDRESS,
            summary=f"6to4 made {address} of {inner}, which is not public.",
            confidence=Confidence.CERTAIN if shared else Confidence.LIKELY,
            reason=(
                "that range is for networks behind a carrier's NAT"
                if shared
                else "that range is announced nowhere, and carriers use it behind their NAT"
            ),
            evidence=(adapter.source,),
        )
    return None


def relay_unreachable(
    ping: PingResult,
    adapters: tuple[Adapter, ...],
    states: tuple[SixToFourState, ...],
    others: Others,
) -> Finding | None:
    """The relay answers no ping, and 6to4 is what the client uses."""
    relays = {(state.relay or "").rstrip(".") for state in states if state.relay} | _RELAYS
    target = {ping.target.lower().rstrip("."), ping.address or ""}
    used = [a for a in adapters if any(_inner(address) for address in a.ipv6)]
    if ping.replied is not False or not target & relays or not used or connected(others):
        return None
    return Finding(
        problem=catalogue.RELAY_UNREACHABLE,
        summary=f"The 6to4 relay {ping.target} answers no ping.",
        confidence=Confidence.LIKELY,
        reason="6to4 has an address on this client, and the relay is silent",
        evidence=(ping.source, used[0].source),
        values=(("NAME", ping.target),),
    )


def no_public_address(
    sixtofour: SixToFourState, adapters: tuple[Adapter, ...], others: Others
) -> Finding | None:
    """Somebody enabled it on a machine that has no address for it."""
    addressed = [adapter for adapter in adapters if adapter.ipv4]
    if sixtofour.state != "enabled" or not addressed or connected(others):
        return None
    if public_addresses(adapters):
        return None
    return Finding(
        problem=catalogue.NO_PUBLIC_ADDRESS,
        summary=f"6to4 is enabled, but {addressed[0].ipv4[0]} is no public address.",
        confidence=Confidence.LIKELY,
        reason="none of the adapters that were printed has a public IPv4 address",
        evidence=(sixtofour.source, addressed[0].source),
    )


def interface_down(
    sixtofour: SixToFourState, adapter: Adapter, adapters: tuple[Adapter, ...]
) -> Finding | None:
    """The server has a public address and 6to4 is not off, but its adapter is down."""
    ours = _NAME in (adapter.name + adapter.description).lower()
    if not ours or adapter.connected is not False or sixtofour.state in {None, "disabled"}:
        return None
    public = public_addresses(adapters)
    if not public:
        return None
    return Finding(
        problem=catalogue.INTERFACE_DOWN,
        summary=f"{adapter.name} is down, although the server has {public[0]}.",
        confidence=Confidence.LIKELY,
        reason="adapter and address stand in the evidence",
        evidence=(adapter.source, sixtofour.source),
    )


def router_unresolvable(isatap: ISATAPState, lookup: NameLookup) -> Finding | None:
    """The name of the router was asked for in vain."""
    named = (isatap.router or "").rstrip(".")
    name = lookup.name.lower().rstrip(".")
    wanted = name == named or (isatap.state == "enabled" and name.partition(".")[0] == "isatap")
    if not name or not wanted or not lookup.failed:
        return None
    return Finding(
        problem=transitions.ISATAP_NAME_UNRESOLVABLE,
        summary=f"{lookup.name}, the ISATAP router, does not resolve.",
        reason="setting and lookup stand in the evidence",
        evidence=(lookup.source, isatap.source),
    )


def advertising_disabled(isatap: ISATAPState, interface: IPv6Interface) -> Finding | None:
    """ISATAP is enabled on the server, and its adapter does not advertise."""
    ours = interface.name.lower().startswith("isatap")
    if isatap.state != "enabled" or not ours or not interface.connected:
        return None
    if interface.advertising is not False:
        return None
    index = () if interface.index is None else (("INDEX", str(interface.index)),)
    return Finding(
        problem=transitions.ISATAP_ADVERTISING_DISABLED,
        summary=f"ISATAP is enabled, but {interface.name} does not advertise.",
        confidence=Confidence.LIKELY,
        reason="state and setting stand in the evidence; another router may advertise instead",
        evidence=(interface.source, isatap.source),
        values=index,
    )


def public_addresses(adapters: tuple[Adapter, ...]) -> list[str]:
    """Return the IPv4 addresses that the Internet knows."""
    return [text for adapter in adapters for text in adapter.ipv4 if _is_public(text)]


def _is_public(text: str) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return address.is_global or any(address in net for net in _EXAMPLES)


def _inner(text: str) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address within a 6to4 address."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return ipaddress.IPv4Address((int(address) >> 80) & 0xFFFFFFFF) if address in _PREFIX else None


RULES = (
    Rule((catalogue.DISABLED,), disabled, Role.CLIENT),
    Rule((catalogue.PSEUDO_PUBLIC_ADDRESS,), pseudo_public_address, Role.CLIENT),
    Rule((catalogue.RELAY_UNREACHABLE,), relay_unreachable, Role.CLIENT),
    Rule((catalogue.NO_PUBLIC_ADDRESS,), no_public_address, Role.CLIENT),
    Rule((catalogue.INTERFACE_DOWN,), interface_down, Role.SERVER),
    Rule((transitions.ISATAP_NAME_UNRESOLVABLE,), router_unresolvable),
    Rule((transitions.ISATAP_ADVERTISING_DISABLED,), advertising_disabled, Role.SERVER),
)
