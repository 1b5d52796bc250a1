"""A KDC proxy for computers ([MS-KKDCP] 3.2): tickets for the infrastructure tunnel, no others.

Whoever asks is outside and unproven. So only what a computer needs before its tunnel goes through:
an AS-REQ of an account that may use the gateway, and a TGS-REQ for the gateway's own service.
Nobody can try users' passwords here. How often one network may ask is limited.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

from throughway.model.errors import Stage, TransportError, WireError
from throughway.net.webserver import Answer, Heard, plain
from throughway.wire.kkdcp import (
    AS_REQ,
    LENGTH_PREFIX,
    MAX_MESSAGE,
    KDCRequest,
    ProxyMessage,
    build_proxy_message,
    parse_kdc_request,
    parse_proxy_message,
)

PATH = "/KdcProxy"
MEDIA_TYPE = "application/kerberos"
KDC_PORT = 88
KDC_TIMEOUT = 4.5
"""Seconds for one KDC; two fit into the ten that WebServer gives to a request."""
BURST, REFILL = 60, 2.0
"""Requests at once, and a second after that, from one network: two or three bring a computer up,
and behind one address of IPv4 may be a whole office."""
MAX_SOURCES = 4096


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimit:
    """Counts requests by the network they come from: an IPv4 address, a /64 of IPv6."""

    def __init__(self, burst: int = BURST, refill: float = REFILL) -> None:
        self._burst = burst
        self._refill = refill
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, source: str, now: float) -> bool:
        """Count one request; False when it is one too many."""
        key = _network(source)
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._refill)
        bucket.at = now
        self._buckets[key] = bucket
        while len(self._buckets) > MAX_SOURCES:
            self._buckets.popitem(last=False)
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True


class KDCProxy:
    """Answers the requests of a web server; ``find`` returns the KDCs, best first."""

    def __init__(
        self,
        *,
        realm: str,
        service: str,
        find: Callable[[], Awaitable[list[tuple[str, int]]]],
        limit: RateLimit | None = None,
    ) -> None:
        """``service`` is a principal's name, such as ``host/da.example.com``."""
        self._realm = realm
        self._service = service
        self._find = find
        self._limit = limit or RateLimit()
        self._accounts: frozenset[str] = frozenset()

    def allow(self, accounts: Iterable[str]) -> None:
        """Let exactly these accounts ask."""
        self._accounts = frozenset(account.casefold() for account in accounts)

    async def respond(self, heard: Heard) -> Answer:
        """Answer one request of the web server's."""
        request = heard.request
        if request.target.decode("latin-1") != PATH:
            return plain(HTTPStatus.NOT_FOUND, "nothing here")
        if request.method != b"POST":
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, "POST only", allow="POST")
        if not self._limit.allows(heard.source, asyncio.get_running_loop().time()):
            return plain(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", retry_after="30")
        try:
            message = parse_proxy_message(heard.body)
            asked = parse_kdc_request(message.message)
        except WireError as error:
            return plain(HTTPStatus.BAD_REQUEST, str(error))
        if not self._allowed(asked, message.realm):
            return plain(HTTPStatus.FORBIDDEN, "only computers, for the gateway's service")
        try:
            reply = await self._forward(message.message)
        except TransportError as error:
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        body = build_proxy_message(ProxyMessage(message=reply))
        return Answer(HTTPStatus.OK, {"content-type": MEDIA_TYPE}, body)

    def _allowed(self, asked: KDCRequest, realm: str) -> bool:
        if asked.realm.upper() != self._realm or (realm and realm.upper() != self._realm):
            return False
        if asked.kind != AS_REQ:
            return asked.service == self._service
        wanted = (f"krbtgt/{self._realm}".casefold(), self._service.casefold())
        return asked.client.casefold() in self._accounts and asked.service.casefold() in wanted

    async def _forward(self, message: bytes) -> bytes:
        """Ask one KDC after the other."""
        for address in await self._find():
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(KDC_TIMEOUT):
                    return await exchange(address, message)
        raise TransportError(Stage.CONNECT, "no KDC answers", problem="kerberos-unreachable")


async def exchange(address: tuple[str, int], message: bytes) -> bytes:
    """Return the answer of a KDC, over TCP (RFC 4120 section 7.2.2); OSError where none comes."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(len(message).to_bytes(LENGTH_PREFIX, "big") + message)
        await writer.drain()
        length = int.from_bytes(await reader.readexactly(LENGTH_PREFIX), "big")
        if length > MAX_MESSAGE:
            raise OSError(f"an answer of {length} bytes")
        return await reader.readexactly(length)
    finally:
        writer.transport.abort()


def _network(source: str) -> str:
    try:
        address = ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else address.packed[:8].hex()
    return str(address)
