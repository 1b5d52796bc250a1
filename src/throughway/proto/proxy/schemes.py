"""The ways to prove oneself to a proxy, behind one shape; which to take, and in what order.

The order is by strength: Negotiate with Kerberos (nothing of the password leaves this computer),
NTLM (a proof that can be attacked off line), Digest (the same, and weaker), Basic (the password
itself). Negotiate can also carry NTLM as it is ([MS-N2HT]), for proxies that offer nothing else.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from throughway.model.errors import RemoteProtocolError, WireError
from throughway.proto.proxy import digest
from throughway.proto.proxy.challenges import Challenge
from throughway.proto.proxy.ntlm import NONCE_BYTES, NTLM

KERBEROS, NTLM_SCHEME, NEGOTIATED_NTLM = "kerberos", "ntlm", "negotiated-ntlm"
DIGEST, BASIC = "digest", "basic"
ORDER = (KERBEROS, NTLM_SCHEME, NEGOTIATED_NTLM, DIGEST, BASIC)
_WORDS = {KERBEROS: "negotiate", NEGOTIATED_NTLM: "negotiate"}
"""The scheme on the wire, where it is not the name of ours."""
MAXIMUM_TOKEN = 64 * 1024
"""Bytes of a token; tickets of users in many groups reach 12,000, proxies take up to 64 KiB."""
CNONCE_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are to a proxy."""

    user: str = ""
    """"": nobody; Kerberos may still speak for whoever has logged on."""
    password: str = field(default="", repr=False)
    domain: str = ""
    workstation: str = ""
    ticket: bool = False
    """Whether a Kerberos ticket may be tried."""
    disclose: bool = True
    """Whether this proxy was named by somebody, so that it may have the password or what can be
    attacked off line; a proxy that the network itself offers gets a ticket or nothing."""

    @property
    def account(self) -> str:
        """The user with the domain before it, as Windows writes it."""
        return f"{self.domain}\\{self.user}" if self.domain else self.user


@dataclass(slots=True)
class Memory:
    """What one connection to a proxy learns for the next ones; it holds no secret."""

    scheme: str = ""
    """The one that was let in; "" while none was, or none is needed."""
    session: digest.DigestSession | None = None
    """The nonce of Digest that is in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What schemes need of the world: octets nobody can guess, and the time of day."""

    random: Callable[[int], bytes]
    wall_time: Callable[[], float]


class Scheme(Protocol):
    """One exchange with a proxy in one scheme."""

    name: str
    bound: bool
    """Whether the exchange belongs to one connection, which must stay."""

    def opening(self) -> str:
        """Return the header's value to begin with, without any challenge; "" when it needs one."""

    def answer(self, challenge: Challenge) -> str | None:
        """Return the value for a challenge; None: it refuses us."""


class _Basic:
    name, bound = BASIC, False

    def __init__(self, who: Credentials, memory: Memory) -> None:
        self._who = who
        self._used = False

    def opening(self) -> str:
        return self._value()

    def answer(self, challenge: Challenge) -> str | None:
        return None if self._used else self._value()

    def _value(self) -> str:
        self._used = True
        account = self._who.account
        # RFC 7617: UTF-8 where the proxy says so; the others take it or could not hold it anyhow.
        plain = f"{account}:{self._who.password}".encode()
        return f"Basic {base64.b64encode(plain).decode()}"


class _Digest:
    name, bound = DIGEST, False

    def __init__(self, who: Credentials, memory: Memory, uri: str, means: Means) -> None:
        self._who, self._memory, self._uri, self._means = who, memory, uri, means
        self._fresh = False
        """Whether a nonce has been answered that the proxy gave on this way."""

    def opening(self) -> str:
        return self._value() if self._memory.session is not None else ""

    def answer(self, challenge: Challenge) -> str | None:
        stale = challenge.get("stale").lower() == "true"
        if self._fresh and not stale:
            return None
        self._fresh = True
        self._memory.session = digest.begin(challenge)
        return self._value()

    def _value(self) -> str:
        assert self._memory.session is not None
        cnonce = self._means.random(CNONCE_BYTES).hex()
        return digest.authorize(
            self._memory.session,
            user=self._who.account,
            password=self._who.password,
            method="CONNECT",
            uri=self._uri,
            cnonce=cnonce,
        )


class _NTLM:
    bound = True

    def __init__(self, name: str, who: Credentials, means: Means) -> None:
        self.name = name
        self._means = means
        self._word = "NTLM" if name == NTLM_SCHEME else "Negotiate"
        domain, user = who.domain, who.user
        if not domain and "\\" in user:
            domain, _, user = user.partition("\\")
        self._exchange = NTLM(user, who.password, domain, who.workstation)
        self._proved = False

    def opening(self) -> str:
        return self._written(self._exchange.negotiate())

    def answer(self, challenge: Challenge) -> str | None:
        if self._proved or not challenge.token:
            return None
        self._proved = True
        try:
            token = base64.b64decode(challenge.token, validate=True)
            proof = self._exchange.authenticate(
                token, nonce=self._means.random(NONCE_BYTES), wall_time=self._means.wall_time()
            )
        except (binascii.Error, WireError) as error:
            raise RemoteProtocolError(f"its NTLM message cannot be read: {error}") from error
        return self._written(proof)

    def _written(self, message: bytes) -> str:
        return f"{self._word} {base64.b64encode(message).decode()}"


class Kerberos:
    """Negotiate by a ticket, which is made elsewhere and given to :meth:`take`."""

    name, bound = KERBEROS, True

    def take(self, token: bytes) -> str:
        """Return the header's value for a token."""
        return f"Negotiate {base64.b64encode(token).decode()}"

    def opening(self) -> str:
        """Return nothing: without a token there is nothing to begin with."""
        return ""

    def answer(self, challenge: Challenge) -> str | None:
        """Return None: one token is all that Kerberos needs; another challenge is a refusal."""
        return None


def permitted(name: str, who: Credentials) -> bool:
    """Whether we have what a scheme needs, and may show it to this proxy."""
    return who.ticket if name == KERBEROS else bool(who.user) and who.disclose


def make(name: str, who: Credentials, memory: Memory, uri: str, means: Means) -> Scheme:
    """Return a new exchange in a scheme of ours."""
    match name:
        case "kerberos":
            return Kerberos()
        case "digest":
            return _Digest(who, memory, uri, means)
        case "basic":
            return _Basic(who, memory)
    return _NTLM(name, who, means)


def own(scheme: Scheme, challenges: tuple[Challenge, ...]) -> Challenge | None:
    """Return the challenge that goes on with an exchange, None when there is none."""
    word = _WORDS.get(scheme.name, scheme.name)
    found = [c for c in challenges if c.scheme == word and (word != DIGEST or digest.usable(c))]
    return min(found, key=_strength, default=None)


def ranked(challenges: tuple[Challenge, ...], who: Credentials) -> list[tuple[str, Challenge]]:
    """Return the schemes that we can answer with their challenges, strongest first."""
    found = [
        (name, challenge)
        for challenge in challenges
        for name in ORDER
        if _WORDS.get(name, name) == challenge.scheme and permitted(name, who)
        if name != DIGEST or digest.usable(challenge)
    ]
    return sorted(found, key=lambda pair: (ORDER.index(pair[0]), _strength(pair[1])))


def _strength(challenge: Challenge) -> int:
    return digest.strength(challenge) if challenge.scheme == DIGEST else 0
