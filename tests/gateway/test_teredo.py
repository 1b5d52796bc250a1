"""Teredo on the gateway: Debian's clients, strangers, a killed process, a lost device."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ipsec_world import Host
from tests.patience import PATIENCE
from tests.teredo_world import (
    ENDPOINTS,
    SECOND,
    SERVER,
    Client,
    Internet,
    Kind,
    Server,
    each,
    miredo,
    wait,
)
from throughway.gateway.teredo import TeredoGateway
from throughway.model.config import TeredoServerConfig
from throughway.net.privileges import permitted

SEND = """
import socket, sys
from ipaddress import IPv6Address
source, port, inner_source, inner_destination, kind, count = sys.argv[1:]
head = b"\\x60\\0\\0\\0\\0\\x08" + bytes([int(kind), 64])
packet = head + IPv6Address(inner_source).packed + IPv6Address(inner_destination).packed + bytes(8)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT: anybody's address
udp.bind((source, int(port)))
for _ in range(int(count)):
    udp.sendto(packet, ("131.107.0.2", 3544))
"""
OPEN = (Kind.CONE, Kind.ADDRESS, Kind.PORT, Kind.SYMMETRIC)
STRANGER = "131.107.0.77"
OF_STRANGER = "2001:0:836b:2:0:dfb8:7c94:ffb2"
"""The Teredo address of port 8263 there."""
OF_ANOTHER = "2001:0:836b:2:0:dfb8:7c94:ffb3"


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with Internet(OPEN) as world:
        yield world


@pytest.fixture
def server(internet: Internet) -> Iterator[Server]:
    with Server(internet.gateway) as running:
        running.wait_serving()
        yield running


def send(host: Host, inner: tuple[str, str], *, kind: int = 17, count: int = 1) -> None:
    """Send packets in UDP from the stranger's address."""
    host.command(sys.executable, "-c", SEND, STRANGER, "8263", *inner, str(kind), str(count))


def test_one_that_was_never_started_says_so() -> None:
    gateway = TeredoGateway(TeredoServerConfig(address=SERVER), ENDPOINTS, None)  # type: ignore[arg-type]
    status = gateway.status()
    assert (status.state, status.addresses) == ("down", (SERVER, SECOND))


def test_one_that_has_just_begun_is_not_down_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> str:
        gateway = TeredoGateway(TeredoServerConfig(address=SERVER), ENDPOINTS, None)  # type: ignore[arg-type]
        monkeypatch.setattr(gateway, "_live", asyncio.Event().wait)
        gateway.start()
        state = gateway.status().state
        await gateway.stop()
        return state

    assert asyncio.run(scenario()) == "starting"


