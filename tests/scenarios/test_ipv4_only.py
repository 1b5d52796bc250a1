"""Hosts that have only IPv4: by name, through the tunnels, and nothing else by that way."""

import signal

from tests.scenarios.actions import gateway_status, wait_gateway
from throughway.lab.observe import Observer, problems, tunnel
from throughway.lab.translation import DNS64_ADDRESS, NAT64_PREFIX

APP4, PAGE = "http://app4.corp.example.com/", "app4 (IPv4 only)"
APP4_ADDRESS = NAT64_PREFIX.replace("::/96", "::a00:254")


def dig(client: Observer, *words: str) -> str:
    answer = client.lab.run(client.host, ["dig", "+tries=1", "+time=30", *words])
    return answer.stdout


def test_a_page_of_a_host_without_ipv6(connected: Observer) -> None:
    lab = connected.lab
    with (
        lab.capture("edge1", "inside", "host 10.0.2.84") as inside,
        lab.capture("client1", "eth0", "ip6") as outside,
    ):
        assert PAGE in connected.fetch(APP4)
    assert any("10.0.1.1" in line for line in inside.lines())
    assert not [line for line in outside.lines() if "7777" in line]
    (status,) = gateway_status(lab)["translation"]
    assert status["running"]
    assert status["made"] > 0
    assert status["bytes_out"] > 0


def test_names_and_addresses_are_found_both_ways(connected: Observer) -> None:
    assert APP4_ADDRESS in dig(connected, "+short", "app4.corp.example.com", "AAAA")
    assert APP4_ADDRESS in dig(connected, "+short", "+tcp", "app4.corp.example.com", "AAAA")
    assert dig(connected, "+short", "app1.corp.example.com", "AAAA") == "2001:db8:c0:2::80\n"
    none = dig(connected, "app4.corp.example.com", "A")
    assert "status: NOERROR" in none
    assert "ANSWER: 0" in none, "outside 10.0.2.84 would be somebody else"
    asked = dig(connected, "+short", f"@{DNS64_ADDRESS}", "app4.corp.example.com", "A")
    assert asked == "10.0.2.84\n", "the DNS64 itself hides nothing"
    assert "NXDOMAIN" in dig(connected, "none.corp.example.com", "AAAA")
    known = dig(connected, "+short", f"@{DNS64_ADDRESS}", "ipv4only.arpa", "AAAA")
    assert "2001:db8:c0:7777::c000:aa" in known
    services = dig(connected, "+short", "_ldap._tcp.dc._msdcs.corp.example.com", "SRV")
    assert "389 dc1.corp.example.com." in services
    signed = dig(connected, "+dnssec", "+cdflag", "app4.corp.example.com", "AAAA")
    assert APP4_ADDRESS not in signed
    assert "status: NOERROR" in signed


def test_only_clients_in_tunnels_and_only_what_is_allowed(connected: Observer) -> None:
    lab = connected.lab
    assert PAGE in connected.fetch(f"http://[{APP4_ADDRESS}]/")
    # The Internet, and the gateway itself, are no hosts of the intranet.
    for address in ("2001:db8:c0:7777::836b:1", "2001:db8:c0:7777::a00:101"):
        assert connected.fetch(f"http://[{address}]/", 2.0) == ""
    # From within, nobody is translated.
    route = ["ip", "-6", "route", "replace", NAT64_PREFIX, "via", "2001:db8:c0:1::1"]
    lab.run("dc1", route, check=True)
    try:
        inside = ["curl", "-sS", "-m", "2", f"http://[{APP4_ADDRESS}]/"]
        assert lab.run("dc1", inside).returncode != 0
    finally:
        lab.run("dc1", ["ip", "-6", "route", "del", NAT64_PREFIX], check=True)


def test_without_the_tunnel_nothing_leaves_for_the_prefix(connected: Observer) -> None:
    lab = connected.lab
    lab.run("client1", ["throughway", "logout"], check=True)
    connected.wait("the tunnel down", lambda s: not tunnel(s, "intranet"))
    with lab.capture("client1", "eth0", "ip6") as leaked:
        assert connected.fetch(f"http://[{APP4_ADDRESS}]/", 2.0) == ""
    assert not [line for line in leaked.lines() if "7777" in line]


def test_a_translator_that_is_killed_is_started_again(connected: Observer) -> None:
    lab = connected.lab
    status = wait_gateway(lab, "a translator", lambda s: s["translation"][0]["running"])
    (before,) = status["translation"]
    lab.run("edge1", ["kill", f"-{int(signal.SIGKILL)}", str(before["pid"])], check=True)
    wait_gateway(
        lab,
        "the translator again",
        lambda s: s["translation"][0]["running"] and s["translation"][0]["pid"] != before["pid"],
    )
    connected.wait_page(APP4)
    status = wait_gateway(lab, "well again", lambda s: "nat64-broken" not in problems(s))
    assert status["translation"][0]["restarts"] == before["restarts"] + 1
