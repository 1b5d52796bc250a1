"""What happens to the gateway while clients are connected, and what its administrator does."""

import re
import time
from collections.abc import Iterator
from subprocess import PIPE

import pytest

from tests.patience import PATIENCE
from tests.scenarios.actions import (
    edited,
    gateway_status,
    hang_up,
    kept,
    log_of,
    page_stays,
    reconfigured,
    shown,
    wait_gateway,
    wait_gateway_well,
    wait_sessions,
)
from throughway.lab.deployment import GATEWAY_CONFIG
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE as RUN_PATIENCE
from throughway.lab.observe import POLL, Observer, problems, tunnel
from throughway.lab.processes import wait_until

AT_ONCE = 30.0
"""Seconds for what takes one where nothing else runs; nobody need be told twice meanwhile."""
RUN = ["throughway", "gateway", "run"]
TRACES = """
ip -6 rule; ip -6 route show table all; ip -br link; nft list tables
ls /run/throughway
"""
"""What a daemon makes, in the kernel and in /run."""
HELPER = "-m throughway.net."
"""Of programs that a daemon starts for a moment: to register a name, to get a ticket."""


def traces(lab: Lab, host: str) -> list[str]:
    """Return what daemons have made on a host, but for what time and chance change."""
    said = lab.run(host, ["sh", "-c", TRACES], check=True).stdout.splitlines()
    running = lab.run(host, ["ps", "-eo", "comm=,args="], check=True).stdout.splitlines()
    said += [line.split()[0] for line in running if HELPER not in line]
    lines = (line.partition(" expires")[0] for line in said)
    return sorted(re.sub(r"fe80::\S{4,} dev ipsec0", "fe80::… dev ipsec0", line) for line in lines)


def settled_traces(lab: Lab, host: str) -> list[str]:
    """The same when nothing comes and goes any more."""
    deadline, found, looks = time.monotonic() + PATIENCE, traces(lab, host), 0
    while looks < 5:
        assert time.monotonic() < deadline, found
        time.sleep(POLL)
        before, found = found, traces(lab, host)
        looks = looks + 1 if found == before else 0
    return found


# charon and the daemon itself


def test_charon_of_the_gateway_is_killed(connected: Observer) -> None:
    lab = connected.lab
    before = deaths_of_charon(lab)
    lab.run("edge1", ["pkill", "-9", "charon"], check=True)
    wait_until(lambda: deaths_of_charon(lab) > before, PATIENCE, "the gateway's word for it")
    connected.wait_page()
    connected.wait_tunnel("intranet")
    wait_gateway_well(lab)


def deaths_of_charon(lab: Lab) -> int:
    """Return how often the gateway has told of one."""
    return log_of(lab, "edge1", "gateway").count('event="charon ended"')


def test_clients_hear_at_once_of_a_gateway_that_ends(connected: Observer) -> None:
    lab = connected.lab
    lab.stop_gateway()
    connected.wait("link lost", lambda s: s["link"]["state"] != "link-up")
    process = lab.popen("edge1", RUN, stderr=PIPE)
    try:
        connected.wait("connected", lambda s: s["connection"] == "connected-remotely")
        process.terminate()
        lost = connected.wait("link lost", lambda s: s["link"]["state"] != "link-up", AT_ONCE)
        assert lost["connection"] != "connected-remotely"
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert b'reason="the server shuts down"' in said
    assert b'event="gateway has ended"' in said
    assert b"Traceback" not in said
    lab.start_gateway()
    connected.wait_page()


def test_both_daemons_are_killed_again_and_again(connected: Observer) -> None:
    lab = connected.lab
    before = {host: settled_traces(lab, host) for host in ("client1", "edge1")}
    for _ in range(5):
        for host, name in (("client1", "client"), ("edge1", "gateway")):
            service = lab.service(host, name)
            assert service is not None
            service.kill()
        lab.start_gateway()
        lab.start_client("client1")
        connected.wait_tunnel("intranet")
    connected.wait_page()
    for host, was in before.items():
        assert_same(lab, host, was)


