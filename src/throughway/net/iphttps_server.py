"""Drive a :class:`throughway.proto.iphttps.server.Server`: listeners, sessions, one TUN device."""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import ConfigError, Stage, TransportError, WireError
from throughway.model.status import SessionStatus
from throughway.net.link import Buffers, Connection, tune
from throughway.net.tls import server_context, subject_of
from throughway.net.tun import TUN
from throughway.proto.iphttps.http import parse_url
from throughway.proto.iphttps.server import (
    LimitReached,
    Limits,
    Refusal,
    Server,
    SessionClosed,
    SessionOpened,
    State,
)
from throughway.proto.iphttps.session import Drop, Session, SessionState
from throughway.proto.iphttps.slowpath import PacketForClient, PacketForHost
from throughway.proto.iphttps.stream import cut_packets, sort_packets
from throughway.proto.router import Link, Router
from throughway.wire.ipv6 import DESTINATION_OFFSET, HEADER_LENGTH, format_address

BACKLOG = 4096
"""Connections which the kernel holds for us (as far as net.core.somaxconn lets it)."""
ACCEPT_BATCH = 16
"""Connections accepted before sessions, and handshakes that have begun, have their turn again:
of a rush the kernel holds the most, and what we have begun with we finish."""
ACCEPT_PAUSE = 0.5
"""Seconds without accepting when the process has no more file descriptors."""

OnSession = Callable[[SessionStatus], None]
OnClosed = Callable[[SessionStatus, str], None]


def tls_context(config: IPHTTPSServerConfig, file: str = "") -> ssl.SSLContext:
    """Make the TLS context a configuration asks for."""
    certificates = config.authentication is AuthenticationMode.CERTIFICATES
    if certificates and config.client_ca is None:
        raise ConfigError(file, "iphttps.client_ca", "is needed to authenticate by certificates")
    client_ca = config.client_ca if certificates else None
    return server_context(config.certificate, config.key, client_ca=client_ca, file=file)


def _limits(config: IPHTTPSServerConfig, tls: ssl.SSLContext | None) -> Limits:
    return Limits(
        max_sessions=config.max_sessions,
        # Behind a device that ends TLS all clients come from that device.
        max_sessions_per_source=0 if tls is None else config.max_sessions_per_source,
        max_addresses_per_session=config.max_addresses_per_session,
        head_timeout=config.head_timeout,
        client_to_client=config.client_to_client,
    )


