"""What Prometheus reads: through its own parser."""

import asyncio
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from tests.cli.snapshots import GATEWAY
from tests.net.test_webserver import ask
from throughway.gateway.metrics import MetricsServer, exposition
from throughway.model.status import (
    GatewaySnapshot,
    SixToFourServerStatus,
    TeredoServerStatus,
    TranslationStatus,
    WorkerStatus,
)

WORKERS = (
    WorkerStatus(
        number=0,
        state="serving",
        interface="iphttps0",
        prefix="2001:db8:da:1000::/64",
        sessions=3,
        opened=10,
        bytes_in=1000,
        bytes_out=2000,
        drops=(("nobody", 4), ("spoofed", 2)),
        refusals=(("timeout", 1),),
        suites=(("", 1), ("TLSv1.2 NULL-SHA256", 2)),
    ),
    WorkerStatus(
        number=1, state="down", interface="iphttps1", prefix="2001:db8:da:1001::/64", restarts=5
    ),
)
TRANSLATION = TranslationStatus(
    prefix="2001:db8:c0:7777::/96",
    interface="nat64",
    running=True,
    restarts=1,
    bytes_in=10,
    bytes_out=20,
    queries=30,
    made=4,
    failed=5,
    limited=6,
)
SNAPSHOT = replace(GATEWAY, workers=WORKERS, translation=(TRANSLATION,))


def figures(data: bytes) -> dict[str, float]:
    """Return samples as Prometheus writes them: name{label="value"}."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(data.decode())
        for sample in family.samples
    }


def test_figures() -> None:
    seen = {
        k.removeprefix("throughway_gateway_"): v for k, v in figures(exposition(SNAPSHOT)).items()
    }
    assert seen["sessions worker=0"] == 3
    assert seen["sessions worker=1"] == 0
    assert seen["sessions_opened_total worker=0"] == 10
    assert seen["received_bytes_total worker=0"] == 1000
    assert seen["sent_bytes_total worker=0"] == 2000
    assert seen["dropped_packets_total reason=nobody worker=0"] == 4
    assert seen["dropped_packets_total reason=spoofed worker=0"] == 2
    assert seen["refused_connections_total reason=timeout worker=0"] == 1
    assert seen["sessions_by_suite suite=TLSv1.2 NULL-SHA256 worker=0"] == 2
    assert seen["sessions_by_suite suite=none worker=0"] == 1
    assert seen["worker_restarts_total worker=1"] == 5
    assert (seen["nat64_up"], seen["nat64_restarts_total"]) == (1, 1)
    assert (seen["nat64_received_bytes_total"], seen["nat64_sent_bytes_total"]) == (10, 20)
    assert (seen["dns64_queries_total"], seen["dns64_made_answers_total"]) == (30, 4)
    assert (seen["dns64_failed_queries_total"], seen["dns64_limited_queries_total"]) == (5, 6)
    assert (seen["worker_up worker=0"], seen["worker_up worker=1"]) == (1, 0)
    for component in SNAPSHOT.components:
        name = f"component_state component={component.component} state="
        assert seen[name + component.state] == 1
        assert sum(value for key, value in seen.items() if key.startswith(name)) == 1
    for problem in SNAPSHOT.problems:
        assert seen[f"problem code={problem.code} severity={problem.severity}"] >= 1


def test_figures_of_6to4() -> None:
    status = SixToFourServerStatus(
        state="serving", carrier="user space", bytes_in=5, bytes_out=6, drops=(("spoofed", 7),)
    )
    seen = figures(exposition(replace(SNAPSHOT, sixtofour=status)))
    name = "throughway_gateway_sixtofour_"
    assert seen[f"{name}up"] == 1
    assert seen[f"{name}received_bytes_total"] == 5
    assert seen[f"{name}sent_bytes_total"] == 6
    assert seen[f"{name}dropped_packets_total reason=spoofed"] == 7
    assert not any(key.startswith(name) for key in figures(exposition(SNAPSHOT)))


def test_figures_of_teredo() -> None:
    status = TeredoServerStatus(
        state="serving",
        interface="teredo0",
        clients=4,
        answered=9,
        bytes_in=5,
        bytes_out=6,
        drops=(("too many", 7),),
    )
    seen = figures(exposition(replace(SNAPSHOT, teredo=status)))
    name = "throughway_gateway_teredo_"
    assert seen[f"{name}up"] == 1
    assert seen[f"{name}clients"] == 4
    assert seen[f"{name}advertisements_total"] == 9
    assert seen[f"{name}received_bytes_total"] == 5
    assert seen[f"{name}sent_bytes_total"] == 6
    assert seen[f"{name}dropped_packets_total reason=too many"] == 7
    assert not any(key.startswith(name) for key in figures(exposition(SNAPSHOT)))


def test_a_gateway_that_has_only_begun_has_figures_too() -> None:
    bare = replace(SNAPSHOT, components=(), problems=(), tunnels=(), workers=())
    assert any(name.startswith("throughway_gateway_info") for name in figures(exposition(bare)))


def test_a_scrape() -> None:
    async def take() -> GatewaySnapshot:
        return SNAPSHOT

    async def scenario() -> None:
        server = MetricsServer(("127.0.0.1", 0), take)
        await server.start()
        try:
            answer = await ask(server.port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"text/plain; version=" in head
            assert figures(body) == figures(exposition(SNAPSHOT))
            other = await ask(server.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.startswith(b"HTTP/1.1 404 ")
            post = await ask(server.port, b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert post.startswith(b"HTTP/1.1 405 ")
        finally:
            await server.close()

    asyncio.run(scenario())
