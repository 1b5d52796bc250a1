"""The HTTP heads around the packet stream, [MS-IPHTTPS] 2.1, 3.1.5.2 and 3.2.5.1.

h11 reads heads. They are written by hand: h11 would add chunked framing to a response without
a length, and the stream has no framing but that of IPv6.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

import h11

from throughway.model.errors import RemoteProtocolError, WireError

CONTENT_LENGTH = 18446744073709551615
"""Bytes; what the specification sets for an endless body."""
SIGNED_LENGTH = 9223372036854775807
"""Bytes; the longest body that servers take which count in 64 bits with a sign (nginx)."""
MAX_HEAD = 8192
"""Bytes of a request or response head; Windows sends fewer than 300."""
_TOO_LONG = 431
"""What h11 calls a head beyond its limit."""
MAX_SESSION_KEY = 128
"""Characters of the session key."""
SESSION_HEADER = "Throughway-Session"
"""Our own: with it a client that returns replaces its own half-dead session at once."""
REFUSAL_HEADER = "Throughway-Refusal"
"""Our own: why a client is refused, for its own status."""
MAX_REFUSAL = 400
"""Characters of what is told of a refusal."""
SERVER = "throughway"
MAX_URL = 256
"""Characters; longer ones are refused by Windows clients."""

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class URL:
    """The URI of a server."""

    scheme: str
    host: str
    """Without brackets, lower case."""
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def parse_url(text: str) -> URL:
    """Read ``https://da.example.com:443/IPHTTPS``."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WireError(f"not an IP-HTTPS URL: {text}: {error}") from error
    if parts.scheme not in ("https", "http") or not host or parts.username is not None:
        raise WireError(f"not an IP-HTTPS URL: {text}")
    path = parts.path or "/"
    if not text.isascii() or not text.isprintable() or " " in text:
        raise WireError("an IP-HTTPS URL has printable ASCII characters only")
    port = _default_port(parts.scheme) if port is None else port
    return URL(scheme=parts.scheme, host=host, port=port, path=path)


class RequestError(RemoteProtocolError):
    """A request which is refused, with the status it gets."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A head which asks for a session, and what came behind it."""

    session: str
    """The session key; empty: the client gave none."""
    watched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All values of each header that was asked for."""
    remainder: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response's head, and what came behind it."""

    status: int
    reason: str
    server: str
    refusal: str = ""
    """Of a gateway of ours: the catalogue's code for why, and after a space what is particular."""
    remainder: bytes


def build_request(url: URL, session: str = "", length: int = CONTENT_LENGTH) -> bytes:
    """Write the head that asks for a session."""
    own = f"{SESSION_HEADER}: {session}\r\n" if session else ""
    return (
        f"POST {url.path} HTTP/1.1\r\n"
        f"Host: {url.authority}\r\n"
        f"Content-Length: {length}\r\n"
        f"Content-Type: application/octet-stream\r\n{own}\r\n"
    ).encode("ascii")


