"""What a client looks at beside what tells of itself: this computer, and the way inside."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.test_resources import WEB, WHOLE, Intranet
from tests.client.test_uplink import config
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from throughway.catalogue.host import IPV6_DISABLED
from throughway.client import operations as module
from throughway.client import resources
from throughway.client.operations import Operations
from throughway.health.tracker import Tracker
from throughway.model.errors import IPsecError, Stage, TransportError
from throughway.model.status import CheckStatus, ComponentState
from throughway.net import filters, reach
from throughway.net.filters import Needed
from throughway.net.firewall import FirewallError
from throughway.pki import bundle
from throughway.wire.nftables import Dropped

LASTING = replace(POLICY, issued_at=0, expires_at=bundle.MAX_TIME)


async def until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not seen():  # noqa: ASYNC110 - of other tasks
            await asyncio.sleep(0.001)


class World:
    """The checks of a client, its kernel's settings and its intranet."""

    def __init__(self, folder: Path, intranet: Intranet) -> None:
        self.intranet = intranet
        self.settings = folder / "conf"
        for name in ("all", "iphttps0", "eth0"):
            (self.settings / name).mkdir(parents=True)
            self.switch(name, off=False)
        self.tracker = Tracker(time.time)
        self.restored = 0
        self.charon: Exception | None = None
        """Why it does not tell its version."""
        self.filtered: str | None = "nothing"
        """What other packet filters drop, by the beginning of its words; None: nobody knows."""
        self.exhausted = ""
        self.bugs: list[str] = []
        own = replace(config(folder), state_directory=folder, runtime_directory=folder)
        self.bundle = own.bundle
        self.operations = Operations(
            own,
            replace(LASTING, probes=(WEB,)),
            self.tracker,
            names=intranet,
            devices=frozenset({"iphttps0", "teredo0"}),
            standing=lambda: self.intranet.standing,
            ike=self._version,
            descriptors=lambda: self.exhausted,
            on_restored=self._restored,
            on_names=lambda: None,
            on_bug=lambda what, error: self.bugs.append(f"{what}: {error!r}"),
        )

    def look_at_filters(self, needed: Iterable[Needed]) -> tuple[tuple[str, Dropped], ...]:
        if self.filtered is None:
            raise FirewallError("nft: not there")
        words = (one.words for one in needed if one.words.startswith(self.filtered))
        return tuple((one, Dropped("inet", "other", "out", 7)) for one in words)

    def _restored(self) -> None:
        self.restored += 1

    async def _version(self) -> str:
        if self.charon is not None:
            raise self.charon
        return "5.9.8"

    def switch(self, name: str, *, off: bool) -> None:
        (self.settings / name / "disable_ipv6").write_text(f"{int(off)}\n")

    def check(self, name: str) -> CheckStatus:
        return next(check for check in self.operations.status() if check.name == name)

    def codes(self) -> set[str]:
        return {problem.code for problem in self.tracker.current()}

    async def wait(self, name: str, state: ComponentState) -> CheckStatus:
        await until(lambda: self.check(name).state is state)
        return self.check(name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.operations.start()
        try:
            yield
        finally:
            await self.operations.stop()
            assert self.bugs == []


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    intranet = Intranet()
    monkeypatch.setattr(reach, "web", intranet.host)
    for name in ("dns", "resolver", "kdc"):
        monkeypatch.setattr(reach, name, getattr(intranet, name))
    world = World(tmp_path, intranet)
    monkeypatch.setattr(module, "SETTINGS", world.settings)
    monkeypatch.setattr(module, "SPREAD", 0.0)
    monkeypatch.setattr(filters, "dropped", world.look_at_filters)
    return world


def test_ipv6_that_is_switched_off_and_on_again(world: World) -> None:
    async def scenario() -> None:
        async with world.running():
            await world.wait("ipv6", ComponentState.OK)
            world.switch("eth0", off=True)
            world.switch("iphttps0", off=True)
            world.operations.network_changed()
            off = await world.wait("ipv6", ComponentState.ERROR)
            assert off.detail == "net.ipv6.conf.iphttps0.disable_ipv6 is 1"
            assert world.tracker.holds(IPV6_DISABLED)
            world.switch("all", off=True)
            world.operations.network_changed()
            await until(lambda: "conf.all." in world.check("ipv6").detail)
            assert world.restored == 0
            for name in ("all", "iphttps0"):
                world.switch(name, off=False)
            world.operations.network_changed()
            await world.wait("ipv6", ComponentState.OK)
            assert not world.tracker.holds(IPV6_DISABLED)
            assert world.restored == 1

    asyncio.run(scenario())


def test_other_packet_filters_while_the_tunnels_are_down(world: World) -> None:
    async def scenario() -> None:
        world.intranet.standing = WHOLE
        async with world.running():
            await world.wait("other-firewalls", ComponentState.DISABLED)
            world.filtered = "TCP 443 of IP-HTTPS, out"
            world.intranet.standing = replace(WHOLE, infrastructure=False, intranet=False)
            world.operations.settle()
            found = await world.wait("other-firewalls", ComponentState.ERROR)
            assert found.detail == (
                "TCP 443 of IP-HTTPS, out: table inet other, chain out, rule 7 drops it"
            )
            assert world.codes() == {"firewall-drops-tunnels"}
            world.intranet.standing = WHOLE
            world.operations.settle()
            await world.wait("other-firewalls", ComponentState.DISABLED)
            assert world.codes() == set()
            world.filtered = None
            world.intranet.standing = replace(WHOLE, infrastructure=False, intranet=False)
            world.operations.settle()
            await world.wait("other-firewalls", ComponentState.UNKNOWN)

    asyncio.run(scenario())


def test_a_disk_without_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM", 1 << 62)

    async def scenario() -> None:
        async with world.running():
            full = await world.wait("store", ComponentState.ERROR)
            assert full.problems == ("files-not-writable",)

    asyncio.run(scenario())


def test_an_ike_daemon_that_hangs_is_told_and_one_that_is_gone_tells_itself(world: World) -> None:
    async def scenario() -> None:
        async with world.running():
            assert (await world.wait("ike", ComponentState.OK)).detail == "charon 5.9.8"
            world.charon = TimeoutError()
            await world.operations._machine.look(("ike",))
            assert world.codes() == {"ipsec-daemon-down"}
            world.charon = IPsecError("charon went away", problem="ipsec-daemon-down")
            await world.operations._machine.look(("ike",))
            assert world.check("ike").state is ComponentState.UNKNOWN
            world.charon = None
            await world.operations._machine.look(("ike",))
            assert world.codes() == set()

    asyncio.run(scenario())


def test_a_daemon_that_can_open_no_more_files(world: World) -> None:
    async def scenario() -> None:
        async with world.running():
            await world.wait("descriptors", ComponentState.OK)
            world.exhausted = "64 of 64 are open"
            await world.operations._machine.look(("descriptors",))
            assert world.codes() == {"files-exhausted"}

    asyncio.run(scenario())


def test_what_is_inside_follows_the_tunnels(world: World) -> None:
    async def scenario() -> None:
        world.intranet.standing = replace(WHOLE, infrastructure=False, intranet=False)
        async with world.running():
            await world.wait("resource-1", ComponentState.DISABLED)
            await world.wait("domain-controller", ComponentState.DISABLED)
            assert world.intranet.asked == []
            world.intranet.answers = TransportError(Stage.CONNECT, "refused")
            world.intranet.standing = WHOLE
            world.operations.settle()
            await world.wait("domain-controller", ComponentState.OK)
            await world.wait("resource-1", ComponentState.WARNING)
            assert world.codes() == {"resource-unreachable"}
            # Without its tunnel nothing is known of it any more.
            world.intranet.standing = replace(WHOLE, intranet=False)
            world.operations.settle()
            await world.wait("resource-1", ComponentState.DISABLED)
            assert world.codes() == set()

    asyncio.run(scenario())


def test_tunnels_that_come_and_go_make_no_flood(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "SHORTEST_INTERVAL", 3600)

    async def scenario() -> None:
        async with world.running():
            await world.wait("resource-1", ComponentState.OK)
            await world.wait("domain-controller", ComponentState.OK)
            asked = list(world.intranet.asked)
            for _ in range(20):
                world.intranet.standing = replace(WHOLE, intranet=False)
                world.operations.settle()
                await world.wait("resource-1", ComponentState.DISABLED)
                world.intranet.standing = WHOLE
                world.operations.settle()
                world.operations.refresh()
                await world.wait("resource-1", ComponentState.OK)
            # Once for each time that a person has asked, and never because a tunnel came back.
            added = [host for host in world.intranet.asked[len(asked) :] if host == WEB.target]
            assert len(added) == 20

    asyncio.run(scenario())


def test_a_user_may_ask_at_once(world: World) -> None:
    async def scenario() -> None:
        async with world.running():
            await world.wait("resource-1", ComponentState.OK)
            world.intranet.answers = TransportError(Stage.CONNECT, "refused")
            world.operations.refresh()
            await world.wait("resource-1", ComponentState.WARNING)

    asyncio.run(scenario())


def test_who_needs_a_controller_has_it_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "SHORTEST_INTERVAL", 0)

    async def scenario() -> None:
        async with world.running():
            await world.wait("domain-controller", ComponentState.OK)
            world.intranet.clock = 600.0
            world.operations.look_at_controller()
            world.operations.look_at_controller()
            await world.wait("domain-controller", ComponentState.ERROR)
            assert world.codes() == {"clock-skew"}

    asyncio.run(scenario())


