"""Stating this computer's health: when, what follows, and what is told meanwhile."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ipsec_world import Deployment
from tests.patience import PATIENCE
from throughway.catalogue import find
from throughway.client.health import FAILED, MISSING, UNANSWERED, HealthKeeper
from throughway.health.tracker import Tracker
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.statement import (
    CheckKind,
    HealthMode,
    HealthPolicy,
    Judged,
    StatementOfHealth,
)
from throughway.net.collectors import Machine
from throughway.proto.statement import judge

HEALTH = HealthPolicy(mode=HealthMode.FULL, required=(CheckKind.FIREWALL,))
ON = "chain input {\ntype filter hook input priority filter; policy drop;"


class World:
    """A keeper on a made-up computer, with a gateway that judges as it should."""

    def __init__(self, folder: Path, health: HealthPolicy = HEALTH) -> None:
        self.now = 1_800_000_000.0
        self.ruleset = ON
        self.tracker = Tracker(time.time)
        self.stated: list[StatementOfHealth] = []
        self.answer: Judged | None = None
        self.error: TransportError | None = None
        self.healthy = 0
        deployment = Deployment.create(folder)
        self.policy = replace(deployment.policy(), health=health)
        self.keeper = HealthKeeper(
            deployment.client(),
            self.tracker,
            self.on_healthy,
            machine=Machine(root=folder, command=self.command),
            ask=self.ask,
            clock=lambda: self.now,
        )
        self.keeper.set_policy(self.policy)

    def on_healthy(self) -> None:
        self.healthy += 1

    def command(self, words: Sequence[str]) -> str | None:
        return self.ruleset if words[0] == "nft" else None

    async def ask(self, policy: Policy, statement: StatementOfHealth) -> Judged:
        if self.error is not None:
            raise self.error
        self.stated.append(statement)
        failing = judge(policy.health, statement)
        until = 0.0 if failing else self.now + policy.health.hours * 3600
        judged = Judged(healthy=not failing, enforced=True, until=until, failing=failing)
        return self.answer or judged

    def step(self, seconds: float = 20.0) -> int:
        """Let time pass, look once; return how often the gateway has been told in all."""
        self.now += seconds
        self.keeper._reachable_until = self.now + 1  # the tunnel is up
        asyncio.run(self.keeper.step())
        return len(self.stated)

    def holds(self, code: str) -> bool:
        return self.tracker.holds(find(code))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_nothing_is_stated_without_the_tunnel(world: World) -> None:
    asyncio.run(world.keeper.step())
    assert world.stated == []
    status = world.keeper.status()
    assert status is not None
    assert status.healthy is None
    assert [check.name for check in status.checks] == ["firewall"]


def test_it_is_stated_once_and_again_at_half_of_its_time(world: World) -> None:
    assert world.step() == 1
    assert world.step() == 1
    assert world.step(2 * 3600) == 2
    status = world.keeper.status()
    assert status is not None
    assert (status.healthy, status.until) == (True, world.now + 4 * 3600)
    assert world.healthy == 0


def test_what_changes_is_stated_at_once_and_shown(world: World) -> None:
    world.step()
    world.ruleset = ""
    assert world.step() == 2
    assert world.holds(FAILED)
    (condition,) = world.tracker.current()
    assert "ufw enable" in condition.detail
    assert world.step() == 2
    world.ruleset = ON
    assert world.step() == 3
    assert not world.holds(FAILED)
    assert world.healthy == 1


def test_a_gateway_that_does_not_answer_is_asked_again(world: World) -> None:
    world.error = TransportError(Stage.CONNECT, "refused")
    assert world.step() == 0
    assert world.holds(UNANSWERED)
    world.error = None
    assert world.step() == 1
    assert not world.holds(UNANSWERED)


def test_who_is_not_judged_hears_why(world: World) -> None:
    world.answer = Judged(healthy=False, enforced=True, refused="no computer is called so")
    world.step()
    assert world.holds(UNANSWERED)
    status = world.keeper.status()
    assert status is not None
    assert "no computer" in status.last_error


def test_a_gateway_that_has_forgotten_is_told_again(world: World) -> None:
    world.step()
    world.tracker.set(find(MISSING), "has not stated its health", attempt="tunnel-intranet")
    assert world.step() == 2
    assert world.healthy == 1


def test_a_policy_that_wants_nothing_is_shown_as_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, HealthPolicy())
    assert world.keeper.status() is None


def test_it_runs_and_ends(world: World) -> None:
    async def scenario() -> None:
        world.keeper.start()
        world.keeper.connected()
        async with asyncio.timeout(PATIENCE):
            while not world.stated:  # noqa: ASYNC110 - of a thread
                await asyncio.sleep(0.01)
        await world.keeper.close()

    asyncio.run(scenario())
