"""The firewall and the switch of forwarding: what a gateway makes, and leaves as it was."""

import asyncio
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from throughway.gateway import wall as module
from throughway.gateway.wall import Wall
from throughway.health.tracker import Tracker
from throughway.model.findings import Component
from throughway.net import firewall


class Kernel:
    """Stands for the kernel's switch of forwarding, and its tables."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, forwards: bool) -> None:
        self.forwards = forwards
        self.walls: list[firewall.GatewayFirewall] = []
        self.raised = asyncio.Event()
        monkeypatch.setattr(module, "forwards", lambda: self.forwards)
        monkeypatch.setattr(module, "disable_forwarding", self._off)
        monkeypatch.setattr(firewall, "guard_gateway", self._guard)
        monkeypatch.setattr(firewall, "unguard_gateway", self.walls.clear)
        monkeypatch.setattr(firewall, "gateway_guarded", lambda: bool(self.walls))

    def _off(self) -> None:
        self.forwards = False

    def _guard(self, wall: firewall.GatewayFirewall) -> None:
        self.walls.append(wall)
        self.raised.set()


def wall_in(folder: Path) -> Wall:
    def wanted(routes_others: bool) -> firewall.GatewayFirewall:
        return firewall.GatewayFirewall(
            interfaces=("iphttps0",), kernel_esp=False, routes_others=routes_others
        )

    return Wall(folder, Tracker(lambda: 0.0, (Component.FIREWALL,)), wanted)


def test_a_router_that_we_made_is_one_for_tunnels_only_and_none_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(monkeypatch, forwards=False)
    killed = wall_in(tmp_path)
    killed.look()
    assert not killed.routes_others
    kernel.forwards = True
    again = wall_in(tmp_path)
    again.look()
    again.rise()
    assert not kernel.walls[0].routes_others, "it is still we who made it one"
    again.leave(linked=True)
    assert not kernel.forwards
    assert not again.marker.exists()
    assert kernel.walls == []


def test_a_router_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch, forwards=True)
    wall = wall_in(tmp_path)
    wall.look()
    wall.rise()
    assert kernel.walls[0].routes_others
    wall.leave(linked=True)
    assert kernel.forwards


def test_a_firewall_that_another_program_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.001)

    async def scenario() -> None:
        kernel = Kernel(monkeypatch, forwards=True)
        watching = asyncio.ensure_future(wall_in(tmp_path).watch())
        await asyncio.wait_for(kernel.raised.wait(), PATIENCE)
        watching.cancel()

    asyncio.run(scenario())
