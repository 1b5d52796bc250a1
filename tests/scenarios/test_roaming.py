"""A client that moves between networks while pings and a download run: how long each move costs."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE
from types import TracebackType
from typing import TYPE_CHECKING

import pytest

from bench import travel
from bench.roaming import longest_gap
from tests.scenarios.conftest import settle
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer, Status, problems
from throughway.lab.processes import wait_until

if TYPE_CHECKING:
    from throughway.lab.processes import HostProcess

DC = "2001:db8:c0:1::10"
BULK_FILE = "/var/www/app1.corp.example.com/roaming"
BULK = "http://app1.corp.example.com/roaming"
TRAVEL = Path(travel.__file__).read_text()
BOUND = 30.0
"""Seconds that no move may cost, on a machine that is busy with other things; the figures of a
quiet one are in docs/operate/roaming.md."""

CARRIES = {
    "home": "teredo",
    "hotel": "iphttps",
    "office": "iphttps",
    "direct": "6to4",
    "cgn": "teredo",
    "native6": "native",
    "corp": None,
}
"""What must carry the tunnels in each place, once it has settled."""
BEGIN_ANEW = ("native6", "direct", "cgn", "corp")
"""Places that end connections of the place before: its address is gone, or its transport replaced.
Towards hotel it may come back for seconds yet, in office it is the same, and the intranet's own
addresses, left for home, are none of the client's."""
JOURNEY = ("hotel", "office", "native6", "direct", "cgn", "corp", "home")
IDLE = """
import socket
with socket.create_connection(("app1.corp.example.com", 80)) as idle:
    print("open", flush=True)
    try:
        print(idle.recv(1))
    except ConnectionAbortedError:
        print("aborted")
"""
LEFTOVERS = ["sh", "-c", "ip -6 route show table all; ip -6 rule; ip link; nft list ruleset"]
DEVICES = ("iphttps0", "sixtofour0", "teredo0")
NETWORKS = "/var/lib/throughway/client/networks.json"


