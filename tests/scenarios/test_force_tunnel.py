"""Force tunnelling: everything through the tunnels, IPv4 by a proxy inside, nothing beside."""

import contextlib
import re
from collections.abc import Iterator

import pytest

from tests.scenarios.actions import CLIENT_BUNDLE, edited, kept
from throughway.lab import processes
from throughway.lab.deployment import BUNDLE, GATEWAY_CONFIG
from throughway.lab.lab import Lab
from throughway.lab.observe import EDGE, PATIENCE, PORTAL_PROBE, Observer, strangers, tunnel

PUBLIC_PAGE = "http://www.example.com/"
PUBLIC_ADDRESS = "131.107.0.1"
HOME_DNS = "192.168.137.1"
SQUID_LOG = "/var/log/squid/access.log"
RULES = """
[[publish.nrpt]]
namespace = "."
servers = ["2001:db8:c0:1::10"]

[[publish.nrpt]]
namespace = "da.example.com"

[[publish.nrpt]]
namespace = "crl.example.com"

[[computers]]"""
ALLOWED = (
    f"tcp and host {EDGE} and port 443",
    # Only exempt names are asked there: the gateway's own, the location server's.
    f"port 53 and host {HOME_DNS}",
    "arp",
    PORTAL_PROBE,
    "icmp6 and (ip6[40] >= 130 and ip6[40] <= 143)",
)
"""What may be seen on a client's wire: the link, its names, and what never leaves the wire."""


@pytest.fixture
def forced(connected: Observer) -> Iterator[Observer]:
    """Return client1, connected, its newest policy sending everything through the tunnels."""
    lab = connected.lab
    proxy = 'force_tunnel_proxy = "http://proxy1.corp.example.com:3128"'
    text = edited(
        lab,
        ("\n[[computers]]", RULES),
        ("[publish]\n", f"[publish]\nforce_tunnel = true\n{proxy}\n"),
        count=1,
    )
    with (
        kept(lab, "edge1", BUNDLE, GATEWAY_CONFIG),
        kept(lab, "client1", CLIENT_BUNDLE),
        gateway_stopped(lab),
    ):
        lab.write("edge1", GATEWAY_CONFIG, text)
        build = ["throughway", "policy", "build", "--config", GATEWAY_CONFIG]
        lab.run("edge1", build, check=True)
        connected.wait("the gateway's end", lambda s: s["connection"] != "connected-remotely")
        lab.start_gateway()
        refresh = ["throughway", "client", "refresh"]
        connected.wait_tunnel("infrastructure")
        lab.run("client1", refresh, check=True)
        connected.wait("everything", lambda s: "::/0" in tunnel(s, "intranet").get("prefixes", ()))
        yield connected
        lab.stop_client("client1")


@contextlib.contextmanager
def gateway_stopped(lab: Lab) -> Iterator[None]:
    """Begin and end without a gateway: what its tunnels reach is fixed while it runs."""
    lab.stop_gateway()
    try:
        yield
    finally:
        lab.stop_gateway()


def test_everything_goes_through_the_tunnels(forced: Observer) -> None:
    lab = forced.lab
    with lab.capture("client1", "eth0") as capture:
        assert "Welcome to the intranet" in forced.fetch()
        # A program that knows only IPv4, and nothing of proxies.
        answer = lab.run("client1", ["curl", "-4sS", "--max-time", "60", PUBLIC_PAGE], timeout=90)
        assert "a public page" in answer.stdout, answer.stderr
        # One that was told its proxy.
        asked = ["curl", "-sS", "--max-time", "60", "-x", "http://127.0.0.88:3128", PUBLIC_PAGE]
        assert "a public page" in lab.run("client1", asked, timeout=90).stdout
        # What no proxy carries stays here.
        assert lab.run("client1", ["ping", "-c1", "-W1", PUBLIC_ADDRESS]).returncode != 0
        lookup = ["dig", "+time=1", "+tries=1", f"@{PUBLIC_ADDRESS}", "www.example.com"]
        assert lab.run("client1", lookup).returncode != 0
        lab.run("client1", ["ping", "-c1", "-W1", "ff02::fb%eth0"])
    assert strangers(capture, ALLOWED) == []
    seen = " ".join(capture.lines(f"port 53 and host {HOME_DNS}"))
    assert not re.search(r"www\.example\.com|corp\.example\.com\. |proxy1", seen)
    # Squid writes of a connection when it has ended.
    processes.wait_until(
        lambda: f"CONNECT {PUBLIC_ADDRESS}:80" in lab.read("proxy1", SQUID_LOG),
        PATIENCE,
        "the proxy's log of the connection",
    )
    forced.wait_well()

    # Without the user nothing gets out.
    lab.run("client1", ["throughway", "logout"], check=True)
    forced.wait("no intranet tunnel", lambda s: not tunnel(s, "intranet"))
    with lab.capture("client1", "eth0") as capture:
        answer = lab.run("client1", ["curl", "-4sS", "--max-time", "4", PUBLIC_PAGE])
        assert answer.returncode != 0
    assert strangers(capture, ALLOWED) == []
    forced.log_on("alice")
    forced.wait_page(PUBLIC_PAGE)


def test_a_killed_client_keeps_it_closed_and_inside_it_is_open(forced: Observer) -> None:
    lab = forced.lab
    service = lab.service("client1", "client")
    assert service is not None
    service.kill()
    with lab.capture("client1", "eth0") as capture:
        assert lab.run("client1", ["curl", "-4sS", "--max-time", "2", PUBLIC_PAGE]).returncode != 0
        assert lab.run("client1", ["ping", "-c1", "-W1", PUBLIC_ADDRESS]).returncode != 0
    assert strangers(capture, ALLOWED) == []
    lab.start_client("client1")
    forced.wait_page(PUBLIC_PAGE)

    # Inside nothing is forced.
    lab.move("client1", "corp")
    forced.wait_inside()
    answer = lab.run("client1", ["curl", "-4sS", "--max-time", "30", f"http://{PUBLIC_ADDRESS}/"])
    assert answer.returncode == 0, answer.stderr
    lab.move("client1", "home")
    forced.wait_page(PUBLIC_PAGE)


def test_without_it_the_internet_is_reached_directly(connected: Observer) -> None:
    """The captures above can fail: this is what they would show."""
    with connected.lab.capture("client1", "eth0") as capture:
        assert "a public page" in connected.fetch(PUBLIC_PAGE)
    assert strangers(capture, ALLOWED) != []


def test_the_configuration_must_name_servers_for_all_names(fresh: Lab) -> None:
    text = edited(fresh, ("[publish]\n", "[publish]\nforce_tunnel = true\n"), count=1)
    with kept(fresh, "edge1", GATEWAY_CONFIG):
        fresh.write("edge1", GATEWAY_CONFIG, text)
        answer = fresh.run("edge1", ["throughway", "gateway", "check", "--config", GATEWAY_CONFIG])
    assert answer.returncode == 2
    assert "publish.force_tunnel: needs a rule for all names" in " ".join(answer.stderr.split())
