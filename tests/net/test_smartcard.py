"""Cards of SoftHSM, asked through a process of its own."""

import asyncio
from pathlib import Path

import pytest

from tests.smart_cards import MODULE, PIN, CardBox, Person, users_root
from throughway.model.errors import TrustError
from throughway.net import smartcard
from throughway.net.pkcs11 import PIN_COUNT_LOW, PIN_FINAL_TRY, PIN_LOCKED, PROTECTED_PATH
from throughway.net.smartcard import Card, check_pin, look

pytestmark = pytest.mark.lab


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CardBox:
    box = CardBox(tmp_path / "cards")
    monkeypatch.setenv("SOFTHSM2_CONF", str(box.file))
    return box


def test_what_a_card_shows_without_its_pin(box: CardBox) -> None:
    assert asyncio.run(look(MODULE)).cards == ()
    box.insert("alice", Person().issue(users_root()))
    found = asyncio.run(look(MODULE))
    assert found.count > 0
    [card] = found.cards
    [certificate] = card.certificates
    assert (card.label, card.tries, card.locked) == ("alice", "", False)
    assert (certificate.names, certificate.logon) == (("alice@corp.example.com",), True)
    assert certificate.pem.startswith("-----BEGIN CERTIFICATE")
    assert len(certificate.key) == 40


def test_a_pin_is_right_or_wrong_and_the_card_tells_of_lost_tries(box: CardBox) -> None:
    box.insert("alice", Person().issue(users_root()))

    async def scenario() -> None:
        [card] = (await look(MODULE)).cards
        [certificate] = card.certificates
        await check_pin(MODULE, card, certificate, PIN)
        with pytest.raises(TrustError, match="some tries are used up") as caught:
            await check_pin(MODULE, card, certificate, "0000")
        assert caught.value.problem == "smart-card-pin-wrong"
        assert "0000" not in str(caught.value)
        [card] = (await look(MODULE)).cards
        assert card.tries == "some tries are used up"
        await check_pin(MODULE, card, certificate, PIN)
        box.pull()
        with pytest.raises(TrustError) as caught:
            await check_pin(MODULE, card, certificate, PIN)
        assert caught.value.problem == "smart-card-missing"

    asyncio.run(scenario())


def test_a_certificate_without_its_key_is_none(box: CardBox) -> None:
    box.insert("alice", Person().issue(users_root()))

    async def scenario() -> None:
        [card] = (await look(MODULE)).cards
        [certificate] = card.certificates
        other = smartcard.CardCertificate(
            **{name: getattr(certificate, name) for name in certificate.__slots__} | {"id": "ff"}
        )
        with pytest.raises(TrustError, match="no private key") as caught:
            await check_pin(MODULE, card, other, PIN)
        assert caught.value.problem == "smart-card-no-certificate"

    asyncio.run(scenario())


@pytest.mark.parametrize("module", ["/nonexistent/module.so", "/lib/x86_64-linux-gnu/libm.so.6"])
def test_what_is_no_module(module: str) -> None:
    with pytest.raises(TrustError) as caught:
        asyncio.run(look(Path(module)))
    assert caught.value.problem == "smart-card-module-missing"
    assert str(caught.value).startswith(f"{module}: ")
    assert str(caught.value).count(module) == 1


def test_a_module_that_crashes_takes_nothing_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(TrustError, match="without an answer") as caught:
        asyncio.run(look(MODULE))
    assert caught.value.problem == "smart-card-failed"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (0, ""),
        (PIN_COUNT_LOW, "some tries are used up"),
        (PIN_COUNT_LOW | PIN_FINAL_TRY, "one try is left; another wrong PIN locks it"),
        (PIN_LOCKED, "it is locked"),
    ],
)
def test_the_tries_that_are_left(flags: int, words: str) -> None:
    card = Card(slot=0, label="", maker="", serial="", flags=flags | PROTECTED_PATH)
    assert card.tries == words
    assert card.last_try is bool(flags & PIN_FINAL_TRY)
    assert card.asks_itself


def test_one_failure_is_not_a_card_that_was_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(slot=0, label="alice", maker="", serial="7", flags=0)
    answers: list[dict[str, bool] | None] = [{"there": True}, None, {"there": True}, None]

    async def ask(module: Path, question: object) -> dict[str, bool]:
        answer = answers.pop(0) if answers else {"there": False}
        if answer is None:
            raise TrustError("busy", problem="smart-card-failed")
        return answer

    monkeypatch.setattr(smartcard, "_ask", ask)
    monkeypatch.setattr(smartcard, "LOOK_INTERVAL", 0.0)
    asyncio.run(smartcard.wait_removed(MODULE, card))
    answers += [None, None]
    with pytest.raises(TrustError, match="busy"):
        asyncio.run(smartcard.wait_removed(MODULE, card))
