"""The gateway's workers in the whole world: what the death of one does, and to whom."""

import time
from collections.abc import Iterator

import pytest

from tests.scenarios.actions import gateway_status, page_stays, shown, wait_gateway, wait_sessions
from tests.scenarios.test_hostile import peer
from throughway.lab.deployment import WORKERS
from throughway.lab.lab import Lab
from throughway.lab.observe import Observer, Status, problems

AT_ONCE = 30.0
"""Seconds for what takes half of one where nothing else runs."""
STRANGER = "inet1"
"""A host whose public address leads to another worker than the home's."""


def worker_of(status: Status, number: int) -> Status:
    """Return a worker's row."""
    found: Status = status["workers"][number]
    return found


def test_a_worker_is_killed(connected: Observer) -> None:
    """Its client is back within seconds, with the address it had; the others notice nothing."""
    lab = connected.lab
    with peer(lab, STRANGER, "sessions", "3") as outcome:
        assert outcome["count"] == 3
        before = wait_gateway(lab, "all four", lambda s: len(s["sessions"]) == 4)
        (ours,) = (s for s in before["sessions"] if s["addresses"])
        others = {s["id"]: s["since"] for s in before["sessions"] if s["id"] != ours["id"]}
        assert {s["worker"] for s in before["sessions"]} == {0, 1}
        victim = worker_of(before, ours["worker"])
        began = time.time()
        lab.run("edge1", ["kill", "-9", str(victim["pid"])], check=True)
        connected.wait_page()
        after = wait_gateway(lab, "all four", lambda s: len(s["sessions"]) == 4)
        assert {s["id"]: s["since"] for s in after["sessions"] if s["id"] in others} == others
        again = worker_of(after, victim["number"])
        assert again["state"] == "serving"
        assert again["restarts"] == victim["restarts"] + 1
        assert again["pid"] != victim["pid"]
        assert again["since"] - began < AT_ONCE, "without anybody's help"
        assert problems(after) <= {"worker-restarting"}, "told for some seconds more"
        answer = shown(lab, "edge1", "gateway")
        assert "killed by signal 9" in answer.text
        (back,) = (s for s in after["sessions"] if s["addresses"])
        assert back["addresses"] == ours["addresses"]
        assert back["worker"] == ours["worker"]
    page_stays(connected)


SECOND_ADDRESS = """
ip addr add 131.107.0.101/24 dev wan
nft 'table ip second { chain out { type nat hook postrouting priority 90;
  oifname "wan" ip saddr ADDRESS snat to 131.107.0.101; }; }'
"""
"""The home's router gives one of its hosts a public address of its own."""


@pytest.fixture
def neighbour(connected: Observer) -> Iterator[Observer]:
    """Return client2, at home too, but with the public address next to client1's."""
    lab = connected.lab
    address = lab.run("client2", ["hostname", "-I"]).stdout.split()[0]
    lab.run("homenat", ["sh", "-ec", SECOND_ADDRESS.replace("ADDRESS", address)], check=True)
    yield Observer(lab, "client2")
    undo = "nft delete table ip second; ip addr del 131.107.0.101/24 dev wan"
    lab.run("homenat", ["sh", "-ec", undo], check=True)


def test_clients_of_two_workers_reach_the_intranet(
    connected: Observer, neighbour: Observer
) -> None:
    lab = connected.lab
    lab.start_client("client2")
    neighbour.wait_tunnel("infrastructure")
    neighbour.log_on("bob")
    neighbour.wait_page()
    page_stays(connected)
    wait_sessions(lab, 2)
    status = gateway_status(lab)
    assert {s["worker"] for s in status["sessions"]} == {0, 1}
    prefixes = {w["number"]: w["prefix"].removesuffix("::/64") for w in status["workers"]}
    for session in status["sessions"]:
        assert all(a.startswith(prefixes[session["worker"]]) for a in session["addresses"])


def test_nothing_of_the_workers_is_left(fresh: Lab) -> None:
    pids = [str(worker["pid"]) for worker in gateway_status(fresh)["workers"]]
    assert len(pids) == WORKERS
    fresh.stop_gateway()
    assert "iphttps" not in fresh.run("edge1", ["ip", "link"]).stdout
    assert fresh.run("edge1", ["ps", "-o", "pid=", "-p", ",".join(pids)]).stdout.split() == []
    fresh.start_gateway()
