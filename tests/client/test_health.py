"""Stating this computer's health: when, what follows, and what is told meanwhile."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.ipsec_world import Deployment
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from throughway.catalogue import find
from throughway.client.health import FAILED, MISSING, UNANSWERED, HealthKeeper
from throughway.client.ipsec import HEALTH_CERTIFICATE
from throughway.client.policy import PolicyKeeper
from throughway.health.tracker import Tracker
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.policy import Policy
from throughway.model.statement import (
    CheckKind,
    HealthMode,
    HealthPolicy,
    Judged,
    PolicyCheck,
    StatementOfHealth,
    SubjectKind,
)
from throughway.net.collectors import Machine
from throughway.pki import pem
from throughway.pki.bundle import sign
from throughway.pki.pem import build_public_key_pem
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
        self.config = deployment.client()
        self.file = self.config.runtime_directory / HEALTH_CERTIFICATE
        self.policy = replace(deployment.policy(), health=health)
        self.keeper = HealthKeeper(
            self.config,
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


def given_until(until: float) -> Judged:
    return Judged(healthy=True, enforced=True, until=until, certificate="of the gateway\n")


def test_a_health_certificate_is_there_with_its_key_while_it_is_good(world: World) -> None:
    world.answer = given_until(world.now + 3600)
    world.step()
    assert world.file.stat().st_mode & 0o777 == 0o600
    certificate, _, key = world.file.read_text().partition("\n")
    assert certificate == "of the gateway"
    point = pem.parse_key(key.encode(), "key").public_key()
    assert isinstance(point, ec.EllipticCurvePublicKey)
    said = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()
    assert world.stated[-1].key == said
    status = world.keeper.status()
    assert status is not None
    assert status.certified_until == world.answer.until
    assert world.healthy == 1, "the tunnel is tried at once"

    world.answer, world.ruleset = None, ""
    world.step()
    assert not world.file.exists()
    assert world.stated[-1].key not in {"", said}, "each has a key of its own"

    world.ruleset, world.answer = ON, given_until(world.now + 60)
    world.step()
    assert world.file.exists()
    world.error = TransportError(Stage.CONNECT, "refused")
    world.step(120)
    assert not world.file.exists(), "it is over"


def test_another_is_asked_for_when_it_did_not_help_or_the_computer_has_another(
    world: World,
) -> None:
    world.answer = given_until(world.now + 9 * 3600)
    assert world.step() == 1
    assert world.step() == 1
    world.file.unlink()  # as who was refused with it does
    assert world.step() == 2
    world.config.certificate.write_bytes(b"renewed")
    assert world.step() == 3
    assert world.step() == 3


def test_deferred_health_says_until_when_everybody_comes_in(tmp_path: Path) -> None:
    deferred = replace(HEALTH, mode=HealthMode.DEFERRED, deferred_until="2027-02-01")
    world = World(tmp_path, deferred)
    status = world.keeper.status()
    assert status is not None
    assert status.deferred_until == "2027-02-01"
    world.now = datetime(2027, 2, 1, tzinfo=UTC).timestamp()
    status = world.keeper.status()
    assert status is not None
    assert status.deferred_until == ""


def test_checks_of_a_policy_that_somebody_else_has_signed_are_not_looked_at(
    world: World, tmp_path: Path
) -> None:
    check = PolicyCheck(name="evil", kind=SubjectKind.FILE, subject="/etc/shadow")
    health = replace(HEALTH, required=("evil",), checks=(check,))
    own, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    config = replace(world.config, bundle=tmp_path / "bundle", policy_key=tmp_path / "policy.pub")
    config.policy_key.write_bytes(build_public_key_pem(own.public_key()))
    good = replace(POLICY, version=1, health=HEALTH, issued_at=1, expires_at=2**32)
    evil = sign(replace(good, version=2, health=health), other)
    honest = sign(replace(good, version=2, health=health), own)
    # What another has signed; the honest policy with its signature; and with another check.
    forged = json.loads(evil)
    swapped = forged | {"key": json.loads(honest)["key"]}
    changed = json.loads(sign(replace(good, version=2), own)) | {"payload": forged["payload"]}
    wrong = [
        evil,
        *(json.dumps(each, separators=(",", ":")).encode() for each in (swapped, changed)),
    ]
    troubles: list[str] = []

    async def take(policy: Policy) -> None:
        world.keeper.set_policy(replace(world.policy, health=policy.health))

    def trouble(error: ThroughwayError | None) -> None:
        troubles.append(getattr(error, "problem", "") if error else "well")

    async def scenario() -> None:
        keeper = PolicyKeeper(config, take, trouble)
        for bundle in (sign(good, own), *wrong, honest):
            config.bundle.write_bytes(bundle)
            await keeper.look()
            await world.keeper.step()
            seen.append([result.name for result in _looked(world).results])

    seen: list[list[str]] = []
    asyncio.run(scenario())
    assert seen == [["firewall"]] * 4 + [["evil"]]
    assert troubles[0] == troubles[-1] == "well"
    assert all(problem.startswith("policy-") for problem in troubles[1:-1]), troubles
    assert troubles[1] == "policy-signature-invalid"


def _looked(world: World) -> StatementOfHealth:
    status = world.keeper.status()
    assert status is not None
    return StatementOfHealth(agent="", results=status.checks)


def test_it_runs_and_ends(world: World) -> None:
    async def scenario() -> None:
        world.keeper.start()
        world.keeper.connected()
        async with asyncio.timeout(PATIENCE):
            while not world.stated:  # noqa: ASYNC110 - of a thread
                await asyncio.sleep(0.01)
        await world.keeper.close()

    asyncio.run(scenario())
