"""From where on the Internet an inner address comes, and over which transport."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from throughway.model.errors import ThroughwayError
from throughway.model.status import SessionStatus, TransportKind
from throughway.wire.teredo import is_teredo, parse_teredo_address

ASK_INTERVAL = 1.0
"""Seconds between two questions to the workers for their sessions."""

Sessions = Callable[[], Awaitable[tuple[SessionStatus, ...]]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where somebody is."""

    transport: str = ""
    address: str = ""
    port: int = 0


class Whence:
    """Knows which IP-HTTPS session has which address; the other transports say it themselves."""

    def __init__(self, prefix: str, sessions: Sessions) -> None:
        self._prefix = IPv6Network(prefix, strict=False)
        self._sessions = sessions
        self._peers: dict[str, str] = {}
        """Outer addresses (with ports) by inner ones."""
        self._asked_at = float("-inf")

    async def find(self, inner: str, port: int) -> Origin:
        """Return the origin; ``port`` is that of IKE, which is on the Internet only natively."""
        try:
            address = IPv6Address(inner)
        except ValueError:
            return Origin("", inner, port)
        if address in self._prefix:
            return _session_origin(await self._peer(str(address)))
        if address.sixtofour is not None:
            return Origin(TransportKind.SIXTOFOUR, str(address.sixtofour))
        if is_teredo(address.packed):
            host, _, mapped = str(parse_teredo_address(address.packed).mapping).rpartition(":")
            return Origin(TransportKind.TEREDO, host, int(mapped))
        return Origin(TransportKind.NATIVE, inner, port)

    def closed(self, session: SessionStatus) -> None:
        """Forget the addresses of a session that is over, once nobody asks for them any more."""
        for address in session.addresses:
            if self._peers.get(address) == session.peer:
                del self._peers[address]

    async def _peer(self, inner: str) -> str:
        if inner not in self._peers:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(self._asked_at + ASK_INTERVAL - loop.time())
            self._asked_at = loop.time()
            with contextlib.suppress(ThroughwayError):
                self._peers = {
                    str(IPv6Address(address)): session.peer
                    for session in await self._sessions()
                    for address in session.addresses
                }
        return self._peers.get(inner, "")


def split_peer(peer: str) -> tuple[str, int]:
    """Return address and port of ``192.0.2.1:5000`` or ``[2001:db8::1]:5000``."""
    host, _, port = peer.rpartition(":")
    return host.strip("[]"), int(port) if port.isdecimal() else 0


def _session_origin(peer: str) -> Origin:
    host, port = split_peer(peer)
    return Origin(TransportKind.IPHTTPS, host, port)
