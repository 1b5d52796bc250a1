"""A one-time code at the client: the gateway is asked for a user's certificate, by a new key.

The key is made here and stays in memory; it is good for as many hours as its certificate.
"""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from throughway.client.proof import UserKey
from throughway.model.errors import Stage, TransportError, TrustError, WireError
from throughway.model.policy import Policy
from throughway.net.exchange import Asked, exchange
from throughway.net.kerberos import make_token_apart

NOT_OFFERED = "one-time-code-not-offered"
UNREACHABLE = "one-time-code-service-down"
ENDED = "one-time-code-ended"
TIMEOUT = 25.0
"""Seconds: a RADIUS server may ask a person's telephone."""
LOOK_INTERVAL = 30.0
"""Seconds between two looks at the clock, which jumps when a computer has slept."""
_OK = 200


@dataclass(frozen=True, slots=True)
class Challenge:
    """The gateway wants another code; ``state`` goes with it."""

    message: str
    state: str


class CodeWatch:
    """Waits for the end of what was given for a code; ``on_ended(principal, words)`` tells it."""

    def __init__(
        self, on_ended: Callable[[str, str], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._on_ended = on_ended
        self._clock = clock
        self._watcher: asyncio.Task[None] | None = None

    def watch(self, principal: str, key: UserKey) -> None:
        """Watch a key, and no other any more."""
        self.rest()
        self._watcher = asyncio.create_task(
            self._watch(principal, end_of(key)), name="one-time code"
        )

    def rest(self) -> None:
        """Watch none any more."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()

    async def close(self) -> None:
        """Watch none any more, and wait for the end of it."""
        watcher = self._watcher
        self.rest()
        if watcher is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((watcher,))

    async def _watch(self, principal: str, end: float) -> None:
        while (left := end - self._clock()) > 0:  # noqa: ASYNC110 - the wall clock's
            await asyncio.sleep(min(left, LOOK_INTERVAL))
        self._watcher = None
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))
        self._on_ended(principal, f"the certificate that was given for the code ended at {until}")


def end_of(key: UserKey) -> float:
    """Return when a key's certificate ends."""
    from throughway.pki.pem import parse_certificate

    return parse_certificate(key.certificate).not_valid_after_utc.timestamp()


async def exchange_code(
    policy: Policy, ccache: Path, code: str, state: str = ""
) -> UserKey | Challenge:
    """Return a key whose certificate was given for a code, or what is asked next."""
    if not policy.code_url:
        why = "the gateway gives no certificates for one-time codes"
        raise TrustError(why, problem=NOT_OFFERED)
    token = await make_token_apart(ccache, policy.kerberos_service, realm=policy.kerberos_realm)
    key, request = await asyncio.to_thread(_make_key)
    asked = {
        "token": base64.b64encode(token).decode(),
        "code": code,
        "state": state,
        "request": base64.b64encode(request).decode(),
    }
    headers = {"Content-Type": "application/json"}
    body = json.dumps(asked).encode() + b"\n"
    try:
        answer = await exchange(
            policy.code_url, Asked(method="POST", headers=headers, body=body), seconds=TIMEOUT
        )
    except TransportError as error:
        why = f"the gateway's code service: {error}"
        raise TransportError(error.stage, why, problem=UNREACHABLE) from error
    return _read(answer.status, answer.body, key)


def _read(status: int, body: bytes, key: bytes) -> UserKey | Challenge:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    match told:
        case {"certificate": str(pem)} if status == _OK:
            first, end, rest = pem.partition("-----END CERTIFICATE-----\n")
            chain = (rest.encode(),) if rest.strip() else ()
            return UserKey(certificate=(first + end).encode(), chain=chain, key=key)
        case {"challenge": str(message), "state": str(state)} if status == _OK:
            return Challenge("".join(c for c in message if c.isprintable()), state)
        case {"problem": str(problem), "reason": str(reason)}:
            if problem == UNREACHABLE:
                raise TransportError(Stage.HTTP, reason, problem=problem)
            raise TrustError(reason, problem=problem)
    raise WireError(f"the gateway's code service answered {status}, and nothing that has a meaning")


def _make_key() -> tuple[bytes, bytes]:
    """Return a key (PEM) and its request; here, since a client without codes needs no X.509."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from throughway.pki.pem import build_key_pem
    from throughway.pki.requests import build_user_request

    key = ec.generate_private_key(ec.SECP256R1())
    return build_key_pem(key), build_user_request(key)
