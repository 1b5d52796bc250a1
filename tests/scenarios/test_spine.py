"""The whole way, and the ways it comes back: what the demo shows, and what people do to it."""

import time
from collections.abc import Callable

import pytest

from tests.scenarios.actions import page_stays, shown, wait_gateway_well
from throughway.lab.lab import Lab
from throughway.lab.observe import PAGE_BY_ADDRESS, Observer, problems, tunnel

INTRANET = "net 2001:db8:c0::/48"
SHORT = 3.0
"""Seconds for what is not to come; usually it comes within a tenth of one."""
BACK = 30.0
"""Seconds in which everything must be back; usually a second or two, where nothing else runs."""


def test_infrastructure_before_logon_reaches_only_infrastructure(client: Observer) -> None:
    client.wait_tunnel("infrastructure")
    assert client.lab.run("client1", ["ping", "-c1", "-W30", "2001:db8:c0:1::10"]).returncode == 0
    assert client.fetch(PAGE_BY_ADDRESS, 2.0) == ""


def test_a_gateway_that_restarts_is_found_again(connected: Observer) -> None:
    began = time.monotonic()
    connected.lab.stop_gateway()
    connected.wait("link lost", lambda s: s["link"]["state"] != "link-up")
    connected.lab.start_gateway()
    connected.wait_tunnel("intranet", back_after(time.monotonic() - began))
    page_stays(connected)


def back_after(outage: float) -> float:
    """Return the seconds in which everything must be back after a gateway was away for so long.

    When that is more than half a minute, clients try again only after as long.
    """
    return BACK + 1.25 * outage


def test_a_gateway_that_is_killed_leaves_nothing_that_hurts(connected: Observer) -> None:
    service = connected.lab.service("edge1", "gateway")
    assert service is not None
    began = time.monotonic()
    service.kill()
    connected.lab.start_gateway()
    back = back_after(time.monotonic() - began)
    # What the client says of its tunnels may still be of the gateway before.
    connected.wait_page(patience=back)
    connected.wait_tunnel("intranet", back)
    # What the one before has left may have been in the way at first.
    wait_gateway_well(connected.lab)
    answer = shown(connected.lab, "edge1", "gateway")
    assert answer.code == 0, answer.text


def test_a_pulled_cable_and_back(connected: Observer) -> None:
    connected.lab.link("client1", up=False)
    connected.lab.link("client1", up=True)
    connected.wait_page(patience=BACK)


def test_a_client_that_is_killed_and_started_again(connected: Observer) -> None:
    service = connected.lab.service("client1", "client")
    assert service is not None
    service.kill()
    assert connected.fetch(PAGE_BY_ADDRESS, 2.0) == ""
    connected.lab.start_client("client1")
    connected.wait_page(patience=BACK)
    assert connected.status()["user"] == "alice@CORP.EXAMPLE.COM"


def test_a_client_that_ends_leaves_the_computer_as_it_was(connected: Observer) -> None:
    lab = connected.lab
    lab.stop_client("client1")
    assert "nameserver 192.168.137.1" in lab.read("client1", "/etc/resolv.conf")
    assert "throughway" not in lab.run("client1", ["nft", "list", "ruleset"]).stdout
    assert "lookup 221" not in lab.run("client1", ["ip", "-6", "rule"]).stdout
    assert "iphttps0" not in lab.run("client1", ["ip", "link"]).stdout


WAY_OUT = """
address add 2001:db8:feed::5/64 dev eth0 nodad
neighbour add 2001:db8:feed::1 lladdr 02:00:00:00:00:01 dev eth0
route add default via 2001:db8:feed::1
"""
"""IPv6 at home: what is not held back leaves by it, on the wire for all to see."""


def leaked(lab: Lab, before: Callable[[], object]) -> list[str]:
    """Return what leaves the home for the intranet in plain while something is tried."""
    lab.run("client1", ["ip", "-6", "-force", "-batch", "-"], stdin=WAY_OUT)
    with lab.capture("client1", "eth0", INTRANET) as capture:
        before()
        for _ in range(5):
            lab.run("client1", ["ping", "-c1", "-W1", "2001:db8:c0:2::80"])
        Observer(lab, "client1").fetch(PAGE_BY_ADDRESS, 1.0)
    return capture.lines(INTRANET)


@pytest.mark.parametrize("victim", ["charon-systemd", "client"])
def test_nothing_leaves_in_plain_when_a_part_is_killed(connected: Observer, victim: str) -> None:
    lab = connected.lab
    pid = _pid_of(lab, victim)
    assert leaked(lab, lambda: lab.run("client1", ["kill", "-9", pid], check=True)) == []
    if victim == "charon-systemd":
        connected.wait_page(patience=BACK)


def test_nothing_leaves_in_plain_before_the_tunnel_is_there(fresh: Lab) -> None:
    fresh.stop_gateway()
    fresh.start_client("client1")
    Observer(fresh, "client1").wait("outside", lambda s: s["location"] == "outside")
    assert leaked(fresh, lambda: None) == []


