"""Joining by a token: certificate, account and policy from the authority's service, in one step.

Nobody in between can pose as the authority: its certificate is taken from whoever answers and
compared with the token's pin, and only over a second connection, which that certificate has
proven, is the token shown. The key for which a certificate was asked stays on the disk until
all is in place, so that a join that was cut short goes on where it was with the same token.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509

from throughway.client.enrolment import Computer, Joined, Place, trusted_key
from throughway.client.enrolment import join as enrol
from throughway.client.first_way import way_out
from throughway.model.errors import ConfigError, TrustError
from throughway.net.dial import Dial, Resolve
from throughway.net.est import CLOCK, NOT_GENUINE, ESTClient
from throughway.net.exchange import ask_machine
from throughway.net.files import PRIVATE, read_file, read_secret, write_atomically
from throughway.net.tls import client_context, unverified_context
from throughway.pki import bundle, est, fields, judgement, pem, tokens
from throughway.pki.authority import KeyType, generate_key
from throughway.pki.requests import REFUSED, build_request
from throughway.pki.tokens import Token


@dataclass(frozen=True, slots=True)
class _Received:
    """What the service has given."""

    certificate: bytes
    key: bytes
    policy: bytes


def join(
    url: str,
    text: str,
    place: Place,
    *,
    account: str = "",
    password: str = "",
    clock: Callable[[], float] = time.time,
    resolve: Resolve | None = None,
) -> Joined:
    """Make this computer a client by a token; the same again changes nothing."""
    token = tokens.parse_token(text)
    base = service_url(url)
    dial = way_out(place, resolve or ask_machine)
    received = asyncio.run(_receive(base, text.strip(), token, place, clock, dial))
    shown = bundle.fingerprint(bundle.claimed_key(received.policy))
    # The bundle came from a server that the token's pin has proven; a key that was pinned before
    # counts all the same.
    trust = "" if place.policy_key.exists() else shown
    signer = trusted_key(received.policy, place, trust)
    assert signer is not None
    computer = Computer(
        certificate=received.certificate,
        key=received.key,
        account=account,
        password=password or _password(place, token),
    )
    joined = enrol(received.policy, signer, computer, place, clock())
    _write(place, place.token.name, tokens.digest_of(token.secret).encode())
    place.pending_key.unlink(missing_ok=True)
    return joined


def service_url(url: str) -> str:
    """Return the service's URL: https, with its port, without a path."""
    try:
        fields.check_https_url(url)
    except ValueError as error:
        raise ConfigError("join", "", str(error)) from None
    parts = urlsplit(url)
    if parts.path not in {"", "/"} or parts.query:
        raise ConfigError("join", "", f"{url!r} must be without a path: https://da.example.com")
    return f"https://{parts.hostname}:{parts.port or est.DEFAULT_PORT}"


async def _receive(
    url: str,
    text: str,
    token: Token,
    place: Place,
    clock: Callable[[], float],
    dial: Dial,
) -> _Received:
    first = ESTClient(url, unverified_context(), dial=dial)
    anchor = _pinned(await first.authorities(), token, url)
    context = client_context(anchors=(pem.build_certificate_pem(anchor).decode(),), system=False)
    client = ESTClient(url, context, dial=dial)
    try:
        certificate, key = await _certificate(client, text, token, place)
        policy = await client.policy(text)
    except TrustError as error:
        if error.problem == CLOCK:
            raise _clock_wrong(clock(), first.date) from error
        raise
    now = datetime.fromtimestamp(clock(), UTC)
    if not judgement.in_force(pem.parse_certificate(certificate), now):
        raise _clock_wrong(clock(), first.date)
    return _Received(certificate, key, policy)


async def _certificate(
    client: ESTClient, text: str, token: Token, place: Place
) -> tuple[bytes, bytes]:
    """Return certificate and key: those in place, when this token has brought them."""
    brought = _read(place, place.token.name) == tokens.digest_of(token.secret).encode()
    if brought and place.certificate.exists() and place.key.exists():
        return read_file(place.certificate), read_secret(place.key)
    key = _pending_key(place)
    chain = await client.enrol(build_request(key, (token.name,)), text)
    own = [certificate for certificate in chain if pem.same_key(certificate, key)]
    if not own or token.name not in judgement.names(own[0]):
        raise TrustError("the authority certified another key or name", problem=REFUSED)
    return pem.build_certificate_pem(own[0]), pem.build_key_pem(key)


def _pinned(authorities: tuple[x509.Certificate, ...], token: Token, url: str) -> x509.Certificate:
    for certificate in authorities:
        if tokens.pin_of(certificate) == token.pin:
            return certificate
    shown = ", ".join(judgement.name_of(certificate.subject) for certificate in authorities)
    raise TrustError(
        f"{url} shows the authority {shown[:200]!r}, which is not the one that made the token",
        problem=NOT_GENUINE,
    )


def _clock_wrong(now: float, date: str) -> TrustError:
    ours = datetime.fromtimestamp(now, UTC)
    return TrustError(
        "the certificates are not valid by this computer's clock, which says "
        f"{ours:%Y-%m-%d %H:%M} UTC; the authority's says {date or 'nothing'}",
        problem=CLOCK,
    )


def _pending_key(place: Place) -> pem.PrivateKey:
    """Return the key that a join has begun with, or a new one that is on the disk."""
    if (data := _read(place, place.pending_key.name)) is not None:
        return pem.parse_key(data, str(place.pending_key))
    key = generate_key(KeyType.P256)
    _write(place, place.pending_key.name, pem.build_key_pem(key))
    return key


def _password(place: Place, token: Token) -> str:
    """Return the account's password; one that no token has brought is somebody's choice."""
    if place.password.exists() and not place.token.exists():
        return read_secret(place.password).decode().partition("\n")[0]
    return tokens.account_password(token)


def _read(place: Place, name: str) -> bytes | None:
    path = place.state / name
    return read_secret(path) if path.exists() else None


def _write(place: Place, name: str, data: bytes) -> None:
    try:
        place.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(place.state / name, data, PRIVATE)
    except OSError as error:
        raise ConfigError(str(place.state), "", f"cannot be written: {error.strerror}") from error
