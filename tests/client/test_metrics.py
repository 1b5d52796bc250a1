"""What Prometheus reads of a client."""

import asyncio
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from tests.cli.snapshots import BLOCKED, LOGGED_ON
from tests.net.test_webserver import ask
from throughway.client.metrics import figures, metrics_server
from throughway.health.figures import Kept
from throughway.model.audit import AuditEvent, Outcome
from throughway.model.config import MetricsConfig
from throughway.model.findings import Component
from throughway.model.status import (
    CheckStatus,
    ClientSnapshot,
    ComponentState,
    ComponentStatus,
    TransportKind,
    TransportState,
    TransportStatus,
)
from throughway.wire.exposition import build_exposition

KEPT = Kept(
    deadlines={"ipsec": 1_800_000_000.0},
    outcomes={(AuditEvent.IPHTTPS_OPENED, Outcome.ADMITTED): 3},
)
TRANSPORTS = (
    TransportStatus(kind=TransportKind.NATIVE, state=TransportState.FAILED),
    TransportStatus(
        kind=TransportKind.IPHTTPS,
        state=TransportState.UP,
        bytes_in=11,
        bytes_out=22,
        chosen=True,
    ),
)
COMPONENT = ComponentStatus(component=Component.IPSEC, state=ComponentState.OK, since=1.0)
CHECK = CheckStatus(
    name="ipv6",
    title="IPv6 on the client's interfaces",
    component=Component.HOST,
    state=ComponentState.WARNING,
    since=1.0,
    looked_at=1_700_000_000.0,
    took=0.25,
    interval=2.0,
)
EVERYTHING = replace(
    LOGGED_ON,
    transports=TRANSPORTS,
    components=(COMPONENT,),
    problems=BLOCKED.problems,
    checks=(CHECK,),
    link=replace(LOGGED_ON.link, dropped=5, round_trip=0.025),
    names=replace(LOGGED_ON.names, queries=40, hits=30, cached=9),
)


def seen_in(data: bytes) -> dict[str, float]:
    return {
        sample.name.removeprefix("throughway_client_")
        + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(data.decode())
        for sample in family.samples
    }


def test_figures() -> None:
    seen = seen_in(build_exposition(figures(EVERYTHING, KEPT)))
    assert seen["info deployment=corp.example.com version=0.1.0"] == 1
    assert seen[f"connection state={EVERYTHING.connection}"] == 1
    assert sum(value for name, value in seen.items() if name.startswith("connection ")) == 1
    assert seen["location state=outside"] == 1
    assert seen["component_state component=ipsec state=ok"] == 1
    assert seen["transport_state state=up transport=iphttps"] == 1
    assert seen["transport_state state=failed transport=native"] == 1
    assert (seen["transport_chosen transport=iphttps"], seen["iphttps_up"]) == (1, 1)
    assert seen["received_bytes_total transport=iphttps"] == 11
    assert seen["sent_bytes_total transport=iphttps"] == 22
    assert seen["tunnel_up tunnel=intranet"] == 1
    assert seen["tunnel_received_bytes_total tunnel=intranet"] == 5_000_000
    assert seen["iphttps_dropped_packets_total"] == 5
    assert seen["iphttps_round_trip_seconds"] == 0.025
    assert (seen["dns_queries_total"], seen["dns_cache_hits_total"]) == (40, 30)
    assert seen["dns_cached_answers"] == 9
    assert seen["expiry_timestamp_seconds what=ipsec"] == 1_800_000_000
    assert seen["expiry_timestamp_seconds what=policy"] == EVERYTHING.policy_expires_at
    assert seen["authentications_total event=iphttps-opened outcome=admitted"] == 3
    assert any(name.startswith("problem code=") for name in seen)
    assert seen["check_state check=ipv6 state=warning"] == 1
    assert seen["check_seconds check=ipv6"] == 0.25


def test_nobody_s_name_or_address_is_in_them() -> None:
    told = build_exposition(figures(EVERYTHING, KEPT)).decode()
    for word in ("alice", "CLIENT1", "client1", "2001:db8", "192.168."):
        assert word not in told


def test_the_endpoint() -> None:
    async def snapshot() -> ClientSnapshot:
        return EVERYTHING

    async def scenario() -> None:
        server = metrics_server(MetricsConfig(listen=("127.0.0.1", 0)), snapshot, lambda: KEPT)
        await server.start()
        try:
            answer = await ask(server.port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            seen = seen_in(answer.partition(b"\r\n\r\n")[2])
            assert seen["iphttps_up"] == 1
            assert seen["process_open_fds"] > 3
        finally:
            await server.close()

    asyncio.run(scenario())
