"""Ask the addresses of a host for Teredo, from one socket, so that the NAT shows its kind."""

import asyncio
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
    """Ask each IPv4 address twice: to answer from itself, and from its other address."""
    asked = [
        _Asked(address, cone, os.urandom(NONCE_LENGTH), time.monotonic())
        for address in addresses
        for cone in (False, True)
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(("", 0))
        visit.local = _local(addresses[0], sock)
        try:
            async with asyncio.timeout(AGAIN + wait):
                receiving = asyncio.create_task(_receive(sock, asked))
                try:
                    _send(sock, asked)
                    await asyncio.wait((receiving,), timeout=AGAIN)
                    _send(sock, asked)
                    await receiving
                finally:
                    receiving.cancel()
                    await asyncio.wait((receiving,))
        except TimeoutError:
            pass
    visit.seen = [each.seen() for each in asked]


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
