"""Smart cards and other tokens behind a PKCS#11 module: which there are, their PIN, their going.

Each question is asked in a process of its own (:mod:`throughway.net.smartcard_process`), so that
a module that hangs or crashes takes nothing with it.
"""

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughway.model.errors import TrustError
from throughway.net.pkcs11 import PIN_COUNT_LOW, PIN_FINAL_TRY, PIN_LOCKED, PROTECTED_PATH

MODULE_MISSING = "smart-card-module-missing"
READER_MISSING = "smart-card-reader-missing"
CARD_MISSING = "smart-card-missing"
CARD_FAILED = "smart-card-failed"
PIN_WRONG = "smart-card-pin-wrong"
LOCKED = "smart-card-locked"
NO_CERTIFICATE = "smart-card-no-certificate"

LOOK_INTERVAL = 5.0
"""Seconds between two looks whether the card is there still; each takes 0.1 s of a processor."""
_TIMEOUT = 30.0
"""Seconds; slow cards with many certificates take ten, and at a reader with keys people type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCertificate:
    """A certificate on a card."""

    id: str
    """CKA_ID, hexadecimal."""
    label: str
    pem: str
    key: str
    """Identifier of the public key (RFC 5280, 4.2.1.2, method 1), hexadecimal."""
    subject: str
    names: tuple[str, ...]
    """User principal names."""
    logon: bool
    """Whether it is for smart-card logon."""
    begin: float
    end: float
    """Seconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card in a reader."""

    slot: int
    label: str
    maker: str
    serial: str
    flags: int
    certificates: tuple[CardCertificate, ...] = ()

    @property
    def locked(self) -> bool:
        """Whether no PIN opens it any more."""
        return bool(self.flags & PIN_LOCKED)

    @property
    def tries(self) -> str:
        """Say what the card tells of the tries that are left, "" when all of them are."""
        return _tries(self.flags)

    @property
    def last_try(self) -> bool:
        """Whether one more wrong PIN locks it."""
        return bool(self.flags & PIN_FINAL_TRY)

    @property
    def asks_itself(self) -> bool:
        """Whether the PIN is entered at the reader."""
        return bool(self.flags & PROTECTED_PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """All that a module shows."""

    count: int
    cards: tuple[Card, ...]


async def look(module: Path) -> Readers:
    """Return readers and cards; TrustError when the module cannot be used."""
    answer = await _ask(module, {"do": "list"})
    cards = tuple(_card(card) for card in answer["cards"])
    return Readers(count=int(answer["readers"]), cards=cards)


async def check_pin(module: Path, card: Card, certificate: CardCertificate, pin: str) -> None:
    """Present a PIN, once; TrustError when it is not the card's, with the tries that are left."""
    question = {"do": "check", "slot": card.slot, "serial": card.serial, "id": certificate.id}
    answer = await _ask(module, question | {"pin": None if card.asks_itself else pin})
    match answer.get("error"):
        case "gone":
            raise TrustError(f"the card {card.label} was removed", problem=CARD_MISSING)
        case "locked":
            raise TrustError(f"the card {card.label} is locked", problem=LOCKED)
        case "pin":
            flags = int(answer["flags"])
            if flags & PIN_LOCKED:
                raise TrustError(
                    f"the PIN is wrong, and {card.label} is locked now", problem=LOCKED
                )
            left = _tries(flags) or "the card does not tell how many tries are left"
            raise TrustError(f"the PIN is not that of {card.label}; {left}", problem=PIN_WRONG)
    if not answer["ok"]:
        why = f"the card {card.label} has no private key for its certificate {certificate.label}"
        raise TrustError(why, problem=NO_CERTIFICATE)


async def wait_removed(module: Path, card: Card) -> None:
    """Return when the card is not in its reader any more; TrustError when that cannot be told.

    It is looked for by processes that are there for a moment: one that stayed would cost 17 MiB.
    """
    question = {"do": "there", "slot": card.slot, "serial": card.serial}
    failed = False
    while True:
        await asyncio.sleep(LOOK_INTERVAL)
        try:
            answer = await _ask(module, question)
        except TrustError:
            if failed:
                raise
            failed = True
            continue
        failed = False
        if not answer["there"]:
            return


async def _ask(module: Path, question: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "throughway.net.smartcard_process", str(module)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(question).encode() + b"\n")
        async with asyncio.timeout(_TIMEOUT):
            line = await process.stdout.readline()
    except TimeoutError:
        raise TrustError(f"{module} does not answer", problem=CARD_FAILED) from None
    except OSError:
        line = b""
    finally:
        await _end(process)
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        raise TrustError(f"{module} ended without an answer", problem=CARD_FAILED) from None
    match answer.get("error"):
        case "module":
            raise TrustError(f"{module}: {answer['reason']}", problem=MODULE_MISSING)
        case "card":
            raise TrustError(f"the card does not work: {answer['reason']}", problem=CARD_FAILED)
    return answer


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(OSError):
        await process.stdin.wait_closed()
    await process.wait()


def _card(answer: dict[str, Any]) -> Card:
    certificates = (
        CardCertificate(**(c | {"names": tuple(c["names"])})) for c in answer["certificates"]
    )
    return Card(**(answer | {"certificates": tuple(certificates)}))


def _tries(flags: int) -> str:
    if flags & PIN_LOCKED:
        return "it is locked"
    if flags & PIN_FINAL_TRY:
        return "one try is left; another wrong PIN locks it"
    return "some tries are used up" if flags & PIN_COUNT_LOW else ""