def test_a_clock_before_its_policy(world: World) -> None:
    async def scenario() -> None:
        async with world.running():
            await world.wait("clock", ComponentState.OK)
            policy = replace(LASTING, issued_at=int(time.time()) + 600, version=8)
            await world.operations.update_policy(policy)
            world.operations.soon("clock")
            await world.wait("clock", ComponentState.ERROR)
            assert world.codes() == {"clock-skew"}
            await world.operations.update_policy(replace(LASTING, version=9))
            world.operations.soon("clock")
            await world.wait("clock", ComponentState.OK)
            # Or it was right once, and was set back since.
            tomorrow = time.time() + 86400
            world.bundle.touch()
            os.utime(world.bundle, (tomorrow, tomorrow))
            world.operations.soon("clock")
            await world.wait("clock", ComponentState.ERROR)
            assert "came to this computer" in world.check("clock").detail

    asyncio.run(scenario())


def test_a_policy_near_its_end(world: World) -> None:
    async def scenario() -> None:
        async with world.running():
            await world.wait("policy", ComponentState.OK)
            now = int(time.time())
            ending = replace(LASTING, issued_at=now - 1000, expires_at=now + 100, version=8)
            await world.operations.update_policy(ending)
            await world.wait("policy", ComponentState.WARNING)
            assert "policy-out-of-date" in world.codes()

    asyncio.run(scenario())


def test_a_newer_policy_names_other_resources(world: World) -> None:
    async def scenario() -> None:
        world.intranet.answers = TransportError(Stage.CONNECT, "refused")
        async with world.running():
            await world.wait("resource-1", ComponentState.WARNING)
            same = replace(LASTING, probes=(WEB,), version=8)
            await world.operations.update_policy(same)
            assert world.check("resource-1").state is ComponentState.WARNING
            await world.operations.update_policy(replace(LASTING, version=9))
            assert world.codes() == set()
            names = [check.name for check in world.operations.status()]
            assert names == [
                *("ipv6", "other-firewalls", "store", "ike", "descriptors", "clock", "policy"),
                *("dns", "resolver", "domain-controller"),
            ]

    asyncio.run(scenario())
