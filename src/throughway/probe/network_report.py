"""A look at the network as data (schema 1) and as lines for people."""

from collections.abc import Iterator
from typing import Any

from throughway.model.network import NetworkSeen
from throughway.probe.analysis.folding import Judged
from throughway.probe.analysis.network import ETHERNET_MTU, verdict, ways
from throughway.probe.lines import Line, finding_data, finding_lines

SCHEMA = 1
"""Raised when a key changes its meaning or goes; new keys do not raise it."""
_MARKS = {True: "yes", False: "no", None: "?"}


def as_data(seen: NetworkSeen, judged: tuple[Judged, ...]) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "schema": SCHEMA,
        "verdict": verdict(seen, judged),
        "ways": ways(seen),
        "diagnosis": [finding_data(each, windows=False) for each in judged],
        "seen": seen,
    }


def as_lines(seen: NetworkSeen, judged: tuple[Judged, ...]) -> Iterator[Line]:
    """Yield the report for people, unwrapped."""
    style = judged[0].finding.problem.severity.value if judged else "well"
    yield Line(verdict(seen, judged), style)
    yield Line("")
    for way in ways(seen):
        code = f" [{way.problem}]" if way.problem else ""
        yield _row(way.transport, f"{_MARKS[way.possible]:<3}  {way.why}{code}")
    yield Line("")
    yield from _around(seen)
    yield from _beyond(seen)
    yield Line(f"{'in all':<10} {seen.seconds:.1f} s", "dim")
    for each in judged:
        yield Line("")
        yield from finding_lines(each, windows=False)


def _around(seen: NetworkSeen) -> Iterator[Line]:
    for address in seen.addresses:
        yield _row("address", f"{address.address} ({address.reach.value}) on {address.interface}")
    for route in seen.routes:
        via = f" via {route.via}" if route.via else ""
        yield _row("route", f"default, {route.family},{via} on {route.interface}")
    resolver = seen.resolver
    if resolver.servers or resolver.words:
        how = resolver.words or f"{resolver.answered_by or 'one of them'} answers"
        lies = f"; invents {', '.join(resolver.invents)}" if resolver.invents else ""
        nat64 = f"; NAT64 here ({resolver.nat64})" if resolver.nat64 else ""
        servers = f"{', '.join(resolver.servers)}: " if resolver.servers else ""
        text = f"{servers}{how}{lies}{nat64}"
        yield _row("DNS", text, resolver.seconds)
    for proxy in seen.proxies:
        words = f": {proxy.words}" if proxy.words else ""
        how = ": leads to the gateway" if proxy.tunnel else words
        yield _row("proxy", f"{proxy.proxy}, says {proxy.source}{how}", proxy.seconds)
    if not seen.proxies:
        yield _row("proxy", "none is named")
    for page in seen.portals:
        said = {True: "as it should be", False: f"another page ({page.status})", None: page.words}
        yield _row("page", f"{page.url}: {said[page.open]}", page.seconds)
    for location in seen.locations:
        how = "has proven itself: this is inside" if location.proven else location.words
        yield _row("location", f"{location.url} {how}", location.seconds)


def _beyond(seen: NetworkSeen) -> Iterator[Line]:
    if seen.gateway:
        yield _row("gateway", f"{seen.gateway} port {seen.gateway_port}, by {seen.gateway_source}")
    for connection in seen.connections:
        how = connection.trouble.words if connection.trouble else "connected"
        yield _row("TCP", f"{connection.address} port {connection.port}: {how}", connection.seconds)
    for path in seen.path:
        small = path.mtu is not None and path.mtu < ETHERNET_MTU
        note = f", smaller than {ETHERNET_MTU}" if small else ""
        large = {True: "pass", False: "are lost", None: "were not tried"}[path.large_passes]
        text = f"{path.address}: MTU {path.mtu or '?'}{note}, MSS {path.mss or '?'}, "
        yield _row("path", f"{text}large packets {large}", path.seconds)
    if seen.teredo:
        where = f", seen at {seen.mapping}" if seen.mapping else ""
        yield _row("NAT", f"{seen.nat.value}{where}")
    for native in seen.native:
        yield _row("native", f"{native.endpoint} {native.words or 'answers'}", native.seconds)
    for sixtofour in seen.sixtofour:
        how = sixtofour.words or "answers"
        yield _row("protocol 41", f"{sixtofour.endpoint} {how}".strip(), sixtofour.seconds)


def _row(label: str, text: str, seconds: float | None = None) -> Line:
    took = f"  ({seconds * 1000:.0f} ms)" if seconds else ""
    return Line(f"{label:<10} {text}{took}")