def assert_same(lab: Lab, host: str, before: list[str]) -> None:
    """See that there is nothing twice and nothing less; what is ending may take a moment."""
    deadline = time.monotonic() + PATIENCE
    while (now := traces(lab, host)) != before and time.monotonic() < deadline:
        time.sleep(POLL)
    assert now == before


# A second one


@pytest.mark.parametrize(("host", "daemon"), [("edge1", "gateway"), ("client1", "client")])
def test_a_second_daemon_is_refused_and_harms_nothing(
    connected: Observer, host: str, daemon: str
) -> None:
    lab = connected.lab
    before = settled_traces(lab, host)
    answer = lab.run(host, ["throughway", daemon, "run"])
    assert answer.returncode == 1
    assert f"/run/throughway/{daemon}.sock: a daemon is running already" in answer.stderr
    assert "stop it first" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert_same(lab, host, before)
    page_stays(connected)


# Its configuration


def test_a_broken_configuration_is_told_whole(fresh: Lab) -> None:
    before = wait_gateway_well(fresh)["problems"]
    text = edited(
        fresh,
        ('prefix = "2001:db8:da:1000::/59"', 'prefx = "2001:db8:da:1000::/59"'),
        ('listen = ["131.107.0.2:443"]', 'listen = ["131.107.0.2"]'),
        ('realm = "CORP.EXAMPLE.COM"', 'realm = ""'),
    )
    with kept(fresh, "edge1", GATEWAY_CONFIG):
        fresh.write("edge1", GATEWAY_CONFIG, text)
        ran = fresh.run("edge1", RUN)
        checked = fresh.run("edge1", ["throughway", "gateway", "check"])
    for answer in (ran, checked):
        assert answer.returncode == 2
        assert "Traceback" not in answer.stderr
        for word in (
            "iphttps.prefix: is missing",
            "iphttps.prefx: unknown key; did you mean 'prefix'?",
            "iphttps.listen[0]: must be",
            "such as",
            "users.realm: ",
        ):
            assert word in answer.stderr.replace('\\"', '"')
    assert gateway_status(fresh)["problems"] == before, "the one that runs has not noticed"


def test_files_that_do_not_fit_are_told_with_the_key_that_names_them(fresh: Lab) -> None:
    text = edited(fresh, ("gateway.key", "missing.key"), ("root.crt", "gateway.crt"), table="ipsec")
    with kept(fresh, "edge1", GATEWAY_CONFIG):
        fresh.write("edge1", GATEWAY_CONFIG, text)
        answer = fresh.run("edge1", RUN)
    assert answer.returncode == 2
    assert "ipsec.key: /etc/throughway/missing.key" in answer.stderr
    assert "ipsec.ca: " in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_broken_configuration_does_not_stop_a_gateway(connected: Observer) -> None:
    lab = connected.lab
    text = edited(lab, ('prefix = "', 'prefx = "'), ('listen = ["', 'listen = ["x'))
    with kept(lab, "edge1", GATEWAY_CONFIG):
        lab.write("edge1", GATEWAY_CONFIG, text)
        hang_up(lab)
        wait_gateway(lab, "refused", lambda s: problems(s) == {"configuration-refused"})
        answer = shown(lab, "edge1", "gateway")
        assert answer.code == 1
        assert answer.text.startswith("The gateway works, with warnings\n")
        for word in (
            "warning: A changed configuration was not taken over [configuration-refused]",
            "\n    iphttps.prefx: unknown key",
            "\n    iphttps.listen[0]: must be",
            "throughway gateway check --config /etc/throughway/gateway.toml",
        ):
            assert word in answer.text
        page_stays(connected)
    hang_up(lab)
    wait_gateway_well(lab)
    page_stays(connected)


