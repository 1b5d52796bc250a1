"""6to4 on the gateway: strangers, spoofed packets, a killed process, a lost device or address."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.sixtofour_world import CLIENT_ADDRESS, ENDPOINTS, Client, Internet, Server, veth_for_sit
from throughway.gateway.sixtofour import SixToFourServer, interfaces
from throughway.model.config import Carrier, SixToFourServerConfig
from throughway.model.status import SixToFourServerStatus
from throughway.net import sit
from throughway.net.privileges import permitted

SEND = """
import socket, sys
from ipaddress import IPv6Address
source, destination, inner_source, inner_destination, kind, count = sys.argv[1:]
payload = bytes.fromhex(sys.stdin.read() or "01f401f400080000")
head = b"\\x60\\0\\0\\0" + len(payload).to_bytes(2) + bytes([int(kind), 64])
packet = head + IPv6Address(inner_source).packed + IPv6Address(inner_destination).packed + payload
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 41)
raw.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT: anybody's address
raw.bind((source, 0))
for _ in range(int(count)):
    raw.sendto(packet, (destination, 0))
"""


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with Internet() as world:
        yield world


@pytest.fixture
def server(internet: Internet) -> Iterator[Server]:
    with Server(internet.gateway) as running:
        running.wait_serving()
        yield running


def send(
    internet: Internet,
    inner: tuple[str, str],
    *,
    outer: tuple[str, str] = ("131.107.0.50", "131.107.0.2"),
    kind: int = 17,
    count: int = 1,
) -> None:
    """Send packets of protocol 41 from the client's host, from whatever address."""
    internet.client.command(sys.executable, "-c", SEND, *outer, *inner, str(kind), str(count))


def wait_drops(server: Server, expected: dict[str, int]) -> SixToFourServerStatus:
    deadline = time.monotonic() + PATIENCE
    while dict((status := server.report()).drops) != expected:
        assert time.monotonic() < deadline, status.drops
        time.sleep(0.01)
    return status


def test_names_count_on() -> None:
    assert interfaces(SixToFourServerConfig()) == ("sixtofour0", "sixtofour1")
    assert interfaces(SixToFourServerConfig(interface="to")) == ("to", "to1")


def test_one_that_was_never_started_says_so(tmp_path: Path) -> None:
    server = SixToFourServer(SixToFourServerConfig(), ENDPOINTS, None)  # type: ignore[arg-type]
    status = server.status()
    assert (status.state, status.addresses) == ("down", ("131.107.0.2", "131.107.0.3"))


def test_one_that_has_just_begun_is_not_down_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sit, "remove_devices", lambda _interfaces: None)

    async def scenario() -> str:
        server = SixToFourServer(SixToFourServerConfig(), ENDPOINTS, None)  # type: ignore[arg-type]
        monkeypatch.setattr(server, "_live", asyncio.Event().wait)
        server.start()
        state = server.status().state
        await server.stop()
        return state

    assert asyncio.run(scenario()) == "starting"


@pytest.mark.lab
def test_spoofed_and_strange_packets_are_dropped_and_counted(
    internet: Internet, server: Server
) -> None:
    host = internet.client
    host.command("ip", "address", "add", "10.9.9.9/32", "dev", "lo")
    host.command("ip", "address", "add", "131.107.0.255/32", "dev", "lo")
    internet.gateway.command("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")
    internet.gateway.command("ip", "route", "add", "10.9.9.9", "dev", "eth0")
    send(internet, ("2002:836b:33::1", ENDPOINTS[0]), count=3)
    send(internet, (CLIENT_ADDRESS, "2001:db8:c0:1::10"))
    send(internet, (CLIENT_ADDRESS, ENDPOINTS[1]))
    send(internet, (CLIENT_ADDRESS, "2002:836b:64::1"))
    send(internet, (CLIENT_ADDRESS, ENDPOINTS[0]), kind=6)
    send(internet, ("2002:a09:909::1", ENDPOINTS[0]), outer=("10.9.9.9", "131.107.0.2"))
    expected = {"spoofed": 3, "not-for-us": 3, "protocol": 1, "source-not-public": 1}
    status = wait_drops(server, expected)
    assert status.bytes_in == 0, "nothing has come through"


@pytest.mark.lab
def test_floods_of_echo_are_limited(internet: Internet, server: Server) -> None:
    with Client(internet.client) as client:
        client.start()
        client.wait(lambda t: t.up)
        internet.client.ip(f"route add {ENDPOINTS[0]}/128 dev sixtofour0")
        ping = ("ping", "-q", "-f", "-c", "300", "-W", "1", ENDPOINTS[0])
        internet.client.command(*ping, check=False)
        assert dict(server.report().drops)["icmp-limit"] > 0
        assert client.transport.up


