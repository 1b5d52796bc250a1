"""The client's end: what is asked of charon, and how a tunnel is kept up."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.ipsec_world import (
    CLIENT,
    ENDPOINTS,
    GATEWAY_IDENTITY,
    SERVER,
    Deployment,
    Site,
    until,
    until_true,
)
from tests.teredo_world import wait
from throughway.client import ipsec
from throughway.client.ipsec import INFRASTRUCTURE, INTRANET, connection_of
from throughway.model.errors import IPsecError
from throughway.model.status import TunnelState
from throughway.net.vici import Session
from throughway.pki.authority import create_root

ELSEWHERE = "2001:db8:f1::3"


def test_the_infrastructure_tunnel_proves_computer_and_account(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    connection = connection_of(
        deployment.client(),
        deployment.policy(),
        INFRASTRUCTURE,
        address=CLIENT,
        account="CLIENT1$",
    )
    assert connection["remote_addrs"] == [ENDPOINTS[0]]
    assert connection["local_addrs"] == [CLIENT]
    first, second, peer = (connection[k] for k in ("local-1", "local-2", "remote-1"))
    assert (first["auth"], first["id"]) == ("pubkey", "client1.corp.example.com")
    assert (second["auth"], second["id"]) == ("eap-mschapv2", "CLIENT1$")
    assert (peer["auth"], peer["id"]) == ("pubkey", GATEWAY_IDENTITY)
    # Only the deployment's own roots may vouch for the gateway.
    assert peer["cacerts"] == [(tmp_path / "ca.pem").read_bytes()]


def test_the_intranet_tunnel_proves_computer_and_user(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    connection = connection_of(
        deployment.client(), deployment.policy(), INTRANET, address=CLIENT, account="alice@CORP"
    )
    assert connection["remote_addrs"] == [ENDPOINTS[1]]
    assert connection["local-2"] == {
        "auth": "eap-gtc",
        "id": "client1.corp.example.com",
        "eap_id": "alice@CORP",
    }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.mark.lab
def test_the_tunnel_is_up_and_says_what_it_is(site: Site) -> None:
    client = site.start_client()
    assert [t.state for t in client.tunnels()] == [TunnelState.DOWN, TunnelState.DOWN]
    site.world.client.run(client.up_infrastructure(CLIENT))
    tunnel = site.at_client(INFRASTRUCTURE)
    assert tunnel.state is TunnelState.UP
    assert (tunnel.local_identity, tunnel.account) == ("client1.corp.example.com", "CLIENT1$")
    assert (tunnel.remote_identity, tunnel.remote_address) == (GATEWAY_IDENTITY, ENDPOINTS[0])
    assert site.world.reach(SERVER) == CLIENT
    assert site.at_client(INFRASTRUCTURE).bytes_out > 0
    assert site.at_client(INTRANET).state is TunnelState.DOWN


@pytest.mark.lab
def test_charon_of_a_client_is_small(site: Site) -> None:
    client = site.start_client()
    site.up()
    status = Path(f"/proc/{client.charon_pid}/status").read_text()
    resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(resident) < 16 * 1024


@pytest.mark.lab
def test_a_killed_charon_is_never_called_up_and_the_tunnel_returns(site: Site) -> None:
    client = site.start_client()
    site.up()
    assert client.charon_pid is not None
    os.kill(client.charon_pid, signal.SIGKILL)

    async def state_without() -> TunnelState:
        await until(lambda: not client.running)
        return client.tunnels()[0].state

    assert site.world.client.run(state_without()) is not TunnelState.UP
    site.wait_client(INFRASTRUCTURE, TunnelState.UP)
    assert site.world.reach(SERVER) == CLIENT
    assert [bool(reason) for reason in site.daemon] == [False, True, False]


@pytest.mark.lab
def test_a_new_address_is_followed(site: Site) -> None:
    host = site.world.client
    site.start_client()
    site.up()
    host.ip(f"address add {ELSEWHERE}/64 dev gw0 nodad")
    host.ip(f"address del {CLIENT}/64 dev gw0")
    try:
        site.up(ELSEWHERE)
        assert site.world.reach(SERVER) == ELSEWHERE
        assert [t.remote_address for t in site.at_gateway(INFRASTRUCTURE)] == [ELSEWHERE]
    finally:
        host.ip(f"address add {CLIENT}/64 dev gw0 nodad")
        host.ip(f"address del {ELSEWHERE}/64 dev gw0")


@pytest.mark.lab
def test_a_tunnel_that_is_up_stays_unless_it_is_to_be_renewed(site: Site) -> None:
    client = site.start_client()
    site.up()
    site.at_gateway(INFRASTRUCTURE)
    [first] = site.gateway._sas
    site.up()
    assert [sa.unique_id for sa in site.gateway._sas] == [first.unique_id]

    async def renew() -> TunnelState:
        renewed = asyncio.ensure_future(client.up_infrastructure(CLIENT, renew=True))
        await asyncio.sleep(0)
        meanwhile = client.tunnels()[0].state
        await renewed
        return meanwhile

    assert site.world.client.run(renew()) is not TunnelState.UP, "though charon has the old one yet"

    def replaced() -> bool:
        site.at_gateway(INFRASTRUCTURE)
        return first.unique_id not in {sa.unique_id for sa in site.gateway._sas}

    wait(replaced, "the gateway has let the former one go")
    [_] = site.gateway._sas
    assert site.world.reach(SERVER) == CLIENT


@pytest.mark.lab
def test_a_tunnel_that_is_ended_as_it_comes_up_is_asked_for_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is told while nobody believes in it, and never again."""
    client = site.start_client()
    charon = client._charon
    assert charon is not None
    initiate = charon.initiate
    ended: list[str] = []

    async def for_a_moment(child: str, *, ike: str, timeout_ms: int) -> None:
        await initiate(child, ike=ike, timeout_ms=timeout_ms)
        if not ended:
            ended.append(child)
            await charon.terminate(ike=ike)

    monkeypatch.setattr(charon, "initiate", for_a_moment)
    with pytest.raises(IPsecError, match="came up and was ended at once"):
        site.up()
    site.wait_client(INFRASTRUCTURE, TunnelState.UP)
    assert ended == [INFRASTRUCTURE]
    assert site.world.reach(SERVER) == CLIENT


