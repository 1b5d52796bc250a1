"""Whose certificate opens a tunnel: charon's answer, and ours where it looks at no usage."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.test_revocation import modify
from tests.gateway.test_user_proof import USERS_ROOT, CardSite, soft
from tests.ipsec_attacks import ATTACKS, STEM
from tests.ipsec_world import CLIENT, Site, until, until_true
from tests.smart_cards import ALICE, Person
from throughway.client import ipsec as client_ipsec
from throughway.client.ipsec import INFRASTRUCTURE
from throughway.gateway import usages
from throughway.gateway.usages import UsageCheck
from throughway.model.audit import AuditEvent
from throughway.model.config import Computer, UserProof
from throughway.model.errors import IPsecError, ThroughwayError, TrustError
from throughway.model.status import TunnelState
from throughway.net.radius import Login
from throughway.net.sas import LineLogged
from throughway.pki.authority import Profile, create_root, issue
from throughway.pki.computer_certificate import WRONG_USAGE
from throughway.pki.pem import build_certificate_der

NAME = "client1.corp.example.com"
COMPUTER = Computer(account="CLIENT1$", identity=NAME)
NOW = datetime.now(UTC)
ROOT = create_root("Root", NOW - timedelta(days=1))


def shown(profile: Profile, *names: str) -> bytes:
    made = issue(ROOT, profile, names or (NAME,), now=NOW, days=1)
    return build_certificate_der(made.certificate)


OWN, SERVERS = shown(Profile.COMPUTER), shown(Profile.SERVER)


class Scene:
    """A charon that remembers what a test says."""

    def __init__(self, *remembered: bytes) -> None:
        self.remembered = remembered
        self.asked = 0
        self.gone = False
        self.unfit: dict[int, str] = {}
        self.check = UsageCheck(self.shown, self.forget, self.end)

    async def shown(self) -> tuple[bytes, ...]:
        self.asked += 1
        if self.gone:
            raise IPsecError("charon is gone")
        return self.remembered

    async def forget(self) -> None:
        self.remembered = ()

    async def end(self, unique_id: int, words: str) -> None:
        self.unfit[unique_id] = words

    async def round_1(self, number: int, *, by: str = "ECDSA_WITH_SHA256_DER") -> str:
        """Let round 1 be done; return why it is refused."""
        words = f"authentication of '{NAME}' with {by} successful"
        self.check.line(LineLogged("IKE", number, "infrastructure-client1", words), COMPUTER)

        async def admit(login: Login) -> None:
            """Everybody."""

        login = Login(principal="CLIENT1$@X", connection="", address="::1", unique_id=number)
        try:
            await self.check.before(admit)(login)
        except TrustError as error:
            return str(error) if error.problem == WRONG_USAGE else error.problem
        return ""


def test_who_has_shown_a_servers_certificate_is_refused_and_it_is_forgotten() -> None:
    scene = Scene(shown(Profile.SERVER, "other.example.com"), OWN, SERVERS)

    async def scenario() -> None:
        why = await scene.round_1(1)
        assert "is not for authentication of clients" in why
        await until(lambda: scene.remembered == ())
        assert scene.unfit == {1: why}
        scene.remembered = (OWN,)
        assert await scene.round_1(2) == ""
        # Pushed out by others; from now on that is no way in.
        scene.remembered = ()
        assert "cannot be told" in await scene.round_1(3)
        await scene.check.stop()

    asyncio.run(scenario())


def test_one_that_only_charon_can_read_is_nobodys() -> None:
    scene = Scene(b"\x30\x05x" + NAME.upper().encode())
    assert "cannot be read" in asyncio.run(scene.round_1(1))


def test_many_are_one_question() -> None:
    scene = Scene(OWN)

    async def scenario() -> None:
        assert set(await asyncio.gather(*map(scene.round_1, range(100)))) == {""}
        await scene.check.stop()

    asyncio.run(scenario())
    assert scene.asked <= 2


def test_who_asks_before_charons_log_has_come_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(SERVERS)

    async def scenario() -> None:
        early = asyncio.create_task(scene.check.judged(1))
        await asyncio.sleep(0)
        await scene.round_1(1)
        with pytest.raises(TrustError, match="not for authentication of clients"):
            await early
        # Round 2 is none that counts; without round 1 nobody is let in.
        monkeypatch.setattr(usages, "JUDGED_WITHIN", 0.05)
        assert "nobody could look" in await scene.round_1(2, by="EAP")

    asyncio.run(scenario())
    assert scene.asked == 1


def test_without_a_verdict_nobody_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usages, "MAX_JUDGED", 1)
    scene = Scene(OWN)
    scene.gone = True

    async def scenario() -> None:
        first = asyncio.create_task(scene.round_1(1))
        await until(lambda: scene.asked == 1)
        second = asyncio.create_task(scene.round_1(2))
        assert "nobody could look" in await first
        await until(lambda: scene.asked == 2)
        scene.check.ended(2)
        assert "nobody could look" in await second

    asyncio.run(scenario())


# With charon on both ends


@pytest.mark.lab
def test_a_user_does_not_come_in_beside_a_servers_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is waited for: the tunnel is not up for a moment."""
    site = CardSite(tmp_path, UserProof.SMART_CARD)
    try:
        monkeypatch.setattr(client_ipsec, "check_usage", lambda file: None)
        site.begin()
        assert site.recorded(AuditEvent.MAIN_MODE_ESTABLISHED)
        site.deployment.credential("client1", Profile.SERVER, NAME)
        client = site.client
        assert client is not None
        site.world.client.run(client.renew_credentials())
        key = soft(Person().issue(USERS_ROOT))
        site.world.client.run(begin(client.up_intranet(ALICE, key)))
        site.world.gateway.run(until(lambda: bool(site.failures)))
        assert site.failures[0][1] == WRONG_USAGE
        assert site.refused_as() == (AuditEvent.MAIN_MODE_FAILED, WRONG_USAGE)
        site.stop_client()
        assert not [r for r in site.records if r.event is AuditEvent.MAIN_MODE_ESTABLISHED]
    finally:
        site.close()