@pytest.mark.lab
def test_the_process_is_nobody(server: Server) -> None:
    pid = server.report().pid
    status = Path(f"/proc/{pid}/status").read_text()
    (uids,) = (line for line in status.splitlines() if line.startswith("Uid:"))
    assert "0" not in uids.split()[1:]
    assert permitted(pid) == frozenset()


@pytest.mark.lab
def test_a_killed_process_is_made_again(internet: Internet, server: Server) -> None:
    with Client(internet.client) as client:
        client.start()
        client.wait(lambda t: t.up)
        before = server.report()
        os.kill(before.pid, signal.SIGKILL)
        server.wait_serving(2)
        client.network_changed()
        client.wait(lambda t: t.up)
        after = server.report()
        assert after.pid != before.pid
        assert after.restarts == 1
        assert after.bytes_in >= before.bytes_in, "what was counted stays"
        assert after.last_end == "killed by signal 9"
        assert [error.problem for error in server.owner.errors] == ["sixtofour-interface-down"]


@pytest.mark.lab
def test_a_deleted_device_is_made_again(internet: Internet, server: Server) -> None:
    internet.gateway.command("ip", "link", "delete", "sixtofour0")
    server.wait_serving(2)
    routes = internet.gateway.command("ip", "-6", "route")
    assert "2002::/16 dev sixtofour0" in routes


@pytest.mark.lab
def test_a_missing_address_is_said_and_waited_for(internet: Internet) -> None:
    host = internet.gateway
    host.command("ip", "address", "del", "131.107.0.3/24", "dev", "eth0")
    with Server(host) as server:
        server.wait(lambda: bool(server.owner.errors))
        error = server.owner.errors[0]
        assert "131.107.0.3 is no address of this machine" in str(error)
        assert error.problem == "sixtofour-interface-down"
        host.command("ip", "address", "add", "131.107.0.3/24", "dev", "eth0")
        server.wait_serving()


@pytest.mark.lab
def test_a_kernel_that_is_demanded_and_has_no_sit(internet: Internet) -> None:
    if internet.gateway.command("ip", "link", "add", "s1", "type", "sit", check=False):
        pytest.skip("this kernel has sit")
    with Server(internet.gateway, SixToFourServerConfig(carrier=Carrier.KERNEL)) as server:
        server.wait(lambda: bool(server.owner.errors))
        assert "has no sit" in str(server.owner.errors[0])


@pytest.mark.lab
def test_where_the_kernel_carries(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the kernel's packets: devices, rules, guard; made again, and nothing left."""
    before = left(internet)
    veth_for_sit(monkeypatch)
    host = internet.gateway
    with Server(host) as server:
        server.wait_serving()
        status = server.report()
        assert status.carrier == "kernel: it has sit"
        assert status.interfaces == ("sixtofour0", "sixtofour1")
        assert status.pid == 0
        for endpoint in ENDPOINTS:
            assert f"from {endpoint} lookup" in host.command("ip", "-6", "rule")
        assert "2002:a00::/24" in host.command(
            "nft", "list", "table", "inet", "throughway-sixtofour"
        )
        host.command("ip", "link", "delete", "sixtofour1")
        server.wait_serving(2)
        assert "sixtofour1 is gone" in str(server.owner.errors[0])
    assert left(internet) == before


def left(internet: Internet) -> str:
    """Return what the gateway's host has of devices, routes, rules, tables and sockets."""
    commands = ("ip link", "ip -6 route", "ip -6 rule", "nft list tables", "ss -nawH")
    return "".join(internet.gateway.command(*command.split()) for command in commands)


@pytest.mark.lab
def test_nothing_is_left(internet: Internet) -> None:
    before = left(internet)
    with Server(internet.gateway) as server:
        server.wait_serving()
        assert left(internet) != before
    assert left(internet) == before


KILLED = """
import asyncio, os
from tests.sixtofour_world import ENDPOINTS, Owner
from throughway.gateway.sixtofour import SixToFourServer
from throughway.model.config import SixToFourServerConfig
async def live():
    owner = Owner()
    server = SixToFourServer(SixToFourServerConfig(), ENDPOINTS, owner)
    server.start()
    await owner.wait(lambda: bool(owner.serving))
    os.kill(os.getpid(), 9)
asyncio.run(live())
"""


@pytest.mark.lab
def test_a_killed_gateway_leaves_nothing(internet: Internet) -> None:
    """Its process ends with it, and with that process device, route and sockets."""
    before = left(internet)
    internet.gateway.command("timeout", "60", sys.executable, "-c", KILLED, check=False)
    deadline = time.monotonic() + PATIENCE
    while left(internet) != before:
        assert time.monotonic() < deadline, left(internet)
        time.sleep(0.01)
    with Server(internet.gateway) as server:
        server.wait_serving()
