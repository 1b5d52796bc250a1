"""A client that moves between networks while pings and a download run: how long each move costs."""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from subprocess import DEVNULL
from types import TracebackType
from typing import TYPE_CHECKING

import pytest

from throughway.lab.lab import Lab
from throughway.lab.observe import Observer, Status
from throughway.lab.processes import wait_until

if TYPE_CHECKING:
    from throughway.lab.processes import HostProcess

DC = "2001:db8:c0:1::10"
BULK_FILE = "/var/www/app1.corp.example.com/roaming"
BULK = "http://app1.corp.example.com/roaming"
PING_INTERVAL = 0.05
"""Seconds: how exactly an outage is measured."""
PINGER = """
import os, select, socket, struct, sys, time
server, interval, log = sys.argv[1], float(sys.argv[2]), open(sys.argv[3], "w", buffering=1)
sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
due, mark = time.time(), os.urandom(8)
while True:
    if select.select([sock], [], [], max(0.0, due - time.time()))[0]:
        packet = sock.recv(200)
        if packet[0] == 129 and packet[8:16] == mark:
            print(time.time(), struct.unpack("=d", packet[16:24])[0], file=log)
    if time.time() >= due:
        due = time.time() + interval
        try:
            request = bytes([128, 0, 0, 0, 0, 0, 0, 0]) + mark + struct.pack("=d", time.time())
            sock.sendto(request, (server, 0))
        except OSError:
            pass
"""
"""One request after the other from whatever address is right then; ping(8) would keep its first
one. Writes when each answer came, and when its request was sent."""
SETTLE = 3.5
"""Seconds of pings after the traffic flows again: a better transport takes over within them."""
BOUND = 12.0
"""Seconds that no move may cost, on a machine that is busy with other things; the figures of a
quiet one are in docs/operate/roaming.md."""

CARRIES = {
    "home": {"iphttps", "teredo"},
    "hotel": {"iphttps"},
    "office": {"iphttps"},
    "direct": {"6to4"},
    "cgn": {"iphttps", "teredo"},
    "native6": {"native"},
}
"""What must carry the tunnels in each place, once it has settled."""
JOURNEY = ("hotel", "office", "native6", "direct", "cgn", "home")


class Pings:
    """Pings to a server inside, while the block runs; :meth:`outage` is read afterwards."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._process: HostProcess | None = None
        self._log = "/tmp/pings"

    def __enter__(self) -> "Pings":
        self._lab.run("client1", ["rm", "-f", self._log], check=True)
        command = [sys.executable, "-c", PINGER, DC, str(PING_INTERVAL), self._log]
        self._process = self._lab.popen("client1", command, stdout=DEVNULL, stderr=DEVNULL)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def answers(self) -> list[float]:
        """Return when answers came, in seconds since 1970."""
        log = self._lab.run("client1", ["cat", self._log]).stdout
        return [float(line.split()[0]) for line in log.splitlines() if " " in line]

    def wait_answer(self, after: float, patience: float) -> None:
        """Wait for an answer that came after a moment."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if any(stamp > after for stamp in self.answers()[-3:]):
                return
            time.sleep(0.1)
        raise AssertionError(f"no ping answered in {patience:g} s")


@dataclass(frozen=True)
class Move:
    """A move, and what it cost."""

    origin: str
    place: str
    outage: float
    """Seconds without an answer, the longest gap around the move."""
    carrier: str

    def __str__(self) -> str:
        return f"{self.origin:>8} -> {self.place:<8} {self.outage:5.2f} s  {self.carrier}"


@pytest.fixture
def client(anyhow: Lab) -> Observer:
    """Return client1, its daemon just started at home, with every transport."""
    anyhow.start_client("client1")
    return Observer(anyhow, "client1")


def longest_gap(stamps: list[float], begun: float) -> float:
    """Return the longest time without an answer from a moment on."""
    before = [stamp for stamp in stamps if stamp <= begun][-1:]
    relevant = before + [stamp for stamp in stamps if stamp > begun]
    return max(later - earlier for earlier, later in itertools.pairwise(relevant))


def carrier(status: Status) -> str:
    return str(status["transport"])


def settle_in(client: Observer, place: str) -> Status:
    """Return the status once the transport carries that belongs to the place."""
    allowed = CARRIES[place]
    return client.wait(f"{allowed} in {place}", lambda s: carrier(s) in allowed, BOUND * 2)


