"""The computer certificate: watched, renewed in time, the former kept until the new one works."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.ipsec_world import Deployment
from throughway.catalogue.ipsec_certificate import CERT_EXPIRED
from throughway.client import certificates as module
from throughway.client.certificates import CertificateKeeper
from throughway.health.tracker import Tracker
from throughway.model.config import TokenKey
from throughway.model.errors import ConfigError, Stage, TransportError, TrustError
from throughway.model.findings import Component
from throughway.net.renewal import Pair
from throughway.pki import judgement, pem
from throughway.pki.authority import Profile

NAME = "client1.corp.example.com"


class World:
    """A keeper, what it asked for, and what it told."""

    def __init__(self, folder: Path, age_days: int, days: int = 30, url: str = "https://x") -> None:
        self.deployment = Deployment.create(folder)
        self.issue(age_days, days)
        self.tracker = Tracker(time.time)
        self.asked: list[str] = []
        self.renewed = 0
        self.failure: TransportError | None = None
        config = self.deployment.client()
        self.pair = Pair(config.certificate, config.key)
        self.keeper = CertificateKeeper(config, self.tracker, self.on_renewed)
        self.keeper.set_policy(replace(self.deployment.policy(), enrolment_url=url))

    def issue(self, age_days: int, days: int, name: str = NAME) -> None:
        self.deployment.credential("client1", Profile.COMPUTER, name, age_days=age_days, days=days)
        (self.deployment.directory / "client1.key").chmod(0o600)

    def other_key(self) -> None:
        other = self.deployment.credential("other", Profile.COMPUTER, NAME)
        self.pair.key.write_bytes(pem.build_key_pem(other.key))

    async def on_renewed(self) -> None:
        self.renewed += 1

    async def renew(self, pair: Pair, url: str, anchors: object, now: datetime) -> object:
        assert now.tzinfo is UTC
        self.asked.append(url)
        if self.failure is not None:
            raise self.failure
        self.issue(0, 30)
        return pair.read()[0][0]

    def codes(self) -> set[str]:
        return {condition.code for condition in self.tracker.current()}

    def run(self, monkeypatch: pytest.MonkeyPatch, scenario: Callable[[], Awaitable[None]]) -> None:
        monkeypatch.setattr(module, "renew", self.renew)

        async def whole() -> None:
            self.keeper.start()
            await asyncio.sleep(0)
            try:
                await scenario()
            finally:
                await self.keeper.close()

        asyncio.run(whole())

    async def finished(self) -> None:
        assert self.keeper._renewing is not None
        await asyncio.wait({self.keeper._renewing})


@pytest.mark.parametrize(
    ("age_days", "days", "code"),
    [
        (0, 30, None),
        (21, 30, "ipsec-cert-renewal-due"),
        (29, 30, "ipsec-cert-ends-this-week"),
        (31, 30, "ipsec-cert-expired"),
        (340, 365, "ipsec-cert-expiring"),
    ],
)
def test_its_dates_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_days: int, days: int, code: str | None
) -> None:
    world = World(tmp_path, age_days, days)

    async def scenario() -> None:
        assert world.codes() == ({code} if code else set())
        (row,) = (c for c in world.tracker.components() if c.component is Component.CERTIFICATES)
        assert row.state != "unknown"

    world.run(monkeypatch, scenario)


def test_it_is_renewed_once_two_thirds_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, age_days=25)

    async def scenario() -> None:
        assert world.asked == [], "nobody can be reached yet"
        world.keeper.authority_reachable()
        world.keeper.authority_reachable()
        await world.finished()
        assert world.asked == ["https://x"]
        assert world.renewed == 1
        assert world.codes() == set()
        world.keeper.authority_reachable()
        assert world.asked == ["https://x"], "the new one is young"

    world.run(monkeypatch, scenario)


@pytest.mark.parametrize(("age_days", "url"), [(19, "https://x"), (25, "")])
def test_not_before_and_not_without_an_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_days: int, url: str
) -> None:
    world = World(tmp_path, age_days, url=url)

    async def scenario() -> None:
        world.keeper.authority_reachable()
        assert world.keeper._renewing is None

    world.run(monkeypatch, scenario)


def test_failures_are_told_and_tried_again_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, age_days=25)
    world.failure = TransportError(Stage.CONNECT, "nobody there")
    pauses = []

    async def scenario() -> None:
        for _ in range(3):
            world.keeper.authority_reachable()
            await world.finished()
            world.keeper.authority_reachable()  # too early: nothing happens
            loop = asyncio.get_running_loop()
            pauses.append(world.keeper._not_before - loop.time())
            world.keeper._not_before = 0.0
        assert len(world.asked) == 3
        assert 25 < pauses[0] <= 60 < pauses[2] <= 240
        assert "certificate-not-renewed" in world.codes()
        assert world.renewed == 0
        world.failure = None
        world.keeper.authority_reachable()
        await world.finished()
        assert world.codes() == set()

    world.run(monkeypatch, scenario)


def test_one_that_is_refused_gives_way_to_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, age_days=25)
    old = world.pair.read()[0][0]
    other = world.deployment.credential("other", Profile.COMPUTER, NAME)
    world.pair.stage((other.certificate,), other.key)
    world.pair.commit()

    async def scenario() -> None:
        await world.keeper.refused()
        assert world.pair.read()[0][0] == old
        assert world.renewed == 1
        await world.keeper.refused()
        assert world.renewed == 1, "there is no other"
        world.keeper.authority_reachable()
        assert world.asked == [], "not at once again"

    world.run(monkeypatch, scenario)


def test_one_that_works_makes_the_former_superfluous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, age_days=0)
    other = world.deployment.credential("other", Profile.COMPUTER, NAME)
    world.pair.stage((other.certificate,), other.key)
    world.pair.commit()

    async def scenario() -> None:
        world.keeper.connected()
        await world.keeper.refused()
        assert world.pair.read()[0][0] == other.certificate

    world.run(monkeypatch, scenario)
    assert not list(tmp_path.glob("client1.*.old"))


def test_without_a_certificate_there_is_nothing_to_renew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, age_days=25)
    world.pair.certificate.unlink()

    async def scenario() -> None:
        world.keeper.authority_reachable()
        assert world.keeper._renewing is None

    world.run(monkeypatch, scenario)


@pytest.mark.parametrize(
    ("harm", "code", "words"),
    [
        (lambda w: w.pair.certificate.unlink(), "ipsec-no-machine-cert", "does not exist"),
        (lambda w: w.pair.certificate.write_text("x"), "ipsec-no-machine-cert", "client1.crt"),
        (lambda w: w.pair.key.unlink(), "ipsec-cert-no-private-key", "does not exist"),
        (lambda w: w.pair.key.chmod(0o644), "ipsec-cert-no-private-key", "chmod 0600"),
        (lambda w: w.other_key(), "ipsec-cert-no-private-key", "does not belong to"),
        (lambda w: w.issue(-2, 30), "ipsec-cert-not-yet-valid", "valid from"),
        (lambda w: w.issue(0, 30, "b.example"), "ipsec-cert-name-mismatch", "b.example, not for"),
    ],
)
def test_what_is_wrong_with_the_files_is_told_and_taken_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[World], None],
    code: str,
    words: str,
) -> None:
    world = World(tmp_path, age_days=0)

    async def scenario() -> None:
        harm(world)
        for _ in range(3):
            await world.keeper.look()
        (condition,) = world.tracker.current()
        assert (condition.code, words in condition.detail) == (code, True), condition.detail
        world.issue(0, 30)
        await world.keeper.look()
        assert world.codes() == set()
        assert world.renewed >= 1, "what is right again is used"

    world.run(monkeypatch, scenario)


def test_who_puts_two_files_in_place_has_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, age_days=0)

    async def scenario() -> None:
        world.other_key()
        await world.keeper.look()
        assert world.codes() == set()
        assert world.keeper._pause() < 2

    world.run(monkeypatch, scenario)


def test_what_another_part_says_of_dates_is_not_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the gateway's certificate that has expired."""
    world = World(tmp_path, age_days=0)

    async def scenario() -> None:
        world.tracker.set(CERT_EXPIRED, "the gateway's")
        await world.keeper.look()
        assert world.codes() == {"ipsec-cert-expired"}

    world.run(monkeypatch, scenario)


