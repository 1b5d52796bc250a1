"""The client's 6to4 against the gateway's, in a small Internet of namespaces."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ipsec_world import Deployment
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from tests.sixtofour_world import (
    CLIENT,
    CLIENT_ADDRESS,
    ENDPOINTS,
    SUBSCRIBER,
    Client,
    Internet,
    Server,
    veth_for_sit,
)
from tests.teredo_world import wait
from throughway.client.ipsec import ClientIPsec
from throughway.client.sixtofour import INTERFACE, SixToFour
from throughway.client.transport import Transport, state_of
from throughway.gateway.ipsec import GatewayIPsec
from throughway.model.errors import TransportError
from throughway.model.policy import TunnelPolicy
from throughway.model.status import TransportKind, TransportState

INSIDE = "2001:db8:c0:1::1"


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with Internet() as world:
        yield world


@pytest.fixture(scope="module")
def server(internet: Internet) -> Iterator[Server]:
    with Server(internet.gateway) as running:
        running.wait_serving()
        yield running


def devices(internet: Internet) -> str:
    """Return what the client's host has: devices, addresses, routes, rules, nft tables."""
    host = internet.client
    commands = ("ip -6 address", "ip -6 route", "ip -6 rule", "ip link", "nft list tables")
    return "".join(host.command(*command.split()) for command in commands)


def state(transport: Transport) -> TransportState:
    """Say it as the selection would: that this type-checks is part of the test."""
    return state_of(transport)


def test_endpoints_of_another_kind_do_not_apply() -> None:
    native = replace(POLICY.infrastructure, endpoint="2001:db8::1")
    transport = SixToFour(replace(POLICY, infrastructure=native), lambda: None)
    with pytest.raises(TransportError, match="no 6to4 addresses") as caught:
        transport.start()
    assert caught.value.problem == "sixtofour-disabled"
    assert not transport.started
    assert state(transport) is TransportState.IDLE


@pytest.mark.lab
def test_a_public_address_is_proven_and_used(internet: Internet, server: Server) -> None:
    before = devices(internet)
    with Client(internet.client) as client:
        transport = client.transport
        client.start()
        assert transport.interface == INTERFACE
        client.wait(lambda t: t.up)
        assert transport.address == CLIENT_ADDRESS
        assert transport.failure is None
        status = transport.status()
        assert (status.kind, status.state) == (TransportKind.SIXTOFOUR, TransportState.UP)
        assert status.addresses == (CLIENT_ADDRESS,)
        assert dict(status.details)["IPv4 address"] == CLIENT
        for endpoint in ENDPOINTS:
            assert endpoint not in internet.client.command("ip", "-6", "route"), "not ours to do"
            internet.client.ip(f"route add {endpoint}/128 dev {INTERFACE}")
            limits = ("-c", "2", "-i", "0.1", "-W", f"{PATIENCE:g}")
            internet.client.command("ping", *limits, endpoint)
        # ping does not wait for long for its last answer.
        wait(lambda: transport.status().bytes_in >= 4 * 104, "all answers")
        assert server.report().bytes_out >= 4 * 104
    assert client.transport.interface == ""
    assert devices(internet) == before


@pytest.mark.lab
def test_ike_passes(internet: Internet, server: Server, tmp_path: Path) -> None:
    """Both ends' own IPsec, over 6to4: the gateway's inside answers through the tunnel."""
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
    )
    internet.gateway.ip(f"address add {INSIDE}/64 dev lo")
    gateway = GatewayIPsec(
        gateway_config, deployment.computers(1), None, directory=tmp_path / "run-gateway"
    )
    with Client(internet.client, policy) as client:
        client.start()
        client.wait(lambda t: t.up)
        for endpoint in ENDPOINTS:
            internet.client.ip(f"route add {endpoint}/128 dev {INTERFACE}")
        computer = ClientIPsec(deployment.client(), policy, on_failure=lambda *_failure: None)
        internet.gateway.run(gateway.start())
        try:
            internet.client.run(computer.start())
            internet.client.run(computer.up_infrastructure(CLIENT_ADDRESS))
            internet.client.command("ping", "-c", "1", "-W", f"{PATIENCE:g}", INSIDE)
            internet.gateway.run(gateway.refresh())
            (tunnel,) = gateway.tunnels()
            assert tunnel.remote_address == CLIENT_ADDRESS
            assert client.transport.up
        finally:
            internet.client.run(computer.stop())
            internet.gateway.run(gateway.stop())


@pytest.mark.lab
def test_a_pseudo_public_address_is_noticed(internet: Internet, server: Server) -> None:
    """Within two seconds by the machine's clock, see there; here a busy machine has its time."""
    with Client(internet.subscriber) as client:
        client.start()
        client.wait(lambda t: t.failure is not None)
        failure = client.transport.failure
        client.host.run(client.stir())
        assert client.transport.failure is failure, "the same one is told once"
        assert failure is not None
        assert failure.problem == "sixtofour-pseudo-public-address"
        assert SUBSCRIBER in str(failure)
        status = client.transport.status()
        assert (status.state, status.problem) == (TransportState.FAILED, failure.problem)
    assert dict(server.report().drops)["spoofed"] >= 2, "the NAT has changed the outer source"


