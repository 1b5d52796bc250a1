"""One plain GET whose answer is told whatever it is, and where this network names its portal."""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import h11

from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Dialer, Resolve
from throughway.net.tls import transport_error
from throughway.proto.portal import UNRESTRICTED, Answer, clean_url

PROBE_TIME = 4.0
"""Seconds for one probe; portals are near."""
MAXIMUM_BODY = 4096
"""Bytes that are looked at."""
MAXIMUM_HEAD = 16 * 1024
LEASES = Path("/run/systemd/netif/links")
"""What systemd-networkd has learnt by DHCP, a file for each link."""
_NO_ANSWER = "iphttps-connection-reset"
_LEASE = re.compile(r"^CAPTIVE_PORTAL=(.+)$", re.MULTILINE)
_CHUNK = 4096
_GROUP_USER_OPTIONS = 20
"""RTNLGRP_ND_USEROPT: options of Router Advertisements that are not the kernel's business."""
_NEW_USER_OPTION = 68
_HEADER = struct.Struct("=IHHII")
_MESSAGE_LENGTH = 16
"""Bytes of struct nduseroptmsg, before the options."""
_NETLINK, _ADD_MEMBERSHIP = 270, 1
_CAPTIVE_PORTAL = 37
"""RFC 8910, section 2.3."""


async def ask(url: str, *, resolve: Resolve, mark: int = 0) -> Answer:
    """Return what answers a GET of an http URL; :exc:`TransportError` when nothing does."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        async with asyncio.timeout(PROBE_TIME):
            sock = await Dialer(resolve, mark=mark)(host, port)
            with sock:
                return await _exchange(sock, path, parts.netloc)
    except (OSError, h11.RemoteProtocolError, h11.LocalProtocolError) as error:
        raise transport_error(error, Stage.HTTP) from error


async def _exchange(sock: socket.socket, path: str, authority: str) -> Answer:
    loop = asyncio.get_running_loop()
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAXIMUM_HEAD)
    # Some portals answer browsers alone; and caches must not answer for anybody.
    headers = [("Host", authority), ("User-Agent", "Mozilla/5.0 (throughway)")]
    headers += [("Cache-Control", "no-cache"), ("Connection", "close")]
    request = h11.Request(method="GET", target=path, headers=headers)
    said = (connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b"")
    await loop.sock_sendall(sock, said)
    head: h11.Response | None = None
    body, received = b"", 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if head is None and received > MAXIMUM_HEAD:
                # "100 Continue" again and again is within h11's own limit.
                raise TransportError(Stage.HTTP, "a head without end", problem=_NO_ANSWER)
            data = await loop.sock_recv(sock, _CHUNK)
            received += len(data)
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        ended = not isinstance(event, h11.Data | h11.Response | h11.InformationalResponse)
        if head is not None and (
            len(body) >= MAXIMUM_BODY or (ended and event is not h11.NEED_DATA)
        ):
            return _answer(head, body)
        if head is None and isinstance(event, h11.ConnectionClosed):
            raise TransportError(Stage.HTTP, "no answer", problem=_NO_ANSWER)


def _answer(head: h11.Response, body: bytes) -> Answer:
    location = dict(head.headers).get(b"location", b"").decode("latin-1")
    return Answer(head.status_code, location, body[:MAXIMUM_BODY])


def api_of_leases(leases: Path = LEASES) -> str:
    """Return the portal's API that DHCP has named (RFC 8910, section 2.1), "" when it has none."""
    with contextlib.suppress(OSError):
        for file in sorted(leases.iterdir()):
            for found in _LEASE.findall(file.read_text(errors="replace")):
                if (url := clean_url(found.strip())) and url != UNRESTRICTED:
                    return url
    return ""


def parse_user_options(data: bytes) -> str | None:
    """Return the portal's API that a Router Advertisement named, from the kernel's messages.

    "" where it says that there is no portal, None where it says nothing of it.
    """
    named: str | None = None
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        message, rest = data[_HEADER.size : length], data[max(length, _HEADER.size) :]
        if kind == _NEW_USER_OPTION and len(message) >= _MESSAGE_LENGTH:
            (size,) = struct.unpack_from("=H", message, 2)
            named = _option(message[_MESSAGE_LENGTH : _MESSAGE_LENGTH + size], named)
        data = rest
    return named


def _option(options: bytes, named: str | None) -> str | None:
    """Read options of neighbour discovery (RFC 4861, section 4.6)."""
    while len(options) >= 8:
        kind, length = options[0], options[1] * 8
        if not length or length > len(options):
            break
        if kind == _CAPTIVE_PORTAL:
            text = options[2:length].rstrip(b"\0").decode("ascii", "replace")
            named = "" if text == UNRESTRICTED else clean_url(text)
        options = options[length:]
    return named


class AdvertisementListener:
    """Hears of portals from Router Advertisements that come while it listens."""

    def __init__(self, on_api: Callable[[str], None]) -> None:
        self._on_api = on_api
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0
        )
        self._socket.bind((0, 0))
        self._socket.setsockopt(_NETLINK, _ADD_MEMBERSHIP, _GROUP_USER_OPTIONS)
        self._loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Listen no longer."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            api = parse_user_options(self._socket.recv(65536))
            if api is not None:
                self._on_api(api)
