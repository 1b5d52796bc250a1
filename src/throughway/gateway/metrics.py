"""The gateway's figures for Prometheus: a snapshot in the text format, over http.

Names follow the guidelines of Prometheus: base units, ``_total`` on what only grows.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from throughway.model.status import (
    ComponentState,
    GatewaySnapshot,
    SixToFourServerStatus,
    TeredoServerStatus,
    TranslationStatus,
    WorkerStatus,
)
from throughway.net.webserver import Answer, Heard, WebServer, plain

PATH = b"/metrics"
PREFIX = "throughway_gateway_"


class MetricsServer:
    """Answers scrapes; ``take`` makes the snapshot, without the single sessions."""

    def __init__(
        self, address: tuple[str, int], take: Callable[[], Awaitable[GatewaySnapshot]]
    ) -> None:
        self._take = take
        self._server = WebServer(address, self._respond, key="metrics.listen")

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return self._server.port

    async def start(self) -> None:
        """Listen; raises :exc:`ConfigError` when the address cannot be had."""
        await self._server.start()

    async def close(self) -> None:
        """Stop listening and end what is being served."""
        await self._server.close()

    async def _respond(self, heard: Heard) -> Answer:
        if heard.request.target.partition(b"?")[0] != PATH:
            return plain(HTTPStatus.NOT_FOUND, f"only {PATH.decode()} is here")
        if heard.request.method not in {b"GET", b"HEAD"}:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, "GET it", allow="GET, HEAD")
        body = exposition(await self._take())
        return Answer(HTTPStatus.OK, {"content-type": CONTENT_TYPE_LATEST}, body)


def exposition(snapshot: GatewaySnapshot) -> bytes:
    """Return the snapshot in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(snapshot))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, snapshot: GatewaySnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Return all figures."""
        yield from _gateway(self._snapshot)
        yield from _workers(self._snapshot.workers)
        if self._snapshot.sixtofour is not None:
            yield from _sixtofour(self._snapshot.sixtofour)
        if self._snapshot.teredo is not None:
            yield from _teredo(self._snapshot.teredo)
        for translation in self._snapshot.translation:
            yield from _translation(translation)


def _gateway(snapshot: GatewaySnapshot) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        f"{PREFIX}info", "Version and packet pump; always 1.", labels=("version", "pump")
    )
    info.add_metric((snapshot.version, snapshot.pump.partition(":")[0]), 1)
    yield info
    states = GaugeMetricFamily(
        f"{PREFIX}component_state",
        "1 for the state that a component is in, 0 for the others.",
        labels=("component", "state"),
    )
    for component in snapshot.components:
        for state in ComponentState:
            states.add_metric((component.component, state), float(component.state is state))
    yield states
    problems = GaugeMetricFamily(
        f"{PREFIX}problem", "Problems that hold now, by code.", labels=("code", "severity")
    )
    for code, severity in sorted({(p.code, p.severity) for p in snapshot.problems}):
        problems.add_metric((code, severity), sum(p.code == code for p in snapshot.problems))
    yield problems
    tunnels = GaugeMetricFamily(
        f"{PREFIX}tunnels", "IPsec tunnels that are up.", labels=("tunnel",)
    )
    for name in ("infrastructure", "intranet"):
        tunnels.add_metric((name,), sum(t.name == name for t in snapshot.tunnels))
    yield tunnels


def _workers(workers: tuple[WorkerStatus, ...]) -> Iterator[Metric]:
    yield _each(GaugeMetricFamily, "sessions", "Sessions that are open.", workers, "sessions")
    yield _each(CounterMetricFamily, "sessions_opened", "Sessions opened.", workers, "opened")
    yield _each(
        CounterMetricFamily, "received_bytes", "From clients, within TLS.", workers, "bytes_in"
    )
    yield _each(CounterMetricFamily, "sent_bytes", "To clients, within TLS.", workers, "bytes_out")
    yield _each(CounterMetricFamily, "worker_restarts", "Unasked for.", workers, "restarts")
    up = GaugeMetricFamily(f"{PREFIX}worker_up", "Whether a worker serves.", labels=("worker",))
    for worker in workers:
        up.add_metric((str(worker.number),), float(worker.state == "serving"))
    yield up
    suites = GaugeMetricFamily(
        f"{PREFIX}sessions_by_suite",
        "Open sessions, by TLS version and cipher suite; none where TLS ends before the gateway.",
        labels=("worker", "suite"),
    )
    for worker in workers:
        for suite, count in worker.suites:
            suites.add_metric((str(worker.number), suite or "none"), count)
    yield suites
    for name, what, field in (
        ("dropped_packets", "Packets that went no further.", "drops"),
        ("refused_connections", "Connections that did not become sessions.", "refusals"),
    ):
        family = CounterMetricFamily(PREFIX + name, what, labels=("worker", "reason"))
        for worker in workers:
            for reason, count in getattr(worker, field):
                family.add_metric((str(worker.number), reason), count)
        yield family


def _sixtofour(status: SixToFourServerStatus) -> Iterator[Metric]:
    up = GaugeMetricFamily(f"{PREFIX}sixtofour_up", "Whether 6to4 is served.")
    up.add_metric((), float(status.state == "serving"))
    yield up
    for name, what, value in (
        ("sixtofour_received_bytes", "From clients over 6to4.", status.bytes_in),
        ("sixtofour_sent_bytes", "To clients over 6to4.", status.bytes_out),
        ("sixtofour_restarts", "Unasked for.", status.restarts),
    ):
        counter = CounterMetricFamily(PREFIX + name, what)
        counter.add_metric((), value)
        yield counter
    drops = CounterMetricFamily(
        f"{PREFIX}sixtofour_dropped_packets", "Packets that went no further.", labels=("reason",)
    )
    for reason, count in status.drops:
        drops.add_metric((reason,), count)
    yield drops


def _teredo(status: TeredoServerStatus) -> Iterator[Metric]:
    up = GaugeMetricFamily(f"{PREFIX}teredo_up", "Whether Teredo is served.")
    up.add_metric((), float(status.state == "serving"))
    yield up
    clients = GaugeMetricFamily(f"{PREFIX}teredo_clients", "Clients that are remembered.")
    clients.add_metric((), status.clients)
    yield clients
    for name, what, value in (
        ("teredo_received_bytes", "From clients over Teredo.", status.bytes_in),
        ("teredo_sent_bytes", "To clients over Teredo.", status.bytes_out),
        ("teredo_advertisements", "Solicitations answered.", status.answered),
        ("teredo_restarts", "Unasked for.", status.restarts),
    ):
        counter = CounterMetricFamily(PREFIX + name, what)
        counter.add_metric((), value)
        yield counter
    drops = CounterMetricFamily(
        f"{PREFIX}teredo_dropped_packets", "Packets that went no further.", labels=("reason",)
    )
    for reason, count in status.drops:
        drops.add_metric((reason,), count)
    yield drops


def _translation(status: TranslationStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        f"{PREFIX}nat64_up", "Whether packets are translated.", value=float(status.running)
    )
    for name, what, value in (
        ("nat64_restarts", "Of the translator, unasked for.", status.restarts),
        ("nat64_received_bytes", "From clients, to be translated.", status.bytes_in),
        ("nat64_sent_bytes", "To clients, translated.", status.bytes_out),
        ("dns64_queries", "Queries that came.", status.queries),
        ("dns64_made_answers", "Answers with made addresses.", status.made),
        ("dns64_failed_queries", "Queries that no server answered.", status.failed),
        ("dns64_limited_queries", "Queries dropped for their number.", status.limited),
    ):
        yield CounterMetricFamily(PREFIX + name, what, value=value)


def _each(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    what: str,
    workers: tuple[WorkerStatus, ...],
    field: str,
) -> Metric:
    family = kind(PREFIX + name, what, labels=("worker",))
    for worker in workers:
        family.add_metric((str(worker.number),), getattr(worker, field))
    return family
