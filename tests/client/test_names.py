"""Names on a client: a real resolver before it, the machine's own resolv.conf behind it."""

import asyncio
import socket
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.pki.test_bundle import POLICY
from throughway.client.names import Names
from throughway.model.config import ClientConfig
from throughway.model.errors import ThroughwayError
from throughway.model.policy import NRPTRule
from throughway.model.status import TunnelState

ORIGINAL = "search home.arpa\nnameserver 127.0.1.1\n"
RESOLV_CONF = Path("/etc/resolv.conf")


class World:
    """A machine whose /etc/resolv.conf is ours to play with."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="names-"))
        beside = self.state / "resolv.conf"
        beside.write_text(ORIGINAL)
        run("mount", "--bind", str(beside), str(RESOLV_CONF))
        self.networks = 0
        self.config = ClientConfig(
            file=self.state / "client.toml",
            certificate=self.state / "c",
            key=self.state / "k",
            account="CLIENT1$",
            identity="client1.corp.example.com",
            password_file=self.state / "p",
            state_directory=self.state / "state",
        )
        self.config.state_directory.mkdir()

    def network(self) -> None:
        self.networks += 1

    async def serve(self, scenario: "Callable[[World, Names], Awaitable[None]]") -> None:
        names = Names(
            self.config, POLICY, on_servers=lambda _on, _who: None, on_network=self.network
        )
        await names.start()
        try:
            await scenario(self, names)
        finally:
            await names.close()


def serving(scenario: Callable[[World, Names], Awaitable[None]]) -> None:
    in_namespace(lambda: asyncio.run(World().serve(scenario)))


def machine_s() -> str:
    """Return the machine's settings."""
    return RESOLV_CONF.read_text()


def write_as_dhcp(text: str) -> None:
    RESOLV_CONF.write_text(text)


async def ask(name: str) -> str:
    """Return what the C library finds, or why not."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, None, family=socket.AF_INET)
    except socket.gaierror as error:
        return error.strerror or "refused"
    return str(found[0][4][0])


async def _takes_over(world: World, names: Names) -> None:
    assert f"nameserver {world.config.stub_address}" in machine_s()
    status = names.status()
    assert status.effective
    assert status.upstreams == ("127.0.1.1",)
    assert ".corp.example.com → 2001:db8:c0:1::10" in status.rules
    assert any("exempt" in rule for rule in status.rules)
    await names.close()
    assert machine_s() == ORIGINAL


@pytest.mark.lab
def test_it_takes_the_settings_over_and_gives_them_back() -> None:
    serving(_takes_over)


async def _dhcp_writes(world: World, names: Names) -> None:
    write_as_dhcp("nameserver 127.0.1.2\n")
    names.network_changed()
    assert names.status().upstreams == ("127.0.1.2",)
    assert names.status().effective


@pytest.mark.lab
def test_what_dhcp_writes_becomes_the_local_servers() -> None:
    serving(_dhcp_writes)


async def _intranet_names_stay(_world: World, names: Names) -> None:
    # The local servers do not exist: a question that goes there is refused by the kernel at once.
    names.set_situation(effective=True, intranet=TunnelState.DOWN)
    assert await ask("app1.corp.example.com") != ""
    names.update_policy(replace(POLICY, nrpt=(NRPTRule(namespace="nls.corp.example.com"),)))
    assert names.status().rules == ("nls.corp.example.com → local DNS (exempt)",)
    names.set_situation(effective=False, intranet=TunnelState.DOWN)
    assert not names.status().effective


@pytest.mark.lab
def test_rules_follow_situation_and_policy() -> None:
    serving(_intranet_names_stay)


async def _second_stub(world: World, _names: Names) -> None:
    second = Names(world.config, POLICY, on_servers=lambda _on, _who: None, on_network=lambda: None)
    with pytest.raises(ThroughwayError, match="stub_address"):
        await second.start()


@pytest.mark.lab
def test_a_taken_port_is_named_with_the_key_to_change() -> None:
    serving(_second_stub)