@pytest.mark.lab
def test_who_was_in_for_a_moment_does_not_come_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With NT hashes charon waits for nobody; here the verdict comes after the tunnel."""
    site = Site(tmp_path)
    try:
        monkeypatch.setattr(client_ipsec, "check_usage", lambda file: None)
        shown = site.gateway.shown_certificates

        def is_up() -> bool:
            return any(r.event is AuditEvent.MAIN_MODE_ESTABLISHED for r in site.records)

        async def late() -> tuple[bytes, ...]:
            await until(is_up)
            return await shown()

        monkeypatch.setattr(site.gateway._usages, "_shown", late)
        site.deployment.credential("server1", Profile.SERVER, NAME)
        client = site.start_client(site.deployment.client(certificate="server1"))
        site.world.client.run(begin(client.up_infrastructure(CLIENT)))
        site.world.gateway.run(until(lambda: len(site.failures) > 1))
        (reason, problem, _), (again, *_rest) = site.failures[:2]
        assert (problem, "not for authentication of clients" in reason) == (WRONG_USAGE, True)
        assert "no matching peer config found" in again
        site.stop_client()
    finally:
        site.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("attacks"))
    yield site
    site.close()


@pytest.mark.lab
@pytest.mark.parametrize("name", ATTACKS)
def test_who_tries_what(site: Site, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = ATTACKS[name]
    stem = STEM if attack.make is not None else "client1"
    if attack.make is not None:
        attack.make(site.deployment)
    config = site.deployment.client(
        certificate=stem, account=attack.account, password=attack.password
    )
    modify(monkeypatch, client_ipsec, attack.modify)
    monkeypatch.setattr("throughway.gateway.ipsec.HOLD", 0.0)
    site.world.gateway.run(until(lambda: not site.gateway._refusals._suspects))
    site.world.gateway.run(site.gateway.forget_shown())
    site.forget_told()
    site.start_client(config)
    said = first_word(site)
    assert said == attack.client
    if said == attack.gateway != "":
        # It did not even try.
        monkeypatch.setattr(client_ipsec, "check_usage", lambda file: None)
        assert site.client is not None
        site.world.client.run(begin(site.client._bring_up(INFRASTRUCTURE)))
    if attack.gateway not in ("", WRONG_USAGE):
        assert not [r for r in site.records if r.event is AuditEvent.MAIN_MODE_ESTABLISHED]
    if attack.gateway:
        site.world.gateway.run(until(lambda: bool(site.failures)))
        assert site.failures[0][1] == attack.gateway
        assert site.refused_as() == (attack.event, attack.gateway)
        site.stop_client()
        site.world.gateway.run(until_true(lambda: nobody_in(site)))
        site.world.gateway.run(until(lambda: not site.gateway._tasks))
    else:
        assert site.recorded(AuditEvent.MAIN_MODE_ESTABLISHED)
        assert len(site.at_gateway(INFRASTRUCTURE)) == 1
        site.stop_client()


def first_word(site: Site) -> str:
    try:
        site.try_up()
    except IPsecError as error:
        return error.problem
    return ""


async def nobody_in(site: Site) -> bool:
    await site.gateway.refresh()
    return all(tunnel.state is not TunnelState.UP for tunnel in site.gateway.tunnels())


async def begin(attempt: Coroutine[Any, Any, None]) -> None:
    """Let a client try, and go on: whom we refuse ourselves IKE tells nothing."""

    async def try_on() -> None:
        with contextlib.suppress(ThroughwayError):
            await attempt

    tasks.add(task := asyncio.create_task(try_on()))
    task.add_done_callback(tasks.discard)


tasks: set[asyncio.Task[None]] = set()
