"""One-time codes checked by RADIUS servers (RFC 2865 sections 2.1 and 4.4): PAP and challenges.

Each answer must carry both authenticators, as in :mod:`throughway.net.radius_relay`.
"""

from dataclasses import dataclass

from pyrad.packet import AccessAccept, AccessChallenge, AuthPacket

from throughway.model.config import RADIUSConfig
from throughway.model.errors import ConfigError, Stage, TransportError, TrustError
from throughway.net.files import read_secret
from throughway.net.radius_relay import (
    NAS_IDENTIFIER,
    SECRET_WRONG,
    STATE,
    UNREACHABLE,
    USER_NAME,
    WrongSecretError,
    ask_server,
)

USER_PASSWORD, REPLY_MESSAGE = 2, 18
MAX_CODE = 128
"""Octets of a User-Password (RFC 2865 section 5.2)."""
MAX_NAME = MAX_STATE = 253
"""Octets of an attribute's value (RFC 2865 section 5)."""
MAX_MESSAGE = 1000
REFUSED = "one-time-code-wrong"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The server asks back: people see ``message``, the next answer carries ``state``."""

    message: str
    state: bytes


async def check_code(
    config: RADIUSConfig, user: str, code: str, state: bytes = b""
) -> Challenge | None:
    """Ask about a code; None when it is right.

    TrustError when it is not, TransportError when no server answers.
    """
    try:
        secret = read_secret(config.secret).strip(b"\r\n")
    except ValueError as error:
        raise ConfigError(str(config.secret), "users.codes.secret", str(error)) from None
    if not 0 < len(code.encode()) <= MAX_CODE:
        raise TrustError(f"a code of {len(code)} characters", problem=REFUSED)
    if len(user.encode()) > MAX_NAME:
        raise TrustError(f"a user name of {len(user)} characters", problem=REFUSED)
    wrong = False
    for server in config.servers:
        request = _request(secret, user, code, state)
        try:
            answer = await ask_server(request, server, config.timeout)
        except WrongSecretError:
            wrong = True
            continue
        if answer is not None:
            return _judged(answer, user)
    names = ", ".join(f"{host} port {port}" for host, port in config.servers)
    if wrong:
        raise TrustError(f"{names} signs with another secret", problem=SECRET_WRONG)
    raise TransportError(Stage.CONNECT, f"no answer from {names}", problem=UNREACHABLE)


def _request(secret: bytes, user: str, code: str, state: bytes) -> AuthPacket:
    request = AuthPacket(secret=secret)
    request.add_message_authenticator()
    request.authenticator = request.CreateAuthenticator()
    request[USER_NAME] = [user.encode()]
    request[USER_PASSWORD] = [request.PwCrypt(code)]
    request[NAS_IDENTIFIER] = [b"throughway"]
    if state:
        request[STATE] = [state]
    return request


def _judged(answer: AuthPacket, user: str) -> Challenge | None:
    told = b" ".join(map(bytes, answer.get(REPLY_MESSAGE) or ()))[:MAX_MESSAGE]
    message = "".join(c for c in told.decode(errors="replace") if c.isprintable())
    if answer.code == AccessAccept:
        return None
    states = answer.get(STATE) or ()
    if answer.code == AccessChallenge and states:
        return Challenge(message or "The server asks for another code", bytes(states[0]))
    words = f": {message}" if message else ""
    raise TrustError(f"the RADIUS server refused the code of {user}{words}", problem=REFUSED)
