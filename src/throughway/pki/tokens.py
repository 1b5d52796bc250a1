"""Tokens by which a computer enrols for the first time (RFC 7030, 3.2.3): one use, one name.

A token is what an administrator gives away, as text::

    base64url( version | secret | pin | name )

The authority keeps a digest of the secret only. The pin (SHA-256 of the authority's
SubjectPublicKeyInfo, RFC 7469 2.4) is for the computer: by it nobody in between can pose as the
authority. Pure: secrets are made by the caller, ``now`` is given.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from throughway.model.errors import ConfigError, TrustError
from throughway.pki import fields
from throughway.pki.authority import Profile, PublicKey
from throughway.pki.fields import Fields
from throughway.pki.index import build_lines

VERSION = 1
SECRET_LENGTH = 16
"""Bytes: too many to guess, so that one round of SHA-256 is enough to keep them."""
PIN_LENGTH = 32
MAX_TEXT = 512
"""Characters of a token."""
FORMAT = 1
MAX_TOKENS = 10_000
"""In one file; what has expired a while ago goes first."""

UNKNOWN = "enrolment-token-unknown"
USED = "enrolment-token-used"
EXPIRED = "enrolment-token-expired"

_STORED = b"throughway token\0"
_PASSWORD = b"throughway computer account\0"


@dataclass(frozen=True, slots=True)
class Token:
    """What the text says."""

    secret: bytes
    pin: bytes
    name: str
    """The main name of the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuable:
    """A token as the authority remembers it."""

    digest: str
    """Of the secret."""
    names: tuple[str, ...]
    profile: Profile
    expires_at: str
    """ISO 8601, UTC."""
    used_at: str = ""
    key: str = ""
    """Digest of the key for which it was used; the same computer may ask again."""
    serial: str = ""
    """Of the certificate that was given for it."""


@dataclass(frozen=True, slots=True)
class TokenBook:
    """All tokens of an authority."""

    tokens: tuple[Issuable, ...] = ()

    def added(self, *new: Issuable) -> "TokenBook":
        """Return the book with more tokens; an older unused one for the same name is void."""
        names = {token.names[0] for token in new}
        kept = [t for t in self.tokens if t.used_at or t.names[0] not in names]
        return TokenBook((*kept, *new))

    def without_old(self, before: datetime) -> "TokenBook":
        """Return the book without what had expired at that time."""
        return TokenBook(tuple(t for t in self.tokens if _time(t.expires_at) >= before))

    def find(self, secret: bytes, now: datetime) -> Issuable:
        """Return the token of this secret, when it counts; TrustError says why not."""
        wanted, found = digest_of(secret), None
        for token in self.tokens:  # all of them: how long it takes says nothing
            if hmac.compare_digest(token.digest, wanted):
                found = token
        if found is None:
            raise TrustError("the authority does not know this token", problem=UNKNOWN)
        if now >= _time(found.expires_at):
            raise TrustError(
                f"the token for {found.names[0]} has expired on {found.expires_at[:16]} UTC",
                problem=EXPIRED,
            )
        return found

    def used(self, token: Issuable, now: datetime, key: str, serial: str) -> "TokenBook":
        """Return the book with this token used up for a key."""
        spent = replace(token, used_at=now.isoformat(), key=key, serial=serial)
        return TokenBook(tuple(spent if t.digest == token.digest else t for t in self.tokens))


def judge_use(token: Issuable, key: str) -> None:
    """Refuse a token that another key was certified for; the same one may ask again."""
    if token.used_at and not hmac.compare_digest(token.key, key):
        raise TrustError(
            f"the token for {token.names[0]} was used before, on {token.used_at[:16]} UTC",
            problem=USED,
        )


def build_token(token: Token) -> str:
    """Return the text to give away."""
    data = bytes([VERSION]) + token.secret + token.pin + token.name.encode("ascii")
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def parse_token(text: str) -> Token:
    """Return what the text says; :exc:`TrustError` when it is no token."""
    text = text.strip()
    begins = 1 + SECRET_LENGTH
    try:
        if len(text) > MAX_TEXT:
            raise ValueError
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        name = fields.check_dns_name(data[begins + PIN_LENGTH :].decode("ascii"))
        token = Token(data[1:begins], data[begins : begins + PIN_LENGTH], name)
        if data[0] != VERSION or build_token(token) != text:
            raise ValueError
    except (ValueError, IndexError, binascii.Error):
        raise TrustError(
            "this is no token: copy it whole, as `throughway pki token` has shown it",
            problem=UNKNOWN,
        ) from None
    return token


def pin_of(certificate: x509.Certificate) -> bytes:
    """Return the pin of an authority's certificate."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()


def key_digest(key: PublicKey) -> str:
    """Return what tells keys apart."""
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def digest_of(secret: bytes) -> str:
    """Return what the authority keeps of a secret."""
    return hashlib.sha256(_STORED + secret).hexdigest()


def account_password(token: Token) -> str:
    """Return the computer account's first password, which both ends can make of the token."""
    made = hmac.new(token.secret, _PASSWORD + token.name.encode("ascii"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made[:24]).decode("ascii")


def build_book(book: TokenBook) -> bytes:
    """Return the file's content."""
    return build_lines({"format": FORMAT}, "tokens", book.tokens[-MAX_TOKENS:])


def parse_book(data: bytes, what: str) -> TokenBook:
    """Return the book; :exc:`ConfigError` where it was damaged."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(what, "", f"is not JSON: {error}") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ConfigError(what, "format", f"must be {FORMAT}: not of this throughway")
    top = Fields(values, what)
    tables = top.tables("tokens", MAX_TOKENS)
    book = TokenBook(tuple(map(_read, tables)))
    top.finish(*tables)
    return book


def _read(table: Fields) -> Issuable:
    token = Issuable(
        digest=table.text("digest"),
        names=table.texts("names", fields.check_text, minimum=1),
        profile=Profile(table.text("profile", _check_profile) or Profile.COMPUTER),
        expires_at=table.text("expires_at", _check_time),
        used_at=table.optional_text("used_at", _check_time),
        key=table.optional_text("key", fields.check_text),
        serial=table.optional_text("serial", fields.check_text),
    )
    table.gather()
    return token


def _check_profile(value: str) -> str:
    try:
        return Profile(value)
    except ValueError:
        raise ValueError(f"{value!r} is not one of {', '.join(Profile)}") from None


def _check_time(value: str) -> str:
    _time(value)
    return value


def _time(value: str) -> datetime:
    when = datetime.fromisoformat(value)
    if when.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return when