def test_a_computer_is_taken_off_the_list_and_put_back(connected: Observer) -> None:
    lab = connected.lab
    text = lab.read("edge1", GATEWAY_CONFIG)
    first = text.index('[[computers]]\naccount = "CLIENT1$"')
    second = text.index('[[computers]]\naccount = "CLIENT2$"')
    lab.start_client("client2")
    other = Observer(lab, "client2")
    other.wait_tunnel("infrastructure")
    since = tunnel(other.status(), "infrastructure")["since"]
    with reconfigured(lab, text[:first] + text[second:]):
        connected.wait("shut out", lambda s: not any(up(s)))
        wait_gateway(lab, "only CLIENT2$ there", lambda s: accounts(s) == ["CLIENT2$"])
        assert connected.fetch(patience=1.0) == ""
    # It would be back in time; who is asked to looks at once.
    lab.run("client1", ["throughway", "client", "refresh"], check=True)
    connected.wait_tunnel("intranet")
    connected.wait_page()
    assert tunnel(other.status(), "infrastructure")["since"] == since, "untouched"


def up(status: dict[str, object]) -> Iterator[bool]:
    """Say of each tunnel whether it is up."""
    return (bool(tunnel(status, name)) for name in ("infrastructure", "intranet"))


def accounts(status: dict[str, list[dict[str, str]]]) -> list[str]:
    """Return the accounts of the tunnels that are up."""
    return sorted(t["account"] for t in status["tunnels"] if t["state"] == "up")


# Operations Status

BROKEN = {
    "forwarding-disabled": ("forwarding", "iphttps-forwarding-disabled"),
    "location-server-down": ("location-server", "nls-unreachable-inside"),
}
"""Faults of which neither follows from the other, with the check that notices each."""


def test_what_is_broken_at_the_same_time_is_all_told_and_all_over(world: Lab) -> None:
    wait_gateway_well(world)
    try:
        for fault in BROKEN:
            world.inject(fault)
        told = {code for _, code in BROKEN.values()}
        seen = wait_gateway(world, f"{told} told", lambda s: told <= problems(s))
        for name, code in BROKEN.values():
            (check,) = (check for check in seen["checks"] if check["name"] == name)
            assert code in check["problems"]
            assert check["history"][-1]["state"] == check["state"] != "ok"
        answer = world.run("edge1", ["throughway", "gateway", "status", "location-server"])
        assert answer.returncode == 1
        for word in ("Network Location Server: ", "[nls-unreachable-inside]", "Causes:"):
            assert word in answer.stdout
    finally:
        for fault in BROKEN:
            world.clear(fault)
    wait_gateway_well(world)


# The client moves


def test_the_home_router_gives_another_address(connected: Observer) -> None:
    lab = connected.lab
    (before,) = wait_sessions(lab, 1)
    change = """
    address del 192.168.137.101/24 dev eth0
    address add 192.168.137.77/24 dev eth0
    route replace default via 192.168.137.1
    """
    lab.run("client1", ["ip", "-batch", "-"], stdin=change, check=True)
    connected.wait_page()
    connected.wait_tunnel("intranet")
    (after,) = wait_sessions(lab, 1)
    assert after["id"] > before["id"], "the old connection is gone"
    assert after["addresses"] == before["addresses"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("forwarding-disabled", "iphttps-forwarding-disabled"),
        ("ike-daemon-hung", "ipsec-daemon-down"),
    ],
)
def test_what_is_wrong_is_mended_by_one_command(connected: Observer, fault: str, code: str) -> None:
    """Told, mended, verified; the client comes back by itself, and nothing is left to do."""
    lab = connected.lab
    fix = ["throughway", "fix", code, "--yes"]
    try:
        lab.inject(fault)
        wait_gateway(lab, code, lambda s: code in problems(s))
        answer = lab.run("edge1", fix, timeout=2 * RUN_PATIENCE)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert f"{code}: mended, and verified" in answer.stdout
        connected.wait_page()
        wait_gateway_well(lab)
        again = lab.run("edge1", fix, timeout=RUN_PATIENCE)
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout == f"Nothing to do: {code} does not hold here.\n"
    finally:
        lab.clear(fault)
        lab.run("edge1", ["rm", "-rf", "/var/lib/throughway/fix"], check=True)
