"""Which card and certificate a user logs on with, and what is said when there is none."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.smart_cards import ALICE, BOB, MODULE, PIN, REALM, CardBox, Person, users_root
from throughway.client.cards import SmartCards, choose
from throughway.model.config import CardRemoval, SmartCardConfig
from throughway.model.errors import TrustError
from throughway.net import smartcard
from throughway.net.pkcs11 import PIN_LOCKED
from throughway.net.smartcard import Card, CardCertificate, Readers

NOW = 1000.0
GOOD = CardCertificate(
    id="a1",
    label="logon",
    pem="PEM",
    key="00",
    subject="alice",
    names=("alice@corp.example.com",),
    logon=True,
    begin=0,
    end=2000,
)
CARD = Card(slot=1, label="Alice", maker="Maker", serial="7", flags=0, certificates=(GOOD,))


def readers(*cards: Card, count: int = 1) -> Readers:
    return Readers(count=count, cards=cards)


def card(**changes: object) -> Card:
    return replace(CARD, certificates=(replace(GOOD, **changes),))  # type: ignore[arg-type]


def test_the_card_that_fits() -> None:
    bob = replace(card(names=("bob@corp.example.com",)), label="Bob")
    assert choose(readers(CARD), REALM, "", NOW).principal == ALICE
    assert choose(readers(CARD, bob), REALM, BOB, NOW).card.label == "Bob"
    # A renewed certificate beside the old one.
    newer = replace(GOOD, end=9000)
    renewed = replace(CARD, certificates=(GOOD, newer))
    assert choose(readers(renewed), REALM, ALICE, NOW).certificate == newer


@pytest.mark.parametrize(
    ("found", "wanted", "problem", "words"),
    [
        (readers(count=0), "", "smart-card-reader-missing", "no smart-card reader"),
        (readers(), "", "smart-card-missing", "no smart card"),
        (readers(replace(CARD, certificates=())), "", "smart-card-no-certificate", "Alice"),
        (readers(card(logon=False)), "", "smart-card-no-certificate", "logon"),
        (readers(card(names=())), "", "smart-card-no-certificate", "names a user"),
        (readers(card(end=999)), "", "smart-card-certificate-expired", "expired on 1970"),
        (readers(card(begin=1001)), "", "smart-card-certificate-expired", "only from"),
        (readers(CARD), BOB, "smart-card-of-another-user", f"{ALICE}'s, not {BOB}'s"),
        (
            readers(CARD, card(names=("bob@corp.example.com",))),
            "",
            "smart-card-of-another-user",
            "name the user",
        ),
        (readers(replace(CARD, flags=PIN_LOCKED)), "", "smart-card-locked", "locked"),
    ],
)
def test_what_is_missing_is_said(found: Readers, wanted: str, problem: str, words: str) -> None:
    with pytest.raises(TrustError, match=words) as caught:
        choose(found, REALM, wanted, NOW)
    assert caught.value.problem == problem


def test_a_client_without_a_module_says_so() -> None:
    async def scenario() -> None:
        cards = SmartCards(None, lambda principal, card: None)
        with pytest.raises(TrustError) as caught:
            await cards.choose(REALM)
        assert caught.value.problem == "smart-card-not-configured"
        await cards.close()

    asyncio.run(scenario())


@pytest.mark.lab
@pytest.mark.parametrize("policy", list(CardRemoval))
def test_a_card_that_is_pulled_is_told_of_as_the_policy_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: CardRemoval
) -> None:
    box = CardBox(tmp_path / "cards")
    monkeypatch.setenv("SOFTHSM2_CONF", str(box.file))
    monkeypatch.setattr(smartcard, "LOOK_INTERVAL", 0.05)
    box.insert("alice", Person().issue(users_root()))

    async def scenario() -> None:
        removed: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        cards = SmartCards(
            SmartCardConfig(module=MODULE, on_removal=policy),
            lambda principal, card: removed.set_result((principal, card)),
        )
        choice = await cards.choose(REALM)
        key = await cards.unlock(choice, PIN)
        assert (key.pin, PIN in repr(key)) == (PIN, False)
        box.pull()
        if policy is CardRemoval.LOG_OFF:
            async with asyncio.timeout(PATIENCE):
                assert await removed == (ALICE, "alice was pulled")
        await cards.close()
        assert removed.done() is (policy is CardRemoval.LOG_OFF)

    asyncio.run(scenario())
