"""The whole way of a client as far as it goes: TLS, POST, session, Router Solicitation.

Whom the certificate proves is judged elsewhere: here nobody is trusted and nobody refused.
"""

import asyncio
import re
import socket
import ssl
import time
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from throughway.model.errors import Stage, TransportError, WireError
from throughway.model.probing import HTTPSeen, Target, Trouble
from throughway.net.tls import describe
from throughway.probe.analysis.link import Inlet
from throughway.probe.connecting import connect, trouble_of
from throughway.proto.iphttps.client import (
    RESPONSE_TIMEOUT,
    Client,
    LinkOpened,
    PacketQueued,
    State,
    StateChanged,
)
from throughway.proto.iphttps.http import SERVER, URL
from throughway.wire.http import MAXIMUM_HEAD, Response, parse_response
from throughway.wire.tls import Opening, recognise

HANDSHAKE_TIME = 8.0
"""Seconds for TLS."""
ANSWER_TIME = RESPONSE_TIMEOUT
"""Seconds for the head of the answer."""
PAGE_TIME = 5.0
"""Seconds for a page."""
MAXIMUM_PAGE = 16 * 1024
"""Bytes of a page in which its title is looked for."""
ADVERTISEMENT_TIME = 3.0
"""Seconds: a router may take half a second (RFC 4861, section 6.2.6), and a packet may be lost."""
OK = 200
BAD_REQUEST = 400
_REFUSED_FROM = 400
"""The first status of those which say that there is no such page for us."""
_TITLE = re.compile(rb"<title>([^<]*)<", re.IGNORECASE)
_CHUNK = 16 * 1024
_CIPHERS = "ALL:eNULL:!aNULL:@SECLEVEL=0"
"""Whatever this OpenSSL can, also what nobody should want: a server that is looked at from
outside may have nothing better."""

_OP_LEGACY_SERVER_CONNECT = 0x4
"""OpenSSL's number, which Python names from 3.12 on: servers without RFC 5746."""


@dataclass(slots=True)
class Visit:
    """What was seen at one address, also when it ended in the middle."""

    seen: HTTPSeen
    chain: tuple[bytes, ...] = ()
    """DER, as the server sent it."""


_ASKED: weakref.WeakSet[Any] = weakref.WeakSet()
"""The connections whose server asked for a certificate."""
_HANDSHAKE, _CERTIFICATE_REQUEST = 22, 13
"""RFC 8446, appendix B.1 and B.3."""


