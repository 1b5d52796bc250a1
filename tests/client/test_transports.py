"""The driver of the selection, with transports that do as they are told."""

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.client.test_transport import Shown
from tests.client.test_uplink import config, nowhere
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from throughway.client import transports as module
from throughway.client.transports import Transports
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy, TransportsPolicy
from throughway.model.status import TransportKind, TransportState
from throughway.net import netlink
from throughway.net.netlink import InterfaceAddress, Route

NATIVE, SIXTOFOUR, TEREDO, IPHTTPS = TransportKind
BOTH = replace(POLICY, transport_order=("native", "iphttps"))
ENDPOINTS = {f"{t.endpoint}/128" for t in (POLICY.infrastructure, POLICY.intranet)}
BLOCKED = TransportError(Stage.CONNECT, "no answer")


ADDRESSES = {kind: f"2001:db8::{number}" for number, kind in enumerate(TransportKind, 1)}


class Kernel:
    """The kernel's table, as far as routes to endpoints go."""

    def __init__(self) -> None:
        self.routes: set[Route] = set()
        self.addresses: list[InterfaceAddress] = []
        self.ended: list[str] = []
        """Addresses whose connections were ended."""

    def add(self, route: Route) -> None:
        same = {r for r in self.routes if (r.prefix, r.metric) == (route.prefix, route.metric)}
        self.routes = self.routes - same | {route}

    def delete(self, route: Route) -> None:
        self.routes = self.routes - {route}

    @property
    def ways(self) -> set[tuple[str, str]]:
        return {(route.prefix, route.interface) for route in self.routes}


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()

    async def recognise(_ignored: frozenset[str]) -> str:
        return "router 02:00:00:00:00:01"

    monkeypatch.setattr(module, "recognise", recognise)
    monkeypatch.setattr(netlink, "routes", lambda _table, _family=0: tuple(made.routes))
    monkeypatch.setattr(netlink, "add_route", made.add)
    monkeypatch.setattr(netlink, "delete_route", made.delete)
    monkeypatch.setattr(netlink, "addresses", lambda: tuple(made.addresses))
    monkeypatch.setattr(module, "end_connections", made.ended.append)
    return made


class World:
    """Transports in a driver, and what it told."""

    def __init__(self, folder: Path, policy: Policy) -> None:
        self.changes = asyncio.Event()
        self.failures: list[tuple[TransportKind, str]] = []
        folder.mkdir(exist_ok=True)
        (folder / "state").mkdir(exist_ok=True)
        self.driver = Transports(
            config(folder),
            policy,
            nowhere,
            on_state=lambda state, error: None,
            on_change=self.changes.set,
            on_failure=lambda kind, error: self.failures.append((kind, str(error))),
        )
        self.shown = {kind: Shown(kind, interface=f"{kind}0") for kind in self.driver._driven}
        for kind, driven in self.driver._driven.items():
            driven.transport = self.shown[kind]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changes.clear()
            try:
                await asyncio.wait_for(self.changes.wait(), 0.05)
            except TimeoutError:
                continue

    async def running(self, kind: TransportKind) -> Shown:
        await self.until(lambda: self.shown[kind].started)
        return self.shown[kind]

    async def prove(self, kind: TransportKind) -> None:
        shown = await self.running(kind)
        shown.up, shown.address, shown.failure = True, ADDRESSES[kind], None
        self.driver._changed(kind)

    async def fail(self, kind: TransportKind, error: TransportError = BLOCKED) -> None:
        shown = await self.running(kind)
        shown.up, shown.address, shown.failure = False, "", error
        self.driver._changed(kind)


def play(folder: Path, story: Callable[[World], Awaitable[None]], policy: Policy = BOTH) -> World:
    async def whole() -> World:
        world = World(folder, policy)
        world.driver.start()
        try:
            await story(world)
        finally:
            await world.driver.stop()
        return world

    return asyncio.run(asyncio.wait_for(whole(), PATIENCE))


def test_the_first_that_works_carries_and_the_endpoints_are_led_by_it(
    tmp_path: Path, kernel: Kernel
) -> None:
    async def story(world: World) -> None:
        await world.fail(NATIVE)
        await world.prove(IPHTTPS)
        assert world.driver.chosen is IPHTTPS
        assert world.driver.address == world.shown[IPHTTPS].address
        assert kernel.ways == {(endpoint, "iphttps0") for endpoint in ENDPOINTS}

    world = play(tmp_path, story)
    assert kernel.routes == set(), "nothing is left"
    assert not any(shown.started for shown in world.shown.values())


