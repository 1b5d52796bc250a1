"""One connection of :class:`throughway.net.iphttps_server.IPHTTPSServer`: what comes before its
own first byte, and its entry in the client table."""

import asyncio
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from throughway.model.errors import Stage, TransportError
from throughway.model.status import SessionStatus
from throughway.net.client_certificates import LAPSED, lapsed, refusal_of
from throughway.net.link import Buffers, Connection
from throughway.net.listeners import source_of
from throughway.net.preface import Preface
from throughway.net.tls import describe, fingerprint_of, serial_of, subject_of
from throughway.proto.iphttps.hello import Offer
from throughway.proto.iphttps.server import Refusal, Server
from throughway.proto.iphttps.session import Drop, Session, SessionState
from throughway.wire.ipv6 import format_address
from throughway.wire.proxy_protocol import ProxyHeader

NO_PROXY_HEADER = "iphttps-adc-header-missing"
"""The catalogue's code."""


class Owner(Protocol):
    """The server, as its connections see it."""

    machine: Server

    def pump(self) -> None:
        """Bring the outside in step with the machine."""

    def begin_after(
        self, session: Session, sock: socket.socket, tls: ssl.SSLContext | None, offer: Offer
    ) -> None:
        """What was before the connection's own bytes is known."""

    def take(self, session: Session, buffers: Buffers, start: int, end: int) -> int:
        """Move a session's packets; return how many bytes were."""


class Waiting:
    """One connection before its own first byte."""

    def __init__(
        self,
        server: Owner,
        session: Session,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._server, self._session, self._socket, self._tls = server, session, sock, tls
        self._preface: Preface | None = None

    def start(self, *, header: bool, hello: bool) -> None:
        """Look at what comes."""
        self._preface = Preface(self._socket, self, header=header, hello=hello)
        self._preface.start()

    def close(self) -> None:
        """Its session is closed."""
        if self._preface is not None:
            self._preface.stop()
        self._socket.close()

    def spoken(self) -> None:
        """Take note that it is not silent."""
        self._server.machine.peer_spoke(self._session)

    def named(self, header: ProxyHeader) -> None:
        """Note who the client is, where the ADC says it."""
        self._session.tls = header.tls
        if header.source:
            address, port = header.source, header.source_port
            now = asyncio.get_running_loop().time()
            self._server.machine.peer_named(self._session, address, port, source_of(address), now)
            self._server.pump()

    def ready(self, offer: Offer) -> None:
        """Go on with the connection itself."""
        self._server.begin_after(self._session, self._socket, self._tls, offer)

    def failed(self, why: str) -> None:
        """Close it: without the header nobody knows whose it is. A health check says nothing."""
        machine = self._server.machine
        if why:
            machine.client_refused(self._session, NO_PROXY_HEADER, why, Refusal.ADC)
        else:
            machine.connection_lost(self._session, "the other end closed the connection")
        self._server.pump()


class SessionLink:
    """One connection and its entry in the client table."""

    __slots__ = (
        "_loop",
        "_machine",
        "_remainder",
        "_server",
        "_session",
        "_since",
        "connection",
    )

    def __init__(
        self,
        server: Owner,
        session: Session,
        sock: socket.socket,
        buffers: Buffers,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._server = server
        self._machine = server.machine
        self._session = session
        self._since = time.time()
        self._loop = asyncio.get_running_loop()
        self._remainder = 0
        self.connection = Connection(sock, buffers, self, tls=tls, server_side=True)
        self.connection.on_spoken = self._spoke

    def _spoke(self) -> None:
        self._machine.peer_spoke(self._session)

    def connection_ready(self) -> None:
        """Note who the client is, and how it is encrypted."""
        session, tls = self._session, self.connection.tls
        if tls is not None:
            session.certificate, session.fingerprint = subject_of(tls), fingerprint_of(tls)
            session.serial = serial_of(tls)
            session.suite = sys.intern(describe(tls))
        elif session.tls is not None:
            session.suite = sys.intern(f"{session.tls.version} {session.tls.cipher}".strip())

    def stream_received(self, buffers: Buffers, end: int) -> int:
        """Take the request, then packets in bulk."""
        session, start = self._session, 0
        session.heard_at = now = self._loop.time()
        if session.state is SessionState.HALF_OPEN and lapsed(self.connection.tls, time.time()):
            self._machine.client_refused(session, *LAPSED)
            self._server.pump()
        elif session.state is SessionState.HALF_OPEN:
            self._machine.receive_data(session, bytes(buffers.view[:end]), now)
            self._server.pump()
            start = end - self._remainder
        if session.state is not SessionState.OPEN:
            return end
        return self._server.take(session, buffers, start, end)

    def connection_lost(self, error: TransportError) -> None:
        """Take the session off the table."""
        if (refused := refusal_of(error.__cause__)) is not None:
            self._machine.client_refused(self._session, *refused)
        refusal = Refusal.HANDSHAKE if error.stage is Stage.TLS else Refusal.CLOSED
        self._machine.connection_lost(self._session, str(error), refusal)
        self._server.pump()

    def opened(self, remainder: int) -> None:
        """Answer the request; so many bytes of what was read are packets."""
        self._remainder = remainder
        self._since = time.time()
        self.connection.send([self._session.data_to_send()])

    def send(self, stretches: Sequence[memoryview]) -> None:
        """Send packets to the client; too many are dropped and counted."""
        if dropped := self.connection.send_packets(stretches):
            self._session.drop(Drop.QUEUE_FULL, dropped)

    def finish(self) -> None:
        """Send what is due, a refusal perhaps, and close."""
        last = self._session.data_to_send()
        if last:
            self.connection.send([last])
        self.connection.finish()

    def status(self) -> SessionStatus:
        """Return the session as people want to see it."""
        return SessionStatus(
            id=self._session.number,
            peer=self._session.peer,
            since=self._since,
            addresses=tuple(format_address(address) for address in self._session.owned),
            certificate=self._session.certificate,
            fingerprint=self._session.fingerprint,
            serial=self._session.serial,
            suite=self._session.suite,
            bytes_in=self.connection.bytes_in,
            bytes_out=self.connection.bytes_out,
            dropped=self._session.drops.total(),
        )
