"""Trying hosts of the intranet, each in the way of its kind, with as little as it takes.

Each function returns words for people when the host has answered, and raises
:class:`TransportError` when it has not. Packets carry no mark: they go where programs' do.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from throughway.model.errors import Stage, TransportError, WireError
from throughway.net.dial import Dialer
from throughway.net.echo import echo, open_echo
from throughway.net.exchange import Asked, exchange
from throughway.net.tls import unverified_context
from throughway.wire.dns import TYPE_SOA, build_query, labels_of, parse_message
from throughway.wire.kerberos import build_as_request, parse_error
from throughway.wire.smb import FRAME_LENGTH, build_negotiate, parse_frame, parse_negotiated

TRY_TIME = 3.0
"""Seconds for one try."""
TRIES = 2
"""A packet may get lost, and a tunnel may be moving to another network."""
PAUSE = 1.0
"""Seconds between them."""
DNS, KERBEROS, LDAP = 53, 88, 389
DNS_TIMES = (1.0, 2.0)
"""Seconds to wait for the answer to each datagram."""
KDC_TIMES = (1.0, 2.0)
"""Seconds to wait for the answer to each datagram."""
NOBODY = "throughway-clock-check"
"""A name that no account has."""
_MAX_DATAGRAM = 4096
_STATUS = 2
"""A kind of question that nobody answers (RFC 1035, 4.1.1): it asks nobody else."""
_KNOWS, _KNOWS_NOT = 0, 3
"""Response codes of a DNS server that can do its work."""
_RCODES = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}
_SPEAKS = (_KNOWS, _KNOWS_NOT, *(code for code, name in _RCODES.items() if name != "SERVFAIL"))
_BROKEN = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What a server says that cannot do its work; any other answer comes from one that can."""


async def web(url: str, addresses: Sequence[str]) -> str:
    """Ask a web server for the head of a page; what it wants of a user is not judged here."""

    async def resolve(_: str) -> Sequence[str]:
        return addresses

    async def ask() -> str:
        answer = await exchange(
            url,
            Asked(method="HEAD"),
            # Whom a browser trusts is its own business.
            tls=unverified_context(),
            resolve=resolve,
            seconds=TRY_TIME,
        )
        words = f"answers {answer.status} {answer.reason}".rstrip()
        if answer.status in _BROKEN:
            raise TransportError(Stage.HTTP, words)
        return words

    return await _again(ask)


async def file_server(host: str, port: int, addresses: Sequence[str]) -> str:
    """Negotiate SMB; nobody logs on."""

    async def resolve(_: str) -> Sequence[str]:
        return addresses

    async def ask() -> str:
        sock = await Dialer(resolve)(host, port)
        with sock:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, build_negotiate())
            length = parse_frame(await _exactly(sock, FRAME_LENGTH))
            answer = parse_negotiated(await _exactly(sock, length))
        if answer.status:
            return f"answers with status {answer.status:#010x}"
        return f"speaks SMB {answer.dialect >> 8}.{answer.dialect >> 4 & 15}"

    return await _again(ask)


async def ping(address: str) -> str:
    """Ask for an echo."""

    async def ask() -> str:
        begun = time.monotonic()
        with open_echo() as sock:
            await echo(sock, address)
        return f"answers after {(time.monotonic() - begun) * 1000:.0f} ms"

    return await _again(ask)


async def kdc(address: str, realm: str) -> float:
    """Ask a KDC for a ticket that nobody gets; return how far its clock is ahead, in seconds.

    Each question has a socket of its own: one keeps the address that was right when it was made.
    """
    nonce = int.from_bytes(os.urandom(4), "big") >> 1
    request = build_as_request(NOBODY, realm, nonce)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    loop = asyncio.get_running_loop()
    for patience in KDC_TIMES:
        try:
            with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                await loop.sock_connect(sock, (address, KERBEROS))
                sent = time.time()
                await loop.sock_sendall(sock, request)
                async with asyncio.timeout(patience):
                    answer = await loop.sock_recv(sock, _MAX_DATAGRAM)
                theirs = parse_error(answer).time.timestamp()
                return theirs - (sent + time.time()) / 2
        except TimeoutError:
            continue
        except OSError as error:
            raise TransportError(Stage.CONNECT, _why(error)) from error
        except WireError as error:
            raise TransportError(Stage.CONNECT, str(error)) from error
    raise TransportError(Stage.CONNECT, "no answer on port 88")


async def dns(server: str, name: str, port: int = DNS) -> bool:
    """Ask a DNS server what it knows of a zone; nothing that was kept of it counts.

    Returns whether there is such a name, by the word of one that does its work.
    Of the root (".", where everything is asked of it) any word of its own will do: servers of a
    domain may take no question for it, and answer others all the same.
    """
    answer = await _dns_answer(server, port, _soa_query(name))
    try:
        rcode = parse_message(answer).rcode
    except WireError as error:
        raise TransportError(Stage.RESOLVE, str(error)) from error
    if rcode not in (_SPEAKS if name == "." else (_KNOWS, _KNOWS_NOT)):
        raise TransportError(Stage.RESOLVE, f"answers {_RCODES.get(rcode, str(rcode))}")
    return rcode != _KNOWS_NOT


async def resolver(address: str, port: int = DNS) -> None:
    """See whether a resolver of this computer answers: by refusing what no resolver does."""
    query = bytearray(_soa_query("."))
    query[2] |= _STATUS << 3
    await _dns_answer(address, port, bytes(query))


def _soa_query(name: str) -> bytes:
    return build_query(secrets.randbelow(0x10000), labels_of(name), TYPE_SOA)


async def _dns_answer(server: str, port: int, query: bytes) -> bytes:
    """Return what a server answers to a datagram, whatever it says; each has its own socket."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    loop = asyncio.get_running_loop()
    for patience in DNS_TIMES:
        try:
            with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                await loop.sock_connect(sock, (server, port))
                await loop.sock_sendall(sock, query)
                async with asyncio.timeout(patience):
                    answer = b""
                    while answer[:2] != query[:2]:
                        answer = await loop.sock_recv(sock, _MAX_DATAGRAM)
                    return answer
        except TimeoutError:
            continue
        except OSError as error:
            raise TransportError(Stage.CONNECT, _why(error)) from error
    raise TransportError(Stage.CONNECT, "no answer")


async def takes_connections(address: str, port: int) -> bool:
    """Say whether somebody listens there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        try:
            async with asyncio.timeout(TRY_TIME):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except OSError:
            return False
    return True


async def _again(ask: Callable[[], Awaitable[str]]) -> str:
    """Ask, and once more before that is believed which nobody likes to hear."""
    for left in reversed(range(TRIES)):
        try:
            async with asyncio.timeout(TRY_TIME):
                return await ask()
        except TransportError:
            if not left:
                raise
        except (OSError, WireError) as error:
            if not left:
                raise TransportError(Stage.CONNECT, _why(error)) from error
        await asyncio.sleep(PAUSE)
    raise AssertionError("unreachable")


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < count:
        more = await loop.sock_recv(sock, count - len(data))
        if not more:
            raise ConnectionResetError("the connection ends without an answer")
        data += more
    return data


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