class Pings:
    """Pings to a server inside, while the block runs; :meth:`outage` is read afterwards."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._process: HostProcess | None = None
        self._log = "/tmp/pings"

    def __enter__(self) -> "Pings":
        self._lab.run("client1", ["rm", "-f", self._log], check=True)
        command = [sys.executable, "-c", TRAVEL, "ping", self._log, DC]
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
class Stay:
    """A place on the journey: what it cost to come there, and what the client says there."""

    place: str
    outage: float
    """Seconds without an answer, the longest gap around the move and what followed it."""
    status: Status
    said: str
    known: str
    """What the client remembers of networks."""
    idle: str
    """What became of a connection from the place before, over which nothing went."""

    def __str__(self) -> str:
        return f"{self.place:>8} {self.outage:5.2f} s  {self.status['transport']}"


@pytest.fixture
def client(anyhow: Lab) -> Observer:
    """Return client1, its daemon just started at home, with every transport."""
    anyhow.start_client("client1")
    return Observer(anyhow, "client1")


def settle_in(client: Observer, place: str) -> Status:
    """Return the status once the transport carries that belongs to the place."""
    carrier = CARRIES[place]
    if carrier is None:
        return client.wait_inside()
    return client.wait(f"{carrier} in {place}", lambda s: s["transport"] == carrier, PATIENCE)


def wait_refuted(client: Observer) -> None:
    """Wait until 6to4 has found out that its address is not what it seems."""
    client.wait("6to4 refused", lambda s: "looks public" in reasons(s)["6to4"], PATIENCE)


def reasons(status: Status) -> dict[str, str]:
    return {transport["kind"]: transport["reason"] for transport in status["transports"]}


def moved(client: Observer, place: str) -> Stay:
    """Move the client, and look back once it has settled there."""
    client.wait_page()
    idle = client.lab.popen("client1", [sys.executable, "-c", IDLE], stdout=PIPE)
    assert idle.stdout is not None
    assert idle.stdout.readline() == b"open\n"
    with Pings(client.lab) as pings:
        pings.wait_answer(0.0, PATIENCE)
        begun = time.time()
        client.lab.move("client1", place)
        # Answers of the network before may still be on their way: the new one's come later.
        pings.wait_answer(time.time() + 0.2, PATIENCE)
        settle_in(client, place)
        if place == "cgn":
            wait_refuted(client)
        pings.wait_answer(time.time() + 0.2, PATIENCE)
        answers = pings.answers()
    # What failed on the way here is taken back when it is seen to be made up for.
    settle_in(client, place)
    status = client.wait_well()
    said = client.lab.run("client1", ["throughway", "client", "status"]).stdout
    known = client.lab.read("client1", NETWORKS)
    if place not in BEGIN_ANEW:
        idle.terminate()
    end = idle.communicate(timeout=PATIENCE)[0].decode().strip()
    return Stay(place, longest_gap(answers, begun, answers[-1]), status, said, known, end)


@pytest.fixture(scope="module")
def journey(world: Lab) -> dict[str, Stay]:
    """Return what a client saw that was carried through every place."""
    settle(world)
    world.allow_transports("client1")
    world.start_client("client1")
    client = Observer(world, "client1")
    client.wait_tunnel("infrastructure")
    client.log_on("alice")
    client.wait_page()
    stays = [moved(client, place) for place in JOURNEY]
    client.wait_page()
    settle(world)
    world.allow_transports("client1", "iphttps")
    return {stay.place: stay for stay in stays}


def test_a_journey_with_pings(journey: dict[str, Stay], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\nlongest time without an answer in each move:")
        print("\n".join(map(str, journey.values())))
    assert {stay.place: stay.outage for stay in journey.values() if stay.outage > BOUND} == {}


def test_what_another_transport_makes_up_for_is_no_problem(journey: dict[str, Stay]) -> None:
    found = {stay.place: problems(stay.status) for stay in journey.values()}
    assert found == {place: set() for place in JOURNEY}


def test_connections_of_an_address_that_is_gone_are_ended(journey: dict[str, Stay]) -> None:
    """A program that only waits is told, whatever carried before and carries now."""
    assert {place: journey[place].idle for place in BEGIN_ANEW} == dict.fromkeys(
        BEGIN_ANEW, "aborted"
    )


def test_status_tells_the_chain(journey: dict[str, Stay]) -> None:
    stay = journey["cgn"]
    chain = {transport["kind"]: transport for transport in stay.status["transports"]}
    assert list(chain) == ["native", "6to4", "teredo", "iphttps"]
    assert [kind for kind, one in chain.items() if one["chosen"]] == ["teredo"]
    assert "no interface has a native IPv6 address" in chain["native"]["reason"]
    assert "carries the tunnels" in stay.said


def test_a_pseudo_public_address_is_remembered(journey: dict[str, Stay]) -> None:
    known = json.loads(journey["corp"].known)
    failures = [entry["failures"] for entry in known if "6to4" in entry["failures"]]
    assert any("looks public" in failure["6to4"][0] for failure in failures)


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
    command = f"curl -sS --limit-rate 6M --max-time 180 {BULK} | tee /tmp/got | sha256sum"
    download = lab.popen("client1", ["sh", "-c", f"{command} > /tmp/sum; rm /tmp/got"])
    begun = ["test", "-s", "/tmp/got"]
    wait_until(lambda: lab.run("client1", begun).returncode == 0, PATIENCE, "the first bytes")
    for place in ("hotel", "home"):
        lab.move("client1", place)
        connected.wait_page()
    assert download.wait(200) == 0
    assert lab.read("client1", "/tmp/sum").split()[0] == bulk


def left_on(lab: Lab) -> str:
    """Return all that a client could have left in the kernel."""
    return lab.run("client1", LEFTOVERS, check=True).stdout


def wait_devices_gone(lab: Lab, *, routes: bool = False) -> str:
    """Return what a killed client left, once none of its processes holds a device any more.

    Each transport's process notices for itself that the client is gone, in its own time; the
    devices' routes go with them, and are shown without a name while they do.
    """
    left: list[str] = []

    def gone() -> bool:
        left.append(left_on(lab))
        there = "proto 117 metric 50" in left[-1]
        return there == routes and not any(device in left[-1] for device in DEVICES)

    wait_until(gone, PATIENCE, "the devices gone")
    return left[-1]


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
        left = wait_devices_gone(lab, routes=place == "native6")
        assert ("throughway" in left) == (place != "corp"), "closed unless it is inside"
        lab.start_client("client1")
        settle_in(connected, place)
        lab.stop_client("client1")
        left = left_on(lab)
        for trace in ("2002:836b:", "proto 117", "table 221", "lookup 221", "throughway", *DEVICES):
            assert trace not in left, (place, left)
        assert "127.0.0.88" not in lab.read("client1", "/etc/resolv.conf")


def test_a_client_killed_outside_leaves_nothing_when_it_wakes_inside(client: Observer) -> None:
    lab = client.lab
    lab.move("client1", "native6")
    settle_in(client, "native6")
    service = lab.service("client1", "client")
    assert service is not None
    service.kill()
    lab.move("client1", "corp")
    lab.start_client("client1")
    settle_in(client, "corp")
    client.wait_page()
    left = wait_devices_gone(lab)
    for trace in ("2002:836b:", "proto 117"):
        assert trace not in left, left
