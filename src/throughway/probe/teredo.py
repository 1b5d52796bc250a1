"""Ask the addresses of a host for Teredo, in such a way that a NAT shows its kind."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from throughway.model.probing import TeredoSeen
from throughway.probe.analysis.teredo import (
    NONCE_LENGTH,
    TeredoAnswer,
    build_solicitation,
    read_advertisement,
)
from throughway.wire.teredo import PORT

WAIT = 2.0
"""Seconds for answers after everything was sent twice."""
AGAIN = 0.7
"""Seconds after which what is unanswered is sent once more."""
MAXIMUM_DATAGRAM = 2048
_MAXIMUM_ANSWERS = 256
"""Datagrams that are read of one question; a flood tells nothing more."""


@dataclass(slots=True)
class TeredoVisit:
    """What came of the questions; usable as it is while they are under way."""

    seen: list[TeredoSeen] = field(default_factory=list)
    local: str = ""
    """Address and port of our own socket, towards the first server."""


@dataclass(slots=True)
class _Asked:
    address: str
    cone: bool
    nonce: bytes
    at: float
    answer: TeredoAnswer | None = None
    answered_from: str = ""
    seconds: float = 0.0
    words: str = ""

    def seen(self) -> TeredoSeen:
        answer = self.answer
        return TeredoSeen(
            address=self.address,
            cone=self.cone,
            answered=answer is not None,
            answered_from=self.answered_from,
            mapping=answer.mapping if answer is not None else "",
            prefix=answer.prefix if answer is not None else "",
            seconds=self.seconds,
            words=self.words,
        )


async def ask_teredo(addresses: Sequence[str], visit: TeredoVisit, *, wait: float = WAIT) -> None:
    """Ask each IPv4 address to answer from itself, and from its other address.

    The one from a socket that all addresses see, so that a NAT shows whether they see the same;
    the other from sockets of their own, to which nothing but a cone NAT lets a stranger's answer.
    """
    now = time.monotonic()
    plain, cone = (
        [_Asked(address, bit, os.urandom(NONCE_LENGTH), now) for address in addresses]
        for bit in (False, True)
    )
    with contextlib.ExitStack() as stack:
        sock, *others = (stack.enter_context(_socket()) for _ in range(1 + len(cone)))
        visit.local = _local(addresses[0], sock)
        try:
            await asyncio.gather(
                _ask(sock, plain, AGAIN + wait),
                *(
                    _ask(other, [each], AGAIN + wait)
                    for other, each in zip(others, cone, strict=True)
                ),
            )
        finally:
            visit.seen = [each.seen() for each in (*plain, *cone)]


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind(("", 0))
    return sock


async def _ask(sock: socket.socket, asked: Sequence[_Asked], seconds: float) -> None:
    """Send everything, what is unanswered once more, and wait."""
    receiving = asyncio.create_task(_receive(sock, asked))
    try:
        _send(sock, asked)
        await asyncio.wait((receiving,), timeout=AGAIN)
        _send(sock, asked)
        await asyncio.wait((receiving,), timeout=seconds - AGAIN)
    finally:
        receiving.cancel()
        await asyncio.wait((receiving,))


def _send(sock: socket.socket, asked: Sequence[_Asked]) -> None:
    for each in asked:
        if each.answer is None:
            try:
                sock.sendto(build_solicitation(each.nonce, cone=each.cone), (each.address, PORT))
            except OSError as error:
                each.words = error.strerror or str(error)


async def _receive(sock: socket.socket, asked: Sequence[_Asked]) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(_MAXIMUM_ANSWERS):
        try:
            data, peer = await loop.sock_recvfrom(sock, MAXIMUM_DATAGRAM)
        except OSError:
            continue  # an ICMP error of an earlier datagram
        _take(data, peer[0], asked)
        if all(each.answer is not None for each in asked):
            return


def _take(data: bytes, peer: str, asked: Sequence[_Asked]) -> None:
    answer = read_advertisement(data)
    for each in asked:
        if answer is not None and answer.nonce == each.nonce and each.answer is None:
            each.answer, each.answered_from = answer, peer
            each.seconds = time.monotonic() - each.at


def _local(address: str, sock: socket.socket) -> str:
    """Return where our own end is: the address that the route to a server has."""
    port = sock.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        try:
            other.connect((address, PORT))
        except OSError:
            return ""
        return f"{other.getsockname()[0]}:{port}"