def test_a_better_one_takes_over_before_the_worse_one_is_let_go(
    tmp_path: Path, kernel: Kernel
) -> None:
    async def story(world: World) -> None:
        await world.running(IPHTTPS)
        await world.prove(IPHTTPS)
        first = world.driver.way
        await world.prove(NATIVE)
        await world.until(lambda: world.driver.chosen is NATIVE)
        assert world.shown[IPHTTPS].started
        assert world.driver.way != first
        assert kernel.ways == {(endpoint, "native0") for endpoint in ENDPOINTS}

    play(tmp_path, story)


def test_connections_are_ended_when_their_address_is_gone_and_something_else_carries(
    tmp_path: Path, kernel: Kernel
) -> None:
    def has(*kinds: TransportKind) -> None:
        kernel.addresses = [
            InterfaceAddress("any0", ip_address(ADDRESSES[kind]), 128, 0, 0) for kind in kinds
        ]

    async def story(world: World) -> None:
        has(NATIVE)
        await world.prove(NATIVE)
        has()
        await world.fail(NATIVE)
        assert kernel.ended == [], "it may come back"
        has(NATIVE)
        await world.prove(NATIVE)
        has(NATIVE, IPHTTPS)
        await world.fail(NATIVE)
        await world.prove(IPHTTPS)
        assert kernel.ended == []
        has(IPHTTPS)
        world.driver._changed(IPHTTPS)
        assert kernel.ended == [ADDRESSES[NATIVE]]
        has()

    world = play(tmp_path, story)
    assert kernel.ended == [ADDRESSES[NATIVE]]
    world.driver.end_connections()  # as the client does inside
    assert kernel.ended == [ADDRESSES[NATIVE], ADDRESSES[IPHTTPS]]


def test_why_nothing_carries_is_said_when_everything_that_is_tried_has_failed(
    tmp_path: Path, kernel: Kernel
) -> None:
    async def story(world: World) -> None:
        assert not world.driver.failures
        await world.fail(NATIVE)
        assert list(world.driver.failures) == [BLOCKED]
        await world.prove(NATIVE)
        assert not world.driver.failures

    play(tmp_path, story, replace(POLICY, transport_order=("native",)))


def test_what_iphttps_says_itself_is_left_to_it(tmp_path: Path, kernel: Kernel) -> None:
    async def story(world: World) -> None:
        await world.fail(NATIVE)
        await world.fail(IPHTTPS)
        assert not world.driver.failures

    play(tmp_path, story)


