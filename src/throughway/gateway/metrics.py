"""The gateway's figures for Prometheus, from a snapshot.

Names follow the guidelines of Prometheus: base units, ``_total`` on what only grows.
"""

from collections.abc import Iterator

from throughway.health.figures import Kept, of_health, of_kept
from throughway.model.status import (
    ComponentState,
    GatewaySnapshot,
    SixToFourServerStatus,
    TeredoServerStatus,
    TranslationStatus,
    WorkerStatus,
)
from throughway.wire.exposition import Family, Kind

PREFIX = "throughway_gateway_"


def figures(snapshot: GatewaySnapshot, kept: Kept) -> Iterator[Family]:
    """Yield everything; the snapshot may leave the single sessions out."""
    yield from _gateway(snapshot)
    yield from of_health(PREFIX, snapshot.components, snapshot.problems, snapshot.checks)
    yield from of_kept(PREFIX, kept)
    yield from _workers(snapshot.workers)
    if snapshot.sixtofour is not None:
        yield from _sixtofour(snapshot.sixtofour)
    if snapshot.teredo is not None:
        yield from _teredo(snapshot.teredo)
    for translation in snapshot.translation:
        yield from _translation(translation)


def _gateway(snapshot: GatewaySnapshot) -> Iterator[Family]:
    info = Family(f"{PREFIX}info", "Version and packet pump; always 1.")
    yield info.add(1, version=snapshot.version, pump=snapshot.pump.partition(":")[0])
    whole = Family(f"{PREFIX}state", "1 for the state of the whole, 0 for the others.")
    for state in ComponentState:
        whole.add(int(snapshot.state is state), state=state)
    yield whole
    tunnels = Family(f"{PREFIX}tunnels", "IPsec tunnels that are up.")
    for name in ("infrastructure", "intranet"):
        tunnels.add(sum(t.name == name for t in snapshot.tunnels), tunnel=name)
    yield tunnels


def _workers(workers: tuple[WorkerStatus, ...]) -> Iterator[Family]:
    for name, what, field, kind in (
        ("sessions", "Sessions that are open.", "sessions", Kind.GAUGE),
        ("sessions_opened_total", "Sessions opened.", "opened", Kind.COUNTER),
        ("received_bytes_total", "From clients, within TLS.", "bytes_in", Kind.COUNTER),
        ("sent_bytes_total", "To clients, within TLS.", "bytes_out", Kind.COUNTER),
        ("worker_restarts_total", "Unasked for.", "restarts", Kind.COUNTER),
    ):
        family = Family(PREFIX + name, what, kind)
        for worker in workers:
            family.add(getattr(worker, field), worker=str(worker.number))
        yield family
    up = Family(f"{PREFIX}worker_up", "Whether a worker serves.")
    opening = Family(
        f"{PREFIX}session_opening_seconds",
        "From an accepted connection to its session: TLS and the POST.",
        Kind.SUMMARY,
    )
    suites = Family(
        f"{PREFIX}sessions_by_suite",
        "Open sessions, by TLS version and cipher suite; none where TLS ends before the gateway.",
    )
    for worker in workers:
        own = str(worker.number)
        up.add(int(worker.state == "serving"), worker=own)
        opening.observed(worker.opening, worker.opened, worker=own)
        for suite, count in worker.suites:
            suites.add(count, worker=own, suite=suite or "none")
    yield from (up, opening, suites)
    yield from _lost(workers)


def _lost(workers: tuple[WorkerStatus, ...]) -> Iterator[Family]:
    for name, what, field in (
        ("dropped_packets_total", "Packets that went no further.", "drops"),
        ("refused_connections_total", "Connections that did not become sessions.", "refusals"),
    ):
        family = Family(PREFIX + name, what, Kind.COUNTER)
        for worker in workers:
            for reason, count in getattr(worker, field):
                family.add(count, worker=str(worker.number), reason=reason)
        yield family


def _sixtofour(status: SixToFourServerStatus) -> Iterator[Family]:
    up = Family(f"{PREFIX}sixtofour_up", "Whether 6to4 is served.")
    yield up.add(int(status.state == "serving"))
    for name, what, value in (
        ("sixtofour_received_bytes_total", "From clients over 6to4.", status.bytes_in),
        ("sixtofour_sent_bytes_total", "To clients over 6to4.", status.bytes_out),
        ("sixtofour_restarts_total", "Unasked for.", status.restarts),
    ):
        yield Family(PREFIX + name, what, Kind.COUNTER).add(value)
    yield _drops("sixtofour_dropped_packets_total", status.drops)


def _teredo(status: TeredoServerStatus) -> Iterator[Family]:
    up = Family(f"{PREFIX}teredo_up", "Whether Teredo is served.")
    yield up.add(int(status.state == "serving"))
    clients = Family(f"{PREFIX}teredo_clients", "Clients that are remembered.")
    yield clients.add(status.clients)
    for name, what, value in (
        ("teredo_received_bytes_total", "From clients over Teredo.", status.bytes_in),
        ("teredo_sent_bytes_total", "To clients over Teredo.", status.bytes_out),
        ("teredo_advertisements_total", "Solicitations answered.", status.answered),
        ("teredo_restarts_total", "Unasked for.", status.restarts),
    ):
        yield Family(PREFIX + name, what, Kind.COUNTER).add(value)
    yield _drops("teredo_dropped_packets_total", status.drops)


def _drops(name: str, drops: tuple[tuple[str, int], ...]) -> Family:
    family = Family(PREFIX + name, "Packets that went no further.", Kind.COUNTER)
    for reason, count in drops:
        family.add(count, reason=reason)
    return family


def _translation(status: TranslationStatus) -> Iterator[Family]:
    up = Family(f"{PREFIX}nat64_up", "Whether packets are translated.")
    yield up.add(int(status.running))
    for name, what, value in (
        ("nat64_restarts_total", "Of the translator, unasked for.", status.restarts),
        ("nat64_received_bytes_total", "From clients, to be translated.", status.bytes_in),
        ("nat64_sent_bytes_total", "To clients, translated.", status.bytes_out),
        ("dns64_queries_total", "Queries that came.", status.queries),
        ("dns64_made_answers_total", "Answers with made addresses.", status.made),
        ("dns64_failed_queries_total", "Queries that no server answered.", status.failed),
        ("dns64_limited_queries_total", "Queries dropped for their number.", status.limited),
    ):
        yield Family(PREFIX + name, what, Kind.COUNTER).add(value)