@pytest.mark.lab
def test_without_a_public_address_there_is_no_device(internet: Internet, server: Server) -> None:
    host = internet.client
    with Client(host) as client:
        client.start()
        client.wait(lambda t: t.up)
        host.command("ip", "address", "del", f"{CLIENT}/24", "dev", "eth0")
        host.command("ip", "address", "add", "192.168.1.7/24", "dev", "eth0")
        client.network_changed()
        assert not client.transport.up
        assert client.transport.interface == ""
        failure = client.transport.failure
        assert failure is not None
        assert failure.problem == "sixtofour-no-public-address"
        assert INTERFACE not in host.command("ip", "link")
        host.command("ip", "address", "del", "192.168.1.7/24", "dev", "eth0")
        host.command("ip", "address", "add", f"{CLIENT}/24", "dev", "eth0")
        client.network_changed()
        client.wait(lambda t: t.up)
        assert client.transport.address == CLIENT_ADDRESS


@pytest.mark.lab
def test_other_endpoints_are_another_proof(internet: Internet, server: Server) -> None:
    second = replace(POLICY.infrastructure, endpoint=ENDPOINTS[1])
    native = replace(POLICY.infrastructure, endpoint="2001:db8::1")
    with Client(internet.client) as client:
        client.start()
        client.wait(lambda t: t.up)
        client.update_policy(POLICY)
        assert client.transport.up, "nothing is different"
        client.update_policy(replace(POLICY, infrastructure=second))
        client.wait(lambda t: t.up)
        client.update_policy(replace(POLICY, infrastructure=native))
        assert not client.transport.started
        assert INTERFACE not in internet.client.command("ip", "link")


@pytest.mark.lab
def test_a_deleted_device_is_seen_and_made_again(internet: Internet, server: Server) -> None:
    host = internet.client
    with Client(host) as client:
        client.start()
        client.wait(lambda t: t.up)
        assert not client.transport.broken
        host.command("ip", "link", "delete", INTERFACE)
        client.wait(lambda t: t.broken)
        client.network_changed()
        client.wait(lambda t: t.up)
        assert not client.transport.broken


@pytest.mark.lab
def test_the_gateway_s_loss_is_noticed_and_its_return(internet: Internet, server: Server) -> None:
    host = internet.gateway
    with Client(internet.client) as client:
        client.start()
        client.wait(lambda t: t.up)
        host.command("nft", "add", "table", "inet", "silent")
        chain = "{ type filter hook input priority -400; ip protocol 41 drop; }"
        host.command("nft", f"add chain inet silent input {chain}")
        client.network_changed()
        client.wait(lambda t: not t.up)
        failure = client.transport.failure
        assert failure is not None
        assert failure.problem == "sixtofour-relay-unreachable"
        host.command("nft", "delete", "table", "inet", "silent")
        client.network_changed()
        client.wait(lambda t: t.up)


@pytest.mark.lab
def test_where_the_kernel_carries(
    internet: Internet, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the kernel's packets: device, guard, proof by the socket, nothing left."""
    before = devices(internet)
    veth_for_sit(monkeypatch)
    with Client(internet.client) as client:
        client.start()
        client.wait(lambda t: t.up)
        assert dict(client.transport.status().details)["carried by"] == "the kernel"
        assert CLIENT_ADDRESS in internet.client.command("ip", "-6", "address")
        tables = internet.client.command("nft", "list", "ruleset")
        assert f'iifname "{INTERFACE}" ip6 saddr != {{ {", ".join(ENDPOINTS)} }}' in tables
        internet.client.command("ip", "link", "delete", INTERFACE)
        assert client.broken()
        client.network_changed()
        client.wait(lambda t: t.up)
        assert not client.broken()
    assert devices(internet) == before


KILLED = """
import asyncio, os
from tests.pki.test_bundle import POLICY
from throughway.client.sixtofour import SixToFour
async def live():
    changed = asyncio.Event()
    transport = SixToFour(POLICY, changed.set)
    transport.start()
    while not transport.up:
        await changed.wait()
        changed.clear()
    os.kill(os.getpid(), 9)
asyncio.run(live())
"""


@pytest.mark.lab
def test_a_killed_client_leaves_nothing(internet: Internet, server: Server) -> None:
    before = devices(internet)
    internet.client.command("timeout", "60", sys.executable, "-c", KILLED, check=False)
    deadline = time.monotonic() + PATIENCE
    while devices(internet) != before and time.monotonic() < deadline:
        time.sleep(0.01)  # the kernel removes the device after the process
    assert devices(internet) == before
    with Client(internet.client) as client:
        client.start()
        client.wait(lambda t: t.up)
