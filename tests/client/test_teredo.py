"""The client's Teredo behind NATs of every kind: with our gateway, and with Debian's server."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ipsec_world import Deployment, Host
from tests.patience import PATIENCE
from tests.teredo_world import (
    ENDPOINTS,
    POLICY,
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
from throughway.client.ipsec import ClientIPsec
from throughway.client.teredo import INTERFACE, Teredo
from throughway.client.transport import Transport, state_of
from throughway.gateway.ipsec import GatewayIPsec
from throughway.model.errors import TransportError
from throughway.model.policy import TransportsPolicy, TunnelPolicy
from throughway.model.status import TransportKind, TransportState
from throughway.proto.teredo.qualification import NAT

INSIDE = "2001:db8:c0:1::1"
OPEN = tuple(kind for kind in Kind if kind is not Kind.BLOCKED)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Internet]:
    with Internet() as world:
        yield world


@pytest.fixture
def internet(hosts: Internet) -> Internet:
    hosts.forget()
    return hosts


@pytest.fixture
def server(internet: Internet) -> Iterator[Server]:
    with Server(internet.gateway) as running:
        running.wait_serving()
        yield running


def devices(host: Host) -> str:
    """Return what the client's host has: devices, addresses, routes, rules, nft tables."""
    commands = ("ip -6 address", "ip -6 route", "ip -6 rule", "ip link", "nft list tables")
    return "".join(host.command(*command.split()) for command in commands)


def state(transport: Transport) -> TransportState:
    """Say it as the selection would: that this type-checks is part of the test."""
    return state_of(transport)


def test_a_policy_without_a_server() -> None:
    transport = Teredo(replace(POLICY, transports=TransportsPolicy()), lambda: None)
    with pytest.raises(TransportError, match="names no Teredo server") as caught:
        transport.start()
    assert caught.value.problem == "teredo-disabled"
    assert not transport.started
    assert state(transport) is TransportState.IDLE
    status = transport.status()
    assert (status.kind, status.interface, status.addresses) == (TransportKind.TEREDO, "", ())


@pytest.mark.lab
def test_every_nat(internet: Internet, server: Server) -> None:
    """Qualified, classified and proven behind each; where UDP is dropped it is said."""
    before = {kind: devices(host) for kind, host in internet.clients.items()}
    with ExitStack() as stack:
        clients = {k: stack.enter_context(Client(h)) for k, h in internet.clients.items()}
        for client in clients.values():
            client.start()

        def look(kind: Kind) -> None:
            client, transport = clients[kind], clients[kind].transport
            client.wait(lambda t: t.up)
            assert dict(transport.status().details)["NAT"] == NAT(kind)
            assert transport.address.startswith("2001:0:836b:2:")
            assert transport.failure is None
            assert state(transport) is TransportState.UP
            assert "default" not in client.host.command("ip", "-6", "route")
            for endpoint in ENDPOINTS:
                assert endpoint not in client.host.command("ip", "-6", "route"), "not ours to do"
                client.ping(endpoint)
            # ping does not wait for long for its last answer.
            wait(lambda: transport.status().bytes_in >= 4 * 104, "all answers")

        each(OPEN, look)
        blocked = clients[Kind.BLOCKED]
        blocked.wait(lambda t: t.failure is not None)
        status = blocked.transport.status()
        assert (status.state, status.problem) == (TransportState.FAILED, "teredo-udp-blocked")
        assert status.addresses == ()
        report = server.report()
        assert report.clients == len(OPEN)
        assert report.answered >= 4 * len(OPEN) - 1  # the cone test
        assert report.bytes_in >= len(OPEN) * 4 * 104
    assert {kind: devices(host) for kind, host in internet.clients.items()} == before


@pytest.mark.lab
def test_the_server_of_debian(internet: Internet, tmp_path: Path) -> None:
    """Its server and its relay, which has a port of its own, know nothing of ours."""
    host = internet.gateway
    with ExitStack() as stack:
        both = (f"ServerBindAddress {SERVER}", f"ServerBindAddress2 {SECOND}")
        stack.enter_context(miredo(host, tmp_path / "server", *both, server=True))
        relay = (
            "RelayType relay",
            "InterfaceName relay0",
            f"BindAddress {SERVER}",
            "BindPort 3545",
        )
        stack.enter_context(miredo(host, tmp_path / "relay", *relay))
        wait(lambda: "2001::/32" in host.command("ip", "-6", "route"), "the relay has a route")
        wait(lambda: host.command("ss", "-Hlun", "sport = 3544").count("3544") == 2, "it listens")
        clients = {
            kind: stack.enter_context(Client(internet.clients[kind]))
            for kind in (Kind.CONE, Kind.ADDRESS, Kind.PORT)
        }
        for client in clients.values():
            client.start()

        def look(kind: Kind) -> None:
            client = clients[kind]
            client.wait(lambda t: t.up)
            nat = dict(client.transport.status().details)["NAT"]
            assert nat == (NAT.CONE if kind is Kind.CONE else NAT.PORT_RESTRICTED)
            for endpoint in ENDPOINTS:
                client.ping(endpoint)

        each(clients, look)


@pytest.mark.lab
def test_a_symmetric_nat_and_a_relay_elsewhere(internet: Internet, tmp_path: Path) -> None:
    """Nothing can come back from another port than the server's: it is said whose fault it is."""
    host = internet.gateway
    with ExitStack() as stack:
        both = (f"ServerBindAddress {SERVER}", f"ServerBindAddress2 {SECOND}")
        stack.enter_context(miredo(host, tmp_path / "server", *both, server=True))
        wait(lambda: host.command("ss", "-Hlun", "sport = 3544").count("3544") == 2, "it listens")
        client = stack.enter_context(Client(internet.clients[Kind.SYMMETRIC]))
        client.start()
        client.wait(lambda t: t.failure is not None)
        assert client.transport.failure is not None
        assert client.transport.failure.problem == "teredo-symmetric-nat"
        assert not client.transport.up


