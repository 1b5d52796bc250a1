"""One-time codes at the gateway: who shows a right one gets a user's certificate of some hours.

What DirectAccess calls OTP ([MS-OTPCE]): a client asks through the infrastructure tunnel, which
proves the computer; a Kerberos ticket proves the user; the code is checked here or by RADIUS. The
gateway is a registration authority then, and asks the authority for the certificate.
"""

import asyncio
import base64
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from throughway.control.codec import JSON, decode_line, encode_line
from throughway.health import log
from throughway.model.config import CodeCheck, CodesConfig, GatewayConfig, RADIUSConfig
from throughway.model.errors import ConfigError, ThroughwayError, TrustError, WireError
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.est import ESTClient
from throughway.net.files import PRIVATE, read_file, read_secret, write_atomically
from throughway.net.kerberos import token_acceptor
from throughway.net.radius_codes import MAX_CODE, MAX_STATE, Challenge, check_code
from throughway.net.tls import client_context
from throughway.net.webserver import Answer, Heard, WebServer, plain
from throughway.pki import totp
from throughway.pki.pem import build_certificate_pem
from throughway.proto.flood import FloodGate

PATH = "/one-time-code"
BODY_LIMIT = 32 * 1024
"""Octets: a ticket with a large PAC, and a request."""
REQUEST_TIME = 24.0
"""Seconds: RADIUS servers may be silent, or ask a person's telephone. A client waits for 25."""
ATTEMPTS, ALL_ATTEMPTS = 10, 600
"""Of one user, and of all, in a minute; TOTP has its own, stricter limit."""
REFUSED = "ipsec-user-refused"
SERVICE_DOWN = "one-time-code-service-down"