def test_renewal_times_are_spread_and_each_certificate_keeps_its_own(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    made = [deployment.credential("x", Profile.COMPUTER, NAME).certificate for _ in range(20)]
    times = [judgement.renewal_time(certificate) for certificate in made]
    assert times == [judgement.renewal_time(certificate) for certificate in made]
    assert len(set(times)) > 10
    first = made[0].not_valid_before_utc
    assert all(timedelta(days=20) < when - first < timedelta(days=21.7) for when in times)


def test_what_somebody_else_has_put_in_place_is_taken_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, age_days=0)
    other = world.deployment.credential("other", Profile.COMPUTER, NAME)

    async def scenario() -> None:
        await world.keeper.look()
        assert world.renewed == 0, "nothing is new"
        world.deployment.write("client1.crt", pem.build_certificate_pem(other.certificate))
        await world.keeper.look()
        assert world.renewed == 0, "the key has not come yet"
        world.deployment.write("client1.key", pem.build_key_pem(other.key))
        await world.keeper.look()
        await world.keeper.look()
        assert world.renewed == 1

    world.run(monkeypatch, scenario)


def test_a_key_on_a_token_is_watched_and_not_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, 25)
    token = TokenKey(module=Path("/m.so"), token="computer", id="01")
    config = replace(world.deployment.client(), key=Path("/nonexistent"), token_key=token)
    world.keeper = CertificateKeeper(config, world.tracker, world.on_renewed)
    world.keeper.set_policy(replace(world.deployment.policy(), enrolment_url="https://x"))

    async def scenario() -> None:
        await world.keeper.look()
        world.keeper.authority_reachable()
        assert world.keeper._renewing is None

    world.run(monkeypatch, scenario)
    assert world.asked == []
    assert world.codes() == {"ipsec-cert-expiring"}


def test_it_is_renewed_when_somebody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, age_days=5)

    async def scenario() -> None:
        assert "client1.crt" in await world.keeper.renew_now()
        assert world.asked == ["https://x"]
        assert world.renewed == 1
        world.failure = TransportError(Stage.CONNECT, "nobody answers")
        with pytest.raises(TrustError, match="nobody answers"):
            await world.keeper.renew_now()
        world.failure = None
        await world.keeper.renew_now()
        assert world.codes() == set()

    world.run(monkeypatch, scenario)


def test_without_an_authority_somebody_who_asks_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, age_days=29, url="")

    async def scenario() -> None:
        with pytest.raises(ConfigError, match="was not enrolled"):
            await world.keeper.renew_now()

    world.run(monkeypatch, scenario)
    assert world.asked == []
