"""When the two tunnels are asked for, and who hears what became of them; charon is not there."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.client.test_uplink import config
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from throughway.client.audit import ClientAudit
from throughway.client.certificates import CertificateKeeper
from throughway.client.ipsec import INFRASTRUCTURE, INTRANET
from throughway.client.transports import Transports
from throughway.client.tunnels import Tunnels
from throughway.client.user import User
from throughway.health.tracker import Tracker
from throughway.model.errors import IPsecError
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.audit import AuditLog

ALICE = User(principal="alice@CORP.EXAMPLE.COM", uid=1000)


@dataclass
class Scene:
    """Tunnels whose charon only notes what is asked of it."""

    folder: Path
    asked: list[tuple[str, ...]] = field(default_factory=list)
    states: dict[str, TunnelState] = field(default_factory=dict)
    lost: int = 0
    changes: int = 0
    failures: list[IPsecError] = field(default_factory=list)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        own, tracker = config(self.folder), Tracker(time.time)
        self.tracker = tracker
        transports = Transports(
            own,
            POLICY,
            self._resolve,
            on_state=lambda state, error: None,
            on_change=lambda: None,
        )

        async def nothing() -> None:
            pass

        self.tunnels = Tunnels(
            own,
            POLICY,
            tracker,
            ccache=self.folder / "user.ccache",
            lists=transports.revocation.lists,
            audit=ClientAudit(own, AuditLog(None, None, side="client")),
            certificates=CertificateKeeper(own, tracker, nothing),
            keep=self._keep,
            carrier=lambda: "iphttps",
            on_change=self._changed,
            on_lost=self._lost,
        )
        charon: Any = self.tunnels.ipsec
        charon.up_infrastructure = self._up_infrastructure
        charon.up_intranet = self._up_intranet
        charon.down = self._down
        charon.start = self._start
        charon.tunnels = lambda: tuple(
            TunnelStatus(name=name, state=self.states.get(name, TunnelState.DOWN))
            for name in (INFRASTRUCTURE, INTRANET)
        )

    async def _resolve(self, name: str) -> tuple[str, ...]:
        raise AssertionError(name)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    def _changed(self) -> None:
        self.changes += 1

    def _lost(self) -> None:
        self.lost += 1

    async def _up_infrastructure(self, address: str, *, renew: bool) -> None:
        assert renew
        self.asked.append((INFRASTRUCTURE, address))
        raise IPsecError("no answer")

    async def _up_intranet(self, principal: str, _proof: object) -> None:
        self.asked.append((INTRANET, principal))

    async def _down(self, name: str) -> None:
        self.asked.append(("down", name))

    async def _start(self) -> None:
        if self.failures:
            raise self.failures.pop()

    async def done(self) -> None:
        await asyncio.gather(*self.tasks)

    @property
    def problems(self) -> set[str]:
        return {problem.code for problem in self.tracker.current()}


def play(folder: Path, scenario: Callable[[Scene], Awaitable[None]]) -> Scene:
    async def whole() -> Scene:
        scene = Scene(folder)
        await scenario(scene)
        await scene.done()
        return scene

    return asyncio.run(asyncio.wait_for(whole(), PATIENCE))


def test_a_tunnel_is_asked_for_once_for_each_way_and_user(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        for way in (("2001:db8:da::5", 1), ("2001:db8:da::5", 1), ("2001:db8:da::5", 2)):
            scene.tunnels.raise_infrastructure(way)
        for _ in range(2):
            scene.tunnels.raise_intranet(ALICE)
        await scene.done()
        # The same user with a new ticket, and then nobody.
        await scene.tunnels.set_user(ALICE, ALICE)
        scene.tunnels.raise_intranet(ALICE)
        await scene.done()
        await scene.tunnels.set_user(ALICE, None)

    infrastructure, intranet = (INFRASTRUCTURE, "2001:db8:da::5"), (INTRANET, ALICE.principal)
    wanted = [infrastructure, infrastructure, intranet, intranet, ("down", INTRANET)]
    assert play(tmp_path, scenario).asked == wanted


def test_both_are_released_once_and_can_be_asked_for_again(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.tunnels.release()
        assert scene.asked == []
        for _ in range(2):
            scene.tunnels.raise_infrastructure(("2001:db8:da::5", 1))
            await scene.done()
            await scene.tunnels.release()
            await scene.tunnels.release()

    each = [(INFRASTRUCTURE, "2001:db8:da::5"), ("down", INTRANET), ("down", INFRASTRUCTURE)]
    assert play(tmp_path, scenario).asked == each * 2


def test_why_one_fails_is_a_problem_until_it_is_up(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.tunnels.failed(INFRASTRUCTURE, "refused", "ipsec-cert-expired")
        assert scene.problems == {"ipsec-cert-expired"}
        scene.states[INFRASTRUCTURE] = TunnelState.UP
        scene.tunnels.settle()
        assert scene.problems == set()
        assert scene.tunnels.up(INFRASTRUCTURE)
        assert scene.lost == 0
        scene.states[INFRASTRUCTURE] = TunnelState.DOWN
        scene.tunnels.settle()
        scene.tunnels.settle()
        assert scene.lost == 1, "the link may be dead, too"

    play(tmp_path, scenario)


def test_charon_is_started_as_often_as_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("throughway.client.tunnels.RETRY", 0.0)

    async def scenario(scene: Scene) -> None:
        scene.failures = [IPsecError("charon does not start", problem="ipsec-daemon-down")] * 2
        await scene.tunnels.start()
        assert scene.changes == 1
        assert scene.problems == {"ipsec-daemon-down"}

    play(tmp_path, scenario)


def test_a_newer_policy_is_taken_by_charon_and_by_who_asks_for_reasons(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        newer = replace(POLICY, version=POLICY.version + 1, reasons_port=4433)
        await scene.tunnels.update_policy(newer)
        assert scene.tunnels.ipsec._policy == newer
        assert scene.tunnels._reasons._policy == newer

    play(tmp_path, scenario)


def test_what_was_said_of_one_user_is_not_said_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(scene: Scene) -> None:
        forgotten: list[str] = []
        monkeypatch.setattr(scene.tunnels._reasons, "forget", forgotten.append)
        await scene.tunnels.set_user(ALICE, replace(ALICE, principal="bob@CORP.EXAMPLE.COM"))
        assert forgotten == [INTRANET]

    play(tmp_path, scenario)