def build_response(wall_time: float) -> bytes:
    """Write the head that grants a session."""
    return (
        f"HTTP/1.1 200 OK\r\nDate: {http_date(wall_time)}\r\nServer: {SERVER}\r\n"
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode("ascii")


def build_refusal(status: int, text: str, wall_time: float, problem: str = "") -> bytes:
    """Write a whole response that grants none, for people to read; clients of ours read a code."""
    body = f"{text}\n".encode()
    allow = "Allow: POST\r\n" if status == 405 else ""
    if problem:
        words = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
        allow += f"{REFUSAL_HEADER}: {problem} {words[:MAX_REFUSAL]}\r\n"
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nDate: {http_date(wall_time)}\r\n"
        f"Server: {SERVER}\r\n{allow}Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def http_date(wall_time: float) -> str:
    """Write a time as RFC 9110, section 5.6.7 wants it, whatever the locale."""
    at = datetime.fromtimestamp(wall_time, UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year} {at:%H:%M:%S} GMT"


class RequestReader:
    """Reads one request head, strictly limited."""

    def __init__(self, url: URL, watched: tuple[str, ...] = ()) -> None:
        """``watched``: headers, lower case, of which every value is told."""
        self._url = url
        self._watched = watched
        self._received = 0
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    def receive_data(self, data: bytes) -> Request | None:
        """Take bytes; return the request when its head is whole.

        Raises :exc:`RequestError` when it is not one for a session on our URL.
        """
        self._received += len(data)
        try:
            if data:  # h11 takes b"" for the end
                self._connection.receive_data(data)
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise RequestError(_known(error.error_status_hint), str(error)) from error
        if not isinstance(event, h11.Request):
            return None
        remainder = self._connection.trailing_data[0]
        if self._received - len(remainder) > MAX_HEAD:
            raise RequestError(431, f"The head of a request has at most {MAX_HEAD} bytes.")
        return Request(
            session=_judge(event, self._url),
            watched={name: _values(event, name) for name in self._watched},
            remainder=remainder,
        )


def _known(status: int) -> int:
    return status if status in _REASONS else 400


def _values(request: h11.Request, wanted: str) -> tuple[str, ...]:
    name = wanted.encode("ascii")
    return tuple(value.decode("latin-1") for key, value in request.headers if key == name)


def _judge(request: h11.Request, url: URL) -> str:
    """Return the session key of a request that is as it must be."""
    if request.http_version != b"1.1":
        raise RequestError(505, "IP-HTTPS is spoken over HTTP/1.1.")
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
    path = _path_of(request.target.decode("ascii", "replace"))
    if path.casefold() != url.path.casefold() or not _same_host(headers.get("host", ""), url):
        raise RequestError(404, "There is nothing here but IP-HTTPS, at another address.")
    if request.method != b"POST":
        raise RequestError(405, "This is an IP-HTTPS server: it takes POST from clients only.")
    if "transfer-encoding" in headers or "content-length" not in headers:
        raise RequestError(411, f"IP-HTTPS needs Content-Length: {CONTENT_LENGTH}.")
    session = headers.get(SESSION_HEADER.lower(), "")
    if len(session) > MAX_SESSION_KEY:
        raise RequestError(400, f"A session key has at most {MAX_SESSION_KEY} characters.")
    return session


def _path_of(target: str) -> str:
    """Return the path of a target in origin form or, as RFC 9112, 3.2.2 wants, absolute form."""
    if target.startswith("/"):
        return target
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


def _same_host(host: str, url: URL) -> bool:
    """Whether a Host header names us, with or without the port, in whatever case."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return False
    return (name or "").rstrip(".") == url.host.rstrip(".") and port in (None, url.port)


class ResponseReader:
    """Reads the head of the response, strictly limited."""

    def __init__(self) -> None:
        self._received = 0
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        # h11 wants to have seen the request; what it would send is not what we send.
        self._connection.send(h11.Request(method="POST", target="/", headers=[("Host", "-")]))

    def receive_data(self, data: bytes) -> Response | None:
        """Take bytes; return the response when its head is whole.

        Raises :exc:`RemoteProtocolError` when that is not HTTP.
        """
        self._received += len(data)
        try:
            if data:
                self._connection.receive_data(data)
            event = self._connection.next_event()
            while isinstance(event, h11.InformationalResponse):
                event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == _TOO_LONG:
                words = f"the head of the response has more than {MAX_HEAD} bytes"
                raise RemoteProtocolError(words) from error
            raise RemoteProtocolError(f"the answer is not HTTP: {error}") from error
        if not isinstance(event, h11.Response):
            if self._received > MAX_HEAD:
                # "100 Continue" again and again is within h11's own limit.
                words = f"the head of the response has more than {MAX_HEAD} bytes"
                raise RemoteProtocolError(words)
            return None
        remainder = self._connection.trailing_data[0]
        if self._received - len(remainder) > MAX_HEAD:
            raise RemoteProtocolError(f"the head of the response has more than {MAX_HEAD} bytes")
        headers = dict(event.headers)
        return Response(
            status=event.status_code,
            reason=event.reason.decode("latin-1"),
            server=headers.get(b"server", b"").decode("latin-1"),
            refusal=headers.get(REFUSAL_HEADER.lower().encode(), b"").decode("latin-1"),
            remainder=remainder,
        )
