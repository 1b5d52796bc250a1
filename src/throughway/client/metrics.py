"""The client's figures for Prometheus, from a snapshot.

Only imported where ``[metrics]`` asks for it: an idle client should be small.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from enum import StrEnum

from throughway.health.figures import Kept, of_health, of_kept
from throughway.model.config import MetricsConfig
from throughway.model.status import (
    ClientSnapshot,
    Connection,
    Location,
    NamesStatus,
    TransportState,
    TransportStatus,
    TunnelState,
    TunnelStatus,
)
from throughway.net.metrics_server import MetricsServer
from throughway.wire.exposition import Family, Kind

PREFIX = "throughway_client_"


def metrics_server(
    config: MetricsConfig,
    snapshot: Callable[[], Awaitable[ClientSnapshot]],
    kept: Callable[[], Kept],
) -> MetricsServer:
    """Make the endpoint that a configuration asks for."""

    async def take() -> Iterable[Family]:
        return figures(await snapshot(), kept())

    return MetricsServer(config.listen, take)


def figures(snapshot: ClientSnapshot, kept: Kept) -> Iterator[Family]:
    """Yield everything."""
    info = Family(f"{PREFIX}info", "Version and deployment; always 1.")
    yield info.add(1, version=snapshot.version, deployment=snapshot.policy_deployment)
    yield _one_of("connection", "As `client status` says it.", Connection, snapshot.connection)
    yield _one_of("location", "Where the client is.", Location, snapshot.location)
    deadlines = dict(kept.deadlines)
    if snapshot.policy_expires_at:
        deadlines["policy"] = snapshot.policy_expires_at
    checks = getattr(snapshot, "checks", ())
    yield from of_health(PREFIX, snapshot.components, snapshot.problems, checks)
    yield from of_kept(PREFIX, Kept(deadlines, kept.outcomes))
    yield from _transports(snapshot.transports)
    yield from _link(snapshot)
    yield from _tunnels(snapshot.tunnels)
    yield from _names(snapshot.names)


def _one_of(name: str, what: str, kind: type[StrEnum], now: StrEnum) -> Family:
    family = Family(PREFIX + name, f"{what} 1 for what it is, 0 for the others.")
    for state in kind:
        family.add(int(state is now), state=state)
    return family


def _transports(transports: tuple[TransportStatus, ...]) -> Iterator[Family]:
    states = Family(
        f"{PREFIX}transport_state", "1 for the state that a transport is in, 0 for the others."
    )
    chosen = Family(f"{PREFIX}transport_chosen", "Whether it carries the traffic.")
    received = Family(f"{PREFIX}received_bytes_total", "From the gateway.", Kind.COUNTER)
    sent = Family(f"{PREFIX}sent_bytes_total", "To the gateway.", Kind.COUNTER)
    for one in transports:
        for state in TransportState:
            states.add(int(one.state is state), transport=one.kind, state=state)
        chosen.add(int(one.chosen), transport=one.kind)
        received.add(one.bytes_in, transport=one.kind)
        sent.add(one.bytes_out, transport=one.kind)
    yield from (states, chosen, received, sent)


def _link(snapshot: ClientSnapshot) -> Iterator[Family]:
    link = snapshot.link
    yield Family(f"{PREFIX}iphttps_up", "Whether the IP-HTTPS link is up.").add(
        int(link.state == "link-up")
    )
    dropped = Family(
        f"{PREFIX}iphttps_dropped_packets_total", "Packets that went no further.", Kind.COUNTER
    )
    yield dropped.add(link.dropped)
    trip = Family(
        f"{PREFIX}iphttps_round_trip_seconds",
        "Of the link's TCP connection, smoothed; through a web proxy only the way to that.",
    )
    if link.round_trip:
        trip.add(link.round_trip)
    yield trip


def _tunnels(tunnels: tuple[TunnelStatus, ...]) -> Iterator[Family]:
    up = Family(f"{PREFIX}tunnel_up", "Whether an IPsec tunnel is up.")
    received = Family(f"{PREFIX}tunnel_received_bytes_total", "Through it.", Kind.COUNTER)
    sent = Family(f"{PREFIX}tunnel_sent_bytes_total", "Through it.", Kind.COUNTER)
    for one in tunnels:
        up.add(int(one.state is TunnelState.UP), tunnel=one.name)
        received.add(one.bytes_in, tunnel=one.name)
        sent.add(one.bytes_out, tunnel=one.name)
    yield from (up, received, sent)


def _names(names: NamesStatus) -> Iterator[Family]:
    yield Family(f"{PREFIX}dns_queries_total", "That programs asked.", Kind.COUNTER).add(
        names.queries
    )
    yield Family(f"{PREFIX}dns_cache_hits_total", "Of these, known.", Kind.COUNTER).add(names.hits)
    yield Family(f"{PREFIX}dns_cached_answers", "Answers that are kept.").add(names.cached)