def test_devices_are_made_anew_when_ipv6_is_on_again(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[TransportKind] = []
    stop = Shown.stop

    async def told(shown: Shown) -> None:
        stopped.append(shown.kind)
        await stop(shown)

    async def story(world: World) -> None:
        await world.fail(NATIVE)
        await world.prove(IPHTTPS)
        monkeypatch.setattr(Shown, "stop", told)
        world.driver.renew()
        await world.until(lambda: IPHTTPS in stopped and world.shown[IPHTTPS].started)
        monkeypatch.setattr(Shown, "stop", stop)
        await world.prove(IPHTTPS)
        assert world.driver.chosen is IPHTTPS

    play(tmp_path, story)


def test_connections_of_a_worse_way_end_when_a_better_one_takes_over(
    tmp_path: Path, kernel: Kernel
) -> None:
    """One that was better and comes back finds its connections as they were."""
    kernel.addresses = [
        InterfaceAddress("any0", ip_address(address), 128, 0, 0) for address in ADDRESSES.values()
    ]

    async def story(world: World) -> None:
        await world.prove(NATIVE)
        world.shown[NATIVE].up = False
        world.driver._changed(NATIVE)
        await world.prove(IPHTTPS)
        assert world.driver.chosen is IPHTTPS
        await world.prove(NATIVE)
        assert kernel.ended == ([] if world.driver.chosen is IPHTTPS else [ADDRESSES[IPHTTPS]])
        await world.until(lambda: world.driver.chosen is NATIVE)
        assert kernel.ended == [ADDRESSES[IPHTTPS]]

    play(tmp_path, story)


def test_one_that_comes_again_is_another_way(tmp_path: Path, kernel: Kernel) -> None:
    """The gateway may have been restarted meanwhile, and have forgotten the tunnels."""

    async def story(world: World) -> None:
        await world.fail(NATIVE)
        await world.prove(IPHTTPS)
        first = world.driver.way
        await world.fail(IPHTTPS)
        assert world.driver.chosen is None
        assert not world.driver.up
        assert kernel.routes == set()
        await world.prove(IPHTTPS)
        assert world.driver.way[0] == first[0]
        assert world.driver.way != first

    play(tmp_path, story)


def test_routes_of_a_killed_daemon_are_swept_and_others_are_not(
    tmp_path: Path, kernel: Kernel
) -> None:
    left = Route(prefix=next(iter(ENDPOINTS)), interface="eth0", metric=50)
    foreign = replace(left, protocol=4)
    kernel.routes = {left, foreign}

    async def story(world: World) -> None:
        await world.running(NATIVE)
        assert kernel.routes == {foreign}

    play(tmp_path, story)
    assert kernel.routes == {foreign}


def test_what_cannot_be_in_the_next_network_either_is_let_go_again(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so in the same words, and they must be heard."""
    network = ["router a"]

    async def recognise(_ignored: frozenset[str]) -> str:
        return network[0]

    monkeypatch.setattr(module, "recognise", recognise)

    async def story(world: World) -> None:
        await world.fail(NATIVE)
        await world.prove(IPHTTPS)
        for name in ("router b", "router c"):
            await world.until(lambda: not world.shown[NATIVE].started)
            network[0] = name
            world.driver.network_changed()
            await world.running(NATIVE)
            assert world.shown[NATIVE].failure is BLOCKED
            world.driver._changed(NATIVE)

    play(tmp_path, story)


def test_a_look_at_the_network_before_is_not_believed(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take longer than the one at the network after it."""
    slow, looks = asyncio.Event(), ["router a", "router a", "router b"]
    seen: list[str] = []

    async def recognise(_ignored: frozenset[str]) -> str:
        found = looks.pop(0)
        if len(looks) == 1:
            await slow.wait()
        seen.append(found)
        return found

    monkeypatch.setattr(module, "recognise", recognise)

    async def story(world: World) -> None:
        await world.prove(NATIVE)
        world.driver.network_changed()
        world.driver.network_changed()
        await world.until(lambda: world.driver._selection.network == "router b")
        slow.set()
        await world.until(lambda: len(seen) == 3)
        assert world.driver._selection.network == "router b"

    play(tmp_path, story)


@pytest.mark.parametrize(
    "forced", [TransportsPolicy(force_iphttps=True), TransportsPolicy(force_tunnel=True)]
)
def test_forced(tmp_path: Path, kernel: Kernel, forced: TransportsPolicy) -> None:
    policy = replace(BOTH, transports=forced)

    async def story(world: World) -> None:
        await world.prove(IPHTTPS)
        native = world.driver.status()[0]
        assert (native.kind, native.reason) == (NATIVE, "not allowed by the policy")
        assert not world.shown[NATIVE].started

    play(tmp_path, story, policy)


@pytest.mark.parametrize(
    ("endpoint", "server", "kinds"),
    [
        (POLICY.infrastructure.endpoint, "131.107.0.2", [NATIVE, SIXTOFOUR, TEREDO, IPHTTPS]),
        (POLICY.infrastructure.endpoint, "", [NATIVE, SIXTOFOUR, IPHTTPS]),
        ("2001:db8:1::2", "", [NATIVE, IPHTTPS]),
    ],
)
def test_what_the_deployment_has_nothing_for_is_left_out(
    tmp_path: Path, endpoint: str, server: str, kinds: list[TransportKind]
) -> None:
    policy = replace(
        POLICY,
        transport_order=tuple(map(str, TransportKind)),
        transports=TransportsPolicy(teredo_server=server),
        infrastructure=replace(POLICY.infrastructure, endpoint=endpoint),
    )

    async def allowed() -> list[TransportKind]:
        return list(World(tmp_path, policy).driver._selection.kinds)

    assert asyncio.run(allowed()) == kinds


def test_a_computer_may_leave_out_what_the_policy_allows(tmp_path: Path, kernel: Kernel) -> None:
    async def story() -> None:
        settings = replace(config(tmp_path), transports=("iphttps",))
        driver = Transports(
            settings, BOTH, nowhere, on_state=lambda state, error: None, on_change=lambda: None
        )
        assert driver._selection.kinds == (IPHTTPS,)
        assert driver.status()[0].reason == "left out by client.toml"

    asyncio.run(story())


def test_the_chain_in_status(tmp_path: Path, kernel: Kernel) -> None:
    async def story(world: World) -> None:
        await world.fail(NATIVE)
        await world.prove(IPHTTPS)
        await world.until(lambda: not world.shown[NATIVE].started)
        chain = {status.kind: status for status in world.driver.status()}
        assert list(chain) == list(TransportKind)
        assert chain[IPHTTPS].chosen
        assert chain[IPHTTPS].state is TransportState.UP
        assert chain[NATIVE].reason.endswith("no answer")

    play(tmp_path, story)


def test_one_that_cannot_be_made_is_told_and_tried_again(tmp_path: Path, kernel: Kernel) -> None:
    async def story(world: World) -> None:
        shown, make = world.shown[IPHTTPS], world.shown[IPHTTPS].start

        def refuse() -> None:
            raise TransportError(Stage.LINK, "no device")

        shown.start = refuse  # type: ignore[method-assign]
        await world.until(lambda: bool(world.failures))
        assert world.failures == [(IPHTTPS, "no device")]
        shown.start = make  # type: ignore[method-assign]
        await world.driver.mend()
        assert shown.started

    play(tmp_path, story)


def test_a_deleted_device_is_made_anew(tmp_path: Path, kernel: Kernel) -> None:
    async def story(world: World) -> None:
        await world.prove(IPHTTPS)
        steps: list[str] = []
        shown, stop = world.shown[IPHTTPS], world.shown[IPHTTPS].stop

        async def stopped() -> None:
            steps.append("stop")
            shown.up = shown.broken = False
            await stop()

        shown.stop = stopped  # type: ignore[method-assign]
        shown.broken = True
        await world.driver.mend()
        assert steps == ["stop"]
        assert shown.started
        assert world.driver.chosen is None

    play(tmp_path, story)


def test_an_address_that_comes_back_by_itself_is_used_again(tmp_path: Path, kernel: Kernel) -> None:
    async def story(world: World) -> None:
        await world.prove(IPHTTPS)
        shown = world.shown[IPHTTPS]
        shown.up = False
        await world.driver.mend()
        assert world.driver.chosen is None
        assert "iphttps: being tried" in world.driver.words
        shown.up = True  # and nobody tells
        await world.driver.mend()
        assert world.driver.chosen is IPHTTPS

    play(tmp_path, story)


def test_what_was_learned_is_kept(tmp_path: Path, kernel: Kernel) -> None:
    async def learn(world: World) -> None:
        await world.fail(NATIVE)
        await world.prove(IPHTTPS)

    async def recall(world: World) -> None:
        await world.running(IPHTTPS)
        assert not world.shown[NATIVE].started
        await world.prove(IPHTTPS)
        world.driver.refresh()
        await world.running(NATIVE)

    play(tmp_path, learn)
    assert (tmp_path / "state/networks.json").stat().st_mode & 0o777 == 0o600
    play(tmp_path, recall)


def test_a_damaged_memory_is_no_reason_to_fail(tmp_path: Path, kernel: Kernel) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/networks.json").write_bytes(b"\xff\x00[")

    async def story(world: World) -> None:
        await world.running(NATIVE)

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("number", "words", "code"),
    [
        (errno.ENODEV, "No such device", "ipsec-endpoint-unreachable"),
        (errno.EACCES, "Permission denied", "ipv6-disabled"),
    ],
)
def test_a_route_that_the_kernel_refuses_is_told(
    tmp_path: Path,
    kernel: Kernel,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    words: str,
    code: str,
) -> None:
    def refuse(_route: Route) -> None:
        raise OSError(number, os.strerror(number))

    async def story(world: World) -> None:
        await world.fail(NATIVE)
        monkeypatch.setattr(netlink, "add_route", refuse)
        await world.prove(IPHTTPS)
        misled = world.driver.misled
        assert misled is not None
        assert (misled.problem, str(misled)) == (code, f"no route to the gateway: {words}")
        world.changes.clear()
        await world.driver.mend()
        assert not world.changes.is_set(), "who hears of it mends at once: it must not go round"
        monkeypatch.setattr(netlink, "add_route", kernel.add)
        await world.driver.mend()
        assert world.driver.misled is None, "nor is it told when it is over"
        assert world.changes.is_set()

    play(tmp_path, story)


def test_time_of_the_memory_and_of_the_loop_are_one() -> None:
    loop = asyncio.new_event_loop()
    try:
        assert loop.time() == pytest.approx(time.monotonic(), abs=1.0)
    finally:
        loop.close()
