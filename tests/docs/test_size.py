"""The page on a gateway's size is true: every limit, every default, the example."""

import re
from pathlib import Path

import pytest

from tests.docs.test_commands import commands
from tests.pki_world import write_gateway
from throughway.control.lifecycle import DESCRIPTORS
from throughway.gateway import settings, workers
from throughway.model.config import MAX_WORKERS, IPHTTPSServerConfig, Spread
from throughway.net import iphttps_server, link
from throughway.proto.iphttps import server
from throughway.proto.router import links_within

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
        ("connections that wait to be accepted", iphttps_server.BACKLOG),
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
    assert f"up to {settings.MAX_SESSIONS} |" in PAGE
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


def test_the_example_loads(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    old = 'prefix = "2001:db8:da:1000::/64"\n'
    config = settings.load(write_gateway(tmp_path, [(old, example)])).iphttps
    assert (config.workers, links_within(config.prefix)) == (4, 32)
    assert len(workers.interfaces(config)) == 4


def test_what_needs_a_restart_is_said() -> None:
    """The commands after a change are those which the page names."""
    assert "check && throughway gateway reload" in PAGE
    assert {"gateway check", "gateway status", "gateway reload"} <= {
        " ".join(call.split()[:2]) for call in commands(PAGE, "throughway")
    }