@pytest.mark.lab
def test_the_client_of_debian_behind_every_nat(
    internet: Internet, server: Server, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        lines = ("InterfaceName miredo0", f"ServerAddress {SERVER}")
        for kind, host in internet.clients.items():
            stack.enter_context(miredo(host, tmp_path / kind.name, *lines))

        def look(kind: Kind) -> None:
            host = internet.clients[kind]
            routes = ("ip", "-6", "route", "show", "dev", "miredo0")
            wait(lambda: "default" in host.command(*routes, check=False), "it is qualified")
            addresses = ("ip", "-6", "address", "show", "dev", "miredo0")
            wait(lambda: "2001:0:836b:2:" in host.command(*addresses), "it has its address")
            for endpoint in ENDPOINTS:
                host.command("ping", "-c", "2", "-i", "0.1", "-W", f"{PATIENCE:g}", endpoint)

        each(internet.clients, look)
        report = server.report()
        assert report.clients == len(internet.clients)
        assert report.bytes_in >= len(internet.clients) * 4 * 104


@pytest.mark.lab
def test_strangers_reach_the_endpoints_as_themselves_and_nobody_else(
    internet: Internet, server: Server
) -> None:
    host = internet.switch
    for address in (STRANGER, "10.9.9.9"):
        host.command("ip", "address", "replace", f"{address}/24", "dev", "net0")
    send(host, (OF_STRANGER, ENDPOINTS[0]), count=2)
    send(host, (OF_STRANGER, "2001:db8:c0:1::10"), count=3)
    send(host, (OF_ANOTHER, ENDPOINTS[0]), count=4)
    send(host, ("2001:db8::1", ENDPOINTS[1]), count=5)
    expected = {"not for an endpoint": 3, "not from where its address says": 9}
    wait(lambda: dict(server.report().drops) == expected, "each is counted")
    assert server.report().bytes_in == 2 * 48
    assert server.report().clients == 1


@pytest.mark.lab
def test_floods_are_limited_and_keep_no_client_out(internet: Internet, server: Server) -> None:
    """Not even one of the same /24, which has qualified before."""
    host, flood = internet.switch, 400
    host.command("ip", "address", "replace", f"{STRANGER}/24", "dev", "net0")
    with Client(internet.clients[Kind.PORT]) as client:
        client.start()
        client.wait(lambda t: t.up)
        before = dict(server.report().drops)
        send(host, (OF_ANOTHER, ENDPOINTS[0]), count=flood)

        def counted() -> dict[str, int]:
            return {why: n - before.get(why, 0) for why, n in server.report().drops}

        wait(lambda: sum(counted().values()) >= flood, "each is counted")
        assert counted()["too many"] > flood / 2
        client.ping(ENDPOINTS[0])


@pytest.mark.lab
def test_the_process_is_nobody(server: Server) -> None:
    pid = server.report().pid
    status = Path(f"/proc/{pid}/status").read_text()
    (uids,) = (line for line in status.splitlines() if line.startswith("Uid:"))
    assert "0" not in uids.split()[1:]
    assert permitted(pid) == frozenset()


@pytest.mark.lab
def test_a_killed_process_is_made_again(internet: Internet, server: Server) -> None:
    with Client(internet.clients[Kind.PORT]) as client:
        client.start()
        client.wait(lambda t: t.up)
        address = client.transport.address
        before = server.report()
        os.kill(before.pid, signal.SIGKILL)
        server.wait_serving(2)
        for endpoint in ENDPOINTS:
            client.ping(endpoint)
        assert client.transport.address == address, "the client need not even notice"
        after = server.report()
        assert after.pid != before.pid
        assert after.restarts == 1
        assert after.answered >= before.answered, "what was counted stays"
        assert after.last_end == "killed by signal 9"
        assert [error.problem for error in server.owner.errors] == ["teredo-server-stopped"]


@pytest.mark.lab
def test_a_deleted_device_is_made_again(internet: Internet, server: Server) -> None:
    internet.gateway.command("ip", "link", "delete", "teredo0")
    server.wait_serving(2)
    assert "2001::/32 dev teredo0" in internet.gateway.command("ip", "-6", "route")


@pytest.mark.lab
def test_a_missing_address_is_said_and_waited_for(internet: Internet) -> None:
    host = internet.gateway
    host.command("ip", "address", "del", f"{SECOND}/24", "dev", "eth0")
    with Server(host) as server:
        server.wait(lambda: bool(server.owner.errors))
        error = server.owner.errors[0]
        assert f"{SECOND} is no address of this machine" in str(error)
        assert error.problem == "teredo-second-address-missing"
        host.command("ip", "address", "add", f"{SECOND}/24", "dev", "eth0")
        server.wait_serving()


@pytest.mark.lab
def test_a_port_that_is_taken_is_said(internet: Internet, server: Server) -> None:
    with Server(internet.gateway) as second:
        second.wait(lambda: bool(second.owner.errors))
        assert second.owner.errors[0].problem == "teredo-server-stopped"


@pytest.mark.lab
def test_nothing_is_left(internet: Internet) -> None:
    host = internet.gateway

    def left() -> str:
        commands = ("ip link", "ip -6 route", "ip -6 rule", "nft list tables", "ss -Hlun")
        return "".join(host.command(*command.split()) for command in commands)

    before = left()
    with Server(host) as server:
        server.wait_serving()
        pid = server.report().pid
        assert left() != before
    assert left() == before
    assert not Path(f"/proc/{pid}").exists()
