"""What Prometheus reads: through its own parser."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from tests.cli.snapshots import GATEWAY
from throughway.gateway.metrics import figures
from throughway.health.figures import Kept
from throughway.model.audit import AuditEvent, Outcome
from throughway.model.findings import Component
from throughway.model.status import (
    CheckStatus,
    ComponentState,
    GatewaySnapshot,
    SessionStatus,
    SixToFourServerStatus,
    TeredoServerStatus,
    TranslationStatus,
    TunnelState,
    TunnelStatus,
    WorkerStatus,
)
from throughway.wire.exposition import build_exposition

WORKERS = (
    WorkerStatus(
        number=0,
        state="serving",
        interface="iphttps0",
        prefix="2001:db8:da:1000::/64",
        sessions=3,
        opened=10,
        opening=2.5,
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
CHECK = CheckStatus(
    name="location-server",
    title="Network Location Server",
    component=Component.LOCATION,
    state=ComponentState.WARNING,
    since=1.0,
    looked_at=1_700_000_000.0,
    took=0.25,
    interval=5.0,
)
SNAPSHOT = replace(GATEWAY, workers=WORKERS, translation=(TRANSLATION,), checks=(CHECK,))
KEPT = Kept(
    deadlines={"iphttps": 1_800_000_000.0, "ipsec": 1_900_000_000.0},
    outcomes={
        (AuditEvent.MAIN_MODE_ESTABLISHED, Outcome.ADMITTED): 7,
        (AuditEvent.EXTENDED_MODE_FAILED, Outcome.REFUSED): 2,
    },
)
SIXTOFOUR = SixToFourServerStatus(
    state="serving", carrier="user space", bytes_in=5, bytes_out=6, drops=(("spoofed", 7),)
)
TEREDO = TeredoServerStatus(
    state="serving",
    interface="teredo0",
    clients=4,
    answered=9,
    bytes_in=5,
    bytes_out=6,
    drops=(("too many", 7),),
)
EVERYTHING = replace(SNAPSHOT, sixtofour=SIXTOFOUR, teredo=TEREDO)


def told(snapshot: GatewaySnapshot, kept: Kept = KEPT) -> bytes:
    return build_exposition(figures(snapshot, kept))


def seen_in(data: bytes) -> dict[str, float]:
    """Return samples as Prometheus writes them: name{label="value"}."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(data.decode())
        for sample in family.samples
    }


def test_figures() -> None:
    seen = {k.removeprefix("throughway_gateway_"): v for k, v in seen_in(told(SNAPSHOT)).items()}
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
    seen = seen_in(told(replace(SNAPSHOT, sixtofour=SIXTOFOUR)))
    name = "throughway_gateway_sixtofour_"
    assert seen[f"{name}up"] == 1
    assert seen[f"{name}received_bytes_total"] == 5
    assert seen[f"{name}sent_bytes_total"] == 6
    assert seen[f"{name}dropped_packets_total reason=spoofed"] == 7
    assert not any(key.startswith(name) for key in seen_in(told(SNAPSHOT)))


def test_figures_of_teredo() -> None:
    seen = seen_in(told(replace(SNAPSHOT, teredo=TEREDO)))
    name = "throughway_gateway_teredo_"
    assert seen[f"{name}up"] == 1
    assert seen[f"{name}clients"] == 4
    assert seen[f"{name}advertisements_total"] == 9
    assert seen[f"{name}received_bytes_total"] == 5
    assert seen[f"{name}sent_bytes_total"] == 6
    assert seen[f"{name}dropped_packets_total reason=too many"] == 7
    assert not any(key.startswith(name) for key in seen_in(told(SNAPSHOT)))


def test_a_gateway_that_has_only_begun_has_figures_too() -> None:
    bare = replace(SNAPSHOT, components=(), problems=(), tunnels=(), workers=())
    assert any(name.startswith("throughway_gateway_info") for name in seen_in(told(bare)))


def test_what_both_daemons_tell() -> None:
    seen = seen_in(told(SNAPSHOT))
    name = "throughway_gateway_"
    assert seen[f"{name}state state={SNAPSHOT.state}"] == 1
    assert seen[f"{name}check_state check=location-server state=warning"] == 1
    assert seen[f"{name}check_state check=location-server state=ok"] == 0
    assert seen[f"{name}check_seconds check=location-server"] == 0.25
    assert seen[f"{name}check_looked_timestamp_seconds check=location-server"] == CHECK.looked_at
    assert seen[f"{name}expiry_timestamp_seconds what=ipsec"] == 1_900_000_000
    established = "authentications_total event=main-mode-established outcome=admitted"
    assert seen[name + established] == 7
    assert seen[f"{name}session_opening_seconds_sum worker=0"] == 2.5
    assert seen[f"{name}session_opening_seconds_count worker=0"] == 10
    assert f"{name}log_left_out_total" in seen


def test_ten_thousand_clients_make_no_more_series() -> None:
    sessions = tuple(
        SessionStatus(id=i, peer=f"[2001:db8::{i:x}]:1", since=1.0) for i in range(10_000)
    )
    tunnels = tuple(
        TunnelStatus(name="intranet", state=TunnelState.UP, remote_address=f"2001:db8::{i:x}")
        for i in range(10_000)
    )
    few = seen_in(told(replace(SNAPSHOT, sessions=(), tunnels=())))
    many = seen_in(told(replace(SNAPSHOT, sessions=sessions, tunnels=tunnels)))
    assert few.keys() == many.keys()
    assert many["throughway_gateway_tunnels tunnel=intranet"] == 10_000