@pytest.mark.lab
def test_a_silent_gateway_is_noticed_and_its_return_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ipsec, "_DPD_DELAY", "1s")
    site.start_client()
    site.up()
    gateway = site.world.gateway
    gateway.ip("link set client0 down")
    site.wait_client(INFRASTRUCTURE, TunnelState.CONNECTING)
    gateway.ip("link set client0 up")
    for address in ("2001:db8:f1::1/64", *(f"{e}/128" for e in ENDPOINTS)):
        gateway.ip(f"address replace {address} dev client0 nodad")
    # The daemon hears of the link's return and says so.
    site.up(renew=True)
    assert site.world.reach(SERVER) == CLIENT


@pytest.mark.lab
@pytest.mark.parametrize("what", ["child", "ike"])
def test_new_keys_are_no_loss(site: Site, what: str) -> None:
    client = site.start_client()
    site.up()
    charon = client._charon
    assert charon is not None
    ways: dict[str, Callable[[Site], Coroutine[object, object, set[bytes]]]] = {
        "child": _child_keys,
        "ike": _ike_keys,
    }
    keys = ways[what]
    before = site.world.gateway.run(keys(site))
    site.world.client.run(charon.request("rekey", {what: INFRASTRUCTURE}))

    async def changed() -> bool:
        now = await keys(site)
        return bool(now) and not now & before

    site.world.gateway.run(until_true(changed))
    assert site.world.reach(SERVER) == CLIENT
    assert site.at_client(INFRASTRUCTURE).state is TunnelState.UP
    assert site.client_failures == []
    assert len(site.at_gateway(INFRASTRUCTURE)) == 1


async def _ike_keys(site: Site) -> set[bytes]:
    """Return the numbers of the gateway's IKE_SAs."""
    await site.gateway.refresh()
    return {str(sa.unique_id).encode() for sa in site.gateway._sas if sa.up}


async def _child_keys(site: Site) -> set[bytes]:
    """Return the SPIs by which the gateway is spoken to."""
    found: set[bytes] = set()
    socket = site.deployment.directory / "run-gateway" / "charon.vici"
    async with Session(socket) as session:
        async for answer in session.stream("list-sas", "list-sa"):
            for sa in answer.values():
                children = sa.get("child-sas", {}).values()
                found |= {c["spi-in"] for c in children if c["state"] == b"INSTALLED"}
    return found


@pytest.mark.lab
def test_what_was_taken_down_stays_down(site: Site) -> None:
    client = site.start_client()
    site.up()
    site.world.client.run(client.down(INFRASTRUCTURE))
    assert client.tunnels()[0].state is TunnelState.DOWN
    assert site.world.reach(SERVER, 0.3) == ""
    site.world.gateway.run(until(lambda: site.gateway.tunnels() == ()))
    site.up()
    assert site.world.reach(SERVER) == CLIENT


@pytest.mark.lab
def test_a_gateway_of_another_authority_is_refused(site: Site) -> None:
    client = site.start_client()
    policy = site.deployment.policy(root=create_root("Another", datetime.now(UTC)))
    site.world.client.run(client.update_policy(policy))
    with pytest.raises(IPsecError) as caught:
        site.up()
    assert caught.value.problem == "ipsec-cert-wrong-chain"
    assert client.tunnels()[0].state is not TunnelState.UP
    assert "no issuer certificate found" in client.tunnels()[0].last_error
    # With the right policy it comes up by itself.
    site.world.client.run(client.update_policy(site.deployment.policy()))
    site.wait_client(INFRASTRUCTURE, TunnelState.UP)


@pytest.mark.lab
@pytest.mark.parametrize("key", ipsec.UNUSABLE)
def test_a_client_without_one_of_its_files_does_not_start(site: Site, key: str) -> None:
    file: Path = getattr(site.deployment.client(), key)
    file.unlink()
    with pytest.raises(IPsecError, match=f"{file}: {key}: does not exist") as caught:
        site.start_client()
    assert caught.value.problem == ipsec.UNUSABLE[key]