@pytest.mark.lab
def test_a_restarted_nat_gives_another_address(internet: Internet, server: Server) -> None:
    nat = internet.nats[Kind.SYMMETRIC]
    with Client(internet.clients[Kind.SYMMETRIC]) as client:
        client.start()
        client.wait(lambda t: t.up)
        first = client.transport.address
        _ip(nat, "link set eth0 down")  # masquerade forgets what went by it
        _ip(nat, "link set eth0 up")
        client.network_changed()
        client.wait(lambda t: t.up and t.address != first)
        addresses = client.host.command("ip", "-6", "address", "show", INTERFACE)
        assert client.transport.address in addresses
        assert first not in addresses


def _ip(host: Host, command: str) -> None:
    host.command("ip", *command.split())


@pytest.mark.lab
def test_without_any_way_it_is_said_at_once(internet: Internet, server: Server) -> None:
    host = internet.clients[Kind.PORT]
    _ip(host, "route del default")
    try:
        with Client(host) as client:
            client.start()
            client.wait(lambda t: t.failure is not None)
            assert client.transport.failure is not None
            assert client.transport.failure.problem == "teredo-server-unreachable"
            _ip(host, "route add default via 192.168.137.1")
            client.network_changed()
            assert state(client.transport) is not TransportState.FAILED
            client.wait(lambda t: t.up)
    finally:
        _ip(host, "route replace default via 192.168.137.1")


@pytest.mark.lab
def test_a_deleted_device_is_seen(internet: Internet, server: Server) -> None:
    host = internet.clients[Kind.PORT]
    with Client(host) as client:
        client.start()
        client.wait(lambda t: t.up)
        assert not client.transport.broken
        _ip(host, f"link delete {INTERFACE}")
        assert client.transport.broken
        host.run(client.transport.stop())
        client.start()
        client.wait(lambda t: t.up)
        assert not client.transport.broken


@pytest.mark.lab
def test_an_address_that_was_taken_away_is_seen_once_ipv6_is_on(
    internet: Internet, server: Server
) -> None:
    host = internet.clients[Kind.PORT]
    with Client(host) as client:
        client.start()
        client.wait(lambda t: t.up)
        host.command("sysctl", "-q", "-w", f"net.ipv6.conf.{INTERFACE}.disable_ipv6=1")
        assert host.command("ip", "-6", "address", "show", "dev", INTERFACE) == ""
        client.wait(lambda t: not t.broken)
        host.command("sysctl", "-q", "-w", f"net.ipv6.conf.{INTERFACE}.disable_ipv6=0")
        client.wait(lambda t: t.broken)
        host.run(client.transport.stop())
        client.start()
        client.wait(lambda t: t.up and not t.broken)


KILLED = """
import asyncio, os
from tests.teredo_world import POLICY
from throughway.client.teredo import Teredo
async def live():
    changed = asyncio.Event()
    transport = Teredo(POLICY, changed.set)
    transport.start()
    while not transport.up:
        await changed.wait()
        changed.clear()
    os.kill(os.getpid(), 9)
asyncio.run(live())
"""


@pytest.mark.lab
def test_a_killed_client_leaves_nothing(internet: Internet, server: Server) -> None:
    host = internet.clients[Kind.CONE]
    before = devices(host)
    host.command("timeout", "60", sys.executable, "-c", KILLED, check=False)
    wait(lambda: devices(host) == before, "the kernel removes the device after the process")
    with Client(host) as client:
        client.start()
        client.wait(lambda t: t.up)


@pytest.mark.lab
def test_ike_passes(internet: Internet, server: Server, tmp_path: Path) -> None:
    """Both ends' own IPsec, over Teredo: the gateway's inside answers through the tunnel."""
    deployment = Deployment.create(tmp_path)
    gateway_config = replace(
        deployment.server(),
        infrastructure_endpoint=ENDPOINTS[0],
        intranet_endpoint=ENDPOINTS[1],
    )
    policy = replace(
        deployment.policy(),
        infrastructure=TunnelPolicy(endpoint=ENDPOINTS[0], prefixes=("2001:db8:c0:1::/64",)),
        intranet=TunnelPolicy(endpoint=ENDPOINTS[1], prefixes=("2001:db8:c0::/48",)),
        transports=POLICY.transports,
    )
    internet.gateway.ip(f"address add {INSIDE}/64 dev lo")
    gateway = GatewayIPsec(
        gateway_config, deployment.computers(1), None, directory=tmp_path / "run-gateway"
    )
    host = internet.clients[Kind.PORT]
    with Client(host, policy) as client:
        client.start()
        client.wait(lambda t: t.up)
        for endpoint in ENDPOINTS:
            client.ping(endpoint, 1)
        computer = ClientIPsec(deployment.client(), policy, on_failure=lambda *_failure: None)
        internet.gateway.run(gateway.start())
        try:
            host.run(computer.start())
            host.run(computer.up_infrastructure(client.transport.address))
            host.command("ping", "-c", "1", "-W", f"{PATIENCE:g}", INSIDE)
            internet.gateway.run(gateway.refresh())
            (tunnel,) = gateway.tunnels()
            assert tunnel.remote_address == client.transport.address
        finally:
            host.run(computer.stop())
            internet.gateway.run(gateway.stop())
