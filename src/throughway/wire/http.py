"""Heads of HTTP/1 messages from the first bytes of a stream, read leniently for diagnosis.

What proxies and portals answer is often not quite HTTP; where we speak ourselves, h11 judges.
"""

import re
from dataclasses import dataclass

from throughway.model.errors import WireError

MAXIMUM_HEAD = 16_384
"""Bytes of a head."""
MAXIMUM_HEADERS = 128

_REQUEST = re.compile(rb"([A-Z]{3,16}) +(\S{1,4096})(?: +HTTP/(\d\.\d))?[ \t]*\Z")
_RESPONSE = re.compile(rb"HTTP/(\d\.\d) +(\d{3})(?: +(.*))?\Z", re.DOTALL)
_METHODS = frozenset(
    {
        *("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"),
        *("PROPFIND", "BITS_POST", "RDG_OUT_DATA", "RDG_IN_DATA", "SSTP_DUPLEX_POST"),
    }
)
_END = re.compile(rb"\r?\n\r?\n")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
PROXY_AUTHENTICATION_REQUIRED = 407
NETWORK_AUTHENTICATION_REQUIRED = 511
"""RFC 6585, section 6: a captive portal that says so."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers in order; names in lower case."""

    items: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return the first of that name, "" when there is none."""
        return next((value for key, value in self.items if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return all of that name."""
        return tuple(value for key, value in self.items if key == name)


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request."""

    method: str
    target: str
    headers: Headers
    complete: bool
    """Whether the head has ended; else the last header may be cut."""
    length: int
    """Bytes up to the end of the head."""


@dataclass(frozen=True, slots=True)
class Response:
    """The head of an answer."""

    status: int
    reason: str
    headers: Headers
    complete: bool
    length: int

    @property
    def redirect(self) -> str:
        """Where else it says to go; "" when it does not."""
        return self.headers.get("location") if self.status in _REDIRECTS else ""


def parse_request(data: bytes) -> Request:
    """Read a request's head, as far as it goes."""
    line, headers, complete, length = _split(data)
    match = _REQUEST.match(line)
    if match is None or match[1].decode() not in _METHODS:
        raise WireError(f"no HTTP request: {line[:40]!r}")
    return Request(match[1].decode(), _text(match[2]), headers, complete, length)


def parse_response(data: bytes) -> Response:
    """Read an answer's head, as far as it goes."""
    line, headers, complete, length = _split(data)
    match = _RESPONSE.match(line)
    if match is None:
        raise WireError(f"no HTTP response: {line[:40]!r}")
    return Response(int(match[2]), _text(match[3] or b"").strip(), headers, complete, length)


def _split(data: bytes) -> tuple[bytes, Headers, bool, int]:
    """Return first line, headers, whether all is there, and where the head ends."""
    data = data[:MAXIMUM_HEAD]
    end = _END.search(data)
    head = data[: end.start()] if end else data
    line, *rest = head.split(b"\n", MAXIMUM_HEADERS + 1)
    if end is None and not rest:
        raise WireError("no whole line of HTTP")
    items = []
    for entry in rest[:MAXIMUM_HEADERS]:
        name, colon, value = entry.partition(b":")
        if colon:
            items.append((_text(name).strip().lower(), _text(value).strip()))
    return (
        line.rstrip(b"\r"),
        Headers(tuple(items)),
        end is not None,
        end.end() if end else len(data),
    )


def _text(data: bytes) -> str:
    return data.decode("latin-1")
