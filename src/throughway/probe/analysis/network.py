"""From what was seen of a network to what it allows, and to problems of the catalogue."""

import ipaddress
from collections.abc import Iterator

from throughway.model.findings import Confidence, Finding, Severity
from throughway.model.network import NAT, WPAD, NetworkSeen, ProxySeen, Reach, WaySeen
from throughway.probe.analysis.folding import Judged, fold, found
from throughway.wire.sixtofour import is_sixtofour
from throughway.wire.teredo import is_teredo

WELL = 0
FINDINGS = 1
COULD_NOT_TELL = 3
_SHARED = ipaddress.ip_network("100.64.0.0/10")
_DOWN = "internet-down"
_DEAD = "proxy-unreachable"
_ANSWERS = {
    "proxy-authentication-required",
    "proxy-credentials-refused",
    "proxy-blocks-iphttps",
    "iphttps-port-blocked",
}
"""What is told of a proxy that is there; by the last one, what is behind it is not."""
ETHERNET_MTU = 1500


def reach_of(text: str) -> Reach:
    """Say whose an address is."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        if address in _SHARED:
            return Reach.SHARED
        return Reach.PUBLIC if address.is_global else Reach.PRIVATE
    if is_sixtofour(address.packed) or is_teredo(address.packed):
        return Reach.TRANSITION
    # 2000::/3 is what is given out; documentation's own prefix stands in for it in laboratories.
    return Reach.PUBLIC if address.packed[0] >> 5 == 1 else Reach.PRIVATE


def judge(seen: NetworkSeen) -> tuple[Judged, ...]:
    """Return root causes with their consequences, the weightiest first.

    Inside nobody wants to get out: the gateway may well be out of reach there.
    """
    if inside(seen):
        return fold([*_resolver(seen)])
    return fold(
        [
            *_internet(seen),
            *_portal(seen),
            *_resolver(seen),
            *_gateway(seen),
            *_path(seen),
        ]
    )


def inside(seen: NetworkSeen) -> str:
    """Return the location server that has proven that this is the intranet, "" when none has."""
    return next((location.url for location in seen.locations if location.proven), "")


def exit_code(seen: NetworkSeen, judged: tuple[Judged, ...]) -> int:
    """Return 0 when IP-HTTPS would get through, 1 with findings, 3 when nobody could tell."""
    if any(each.finding.problem.severity is not Severity.INFO for each in judged):
        return FINDINGS
    if inside(seen):
        return WELL
    return WELL if _connected(seen) or _tunnelled(seen) else COULD_NOT_TELL


def ways(seen: NetworkSeen) -> tuple[WaySeen, ...]:
    """Say of each transport whether it would work here."""
    return _native(seen), _sixtofour(seen), _teredo(seen), _iphttps(seen)


def verdict(seen: NetworkSeen, judged: tuple[Judged, ...]) -> str:
    """Return the whole in one sentence."""
    if judged:
        return f"{judged[0].finding.problem.title}."
    if server := inside(seen):
        return f"This is the intranet: {server} has proven itself, so the client needs no tunnels."
    works = [way.transport for way in ways(seen) if way.possible]
    if works:
        return f"This network lets the client through: {', '.join(works)}."
    return "Could not tell what this network allows."


def _values(seen: NetworkSeen) -> tuple[tuple[str, str], ...]:
    return ("HOST", seen.gateway), ("PORT", str(seen.gateway_port))


def _connected(seen: NetworkSeen) -> bool:
    return any(c.trouble is None for c in seen.connections)


def _answered(seen: NetworkSeen) -> bool:
    """Whether anything beyond this computer gave a sign of life."""
    refused = any(
        c.trouble is not None and c.trouble.problem == "iphttps-connection-refused"
        for c in seen.connections
    )
    pages = any(page.status is not None for page in seen.portals)
    asked = any(map(_has_answered, seen.proxies))
    return _connected(seen) or refused or pages or asked or any(t.answered for t in seen.teredo)


def _has_answered(proxy: ProxySeen) -> bool:
    """Whether a proxy that was asked is there, whatever it said."""
    return proxy.tunnel is True or (proxy.tunnel is False and proxy.problem in _ANSWERS)


def _internet(seen: NetworkSeen) -> Iterator[Finding]:
    if _tunnelled(seen):
        return
    if not seen.routes and seen.proxies and seen.resolver.answers:
        yield from _proxy_wanted(seen, Confidence.LIKELY, "there is no other way out than a proxy")
    elif not seen.routes and not _answered(seen):
        words = "There is no default route, neither for IPv4 nor for IPv6."
        why = "so say the routing tables of this computer"
        yield found(_DOWN, words, why, step="interfaces", values=_values(seen))
    elif not _answered(seen) and seen.resolver.answers is False:
        words = "Nothing answers: no DNS server, no web server, no gateway."
        why = "everything that was asked was silent"
        yield found(
            _DOWN, words, why, step="dns", confidence=Confidence.LIKELY, values=_values(seen)
        )


def _portal(seen: NetworkSeen) -> Iterator[Finding]:
    strange = [page for page in seen.portals if page.open is False]
    if strange and not any(page.open for page in seen.portals):
        page = strange[0]
        to = f", to {page.location}" if page.location else ""
        words = f"{page.url} was answered {page.status}{to}, not with its own page."
        why = "everybody knows what that page says"
        yield found("captive-portal", words, why, step=f"page {page.url}", values=_values(seen))


def _resolver(seen: NetworkSeen) -> Iterator[Finding]:
    resolver = seen.resolver
    if resolver.answers is False:
        servers = ", ".join(resolver.servers) or "there is none"
        words = f"{resolver.words or 'no answer'} ({servers})."
        why = "two names were asked for"
        yield found("network-dns-silent", words, why, step="dns", values=_values(seen))
    if resolver.invents:
        words = f"A name of chance was answered with {', '.join(resolver.invents)}."
        why = "nobody has registered it"
        yield found("network-dns-invents", words, why, step="dns", values=_values(seen))


def _gateway(seen: NetworkSeen) -> Iterator[Finding]:
    if not seen.gateway:
        return
    if seen.names and not any(name.addresses for name in seen.names):
        troubles = [n.trouble.words for n in seen.names if n.trouble is not None]
        words = f"{seen.gateway}: {troubles[0] if troubles else 'it has no address'}."
        why = "this network's DNS was asked"
        yield found("iphttps-name-unresolvable", words, why, step="name", values=_values(seen))
    yield from _proxies(seen)
    if not seen.connections or _connected(seen) or _tunnelled(seen):
        return
    for each in seen.connections:
        assert each.trouble is not None
        if each.trouble.problem == _DOWN:
            continue
        yield found(
            each.trouble.problem or "iphttps-port-blocked",
            f"{each.address} port {each.port}: {each.trouble.words}.",
            "it was tried directly, past any proxy",
            step=f"tcp {each.address}",
            values=_values(seen),
        )
        why = "a network with a proxy often lets nothing else out"
        yield from _proxy_wanted(seen, Confidence.POSSIBLE, why)


def _proxy_wanted(seen: NetworkSeen, sure: Confidence, why: str) -> Iterator[Finding]:
    """Find that a proxy is offered which nobody has been told to use."""
    if any(each.tunnel is not None for each in seen.proxies):
        return  # somebody has, or the client finds it by itself
    for proxy in [each for each in seen.proxies if each.tunnel is None][:1]:
        if proxy.problem:
            yield _faulty(seen, proxy)
            return
        yield found(
            "proxy-required-not-configured",
            f"{proxy.proxy} is named by {proxy.source}, and directly nothing gets through.",
            why,
            step="proxy",
            confidence=sure,
            values=_values(seen),
        )


def _proxies(seen: NetworkSeen) -> Iterator[Finding]:
    """Find what is wrong with proxies that are configured; a dead one is a fault by itself."""
    for proxy in seen.proxies:
        # What the network itself names is asked by the client only where it has no other way.
        idle = proxy.source.endswith(WPAD) and _connected(seen)
        if proxy.tunnel is False and proxy.problem in {*_ANSWERS, _DEAD} and not idle:
            yield _faulty(seen, proxy)


def _faulty(seen: NetworkSeen, proxy: ProxySeen) -> Finding:
    return found(
        proxy.problem,
        f"{proxy.proxy} (by {proxy.source}): {proxy.words}.",
        "it was asked for a way to the gateway",
        step="proxy",
        values=(*_values(seen), ("PROXY", proxy.proxy.removeprefix("http://"))),
    )


def _tunnelled(seen: NetworkSeen) -> bool:
    return any(proxy.tunnel for proxy in seen.proxies)


def _path(seen: NetworkSeen) -> Iterator[Finding]:
    for path in seen.path:
        if path.small_passes and path.large_passes is False:
            yield found(
                "path-mtu-black-hole",
                f"{path.address} answers a small hello of TLS, and none of several full packets.",
                "both were tried at the same time; few servers dislike long hellos",
                step=f"path {path.address}",
                confidence=Confidence.LIKELY,
                values=_values(seen),
            )


def _native(seen: NetworkSeen) -> WaySeen:
    public = any(":" in a.address and a.reach is Reach.PUBLIC for a in seen.addresses)
    route = any(":" in r.via or r.family == "ipv6" for r in seen.routes)
    if not public:
        return WaySeen(transport="native", possible=False, why="no public IPv6 address")
    if not route:
        return WaySeen(transport="native", possible=False, why="no default route for IPv6")
    for native in seen.native[:1]:
        how = native.words if not native.tried else "does not answer"
        why = f"{native.endpoint} {'answers' if native.answered else how}"
        possible = native.answered if native.tried else None
        return WaySeen(transport="native", possible=possible, why=why)
    reached = [c for c in seen.connections if ":" in c.address]
    if any(c.trouble is None for c in reached):
        return WaySeen(transport="native", possible=True, why=f"{reached[0].address} answers")
    why = "there are an address and a route; nobody was asked over them"
    return WaySeen(transport="native", possible=False if reached else None, why=why)


def _sixtofour(seen: NetworkSeen) -> WaySeen:
    four = [a for a in seen.addresses if "." in a.address]
    if not any(a.reach is Reach.PUBLIC for a in four):
        why = "no public IPv4 address"
        if any(a.reach is Reach.SHARED for a in four):
            why += ": the provider's NAT is in between"
        problem = "sixtofour-no-public-address"
        return WaySeen(transport="6to4", possible=False, why=why, problem=problem)
    public = [a.address for a in four if a.reach is Reach.PUBLIC]
    if seen.mapping and seen.mapping.rpartition(":")[0] not in public:
        why = f"{public[0]} only looks public: others see {seen.mapping.rpartition(':')[0]}"
        problem = "sixtofour-pseudo-public-address"
        return WaySeen(transport="6to4", possible=False, why=why, problem=problem)
    tried = [each for each in seen.sixtofour if each.tried]
    if any(each.answered for each in tried):
        return WaySeen(transport="6to4", possible=True, why=f"{tried[0].endpoint} answers")
    if tried:
        why = f"{tried[0].endpoint} does not answer in protocol 41"
        return WaySeen(
            transport="6to4", possible=False, why=why, problem="sixtofour-relay-unreachable"
        )
    why = seen.sixtofour[0].words if seen.sixtofour else "no gateway is known to try it with"
    return WaySeen(transport="6to4", possible=None, why=why)


def _teredo(seen: NetworkSeen) -> WaySeen:
    if not seen.teredo:
        why = "no server is known to ask"
        return WaySeen(transport="teredo", possible=None, why=why)
    if not any(each.answered for each in seen.teredo):
        unsent = [each.words for each in seen.teredo if each.words]
        if len(unsent) == len(seen.teredo):
            why = f"the server cannot be reached: {unsent[0]}"
            return WaySeen(transport="teredo", possible=False, why=why)
        why = "no server answers on UDP port 3544"
        if not seen.teredo_expected:
            why += "; the gateway may have none"
        possible = False if seen.teredo_expected else None
        problem = "teredo-udp-blocked" if seen.teredo_expected else ""
        return WaySeen(transport="teredo", possible=possible, why=why, problem=problem)
    if seen.nat is NAT.SYMMETRIC:
        why = "the NAT is symmetric: each server sees us at another port"
        return WaySeen(transport="teredo", possible=False, why=why, problem="teredo-symmetric-nat")
    words = {NAT.NONE: "no NAT", NAT.UNKNOWN: "a NAT of a kind that one answer does not show"}
    why = words.get(seen.nat, f"a {seen.nat.value} NAT")
    return WaySeen(transport="teredo", possible=True, why=f"{why}; we are seen at {seen.mapping}")


def _iphttps(seen: NetworkSeen) -> WaySeen:
    port = seen.gateway_port
    led = [proxy for proxy in seen.proxies if proxy.tunnel]
    if led and not _connected(seen):
        why = f"through the proxy {led[0].proxy}, by {led[0].source}"
        return WaySeen(transport="iphttps", possible=True, why=why)
    if not seen.connections:
        return WaySeen(transport="iphttps", possible=None, why="nobody was there to be asked")
    reached = [c for c in seen.connections if c.trouble is None]
    if reached:
        whose = "" if seen.gateway else ", a well-known server, for no gateway is known"
        fast = min(reached, key=lambda each: each.seconds)
        why = f"{fast.address} takes TCP port {port}{whose}"
        return WaySeen(transport="iphttps", possible=True, why=why)
    trouble = seen.connections[0].trouble
    assert trouble is not None
    return WaySeen(transport="iphttps", possible=False, why=trouble.words, problem=trouble.problem)