Refused = Callable[[str, str, str], None]
"""Hears reason, problem and peer of every refusal."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client sends."""

    token: bytes
    code: str
    state: bytes
    request: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A code that was worth nothing, for the audit."""

    user: str
    """By the ticket; "" where that was refused already."""
    computer: str
    address: str
    problem: str
    reason: str


class CodeService:
    """Answers clients. ``tunnels`` returns those that are up now."""

    def __init__(
        self,
        config: GatewayConfig,
        tunnels: Callable[[], tuple[TunnelStatus, ...]],
        on_refused: Refused,
        on_issued: Callable[[str, str], None] = lambda principal, computer: None,
        clock: Callable[[], float] = time.time,
        on_failed: Callable[[Refusal], None] = lambda refusal: None,
    ) -> None:
        assert config.users is not None
        assert config.users.codes is not None
        self._users, self._codes = config.users, config.users.codes
        self._book = self._codes.book or book_of(config)
        self._tunnels = tunnels
        self._on_refused = on_refused
        self._on_issued = on_issued
        self._on_failed = on_failed
        self._clock = clock
        self._gate = FloodGate(per_source=ATTEMPTS, total=ALL_ATTEMPTS)
        self._accept = token_acceptor(
            self._users.keytab,
            self._users.service,
            self._users.realm,
            replay_cache=config.runtime_directory / "replay.rcache",
        )
        self._server = WebServer(
            self._codes.listen,
            self.respond,
            key="users.codes.listen",
            body_limit=BODY_LIMIT,
            seconds=REQUEST_TIME,
        )

    async def start(self) -> None:
        """Listen; ConfigError when the address cannot be had."""
        await self._server.start()

    async def close(self) -> None:
        """Stop."""
        await self._server.close()

    async def respond(self, heard: Heard) -> Answer:
        """Answer a request."""
        if heard.request.target != PATH.encode() or heard.request.method != b"POST":
            return plain(HTTPStatus.NOT_FOUND, f"POST to {PATH}")
        computer = self._computer(heard.source)
        if not computer:
            why = "only who has an infrastructure tunnel may ask"
            return _told(HTTPStatus.FORBIDDEN, problem=REFUSED, reason=why)
        principal = ""
        try:
            asked = _parse(heard.body)
            principal = await asyncio.to_thread(self._accept, asked.token)
            return await self._answer(asked, principal, computer)
        except TrustError as error:
            self._on_refused(str(error), error.problem, f"{computer} ({heard.source})")
            refusal = Refusal(principal, computer, heard.source, error.problem, str(error))
            self._on_failed(refusal)
            problem = error.problem or REFUSED
            return _told(HTTPStatus.FORBIDDEN, problem=problem, reason=str(error))
        except WireError as error:
            return _told(HTTPStatus.BAD_REQUEST, problem=REFUSED, reason=str(error))
        except ThroughwayError as error:
            self._on_refused(str(error), SERVICE_DOWN, f"{computer} ({heard.source})")
            why = "the gateway cannot check codes now; its log says why"
            return _told(HTTPStatus.SERVICE_UNAVAILABLE, problem=SERVICE_DOWN, reason=why)

    async def _answer(self, asked: Asked, principal: str, computer: str) -> Answer:
        now = self._clock()
        self._gate.due(now)
        if not self._gate.admits(principal.casefold(), now):
            why = f"{principal} asks too often; wait a minute"
            raise TrustError(why, problem=totp.TOO_MANY)
        challenge = await self._check(principal, asked, now)
        if challenge is not None:
            state = base64.b64encode(challenge.state).decode()
            return _told(HTTPStatus.OK, challenge=challenge.message, state=state)
        certificates = await self._certify(asked.request, principal)
        self._on_issued(principal, computer)
        return _told(HTTPStatus.OK, certificate=certificates)

    async def _check(self, principal: str, asked: Asked, now: float) -> Challenge | None:
        if self._codes.check is CodeCheck.TOTP:
            await asyncio.to_thread(check_totp, self._book, principal, asked.code, now)
            return None
        servers = RADIUSConfig(
            servers=self._codes.servers, secret=_secret(self._codes), timeout=self._codes.timeout
        )
        user = principal.rpartition("@")[0]
        return await check_code(servers, user, asked.code, asked.state)

    async def _certify(self, request: bytes, principal: str) -> str:
        codes = self._codes
        try:
            anchor = read_file(codes.authority_ca).decode()
        except ValueError as error:
            raise ConfigError("", "users.codes.authority_ca", str(error)) from None
        tls = client_context(
            anchors=(anchor,), system=False, certificate=codes.certificate, key=codes.key
        )
        client = ESTClient(codes.authority, tls)
        made = await client.user(request, principal, codes.hours * 3600)
        return "".join(build_certificate_pem(one).decode() for one in made)

    def _computer(self, source: str) -> str:
        """Return the computer whose infrastructure tunnel ends at an address, "" for none."""
        return next(
            (
                tunnel.remote_identity
                for tunnel in self._tunnels()
                if tunnel.name == "infrastructure"
                and tunnel.state is TunnelState.UP
                and tunnel.remote_address == source
            ),
            "",
        )


class Codes:
    """The service of a gateway, where one is configured."""

    def __init__(
        self,
        config: GatewayConfig,
        tunnels: Callable[[], tuple[TunnelStatus, ...]],
        on_refused: Refused,
        on_failed: Callable[[Refusal], None],
    ) -> None:
        self._log = log.logger("gateway")
        self._service: CodeService | None = None
        if config.users is not None and config.users.codes is not None:
            self._service = CodeService(
                config, tunnels, on_refused, self._issued, on_failed=on_failed
            )

    async def start(self) -> None:
        """Listen; ConfigError when the address cannot be had."""
        if self._service is not None:
            await self._service.start()

    async def close(self) -> None:
        """Stop."""
        if self._service is not None:
            await self._service.close()

    def _issued(self, principal: str, computer: str) -> None:
        self._log.info("certificate for a code", user=principal, computer=computer)


def book_of(config: GatewayConfig) -> Path:
    """Return where the devices of users are kept."""
    return config.state_directory / "codes.json"


def check_totp(path: Path, principal: str, code: str, now: float) -> None:
    """Judge a code by the book, and write down that it was used; TrustError when it is wrong."""
    with opened(path) as book:
        after, refusal = totp.check(book, principal, code, now)
        if after != book:
            keep(path, after)
    if refusal is not None:
        raise refusal


@contextmanager
def opened(path: Path) -> Iterator[totp.DeviceBook]:
    """Read the book, and let nobody else change it meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = path.with_suffix(".lock")
    try:
        with open(lock, "a", opener=_private) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield read_book(path)
    except OSError as error:
        raise ConfigError(str(lock), "", f"cannot be locked: {error.strerror}") from error


def read_book(path: Path) -> totp.DeviceBook:
    """Return the book; an empty one where there is none yet."""
    if not path.exists():
        return totp.DeviceBook()
    try:
        return totp.parse_book(read_secret(path), str(path))
    except ValueError as error:
        raise ConfigError(str(path), "", str(error)) from None


def keep(path: Path, book: totp.DeviceBook) -> None:
    """Write the book."""
    write_atomically(path, totp.build_book(book), PRIVATE)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)


def _secret(codes: CodesConfig) -> Path:
    assert codes.secret is not None
    return codes.secret


def _parse(body: bytes) -> Asked:
    match decode_line(body):
        case {"token": str(token), "code": str(code), "state": str(state), "request": str(request)}:
            try:
                packed = (base64.b64decode(each, validate=True) for each in (token, state, request))
                ticket, carried, wanted = packed
            except ValueError:
                raise WireError("not base64") from None
            if len(carried) > MAX_STATE or len(code) > MAX_CODE or not code.isprintable():
                raise WireError("no code, or a state that no server has given")
            return Asked(ticket, code, carried, wanted)
    raise WireError("token, code, state and request must be given")


def _told(status: HTTPStatus, **said: JSON) -> Answer:
    told: Mapping[str, JSON] = said
    return Answer(status, {"content-type": "application/json"}, encode_line(dict(told)))
