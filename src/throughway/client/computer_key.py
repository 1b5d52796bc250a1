"""The key of the computer certificate, where it stays on a PKCS#11 token or in a TPM.

charon signs with it for IPsec. Python's TLS cannot, so such a computer shows no certificate to
the IP-HTTPS server, nor where it asks why it was refused.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from throughway.model.config import ClientConfig, TokenKey
from throughway.model.errors import IPsecError, TrustError
from throughway.net import smartcard
from throughway.net.charon import Charon
from throughway.net.files import read_file, read_secret
from throughway.pki import computer_certificate, judgement
from throughway.pki.pem import parse_certificate, parse_certificates

UNUSABLE = "computer-key-token-unusable"


class Shown(TypedDict):
    """What TLS shows of a computer."""

    certificate: Path | None
    key: Path | None


def shown_by_tls(config: ClientConfig) -> Shown:
    """Return certificate and key for TLS, none where the key is on a token."""
    if config.token_key is not None:
        return {"certificate": None, "key": None}
    return {"certificate": config.certificate, "key": config.key}


def modules_of(config: ClientConfig) -> tuple[Path, ...]:
    """Return the PKCS#11 modules that charon needs."""
    tokens = (config.token_key, config.smart_card)
    return tuple(token.module for token in tokens if token is not None)


def check_usage(file: Path) -> None:
    """Raise IPsecError for a certificate that is no computer's: every gateway refuses it."""
    try:
        computer_certificate.check_usage(parse_certificate(read_file(file)))
    except TrustError as error:
        if error.problem:
            raise IPsecError(f"{file}: {error}", problem=error.problem) from error
    except ValueError:
        return  # charon says what is wrong with it


def distrust(file: Path, anchors: Sequence[str]) -> str:
    """Say why who has these authorities does not trust the certificate, "" where he does."""
    try:
        own, *between = parse_certificates(read_file(file), str(file))
        roots = [parse_certificate(anchor.encode()) for anchor in anchors]
    except (TrustError, ValueError):
        return ""  # charon says what is wrong with it
    now = datetime.now(UTC)
    judged = judgement.chain(own, roots, now, between)
    # Of its dates the keeper of the certificate tells.
    sound = judged.trusted or not judgement.in_force(own, now)
    return "" if sound else f"{file}: {judged.why}"


class ComputerKey:
    """Gives charon the key each time that it has forgotten it; a wrong PIN is presented once."""

    def __init__(self, token: TokenKey) -> None:
        self._token = token
        self._refused = ""

    async def load(self, charon: Charon) -> None:
        """Load it; IPsecError when the token is not there, or has refused the PIN."""
        token = self._token
        if self._refused:
            raise IPsecError(self._refused, problem=UNUSABLE)
        try:
            cards = (await smartcard.look(token.module)).cards
            pin = read_secret(token.pin_file).decode().strip("\r\n") if token.pin_file else ""
        except (TrustError, ValueError) as error:
            raise IPsecError(str(error), problem=UNUSABLE) from error
        found = [card for card in cards if card.label == token.token]
        if not found:
            there = ", ".join(card.label for card in cards) or "none"
            why = f"{token.module} shows no token {token.token}; there is {there}"
            raise IPsecError(why, problem=UNUSABLE)
        if found[0].locked or found[0].last_try:
            raise IPsecError(f"the token {token.token}: {found[0].tries}", problem=UNUSABLE)
        try:
            await charon.load_token(token.id, pin, slot=found[0].slot, module=token.module)
        except IPsecError as error:
            if error.problem:
                raise
            self._refused = (
                f"the token {token.token} refused its PIN or has no key {token.id}; it is not "
                "tried again until the client is restarted"
            )
            raise IPsecError(self._refused, problem=UNUSABLE) from error
