"""What the two halves of the service say to each other: the one that has the key, and the front.

One JSON object a line over a socket pair. The front asks (``id``, ``do`` and arguments, bytes in
base64) and is answered (``id`` with ``result``, or ``error`` and ``problem``); unasked it is told
what it serves with (``serve``).
"""

import asyncio
import base64
import contextlib
import itertools
import socket
from collections.abc import Mapping

from throughway.control.codec import JSON, decode_line, encode_line
from throughway.model.errors import ThroughwayError, TrustError, WireError
from throughway.pki.est import MAX_CERTIFICATES

LINE_LIMIT = 8 * MAX_CERTIFICATES
"""Bytes: the policy bundle is the longest."""
MAX_REASON = 300
"""Octets of a refusal's words."""
ANSWER_TIMEOUT = 8.0
"""Seconds; less than a request may take in all."""


class Judged(TrustError):
    """A refusal by the half that has the key, which has written it down."""


async def connect(sock: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of one end."""
    sock.setblocking(False)
    return await asyncio.open_unix_connection(sock=sock, limit=LINE_LIMIT)


def text(message: Mapping[str, JSON], name: str) -> str:
    """Return a field that must be text."""
    value = message.get(name)
    if not isinstance(value, str):
        raise WireError(f"{name} is missing")
    return value


def pack(data: bytes) -> str:
    """Return bytes as they stand in a message."""
    return base64.b64encode(data).decode("ascii")


def unpack(message: Mapping[str, JSON], name: str) -> bytes:
    """Return the bytes of a field."""
    try:
        return base64.b64decode(text(message, name), validate=True)
    except ValueError:
        raise WireError(f"{name} is not base64") from None


def parse_message(line: bytes) -> dict[str, JSON]:
    """Return a message; anything else is a WireError."""
    value = decode_line(line)
    if not isinstance(value, dict):
        raise WireError("a message must be an object")
    return value


class Asker:
    """The front's end: asks and waits for the answer with the same number."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, JSON]]] = {}

    async def enrol(self, request: bytes, secret: bytes, source: str) -> bytes:
        """Return a first certificate for a token."""
        return await self._ask("enrol", source, request=request, secret=secret)

    async def renew(
        self, request: bytes, certificate: bytes, proof: bytes | None, source: str
    ) -> bytes:
        """Return the next certificate."""
        proofs = {} if proof is None else {"proof": proof}
        return await self._ask("renew", source, request=request, certificate=certificate, **proofs)

    async def certify_user(
        self, request: bytes, certificate: bytes, principal: str, life: str, source: str
    ) -> bytes:
        """Return a user's certificate, for a registration authority."""
        asked = {"principal": principal.encode(), "life": life.encode()}
        return await self._ask("user", source, request=request, certificate=certificate, **asked)

    async def admit(self, secret: bytes, certificate: bytes, source: str) -> None:
        """Say whether somebody may read the policy."""
        await self._ask("admit", source, secret=secret, certificate=certificate)

    async def refused(self, problem: str, reason: str, source: str) -> None:
        """Have it written down that somebody was refused here already."""
        with contextlib.suppress(ThroughwayError):
            await self._ask(
                "refused", source, problem=problem.encode(), reason=reason.encode()[:MAX_REASON]
            )

    async def policy(self) -> bytes:
        """Return the policy bundle."""
        return await self._ask("policy", "")

    def take(self, message: Mapping[str, JSON]) -> None:
        """Take an answer."""
        number = message.get("id")
        waiting = self._waiting.pop(number, None) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(dict(message))

    async def _ask(self, what: str, source: str, **data: bytes) -> bytes:
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message: dict[str, JSON] = {"id": number, "do": what, "source": source}
        message |= {name: pack(value) for name, value in data.items()}
        self._writer.write(encode_line(message))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._writer.drain()
                message = await answer
        except TimeoutError:
            raise ThroughwayError("the authority does not answer in time") from None
        finally:
            self._waiting.pop(number, None)
        if "error" in message:
            problem = text(message, "problem")
            error = text(message, "error")
            raise Judged(error, problem=problem) if problem else ThroughwayError(error)
        return unpack(message, "result")
