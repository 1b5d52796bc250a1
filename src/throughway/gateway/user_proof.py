"""How a gateway lets users prove themselves: tickets, smart cards, certificates for codes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from throughway.model.config import (
    IPsecServerConfig,
    UserCertificatesConfig,
    UserProof,
    UsersConfig,
)
from throughway.model.errors import TransportError, TrustError
from throughway.model.revocation import Fault, Revocation
from throughway.net.files import read_file
from throughway.net.radius import UserCertificates
from throughway.net.revocation import PROBLEMS, Checker
from throughway.net.revocation_lists import RevocationLists
from throughway.net.user_tls import Chain, UserTLS, UserTLSSettings, make_context
from throughway.pki.pem import parse_certificates
from throughway.pki.user_certificate import Proof, check_usage, principal_of
from throughway.proto.authoriser import Method

_PROOFS: dict[UserProof, tuple[Proof, ...]] = {
    UserProof.ANY: (Proof.SMART_CARD, Proof.CODE),
    UserProof.STRONG: (Proof.SMART_CARD, Proof.CODE),
    UserProof.SMART_CARD: (Proof.SMART_CARD,),
    UserProof.CODE: (Proof.CODE,),
}

_DAY = 86400.0
"""Seconds; then a card has to prove itself again."""
REVOKED, UNKNOWN = "user-certificate-revoked", "user-certificate-revocation-unknown"


def methods_of(users: UsersConfig) -> tuple[Method, ...]:
    """Return what is open to users; what the gateway would rather have comes first."""
    if users.require is not UserProof.ANY:
        return (Method.CERTIFICATE,)
    if users.certificates is not None:
        return Method.TICKET, Method.CERTIFICATE
    return (Method.TICKET,)


def certificates_of(
    ipsec: IPsecServerConfig,
    users: UsersConfig,
    lists: RevocationLists | None = None,
    on_opened: Callable[[str, float], None] = lambda connection, seconds: None,
) -> UserCertificates | None:
    """Return what accepts users by certificates, None where none are configured.

    Files are read for each handshake, so that a new certificate is in force at once.
    """
    wanted = users.certificates
    if wanted is None:
        return None
    proofs = _PROOFS[users.require]

    def check(certificate: x509.Certificate) -> None:
        check_usage(certificate, proofs)
        principal_of(certificate, users.realm)

    async def judge(chain: Chain) -> str:
        if lists is not None:
            await check_revocation(chain, lists, wanted.revocation)
        return principal_of(chain[0], users.realm)

    return UserCertificates(
        begin=lambda: UserTLS(_context(ipsec, wanted), check),
        judge=judge,
        on_opened=lambda connection, chain: on_opened(connection, seconds_left(chain)),
    )


def seconds_left(chain: Chain) -> float:
    """Return how long the tunnel may last: as long as the certificate, at most a day."""
    left = (chain[0].not_valid_after_utc - datetime.now(UTC)).total_seconds()
    return max(0.0, min(_DAY, left))


class Expiry:
    """Ends tunnels with the certificates that opened them. ``end`` is awaited with the name."""

    def __init__(self, end: Callable[[str], Awaitable[None]]) -> None:
        self._end = end
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def opened(self, connection: str, seconds: float) -> None:
        """Take note of a tunnel; whoever opened it before counts no more."""
        self.forget(connection)
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(seconds, self._over, connection)

    def forget(self, connection: str) -> None:
        """Somebody else has opened it, or it is gone."""
        timer = self._timers.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """End nothing any more."""
        for connection in tuple(self._timers):
            self.forget(connection)
        for task in tuple(self._ending):
            task.cancel()

    def _over(self, connection: str) -> None:
        self._timers.pop(connection, None)
        task = asyncio.create_task(self._ended(connection))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _ended(self, connection: str) -> None:
        await self._end(connection)


async def check_revocation(chain: Chain, lists: RevocationLists, policy: Revocation) -> None:
    """Raise TrustError for a chain that was revoked or, under the strong policy, may have been."""
    try:
        await Checker(lists, policy=policy).check_chain(
            [c.public_bytes(Encoding.DER) for c in chain]
        )
    except TransportError as error:
        problem = REVOKED if error.problem == PROBLEMS[Fault.REVOKED][0] else UNKNOWN
        words = str(error).partition("the server is refused: ")[2] or str(error)
        raise TrustError(words, problem=problem) from error


def _context(ipsec: IPsecServerConfig, wanted: UserCertificatesConfig) -> SSL.Context:
    try:
        own = parse_certificates(read_file(ipsec.certificate), str(ipsec.certificate))
        authorities = parse_certificates(read_file(wanted.ca), str(wanted.ca))
        key = read_file(ipsec.key)
    except ValueError as error:
        raise TrustError(str(error)) from None
    settings = UserTLSSettings(
        certificate=own[0], chain=tuple(own[1:]), key=key, authorities=tuple(authorities)
    )
    return make_context(settings)
