"""The client's firewall: drawn once, again when something changed or wiped it, and wiped inside."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.pki.test_bundle import POLICY
from throughway.catalogue.ipsec import TRAFFIC_LEAK
from throughway.client.lines import LOOK_INTERVAL, Lines
from throughway.health.tracker import Tracker
from throughway.model.findings import Component
from throughway.model.status import ComponentState
from throughway.net import esp, firewall


class Kernel:
    """What stands in it, and how often it was told; its clock goes on only when told so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[firewall.ClientFirewall | None] = []
        self.stands = True
        self.now = 1000.0
        self.looked_at_rules = 0
        monkeypatch.setattr(firewall, "close_client", self.told.append)
        monkeypatch.setattr(firewall, "open_client", lambda: self.told.append(None))
        monkeypatch.setattr(firewall, "client_closed", lambda wall: self.stands)
        monkeypatch.setattr(esp, "restore_rules", self._restore)
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("throughway.client.lines.time", clock)

    def _restore(self) -> bool:
        self.looked_at_rules += 1
        return False


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(lambda: 0.0, (Component.FIREWALL,))


@pytest.fixture
def lines(kernel: Kernel, tracker: Tracker) -> Lines:
    return Lines(POLICY, tracker, lambda: None)


def test_they_are_drawn_once_and_again_with_another_policy(lines: Lines, kernel: Kernel) -> None:
    assert not lines.drawn
    lines.draw()
    lines.draw()
    assert lines.drawn
    (wall,) = kernel.told
    assert wall is not None
    assert not wall.everything
    lines.policy = replace(POLICY, transports=replace(POLICY.transports, force_tunnel=True))
    lines.draw()
    assert [each is not None and each.everything for each in kernel.told] == [False, True]


def test_inside_nothing_is_held_back(lines: Lines, kernel: Kernel, tracker: Tracker) -> None:
    lines.draw()
    lines.wipe()
    assert not lines.drawn
    assert kernel.told[-1] is None
    (row,) = tracker.components()
    assert row.state is ComponentState.DISABLED


def test_lines_that_another_program_removed_are_drawn_again(
    lines: Lines, kernel: Kernel, tracker: Tracker
) -> None:
    async def scenario() -> None:
        await lines.look()
        lines.draw()
        kernel.stands = False
        await lines.look()
        assert len(kernel.told) == 1, "not looked at with every change"
        kernel.now += LOOK_INTERVAL
        await lines.look()
        assert len(kernel.told) == 2
        assert tracker.holds(TRAFFIC_LEAK), "packets may have left in plain meanwhile"
        kernel.stands = True
        kernel.now += LOOK_INTERVAL
        await lines.look()
        assert len(kernel.told) == 2
        assert kernel.looked_at_rules == 2
        assert not tracker.holds(TRAFFIC_LEAK)

    asyncio.run(scenario())
