"""The tunnel benchmark: it searches and records rightly, measures what it says, and cleans up."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import tunnel
from bench.figures import FULL, GROUPS, UNITS, Up, check_wire, tcp, wanted
from bench.load import Load, Stream, build, highest_rate, parse_ping, ping
from bench.peers.peer import Ends, Peer, Unmeasured
from bench.peers.plain_tls import PlainTLS
from bench.peers.throughway import inner_addresses
from bench.tunnel import PEERS, Bench, Figure, rotated, significant
from bench.tunnel_results import CANDIDATES, MEASURES, load
from bench.world import GATEWAY, BenchError, World, client_address, world
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
PING = """\
64 bytes from 10.98.0.1: icmp_seq=1 ttl=64 time=0.226 ms
64 bytes from 10.98.0.1: icmp_seq=2 ttl=64 time=12 ms
no answer yet for icmp_seq=3
"""
Probe = Callable[[float], tuple[float, float]]


def limited(most: float, fastest: float, *, hiccups: tuple[int, ...] = ()) -> Probe:
    """Return a tunnel that carries at most so much, from a sender that can do so much."""
    probes = 0

    def probe(rate: float) -> tuple[float, float]:
        nonlocal probes
        probes += 1
        sent = min(rate or fastest, fastest)
        arrived = min(sent, most)
        return sent, arrived * (0.95 if probes in hiccups else 1)

    return probe


# What may be wrong without a network


@pytest.mark.parametrize("most", [150.0, 20_000.0, 130_000.0, 499_000.0, 900_000.0])
def test_the_search_finds_the_limit(most: float) -> None:
    found = highest_rate(limited(most, 500_000.0))
    assert found == pytest.approx(min(most, 500_000.0), rel=0.05)
    assert found <= most


def test_one_hiccup_is_no_verdict() -> None:
    assert highest_rate(limited(50_000.0, 500_000.0, hiccups=(2,))) >= 49_000.0


def test_a_tunnel_that_chokes_on_a_flood_is_asked_for_less() -> None:
    def probe(rate: float) -> tuple[float, float]:
        sent = rate or 500_000.0
        return sent, sent if sent <= 40_000 else 80_000 - min(sent, 75_000)

    assert highest_rate(probe) == pytest.approx(40_000, rel=0.1)


def test_a_tunnel_that_loses_everywhere_has_no_rate() -> None:
    assert highest_rate(lambda rate: (rate or 500_000.0, (rate or 500_000.0) * 0.9)) == 0.0


def test_round_trips_are_read_from_ping() -> None:
    assert parse_ping(PING) == [0.226, 12.0]


def test_every_round_begins_with_another_candidate() -> None:
    rounds = [rotated(PEERS, number) for number in range(len(PEERS) + 1)]
    assert {one[0].name for one in rounds} == {peer.name for peer in PEERS}
    assert rounds[0] == rounds[-1]
    assert all(set(one) == set(PEERS) for one in rounds)


def test_it_measures_what_the_report_reads() -> None:
    assert {name: measure.unit for name, measure in MEASURES.items()} == UNITS
    assert {peer.name for peer in PEERS} <= CANDIDATES.keys()
    assert {name for group in GROUPS for name in group} | {tunnel.MEMORY} == UNITS.keys()
    everything = frozenset(UNITS)
    names = {peer.name: wanted(peer, everything) for peer in PEERS}
    assert names["native-2"] == ["two-clients-up", "two-clients-down"]
    assert "two-clients-up" not in names["native"]
    assert wanted(PEERS[0], frozenset({"tcp-1-up", "memory-idle"})) == ["tcp-1-up"]


def test_a_figure_is_recorded_with_its_tail_or_with_why_not() -> None:
    figure = Figure("native", "rtt-idle")
    figure.add((0.123456, 1.5))
    figure.add((0.2, 1.6))
    assert figure.record() == {
        "candidate": "native",
        "measure": "rtt-idle",
        "unit": "ms",
        "values": [0.1235, 0.2],
        "p95": [1.5, 1.6],
    }
    empty = Figure("openvpn", "handshakes", why="has none")
    assert empty.record()["values"] == []
    assert empty.record()["why"] == "has none"


def test_a_round_trip_beside_a_load_that_does_not_fill_the_wire_says_nothing() -> None:
    figure = Figure("wireguard-go", "rtt-loaded-up")
    figure.add((4.0, 5.0, FULL - 1))
    assert figure.record()["values"] == []
    assert "did not fill the wire: 189" in figure.record()["why"]
    figure.add((14.0, 15.0, FULL + 1))
    told = figure.record()
    assert (told["values"], told["p95"], told["carried"]) == ([14.0], [15.0], [FULL + 1])


def test_numbers_are_as_exact_as_they_were_measured() -> None:
    assert [significant(x) for x in (12345.6, 0.012345, 7.0)] == [12350.0, 0.01235, 7.0]


def test_two_clients_in_a_row_have_a_worker_each() -> None:
    first, second = inner_addresses(1, 2), inner_addresses(2, 2)
    assert first[0] != second[0]
    for gateway, client in (first, second):
        assert gateway.rpartition("::")[0] == client.rpartition("::")[0]
    assert inner_addresses(1, 1)[0] == inner_addresses(2, 1)[0]


class Broken(Peer):
    name = "openvpn"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def idle_memory(self, _world: World) -> float:
        raise self._error


@pytest.fixture
def no_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "world", lambda: open(os.devnull))  # noqa: SIM115 - any context


@pytest.mark.usefixtures("no_worlds")
@pytest.mark.parametrize(
    ("error", "failed"), [(Unmeasured("has no sessions"), False), (BenchError("no luck"), True)]
)
def test_what_cannot_be_measured_is_told(error: Exception, *, failed: bool) -> None:
    bench = Bench([Broken(error)], ["memory-idle"], 1.0, Load(Path("unused")))
    bench.run(1)
    figure = bench.figures["openvpn", "memory-idle"]
    assert (figure.values, figure.why, figure.failed) == ([], str(error), failed)
    assert str(error) in tunnel.table([figure])


def test_without_root_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.tunnel"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert tunnel.main() == 2
    assert "root" in capsys.readouterr().out


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess((), 1, stdout="", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_arguments, **_keywords: answer)
    with pytest.raises(BenchError, match="the Debian package softether-vpnserver is not there"):
        next(peer for peer in PEERS if peer.name == "softether").version()


# With a network


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        yield made


def plain(made: World) -> Stream:
    return Stream(made.client, made.gateway, client_address(), GATEWAY)


class NoTunnel(Peer):
    name = "no tunnel"


@pytest.mark.lab
def test_the_generators_measure_a_wire_without_a_tunnel(here: World) -> None:
    generators, marks = Load(build(here.folder)), list[str]()
    assert generators.tcp([plain(here)], 0.2, parallel=4, marks=marks.append) > 0
    assert marks == ["begin", "end"]
    assert generators.udp(plain(here), 200, 0.1) > 0
    middle, tail = ping(plain(here), 0.2)
    assert 0 < middle <= tail
    assert here.gateway.processes() == here.client.processes() == []


@pytest.mark.lab
def test_what_goes_in_the_clear_is_found_out(here: World) -> None:
    ends = Ends((GATEWAY,), (client_address(),))
    up = Up(NoTunnel(), here, ends, Load(build(here.folder)), 0.2)
    with pytest.raises(BenchError, match="in the clear"):
        check_wire(up)


@pytest.mark.lab
def test_what_goes_around_the_wire_is_found_out(here: World) -> None:
    generators = Load(build(here.folder))

    class Bypass(NoTunnel):
        def tcp(self, *_arguments: object, **_keywords: object) -> float:
            around = Stream(here.gateway, here.gateway, GATEWAY, GATEWAY)
            return generators.tcp([around], 0.2)

    up = Up(Bypass(), here, Ends((GATEWAY,), (client_address(),)), generators, 0.2)
    with pytest.raises(BenchError, match="nothing of the load is seen"):
        check_wire(up)
    with pytest.raises(BenchError, match=r"bytes came out, .* crossed the wire"):
        tcp(up, "up")


@pytest.mark.lab
def test_encryption_passes(here: World) -> None:
    peer = PlainTLS()
    with peer.up(here) as ends:
        check_wire(Up(peer, here, ends, Load(build(here.folder)), 0.2))


@pytest.mark.lab
def test_a_narrow_run_writes_what_the_report_reads(tmp_path: Path) -> None:
    file = tmp_path / "tunnel.json"
    words = ("--only", "plain-tls", "--only", "native", "--rounds", "1", "--seconds", "0.5")
    command = (sys.executable, "-m", "bench.tunnel", *words, "--measures", "tcp-1-up", "cpu-up")
    answer = subprocess.run(
        (*command, "--json", str(file)), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    results = load(file)
    assert results.congestion_control == "reno"
    for candidate in ("plain-tls", "native"):
        assert (results.median(candidate, "tcp-1-up") or 0) > 10
        assert (results.median(candidate, "cpu-up") or 0) > 0.1
        assert candidate in results.settings
    assert len(results.measurements) == 4
    assert "round 1 of 1: native" in answer.stdout


@pytest.mark.lab
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_it_is_interrupted(how: signal.Signals, tmp_path: Path) -> None:
    words = ("--only", "native", "--seconds", "30", "--measures", "tcp-1-up")
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        (sys.executable, "-m", "bench.tunnel", *words),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with running:
        assert running.stdout is not None
        # What it says of other work on the machine may come first.
        assert any(line.startswith("round 1") for line in running.stdout)
        while not (there := processes_of(tmp_path)):
            assert running.poll() is None
        assert there
        running.send_signal(how)
        said, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert "nothing is written" in said
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def processes_of(folder: Path) -> list[str]:
    """Return the commands that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words.replace("\0", " "))
    return found


def test_the_record_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainTLS, "version", lambda _self: ("openssl", "3"))
    told = tunnel.environment([PlainTLS()], 3, 2.0)
    assert json.loads(json.dumps(told)) == told
    assert told["settings"].keys() == {"plain-tls"}