def test_without_a_client_it_would_leave_in_plain(fresh: Lab) -> None:
    """The leak tests above can fail: this is what a leak looks like."""
    assert leaked(fresh, lambda: None) != []


def _pid_of(lab: Lab, victim: str) -> str:
    if victim == "client":
        service = lab.service("client1", "client")
        assert service is not None
    pattern = "throughway.client" if victim == "client" else victim
    return lab.run("client1", ["pgrep", "-f", pattern], check=True).stdout.split()[0]


def test_two_clients_at_once_cannot_reach_each_other(connected: Observer) -> None:
    lab = connected.lab
    lab.start_client("client2")
    other = Observer(lab, "client2")
    other.wait_tunnel("infrastructure")
    other.log_on("bob")
    other.wait_page()
    assert connected.fetch() != ""
    address = other.status()["link"]["addresses"][0]
    assert lab.run("client1", ["ping", "-c2", "-W1", "-I", "iphttps0", address]).returncode != 0


def test_bulk_and_fragments_arrive_whole(connected: Observer) -> None:
    lab = connected.lab
    page = "/var/www/app1.corp.example.com/bulk"
    lab.run("app1", ["sh", "-c", f"head -c 20000000 /dev/urandom > {page}"], check=True)
    there = lab.run("app1", ["sha256sum", page], check=True).stdout.split()[0]
    fetch = "curl -gsS --max-time 60 http://app1.corp.example.com/bulk | sha256sum"
    before = fragments(lab)
    here = lab.run("client1", ["sh", "-c", fetch], timeout=90).stdout.split()[0]
    assert here == there
    # The gateway makes segments so short that they fit into the link with ESP around them.
    assert fragments(lab) == before
    # Larger than any MTU on the way: fragments inside ESP, and ESP in fragments.
    ping = ["ping", "-c3", "-i0.2", "-W30", "-s8000", "app1.corp.example.com"]
    assert lab.run("client1", ping).returncode == 0
    assert all(now > then for now, then in zip(fragments(lab), before, strict=True))


def fragments(lab: Lab) -> list[int]:
    """Return how many fragments of IPv6 either end has made."""
    counted = []
    for host in ("client1", "edge1"):
        said = lab.run(host, ["cat", "/proc/net/snmp6"], check=True).stdout.split()
        counted.append(int(said[said.index("Ip6FragCreates") + 1]))
    return counted


def test_inside_and_home_again(connected: Observer) -> None:
    connected.lab.move("client1", "corp")
    connected.wait_inside()
    assert connected.wait_page()
    connected.lab.move("client1", "home")
    connected.wait_page(patience=BACK)
    # The page may be there before the daemon has heard that the tunnel is.
    outside = connected.wait("its tunnel", lambda s: tunnel(s, "intranet"))
    assert outside["location"] == "outside"


def test_status_never_says_connected_when_it_is_not(connected: Observer) -> None:
    connected.lab.stop_gateway()
    connected.wait("not connected", lambda s: s["connection"] != "connected-remotely")
    assert connected.fetch(patience=SHORT) == ""
    connected.lab.start_gateway()
    connected.wait("connected", lambda s: s["connection"] == "connected-remotely")
    assert connected.fetch() != ""
    connected.wait_well()


def test_the_user_logs_off(connected: Observer) -> None:
    assert connected.lab.run("client1", ["throughway", "logout"]).returncode == 0
    connected.wait("intranet down", lambda s: not tunnel(s, "intranet"))
    assert connected.fetch(patience=SHORT) == ""
    assert tunnel(connected.status(), "infrastructure")


def test_ipv6_that_is_switched_off_is_named_and_mended(connected: Observer) -> None:
    lab = connected.lab
    setting = "net.ipv6.conf.all.disable_ipv6"
    lab.run("client1", ["sysctl", "-q", "-w", f"{setting}=1"], check=True)
    try:
        status = connected.wait("named", lambda s: problems(s) == {"ipv6-disabled"})
        address = next(stage for stage in status["chain"] if stage["stage"] == "address")
        assert (address["state"], address["problems"]) == ("error", ["ipv6-disabled"])
    finally:
        lab.run("client1", ["sysctl", "-q", "-w", f"{setting}=0"], check=True)
    connected.wait_well()
    assert connected.wait_page()


@pytest.mark.parametrize("host", ["client1", "edge1"])
def test_flushed_routes_into_tunnels_come_back(connected: Observer, host: str) -> None:
    lab = connected.lab
    lab.run(host, ["ip", "-6", "route", "flush", "table", "220"], check=True)
    shown = ["ip", "-6", "route", "show", "table", "220"]
    connected.wait("routes again", lambda _: "ipsec0" in lab.run(host, shown).stdout, BACK)
    connected.wait_tunnel("intranet", BACK)
    connected.wait_page(patience=BACK)
    connected.wait_well()