class IPHTTPSServer:
    """The gateway's end of the IP-HTTPS link.

    With ``tls`` None it speaks plain HTTP, for a device before it that ends TLS.
    """

    def __init__(
        self,
        config: IPHTTPSServerConfig,
        tun: TUN,
        *,
        tls: ssl.SSLContext | None,
        routes: Sequence[str] = (),
        on_opened: OnSession | None = None,
        on_closed: OnClosed | None = None,
        on_limit: Callable[[str], None] | None = None,
    ) -> None:
        """``on_limit`` is told of each source that is one too many."""
        if tls is None and config.authentication is AuthenticationMode.CERTIFICATES:
            raise ConfigError("", "iphttps.authentication", "certificates need TLS on this server")
        self._loop = asyncio.get_running_loop()
        self.config = config
        self._tls = tls
        self._tun = tun
        self._on_opened = on_opened
        self._on_closed = on_closed
        self._on_limit = on_limit
        self._buffers = Buffers()
        self._listeners: list[socket.socket] = []
        self._links: dict[int, _SessionLink] = {}
        """Of half-open and open sessions, by number."""
        self._parting: set[Connection] = set()
        """Connections which still send their last bytes."""
        self._timer: asyncio.TimerHandle | None = None
        self._ended_traffic = (0, 0)
        try:
            url, link = parse_url(config.url), Link.of(config.prefix)
            router = Router(link, routes=routes, now=self._loop.time())
        except WireError as error:
            raise ConfigError("", "iphttps", str(error)) from error
        self.machine = Server(
            url,
            router,
            authentication=config.authentication,
            limits=_limits(config, tls),
            wall_clock=time.time,
        )

    @property
    def state(self) -> State:
        """Return the state of the server."""
        return self.machine.state

    @property
    def packet_pump(self) -> str:
        """Return which packet pump is used, and why."""
        return str(self._tun.pump)

    @property
    def refusals(self) -> Counter[Refusal]:
        """Return how many connections did not become sessions, by reason."""
        return self.machine.refusals

    @property
    def drops(self) -> Counter[Drop]:
        """Return how many packets went no further, by reason, since the start."""
        return Counter(self.machine.drops)

    def traffic(self) -> tuple[int, int]:
        """Return the bytes of all sessions since the start, from and to the clients."""
        received, sent = self._ended_traffic
        for link in self._links.values():
            received += link.connection.bytes_in
            sent += link.connection.bytes_out
        return received, sent

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Return where the server listens, with the ports the kernel chose for 0."""
        return tuple(listener.getsockname()[:2] for listener in self._listeners)

    def start(self, listeners: Sequence[socket.socket] = ()) -> None:
        """Listen on all addresses, or on sockets that listen already.

        Raises TransportError when an address cannot be had.
        """
        self._listeners += listeners or listen(self.config.listen)
        self.machine.start()
        self._resume_accepting()
        self._loop.add_reader(self._tun.fd, self._on_tun_readable)
        self.pump()

    def reload(self, config: IPHTTPSServerConfig, tls: ssl.SSLContext | None) -> tuple[str, ...]:
        """Take another certificate, other limits, another authentication mode.

        Returns the names of changed settings that need a restart.
        """
        fixed = ("url", "listen", "prefix", "interface")
        changed = tuple(k for k in fixed if getattr(config, k) != getattr(self.config, k))
        self.config, self._tls = config, tls
        self.machine.configure(_limits(config, tls))
        self.machine.set_authentication(config.authentication)
        self.pump()
        return changed

    def limit_sessions(self, count: int) -> None:
        """Take no more sessions than this; those which are open stay."""
        self.machine.configure(replace(self.machine.limits, max_sessions=count))

    def drop_all(self, reason: str) -> None:
        """Drop all clients; those of ours come back at once, over a new link."""
        self.machine.drop_all(reason)
        self.pump()

    async def close(self) -> None:
        """Take no more clients, end all sessions, and wait until they were told."""
        self._stop_listening()
        if self.machine.state is not State.STOPPED:
            self._loop.remove_reader(self._tun.fd)
        self.machine.shut_down()
        self.pump()
        await asyncio.gather(*(connection.wait_closed() for connection in self._parting))

    def sessions(self) -> tuple[SessionStatus, ...]:
        """Return the open sessions."""
        return tuple(self._links[number].status() for number in self.machine.sessions)

    def pump(self) -> None:
        """Bring the outside in step with the machine; run after every input."""
        while (event := self.machine.next_event()) is not None:
            match event:
                case PacketForClient(session, packet):
                    link = self._links.get(session.number)
                    if link is not None:
                        link.send([packet])
                case PacketForHost(packet):
                    refused = self._tun.write(memoryview(packet), 0, len(packet))
                    if refused:
                        self.machine.drops[Drop.REFUSED] += refused
                case LimitReached(source):
                    if self._on_limit is not None:
                        self._on_limit(source)
                case SessionOpened(session, remainder):
                    self._open(self._links[session.number], len(remainder))
                case SessionClosed(session, reason, was_open):
                    # One that was gone as it was accepted has no link yet.
                    if (link := self._links.pop(session.number, None)) is not None:
                        self._end(link, reason, was_open=was_open)
        self._arm_timer()

    def _open(self, link: "_SessionLink", remainder: int) -> None:
        link.opened(remainder)
        if self._on_opened is not None:
            self._on_opened(link.status())

    def _end(self, link: "_SessionLink", reason: str, *, was_open: bool) -> None:
        status = link.status()
        received, sent = self._ended_traffic
        self._ended_traffic = received + status.bytes_in, sent + status.bytes_out
        link.finish()
        if not link.connection.closed:
            self._parting.add(link.connection)
            link.connection.on_gone = self._parting.discard
        if was_open and self._on_closed is not None:
            self._on_closed(status, reason)

    def _arm_timer(self) -> None:
        """Wait for the next thing that is due; a timer which is early asks again by itself."""
        at = self.machine.timer_at()
        if self._timer is not None:
            if at is not None and self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = None if at is None else self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.machine.handle_timer(self._loop.time())
        self.pump()

    def _resume_accepting(self) -> None:
        for listener in self._listeners:
            self._loop.add_reader(listener, self._on_acceptable, listener)

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()

    def _on_acceptable(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError:  # no more file descriptors: the kernel keeps the others meanwhile
                self._loop.remove_reader(listener)
                self._loop.call_later(ACCEPT_PAUSE, self._resume_accepting)
                return
            self._accept(sock, peer[0], peer[1])

    def _accept(self, sock: socket.socket, address: str, port: int) -> None:
        session = self.machine.accept(address, port, _source(address), self._loop.time())
        if session is None:
            sock.close()
            return
        try:
            tune(sock)
        except OSError:  # it is gone already
            sock.close()
            self.machine.connection_lost(session, "reset")
            self.pump()
            return
        link = _SessionLink(self, session, sock, self._buffers, self._tls)
        self._links[session.number] = link
        link.connection.start()
        self.pump()

    def _on_tun_readable(self) -> None:
        """Give the packets of the host to the sessions that own their destinations."""
        owners, links = self.machine.neighbours.sessions, self._links
        buffer, batch, walk = self._tun.buffer, self._tun.batch, self._tun.pump.walk
        start, end = 0, self._tun.read()
        pieces: dict[int, list[memoryview]] = {}
        while (after := walk(buffer, start, end)) > start:
            destination = bytes(batch[start + DESTINATION_OFFSET : start + HEADER_LENGTH])
            owner = owners.get(destination)
            if owner is None:  # multicast too: advertisements are not the kernel's to send
                reason = Drop.MULTICAST if destination[0] == 0xFF else Drop.NOBODY
                self.machine.drops[reason] += sum(1 for _ in cut_packets(batch, start, after))
            else:
                pieces.setdefault(owner.number, []).append(batch[start:after])
            start = after
        for number, own in pieces.items():
            if number in links:  # a session may end as another is served
                links[number].send(own)

    def take(self, session: Session, buffers: Buffers, start: int, end: int) -> int:
        """Move a session's packets: runs to the TUN device, the others to the machine."""
        batch = sort_packets(
            buffers.stream,
            end,
            start=start,
            owned=session.owned,
            link=self.machine.neighbours.link,
            client_to_client=self.machine.limits.client_to_client,
            walk=self._tun.pump.walk,
        )
        for begin, behind in batch.runs:
            refused = self._tun.write(buffers.view, begin, behind)
            if refused:
                session.drop(Drop.REFUSED, refused)
        if batch.slow or batch.error is not None:
            now = self._loop.time()
            for packet in batch.slow:
                self.machine.receive_slow(session, packet, now)
            if batch.error is not None:
                self.machine.receive_garbage(session, batch.error)
            self.pump()
        return batch.consumed


