"""One request over http or https and its answer; no redirects, no cookies.

Small on purpose: a redirect would lead to a server that nobody has named.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, quote, urlsplit

import h11

from throughway import __version__
from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Dial, Dialer, Resolve
from throughway.net.tls import client_context, transport_error

MAXIMUM_BODY = 64 * 1024
"""Octets, unless the caller expects more."""
MAXIMUM_HEAD = 16 * 1024
"""Octets of status line and header fields."""
FETCH_TIME = 10.0
"""Seconds for everything together, unless the caller is in more of a hurry."""
_CHUNK = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL taken apart."""

    host: str
    port: int
    path: str
    tls: bool

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


Verify = Callable[[ssl.SSLObject], Awaitable[None]]
"""Judges a server beyond what TLS does; raises :exc:`TransportError` where it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a server is reached, and judged, where that is not as usual."""

    dial: Dial | None = None
    """In the place of a direct connection."""
    proxy: tuple[str, int] | None = None
    """Whom to connect to, for it to fetch the URL (RFC 9112, section 3.2.2)."""
    verify: Verify | None = None


STRAIGHT = Way()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked."""

    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Beside those that every request has; they may be secret."""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the server says, whatever it is."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case; of repeated ones the last."""
    body: bytes


async def exchange(
    url: str,
    asked: Asked | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    resolve: Resolve | None = None,
    mark: int = 0,
    limit: int = MAXIMUM_BODY,
    seconds: float = FETCH_TIME,
    way: Way = STRAIGHT,
) -> Answered:
    """Ask, and return the answer, be it good or bad.

    ``tls`` says whom to trust, by default the system's roots; ``resolve`` finds the addresses, by
    default the machine's resolver; ``mark`` is put on the packets. Raises :exc:`TransportError`
    with the stage it came to when there is no answer.
    """
    dial = way.dial or Dialer(resolve or ask_machine, mark=mark)
    attempt = _Attempt(_target(url), asked or Asked(), tls, dial, limit, way)
    try:
        async with asyncio.timeout(seconds):
            return await attempt.run()
    except (OSError, ssl.CertificateError) as error:
        raise transport_error(error, attempt.stage) from error
    except h11.ProtocolError as error:
        raise TransportError(Stage.HTTP, f"{url}: the answer is not HTTP: {error}") from error


class _Attempt:
    """One fetch; remembers how far it came."""

    def __init__(
        self,
        target: _Target,
        asked: Asked,
        tls: ssl.SSLContext | None,
        dial: Dial,
        limit: int,
        way: Way,
    ) -> None:
        self.stage = Stage.CONNECT
        self._target = target
        self._asked = asked
        self._tls = tls
        self._dial = dial
        self._limit = limit
        self._way = way

    async def run(self) -> Answered:
        target = self._target
        sock = await self._dial(*(self._way.proxy or (target.host, target.port)))
        self.stage = Stage.TLS if target.tls else Stage.HTTP
        try:
            context = (self._tls or client_context()) if target.tls else None
            name = target.host if context else None
            reader, writer = await asyncio.open_connection(
                sock=sock, ssl=context, server_hostname=name, limit=_CHUNK
            )
        except BaseException:
            sock.close()
            raise
        try:
            connection = writer.get_extra_info("ssl_object")
            if self._way.verify is not None and connection is not None:
                await self._way.verify(connection)
            self.stage = Stage.HTTP
            whole = self._way.proxy is not None
            request = replace(target, path=f"http://{target.authority}{target.path}")
            asked_of = request if whole else target
            return await _exchange(asked_of, self._asked, reader, writer, self._limit)
        finally:
            # Nothing is owed to the server; an orderly end of TLS would take a round trip.
            writer.transport.abort()


async def _exchange(
    target: _Target,
    asked: Asked,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    limit: int,
) -> Answered:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAXIMUM_HEAD)
    writer.write(_request(connection, target, asked))
    response: h11.Response | None = None
    body = bytearray()  # which strangers may send an octet at a time
    head = 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if head > MAXIMUM_HEAD:
                # "100 Continue" again and again is within h11's own limit.
                raise TransportError(Stage.HTTP, f"its head is longer than {MAXIMUM_HEAD} bytes")
            data = await reader.read(_CHUNK)
            head += len(data) if connection.their_state is h11.SEND_RESPONSE else 0
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > limit:
                raise TransportError(Stage.HTTP, f"the answer is longer than {limit} bytes")
        elif isinstance(event, h11.EndOfMessage) and response is not None:
            return _answered(response, bytes(body))


def _request(connection: h11.Connection, target: _Target, asked: Asked) -> bytes:
    headers = [
        ("Host", target.authority),
        ("User-Agent", f"throughway/{__version__}"),
        ("Accept", "*/*"),
        ("Connection", "close"),
        *asked.headers.items(),
    ]
    if asked.body:
        headers.append(("Content-Length", str(len(asked.body))))
    request = h11.Request(method=asked.method, target=target.path, headers=headers)
    events: list[h11.Event] = [request]
    if asked.body:
        events.append(h11.Data(data=asked.body))
    return b"".join(connection.send(event) or b"" for event in (*events, h11.EndOfMessage()))


def _answered(response: h11.Response, body: bytes) -> Answered:
    return Answered(
        status=response.status_code,
        reason=response.reason.decode("latin-1"),
        headers={k.decode("latin-1"): v.decode("latin-1") for k, v in response.headers},
        body=body,
    )


def _target(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TransportError(Stage.RESOLVE, f"{url}: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise TransportError(Stage.RESOLVE, f"{url} is not an http or https URL")
    tls = parts.scheme == "https"
    return _Target(host, port or (443 if tls else 80), _path(parts), tls)


def _path(parts: SplitResult) -> str:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(path, safe="/?%:@!$&'()*+,;=~-._[]")


async def ask_machine(host: str) -> Sequence[str]:
    """Return what the machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
