"""The page on a gateway's size is true: every limit, every default, the example."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from bench import tunnel, tunnel_report
from tests.docs.test_commands import commands
from tests.pki_world import write_gateway
from throughway.control.lifecycle import DESCRIPTORS
from throughway.gateway import settings, values, workers
from throughway.gateway.metrics import figures
from throughway.health.figures import Kept
from throughway.model.config import MAX_WORKERS, IPHTTPSServerConfig, Spread
from throughway.model.status import (
    ComponentState,
    GatewaySnapshot,
    SixToFourServerStatus,
    TeredoServerStatus,
    WorkerStatus,
)
from throughway.net import iphttps_server, link, listeners
from throughway.proto.iphttps import server
from throughway.proto.iphttps.server import Refusal
from throughway.proto.iphttps.session import Drop
from throughway.proto.router import links_within
from throughway.wire.exposition import build_exposition

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operate" / "size.md").read_text()
FIELDS = IPHTTPSServerConfig.__dataclass_fields__


def limit(row: str) -> str:
    """Return the limit which the table tells."""
    [found] = re.findall(rf"^\| {re.escape(row)}[^|]* \| ([^|]+) \|", PAGE, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("sessions, of all workers together", FIELDS["max_sessions"].default),
        ("sessions from one public address", FIELDS["max_sessions_per_source"].default),
        ("IPv6 addresses of one session", FIELDS["max_addresses_per_session"].default),
        ("seconds for TLS handshake", f"{FIELDS['head_timeout'].default:g}"),
        ("file descriptors of each process", DESCRIPTORS),
        ("connections that wait to be accepted", listeners.BACKLOG),
        ("connections without a request, of each worker", server.MAX_HALF_OPEN),
        ("packets that wait for one session", f"{link.QUEUE_LIMIT // 1024} KiB"),
        ("packets that wait for all sessions", f"{link.HELD_LIMIT // 1024**2} MiB"),
        ("workers", MAX_WORKERS),
        ("seconds without an answer", f"{workers.HUNG_AFTER:g}"),
    ],
)
def test_limits(row: str, value: object) -> None:
    assert limit(row) == str(value)


def test_figures_in_sentences() -> None:
    assert f"up to {values.MAX_SESSIONS} |" in PAGE
    assert f"({link.USER_TIMEOUT // 1000} seconds without an acknowledgement" in PAGE
    assert iphttps_server.ACCEPT_PAUSE == 0.5
    assert "twice a second looks again" in PAGE
    assert FIELDS["spread"].default is Spread.ADDRESS


def test_the_unit_allows_as_many_descriptors() -> None:
    unit = (ROOT / "packaging" / "systemd" / "throughway-gateway.service").read_text()
    assert f"LimitNOFILE={DESCRIPTORS}\n" in unit


def test_room_for_workers() -> None:
    rows = re.findall(r"^\| /(\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert [int(length) for length, _ in rows] == [64, 63, 62, 61, 60, 59]
    for length, count in rows:
        assert links_within(f"2001:db8:da:1000::/{length}") == int(count)


def reasons(of: str) -> list[str]:
    """Return the reasons which a table explains."""
    table = PAGE.split(f"| {of}: `reason` |", 1)[1].split("\n\n", 1)[0]
    firsts = re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)
    return [reason for first in firsts for reason in re.findall(r"`([^`]+)`", first)]


def test_every_reason_is_explained() -> None:
    assert sorted(reasons("packets")) == sorted(Drop)
    assert sorted(reasons("connections")) == sorted(Refusal)


def test_the_metrics_exist() -> None:
    worker = WorkerStatus(
        number=0,
        state="serving",
        interface="iphttps0",
        prefix="2001:db8:da:1000::/64",
        drops=(("spoofed", 1),),
        refusals=(("timeout", 1),),
    )
    snapshot = GatewaySnapshot(
        version="0",
        taken_at=0.0,
        state=ComponentState.OK,
        iphttps_state="",
        url="",
        esp="",
        sessions=(),
        tunnels=(),
        workers=(worker,),
        sixtofour=SixToFourServerStatus(state="serving", carrier="", drops=(("spoofed", 1),)),
        teredo=TeredoServerStatus(state="serving", interface="teredo0", drops=(("too many", 1),)),
    )
    there = set(
        re.findall(
            r"^(\w+)[{ ]", build_exposition(figures(snapshot, Kept())).decode(), re.MULTILINE
        )
    )
    named = set(re.findall(r"`(throughway_gateway_\w+)`", PAGE))
    assert named
    assert named <= there


def test_the_example_loads(tmp_path: Path) -> None:
    workers_example, metrics_example = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    prefix, ipsec = 'prefix = "2001:db8:da:1000::/64"\n', "[ipsec]\n"
    changes = [(prefix, workers_example), (ipsec, f"{metrics_example}\n{ipsec}")]
    whole = settings.load(write_gateway(tmp_path, changes))
    assert whole.metrics is not None
    config = whole.iphttps
    assert (config.workers, links_within(config.prefix)) == (4, 32)
    assert len(workers.interfaces(config)) == 4


def test_what_needs_a_restart_is_said() -> None:
    """The commands after a change are those which the page names."""
    assert "check && throughway gateway reload" in PAGE
    assert {"gateway check", "gateway status", "gateway reload"} <= {
        " ".join(call.split()[:2]) for call in commands(PAGE, "throughway")
    }


@pytest.mark.parametrize("module", [tunnel, tunnel_report])
def test_the_benchmarks_commands_are_taken(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every option on the page is one that the program has."""
    program = f".venv/bin/python -m {module.__name__}"
    calls = list(commands(PAGE, program))
    assert calls
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", ["", "--help"])
        with pytest.raises(SystemExit):
            module.main()
    known = capsys.readouterr().out
    for call in calls:
        for option in re.findall(r"--\w+", call):
            assert option in known, call
