"""A user's smart card at the client: which one it is, its PIN, and its being pulled."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from throughway.client.proof import UserKey
from throughway.model.config import CardRemoval, SmartCardConfig
from throughway.model.errors import ThroughwayError, TrustError
from throughway.net import smartcard
from throughway.net.smartcard import Card, CardCertificate, Readers
from throughway.proto.authoriser import same_principal

NOT_CONFIGURED = "smart-card-not-configured"
EXPIRED = "smart-card-certificate-expired"
ANOTHER_USER = "smart-card-of-another-user"
REMOVED = "smart-card-removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The card, and of it the certificate, with which a user logs on."""

    card: Card
    certificate: CardCertificate
    principal: str


class SmartCards:
    """The readers of this computer.

    ``on_removed(principal, card)`` tells that the card of who is logged on was pulled.
    """

    def __init__(
        self, config: SmartCardConfig | None, on_removed: Callable[[str, str], None]
    ) -> None:
        self._config = config
        self._on_removed = on_removed
        self._watcher: asyncio.Task[None] | None = None

    async def choose(self, realm: str, principal: str = "") -> Choice:
        """Return the card to log on with; TrustError says what is missing."""
        readers = await smartcard.look(self._settings().module)
        return choose(readers, realm, principal, time.time())

    async def unlock(self, choice: Choice, pin: str) -> UserKey:
        """Present the PIN, once; return the key, whose card is watched from now on."""
        config = self._settings()
        await smartcard.check_pin(config.module, choice.card, choice.certificate, pin)
        self.rest()
        if config.on_removal is CardRemoval.LOG_OFF:
            self._watcher = asyncio.create_task(self._watch(config, choice), name="smart card")
        certificate = choice.certificate
        return UserKey(certificate=certificate.pem.encode(), handle=certificate.key, pin=pin)

    def rest(self) -> None:
        """Watch no card any more."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()

    async def close(self) -> None:
        """Watch no card any more, and wait for the end of it."""
        watcher = self._watcher
        self.rest()
        if watcher is not None:
            await asyncio.wait((watcher,))

    def _settings(self) -> SmartCardConfig:
        if self._config is None:
            why = "no [smart_card] module is configured in client.toml"
            raise TrustError(why, problem=NOT_CONFIGURED)
        return self._config

    async def _watch(self, config: SmartCardConfig, choice: Choice) -> None:
        card = choice.card
        try:
            await smartcard.wait_removed(config.module, card)
            what = f"{card.label} was pulled"
        except ThroughwayError as error:  # a card that nobody can see any more is gone
            what = f"{card.label}: {error}"
        self._watcher = None
        self._on_removed(choice.principal, what)


def choose(readers: Readers, realm: str, principal: str, now: float) -> Choice:
    """Return the one card and certificate that fit; TrustError says which thing is missing."""
    if not readers.count:
        raise TrustError("no smart-card reader is plugged in", problem=smartcard.READER_MISSING)
    if not readers.cards:
        raise TrustError("no smart card is in the reader", problem=smartcard.CARD_MISSING)
    choices = [
        Choice(card=card, certificate=certificate, principal=_principal(name, realm))
        for card in readers.cards
        for certificate in card.certificates
        if certificate.logon
        for name in certificate.names
    ]
    if not choices:
        labels = ", ".join(card.label for card in readers.cards)
        why = f"{labels}: no certificate for smart-card logon that names a user"
        raise TrustError(why, problem=smartcard.NO_CERTIFICATE)
    fitting = [c for c in choices if not principal or same_principal(c.principal, principal)]
    if not fitting:
        whose = ", ".join(dict.fromkeys(c.principal for c in choices))
        raise TrustError(f"the smart card is {whose}'s, not {principal}'s", problem=ANOTHER_USER)
    current = [c for c in fitting if c.certificate.begin <= now < c.certificate.end]
    if not current:
        raise TrustError(_outdated(fitting[0], now), problem=EXPIRED)
    if len({c.principal for c in current}) > 1:
        whose = " and ".join(dict.fromkeys(c.principal for c in current))
        why = f"there are smart cards of {whose}: name the user to log on"
        raise TrustError(why, problem=ANOTHER_USER)
    choice = max(current, key=lambda c: c.certificate.end)
    if choice.card.locked:
        raise TrustError(f"the card {choice.card.label} is locked", problem=smartcard.LOCKED)
    return choice


def _principal(name: str, realm: str) -> str:
    user, _, domain = name.rpartition("@")
    return f"{user}@{realm}" if domain.upper() == realm.upper() else name


def _outdated(choice: Choice, now: float) -> str:
    certificate = choice.certificate
    of = f"the certificate of {choice.principal} on {choice.card.label}"
    if now < certificate.begin:
        return f"{of} is valid only from {_day(certificate.begin)} on"
    return f"{of} expired on {_day(certificate.end)}"


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