def lenient_context(certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return a context that takes every server; with a certificate, the client shows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers(_CIPHERS)
    context.options |= _OP_LEGACY_SERVER_CONNECT
    # TLS 1.3 asks under its keys: nobody but OpenSSL sees it, which tells it by this alone.
    if hasattr(context, "_msg_callback"):
        context._msg_callback = _note_message
    if certificate is not None:
        context.load_cert_chain(certificate, key or certificate, password=lambda: b"")
    return context


def _note_message(
    connection: object, direction: str, _version: int, content: int, message: int, _data: bytes
) -> None:
    """Remember who asks for a certificate."""
    if (direction, content, message) == ("read", _HANDSHAKE, _CERTIFICATE_REQUEST):
        _ASKED.add(connection)


async def visit(target: Target, visit: Visit, context: ssl.SSLContext, server_name: str) -> None:
    """Fill in what the address of ``visit`` answers; what fails is said there."""
    guest = _Guest(target, visit, context, server_name)
    try:
        await guest.call()
        if guest.may_count_less():
            await _ask_less(guest, visit)
    except (OSError, ssl.CertificateError) as error:
        stage = Stage.TLS if visit.seen.tls_seconds is None and target.tls else Stage.HTTP
        if visit.seen.connect_seconds is None:
            stage = Stage.CONNECT
        visit.seen = replace(visit.seen, trouble=trouble_of(error, stage))


async def _ask_less(guest: "_Guest", visit: Visit) -> None:
    """Go the way again; what ends before an answer leaves the first one as it was."""
    first = visit.seen
    try:
        await guest.call()
    except (OSError, ssl.CertificateError):
        visit.seen = first
    if visit.seen.status != BAD_REQUEST:
        visit.seen = replace(visit.seen, shorter_length=True)


async def look_at_page(
    target: Target, visit: Visit, context: ssl.SSLContext, server_name: str
) -> None:
    """Ask for the page of a server that refused the POST: some refuse its length before all else,
    and show only then that they are a portal."""
    begin = f"GET / HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n\r\n"
    page = bytearray()
    try:
        async with asyncio.timeout(PAGE_TIME):
            sock = await connect(visit.seen.address, target.port)
            reader, writer = await _open(
                sock, context if target.tls else None, server_name if target.tls else None
            )
            try:
                writer.write(begin.encode("ascii"))
                while not _has_all(page) and (data := await reader.read(_CHUNK)):
                    page += data
            finally:
                writer.transport.abort()
    except (OSError, ssl.CertificateError):
        pass  # what came until then may be enough
    if (response := _response(page)) is None or not response.complete:
        return
    title = _TITLE.search(page, response.length)
    visit.seen = replace(
        visit.seen,
        page_status=response.status,
        page_location=_line(response.redirect),
        page_title=_line(title[1].decode("utf-8", "replace").strip()) if title else "",
    )


def _has_all(page: bytearray) -> bool:
    """Whether nothing more of a page is wanted: its head, and of a refusal the title."""
    response = _response(page)
    if response is None or not response.complete:
        return len(page) >= MAXIMUM_HEAD
    if response.status < _REFUSED_FROM or _TITLE.search(page, response.length):
        return True
    return len(page) >= response.length + MAXIMUM_PAGE


def _response(data: bytes | bytearray) -> Response | None:
    try:
        return parse_response(bytes(data[:MAXIMUM_HEAD]))
    except WireError:
        return None


async def _open(
    sock: socket.socket, context: ssl.SSLContext | None, server_name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(HANDSHAKE_TIME):
            # An empty name is no name: none is sent.
            return await asyncio.open_connection(
                sock=sock, ssl=context, server_hostname=server_name, limit=_CHUNK
            )
    except BaseException:
        sock.close()
        raise


class _Guest:
    """One connection."""

    def __init__(
        self, target: Target, visit: Visit, context: ssl.SSLContext, server_name: str
    ) -> None:
        self._target = target
        self._visit = visit
        self._context = context if target.tls else None
        self._name = server_name
        self._head = b""
        scheme = "https" if target.tls else "http"
        host, port, path = target.host, target.port, target.path
        self._machine = Client(URL(scheme=scheme, host=host, port=port, path=path))
        self._machine.enable()
        self._machine.initialize()

    def may_count_less(self) -> bool:
        """Whether the server may only have been unable to count so far, as nginx is; the machine
        asks otherwise the next time, as it does for clients."""
        seen = self._visit.seen
        if seen.status != BAD_REQUEST or seen.server == SERVER or self._machine.retry_at is None:
            return False
        self._machine.handle_timer(self._machine.retry_at)
        return True

    async def call(self) -> None:
        """Go the way once."""
        self._head = b""
        begin = time.monotonic()
        sock = await connect(self._visit.seen.address, self._target.port)
        begin = self._note(begin, "connect_seconds")
        reader, writer = await _open(sock, self._context, self._name if self._context else None)
        try:
            if self._context is not None:
                begin = self._note(begin, "tls_seconds")
                self._look_at(writer.get_extra_info("ssl_object"))
            await self._converse(reader, writer, begin)
        finally:
            writer.transport.abort()

    def _note(self, begin: float, key: str) -> float:
        now = time.monotonic()
        self._visit.seen = replace(self._visit.seen, **{key: now - begin})  # type: ignore[arg-type]
        return now

    def _look_at(self, connection: ssl.SSLObject) -> None:
        self._visit.seen = replace(
            self._visit.seen, tls=describe(connection), asks_certificate=connection in _ASKED
        )
        self._visit.chain = sent_chain(connection)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begin: float
    ) -> None:
        machine = self._machine
        machine.connection_made(begin)
        inlet = Inlet()
        try:
            async with asyncio.timeout(ANSWER_TIME):
                while machine.state is State.ESTABLISHED:
                    writer.write(machine.data_to_send())
                    data = await reader.read(_CHUNK)
                    self._head = (self._head + data)[:MAXIMUM_HEAD]
                    if not self._may_be_http():
                        return
                    machine.receive_data(data, time.monotonic())
        except TimeoutError:
            # The machine's own deadline, sooner: it says what an overdue answer means.
            machine.handle_timer(begin + RESPONSE_TIMEOUT)
        finally:
            self._read_head()
        begin = self._note(begin, "answer_seconds")
        if self._take_events(inlet, writer):
            await self._listen(reader, inlet, begin)

    def _may_be_http(self) -> bool:
        """Whether it may be an answer of HTTP; else it is said what it is."""
        opening = recognise(self._head)
        if opening in (None, Opening.HTTP_RESPONSE):
            return True
        words = f"what answers does not speak HTTP: {_line(repr(self._head[:40]))}"
        self._fail(TransportError(Stage.HTTP, words, problem="iphttps-wrong-server"))
        return False

    def _read_head(self) -> None:
        try:
            response = parse_response(self._head)
        except WireError:
            return
        self._visit.seen = replace(
            self._visit.seen,
            status=response.status,
            reason=_line(response.reason),
            server=_line(response.headers.get("server")),
            location=_line(response.redirect),
            content_type=_line(response.headers.get("content-type")),
            accepted=False,
        )

    def _take_events(self, inlet: Inlet, writer: asyncio.StreamWriter) -> bool:
        """Do what the machine wants; return whether there is a session."""
        while (event := self._machine.next_event()) is not None:
            if isinstance(event, StateChanged) and event.error is not None:
                self._fail(event.error)
            elif isinstance(event, LinkOpened):
                self._visit.seen = replace(self._visit.seen, accepted=True)
                inlet.receive_data(event.remainder)
            elif isinstance(event, PacketQueued):
                writer.write(event.packet)
        return self._machine.state is State.LINK_UP

    def _fail(self, error: TransportError) -> None:
        # Another status says itself what is the matter, but for certificates: there our gateway
        # says more, also through an ADC.
        if self._visit.seen.status in (None, OK) or error.stage is Stage.TLS:
            trouble = Trouble(
                words=str(error), problem=error.problem, windows_code=error.windows_code
            )
            self._visit.seen = replace(self._visit.seen, trouble=trouble)

    async def _listen(self, reader: asyncio.StreamReader, inlet: Inlet, begin: float) -> None:
        """Wait for the router's words."""
        try:
            async with asyncio.timeout(ADVERTISEMENT_TIME):
                while not inlet.over:
                    data = await reader.read(_CHUNK)
                    if not data:
                        break
                    inlet.receive_data(data)
        except (TimeoutError, OSError):
            pass  # what came until then is what there is to say
        if inlet.advertisement is not None:
            self._note(begin, "advertisement_seconds")
        self._visit.seen = replace(
            self._visit.seen,
            advertisement=inlet.advertisement,
            packets=inlet.packets,
            not_ipv6=inlet.broken,
        )


def sent_chain(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates as the server sent them, DER."""
    inner = getattr(connection, "_sslobj", None)
    # Public from Python 3.13 on, and there in bytes.
    ask = getattr(connection, "get_unverified_chain", None) or getattr(
        inner, "get_unverified_chain", None
    )
    chain = ask() if ask is not None else None
    if chain:
        return tuple(each if isinstance(each, bytes) else each.public_bytes(_DER) for each in chain)
    leaf = connection.getpeercert(binary_form=True)
    return (leaf,) if leaf else ()


_DER = 2
"""OpenSSL's number for the form in which certificates are wanted (X509_FILETYPE_ASN1)."""


def _line(text: str) -> str:
    """Return a stranger's text as it can be shown."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:400]
