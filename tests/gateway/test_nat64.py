"""DNS64 and NAT64 together: started, watched, made again, and gone."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.iphttps_world import wait_for
from tests.net.namespace import in_namespace, run
from throughway.catalogue import find
from throughway.gateway import nat64 as module
from throughway.gateway.nat64 import Translation
from throughway.health.tracker import Tracker
from throughway.model.config import NAT64Config
from throughway.model.findings import Component
from throughway.model.status import ComponentState, TranslationStatus
from throughway.net import nat64

CONFIG = NAT64Config(
    prefix="2001:db8:c0:7777::/96",
    ipv4_prefixes=("10.0.0.0/16",),
    listen=(("::1", 5353),),
    servers=("::1",),
)


class World:
    """A gateway's translation, and the tracker that hears of it."""

    def __init__(self, config: NAT64Config | None = CONFIG) -> None:
        self.tracker = Tracker(lambda: 1.0, (Component.NAMES,))
        self.folder = Path(tempfile.mkdtemp(prefix="translation-"))
        self.part = Translation(config, self.folder, self.tracker, lambda: False)

    @property
    def status(self) -> TranslationStatus:
        (status,) = self.part.status()
        return status

    @property
    def component(self) -> ComponentState:
        (row,) = self.tracker.components()
        return row.state

    async def up(self) -> int:
        await self.part.start()
        await wait_for(lambda: self.component is ComponentState.OK)
        assert self.status.running
        return self.status.pid


def with_world(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run_it() -> None:
        world = World()
        try:
            await scenario(world)
        finally:
            await world.part.stop()
        assert not nat64.guarded()
        assert not nat64.exists("nat64")
        assert not nat64.forwards()
        assert not any((world.folder / "nat64").glob("*.pid"))

    module.LOOK_INTERVAL = 0.1
    in_namespace(lambda: asyncio.run(run_it()))


async def _killed(world: World) -> None:
    pid = await world.up()
    os.kill(pid, signal.SIGKILL)
    await wait_for(lambda: world.status.running and world.status.pid not in (0, pid))
    assert world.status.restarts == 1
    await wait_for(lambda: world.component is ComponentState.OK)


@pytest.mark.lab
def test_a_translator_that_is_killed_is_started_again() -> None:
    with_world(_killed)


async def _restarted(world: World) -> None:
    pid = await world.up()
    os.kill(pid, signal.SIGSTOP)
    assert "started again" in await world.part.restart()
    await wait_for(lambda: world.status.running and world.status.pid not in (0, pid))
    await wait_for(lambda: world.component is ComponentState.OK)


@pytest.mark.lab
def test_a_translator_that_hangs_is_started_again_when_somebody_asks() -> None:
    with_world(_restarted)


async def _wiped(world: World) -> None:
    await world.up()
    run("nft", "flush", "ruleset")
    run("ip", "route", "flush", "dev", "nat64")
    run("ip", "-6", "route", "del", CONFIG.prefix, "dev", "nat64")
    await wait_for(lambda: nat64.guarded() and nat64.connected(CONFIG))
    assert world.status.restarts == 0


@pytest.mark.lab
def test_walls_and_routes_that_were_taken_away_are_made_again() -> None:
    with_world(_wiped)


async def _left_behind(world: World) -> None:
    pid = await world.up()
    second = Translation(CONFIG, world.folder, world.tracker, lambda: False)
    # As a gateway that was killed leaves it: the next one finds the process by its record.
    world.part._tasks[0].cancel()
    world.part._process = None
    for task in world.part._tasks:
        task.cancel()
    await asyncio.gather(*world.part._tasks, return_exceptions=True)
    assert world.part._dns64 is not None
    await world.part._dns64.close()
    await second.start()
    await wait_for(lambda: second.status()[0].running)
    assert second.status()[0].pid != pid
    assert not second._routes_others
    await second.stop()


@pytest.mark.lab
def test_what_a_killed_gateway_left_is_ended() -> None:
    with_world(_left_behind)


async def _port_is_taken(world: World) -> None:
    loop = asyncio.get_running_loop()
    other, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=CONFIG.listen[0]
    )
    await world.part.start()
    await wait_for(lambda: world.status.running)
    await wait_for(lambda: world.tracker.holds(find("dns64-broken")))
    other.close()
    await wait_for(lambda: world.component is ComponentState.OK)


@pytest.mark.lab
def test_a_port_that_is_taken_is_told_and_tried_again() -> None:
    with_world(_port_is_taken)


def test_without_configuration_there_is_nothing() -> None:
    async def scenario() -> None:
        world = World(None)
        await world.part.start()
        # It does not say that nothing is to be said of names: a check looks at the DNS.
        assert world.component is ComponentState.UNKNOWN
        assert world.part.status() == ()
        await world.part.stop()

    asyncio.run(scenario())


def test_servers_that_are_silent_are_told() -> None:
    world_ = Tracker(lambda: 1.0, (Component.NAMES,))

    async def scenario() -> None:
        part = Translation(replace(CONFIG), Path("/nonexistent"), world_, lambda: False)
        part._dns_answers(False)
        assert world_.holds(find("dns64-broken"))
        part._dns_answers(True)
        assert not world_.holds(find("dns64-broken"))

    asyncio.run(scenario())
