"""How the user on a client proves himself to the gateway: by a ticket, or by a key.

A key is a smart card's, or one in memory whose certificate was given for a one-time code. The
PIN of a card is presented to charon's PKCS#11 plugin once; where that fails, never again, since
a card counts.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from throughway.model.errors import IPsecError
from throughway.net.charon import Charon
from throughway.net.smartcard import CARD_FAILED

Token = Callable[[], Awaitable[bytes]]
"""Makes a GSS-API token for the gateway's service, for one attempt."""

NO_SUCH_KEY = "no PKCS#11 module found having a keyid"
"""charon's word for a card that it does not see; no PIN was presented then."""


@dataclass(eq=False, slots=True, kw_only=True)
class UserKey:
    """A user's key and certificate."""

    certificate: bytes
    """PEM."""
    chain: tuple[bytes, ...] = ()
    handle: str = ""
    """Of a key on a card: its identifier (RFC 5280, 4.2.1.2), hexadecimal."""
    pin: str = field(default="", repr=False)
    key: bytes = field(default=b"", repr=False)
    """PEM of a key in memory."""
    renewed: bool = False
    """Whether charon was started anew to make it see the card."""
    _loaded: str = ""
    """charon's name for the key."""
    _spent: bool = False
    """Whether the card has refused the PIN."""

    async def load(self, charon: Charon) -> None:
        """Give charon the key, unless it has it."""
        if self._spent:
            raise IPsecError("the smart card must be logged on with again", problem=CARD_FAILED)
        if self._loaded:
            return
        for certificate in self.chain:
            await charon.load_certificate(certificate)
        if self.key:
            self._loaded = await charon.load_key(self.key)
            return
        try:
            self._loaded = await charon.load_token(self.handle, self.pin)
        except IPsecError as error:
            if not error.problem:
                self._spent = True
                raise IPsecError(f"the smart card: {error}", problem=CARD_FAILED) from error
            raise

    async def unload(self, charon: Charon) -> None:
        """Take the key from charon; the card is logged out by it."""
        name, self._loaded = self._loaded, ""
        if name:
            await charon.unload_key(name)

    def forgotten(self) -> None:
        """charon has lost the key, with all others."""
        self._loaded = ""

    def unseen(self) -> bool:
        """Say whether charon may be started anew to see the card: once, and no PIN was lost."""
        again, self.renewed = not self.renewed, True
        if again:
            self._spent = False
        return again


Proof = Token | UserKey