class _SessionLink:
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
        server: IPHTTPSServer,
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
        """Note who the client is."""
        self._session.certificate = subject_of(self.connection.tls)

    def stream_received(self, buffers: Buffers, end: int) -> int:
        """Take the request, then packets in bulk."""
        session, start = self._session, 0
        session.heard_at = now = self._loop.time()
        if session.state is SessionState.HALF_OPEN:
            self._machine.receive_data(session, bytes(buffers.view[:end]), now)
            self._server.pump()
            start = end - self._remainder
        if session.state is not SessionState.OPEN:
            return end
        return self._server.take(session, buffers, start, end)

    def stream_drained(self) -> None:
        """Nothing to do: the queue went with it."""

    def connection_lost(self, error: TransportError) -> None:
        """Take the session off the table."""
        refusal = Refusal.HANDSHAKE if error.stage is Stage.TLS else Refusal.CLOSED
        self._machine.connection_lost(self._session, str(error), refusal)
        self._server.pump()

    def opened(self, remainder: int) -> None:
        """Answer the request; so many bytes of what was read are packets."""
        self._remainder = remainder
        self._since = time.time()
        self.connection.send([self._session.data_to_send()])

    def send(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Send packets to the client; too many are dropped and counted."""
        dropped = self.connection.send(pieces)
        if dropped:
            rest = [p for piece in pieces[-dropped:] for p in cut_packets(piece, 0, len(piece))]
            if dropped := self.connection.send(rest):
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
            bytes_in=self.connection.bytes_in,
            bytes_out=self.connection.bytes_out,
            dropped=self._session.drops.total(),
        )


def listen(
    addresses: Iterable[tuple[str, int]], *, shared: bool = False
) -> tuple[socket.socket, ...]:
    """Listen on all addresses; ``shared``: others listen there too (SO_REUSEPORT).

    Raises TransportError when one cannot be had.
    """
    listeners: list[socket.socket] = []
    try:
        for address, port in addresses:
            listeners.append(_listen(address, port, shared=shared))
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise TransportError(
            Stage.LINK,
            f"cannot listen on {address} port {port}: {error.strerror}",
            problem="iphttps-listener-down",
        ) from error
    return tuple(listeners)


def _listen(address: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _source(address: str) -> str:
    """Return what the limit per source counts: hosts have a whole /64 of IPv6 to themselves."""
    if ":" not in address:
        return address
    packed = ipaddress.IPv6Address(address.partition("%")[0]).packed
    return format_address(packed[:8] + bytes(8)) + "/64"