def moved(client: Observer, origin: str, place: str) -> Move:
    """Move the client, and return what that cost once it has settled."""
    with Pings(client.lab) as pings:
        pings.wait_answer(0.0, BOUND)
        begun = time.time()
        client.lab.move("client1", place)
        # Answers of the network before may still be on their way: the new one's come later.
        pings.wait_answer(time.time() + 0.2, BOUND * 2)
        settle_in(client, place)
        pings.wait_answer(time.time() + SETTLE, BOUND * 2)
        outage = longest_gap(pings.answers(), begun)
    return Move(origin, place, outage, carrier(client.status()))


def test_a_journey_with_pings(connected: Observer, capsys: pytest.CaptureFixture[str]) -> None:
    moves, origin = [], "home"
    for place in JOURNEY:
        moves.append(moved(connected, origin, place))
        origin = place
    with capsys.disabled():
        print("\nlongest time without an answer in each move:")
        print("\n".join(map(str, moves)))
    assert {move.place: move.outage for move in moves if move.outage > BOUND} == {}
    connected.wait_page()


@pytest.fixture
def bulk(fresh: Lab) -> Iterator[str]:
    """Return the checksum of a file inside that takes a while."""
    fresh.run("app1", ["sh", "-c", f"head -c 60000000 /dev/urandom > {BULK_FILE}"], check=True)
    yield fresh.run("app1", ["sha256sum", BULK_FILE], check=True).stdout.split()[0]
    fresh.run("app1", ["rm", "-f", BULK_FILE])


def test_a_download_goes_on_where_the_address_does(bulk: str, fresh: Lab) -> None:
    """Over IP-HTTPS the address is the same in every network, and so are the connections."""
    lab, connected = fresh, Observer(fresh, "client1")
    lab.start_client("client1")
    connected.wait_tunnel("infrastructure")
    connected.log_on("alice")
    connected.wait_page()
    command = f"curl -sS --connect-timeout 20 --limit-rate 6M --max-time 90 {BULK} | sha256sum"
    download = lab.popen("client1", ["sh", "-c", f"{command} > /tmp/sum"])
    for place in ("hotel", "home"):
        lab.move("client1", place)
        connected.wait_page()
    assert download.wait(100) == 0
    assert lab.read("client1", "/tmp/sum").split()[0] == bulk


LEFTOVERS = ["sh", "-c", "ip -6 route show table all; ip -6 rule; ip link; nft list ruleset"]


def left_on(lab: Lab) -> str:
    """Return all that a client could have left in the kernel."""
    return lab.run("client1", LEFTOVERS, check=True).stdout


def test_a_killed_client_leaves_nothing_behind_after_it_ran_again(connected: Observer) -> None:
    lab = connected.lab
    for place in ("home", *JOURNEY[:-1]):
        lab.move("client1", place)
        if not lab.service("client1", "client"):
            lab.start_client("client1")
        settle_in(connected, place)
        service = lab.service("client1", "client")
        assert service is not None
        service.kill()
        wait_until(lambda: "iphttps0" not in left_on(lab), BOUND, "the device gone")
        left = left_on(lab)
        assert "throughway" in left, "closed as long as nobody says otherwise"
        assert ("proto 117 metric 50" in left) == (place == "native6")
        lab.start_client("client1")
        connected.wait_page()
        lab.stop_client("client1")
        left = left_on(lab)
        for trace in ("2002:836b:", "proto 117", "221", "throughway", "iphttps0", "sixtofour0"):
            assert trace not in left, (place, left)
        assert "127.0.0.88" not in lab.read("client1", "/etc/resolv.conf")


def test_status_tells_the_chain(connected: Observer) -> None:
    lab = connected.lab
    lab.move("client1", "cgn")
    status = settle_in(connected, "cgn")
    chain = {transport["kind"]: transport for transport in status["transports"]}
    assert list(chain) == ["native", "6to4", "teredo", "iphttps"]
    assert [kind for kind, one in chain.items() if one["chosen"]] == [carrier(status)]
    assert "no interface has a native IPv6 address" in chain["native"]["reason"]
    text = lab.run("client1", ["throughway", "client", "status"]).stdout
    assert "carries the tunnels" in text


def test_a_pseudo_public_address_is_remembered(connected: Observer) -> None:
    lab = connected.lab
    lab.move("client1", "cgn")
    connected.wait(
        "6to4 refused",
        lambda s: any("looks public" in t["reason"] for t in s["transports"]),
    )
    known = json.loads(lab.read("client1", "/var/lib/throughway/client/networks.json"))
    failures = [entry["failures"] for entry in known if "6to4" in entry["failures"]]
    assert any("looks public" in failure["6to4"][0] for failure in failures)
