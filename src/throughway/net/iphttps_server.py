"""Drive a :class:`throughway.proto.iphttps.server.Server`: listeners, sessions, one TUN device."""

import asyncio
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import ConfigError, WireError
from throughway.model.status import SessionStatus
from throughway.net.descriptors import free_beside
from throughway.net.iphttps_session import SessionLink, Waiting
from throughway.net.link import Buffers, Connection, tune
from throughway.net.listeners import Listener, endpoints_of, is_adc, listen, source_of
from throughway.net.tls import server_context
from throughway.net.tun import TUN
from throughway.proto.iphttps.adc import ADC, Judge
from throughway.proto.iphttps.hello import Offer
from throughway.proto.iphttps.http import parse_url
from throughway.proto.iphttps.server import (
    MAX_HALF_OPEN,
    ClientRefused,
    LimitReached,
    Limits,
    Refusal,
    Server,
    SessionClosed,
    SessionOpened,
    State,
)
from throughway.proto.iphttps.session import Drop, Session
from throughway.proto.iphttps.slowpath import PacketForClient, PacketForHost
from throughway.proto.iphttps.stream import cut_packets, sort_packets
from throughway.proto.router import Link, Router
from throughway.wire.icmpv6 import ROUTER_ADVERTISEMENT
from throughway.wire.ipv6 import DESTINATION_OFFSET, HEADER_LENGTH

ACCEPT_BATCH = 16
"""Connections accepted before sessions, and handshakes that have begun, have their turn again:
of a rush the kernel holds the most, and what we have begun with we finish."""
DEVICE_TURN = 32
"""Reads of sessions after which the device has its turn: answers of the kernel are there at once,
and it has room for few."""
FLOOD_PAUSE = 0.5
"""Seconds in which a session is not read that has used up what is looked at one by one: a read of
such packets costs milliseconds, and everybody waits meanwhile."""
MAX_PARTING = 1024
"""Connections that may still take what they were told last; more are closed at once."""
ACCEPT_PAUSE = 0.5
"""Seconds without accepting when the process has no more file descriptors."""
STRANGER = "iphttps-adc-stranger"
"""The catalogue's code."""
FULL_PAUSE = 0.02
"""Seconds without accepting when there are as many handshakes as there may be."""

OnSession = Callable[[SessionStatus], None]
OnClosed = Callable[[SessionStatus, str], None]


def tls_context(config: IPHTTPSServerConfig, file: str = "") -> ssl.SSLContext:
    """Make the TLS context a configuration with a certificate asks for."""
    certificates = config.authentication is AuthenticationMode.CERTIFICATES
    if certificates and config.client_ca is None:
        raise ConfigError(file, "iphttps.client_ca", "is needed to authenticate by certificates")
    client_ca = config.client_ca if certificates else None
    if config.certificate is None or config.key is None:
        raise ConfigError(file, "iphttps.certificate", "is needed, with its key, to speak TLS")
    return server_context(config.certificate, config.key, client_ca=client_ca, file=file)


def _limits(config: IPHTTPSServerConfig, tls: ssl.SSLContext | None) -> Limits:
    plain = tls is None and config.adc is None
    return Limits(
        max_sessions=config.max_sessions,
        # Behind a device that ends TLS all clients come from that device, unless it says whence.
        max_sessions_per_source=0 if plain else config.max_sessions_per_source,
        max_half_open=min(MAX_HALF_OPEN, free_beside(config.max_sessions)),
        max_addresses_per_session=config.max_addresses_per_session,
        head_timeout=config.head_timeout,
        client_to_client=config.client_to_client,
        sessions_per_certificate=config.sessions_per_certificate,
    )


def _adc(config: IPHTTPSServerConfig, judge: Judge | None) -> ADC | None:
    return None if config.adc is None or judge is None else ADC(config=config.adc, judge=judge)


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
        null_tls: ssl.SSLContext | None = None,
        judge: Judge | None = None,
        routes: Sequence[str] = (),
        on_opened: OnSession | None = None,
        on_closed: OnClosed | None = None,
        on_limit: Callable[[str], None] | None = None,
        on_refused: Callable[[ClientRefused], None] | None = None,
        on_device_lost: Callable[[str], None] | None = None,
    ) -> None:
        """``null_tls``: for clients that offer nothing but NULL suites; ``judge``: of certificates
        that an ADC passes on, without which no ADC is served. ``on_limit`` is told of each source
        that is one too many, ``on_device_lost`` why the device can be read no more."""
        asked = config.authentication is AuthenticationMode.CERTIFICATES
        if tls is None and asked and config.adc is None:
            raise ConfigError("", "iphttps.authentication", "certificates need TLS on this server")
        self._loop = asyncio.get_running_loop()
        self.config = config
        self._tls, self._null_tls = tls, null_tls
        self._tun = tun
        self._on_opened = on_opened
        self._on_closed = on_closed
        self._on_limit = on_limit
        self._on_refused = on_refused
        self._on_device_lost = on_device_lost
        self._buffers = Buffers()
        self._listeners: list[Listener] = []
        self._links: dict[int, SessionLink] = {}
        """Of half-open and open sessions, by number."""
        self._waiting: dict[int, Waiting] = {}
        """Of half-open sessions, before their connection's own first byte."""
        self._parting: set[Connection] = set()
        """Connections which still send their last bytes."""
        self._timer: asyncio.TimerHandle | None = None
        self._reads = 0
        """Of sessions, since the device was read."""
        self.advertised = 0
        """Router Advertisements that went to clients, who get one each as they come."""
        self._ended_traffic = (0, 0)
        self.opening = 0.0
        """Seconds from accepting a connection to its session, of all sessions so far."""
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
            adc=_adc(config, judge),
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
        return tuple(listener.socket.getsockname()[:2] for listener in self._listeners)

    def start(self, listeners: Sequence[socket.socket] = ()) -> None:
        """Listen on all addresses, or on sockets that listen already.

        Raises TransportError when an address cannot be had.
        """
        made = listeners or listen(endpoints_of(self.config))
        own = len(self.config.listen)
        self._listeners += (Listener(one, at >= own) for at, one in enumerate(made))
        self.machine.start()
        self._resume_accepting()
        self._loop.add_reader(self._tun.fd, self._on_tun_readable)
        self.pump()

    def reload(
        self,
        config: IPHTTPSServerConfig,
        tls: ssl.SSLContext | None,
        *,
        null_tls: ssl.SSLContext | None = None,
        judge: Judge | None = None,
    ) -> tuple[str, ...]:
        """Take another certificate, other limits, another authentication mode.

        Returns the names of changed settings that need a restart.
        """
        fixed = ("url", "listen", "prefix", "interface")
        changed = tuple(k for k in fixed if getattr(config, k) != getattr(self.config, k))
        self.config, self._tls, self._null_tls = config, tls, null_tls
        self.machine.configure(_limits(config, tls))
        self.machine.adc = _adc(config, judge)
        self.machine.set_authentication(config.authentication)
        if null_tls is None:
            self.machine.drop_suites("NULL-", "NULL suites are not allowed any more")
        self.pump()
        return changed

    def limit_sessions(self, count: int) -> None:
        """Take no more sessions than this; those which are open stay."""
        self.machine.configure(replace(self.machine.limits, max_sessions=count))

    def drop_session(self, number: int, reason: str) -> None:
        """Drop one client."""
        self.machine.drop_session(number, reason)
        self.pump()

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

    def session_numbers(self) -> tuple[int, ...]:
        """Return the numbers of the open sessions."""
        return tuple(self.machine.sessions)

    def sessions(self, numbers: Iterable[int] | None = None) -> tuple[SessionStatus, ...]:
        """Return the open sessions, or those of them with these numbers."""
        wanted = self.machine.sessions if numbers is None else numbers
        return tuple(
            self._links[number].status() for number in wanted if number in self.machine.sessions
        )

    def pump(self) -> None:
        """Bring the outside in step with the machine; run after every input."""
        while (event := self.machine.next_event()) is not None:
            match event:
                case PacketForClient(session, packet):
                    link = self._links.get(session.number)
                    if link is not None:
                        link.send([memoryview(packet)])
                        self.advertised += packet[HEADER_LENGTH] == ROUTER_ADVERTISEMENT
                case PacketForHost(packet):
                    refused = self._tun.write(packet, 0, len(packet))
                    if refused:
                        self.machine.drops[Drop.REFUSED] += refused
                case LimitReached(source):
                    if self._on_limit is not None:
                        self._on_limit(source)
                case ClientRefused():
                    if self._on_refused is not None:
                        self._on_refused(event)
                case SessionOpened(session, remainder):
                    self.opening += self._loop.time() - session.accepted_at
                    self._open(self._links[session.number], len(remainder))
                case SessionClosed(session, reason, was_open):
                    # One that was gone as it was accepted has no link yet.
                    if (link := self._links.pop(session.number, None)) is not None:
                        self._end(link, reason, was_open=was_open)
                    if (waiting := self._waiting.pop(session.number, None)) is not None:
                        waiting.close()
        self._arm_timer()

    def _open(self, link: SessionLink, remainder: int) -> None:
        link.opened(remainder)
        if self._on_opened is not None:
            self._on_opened(link.status())

    def _end(self, link: SessionLink, reason: str, *, was_open: bool) -> None:
        status = link.status()
        received, sent = self._ended_traffic
        self._ended_traffic = received + status.bytes_in, sent + status.bytes_out
        link.finish()
        if len(self._parting) >= MAX_PARTING:
            link.connection.abort()
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
            self._loop.add_reader(listener.socket, self._on_acceptable, listener)

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener.socket)
            listener.socket.close()
        self._listeners.clear()

    def _on_acceptable(self, listener: Listener) -> None:
        for _ in range(ACCEPT_BATCH):
            if not self.machine.may_accept(self._loop.time()):
                self._pause_accepting(listener, FULL_PAUSE)
                return
            try:
                sock, peer = listener.socket.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError:  # no more file descriptors: the kernel keeps the others meanwhile
                self._pause_accepting(listener, ACCEPT_PAUSE)
                return
            if listener.adc and not is_adc(self.config, peer[0]):
                sock.close()
                words = "only an ADC, from adc.addresses, may connect there"
                self.machine.turn_away(peer[0], peer[1], STRANGER, words)
                self.pump()
                continue
            self._accept(sock, peer[0], peer[1], adc=listener.adc)

    def _pause_accepting(self, listener: Listener, seconds: float) -> None:
        self._loop.remove_reader(listener.socket)
        self._loop.call_later(seconds, self._resume_accepting)

    def _accept(self, sock: socket.socket, address: str, port: int, *, adc: bool) -> None:
        # Behind a device all have its address: what its header says counts, if anything.
        source = "" if adc else source_of(address)
        now = self._loop.time()
        session = self.machine.accept(address, port, source, now, adc=adc, own=_own(sock, address))
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
        rules = self.config.adc if adc else None
        tls = self._tls if rules is None or rules.tls else None
        header = rules is not None and rules.proxy_protocol
        hello = tls is not None and self._null_tls is not None
        if header or hello:
            self._waiting[session.number] = waiting = Waiting(self, session, sock, tls)
            waiting.start(header=header, hello=hello)
        else:
            self.begin(session, sock, tls)
        self.pump()

    def begin(self, session: Session, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Let a connection's own bytes come."""
        link = SessionLink(self, session, sock, self._buffers, tls)
        self._links[session.number] = link
        link.connection.start()

    def begin_after(
        self, session: Session, sock: socket.socket, tls: ssl.SSLContext | None, offer: Offer
    ) -> None:
        """Let them come, now that what was before them is known."""
        del self._waiting[session.number]
        self.begin(session, sock, self._null_tls if offer is Offer.NULL_ONLY else tls)
        self.pump()

    def _on_tun_readable(self) -> None:
        """Give the packets of the host to the sessions that own their destinations."""
        self._reads = 0
        owners, links = self.machine.neighbours.sessions, self._links
        buffer, batch, walk = self._tun.buffer, self._tun.batch, self._tun.pump.walk
        try:
            start, end = 0, self._tun.read()
        except OSError as error:  # it was deleted, and would be readable without end
            self._loop.remove_reader(self._tun.fd)
            if self._on_device_lost is not None:
                self._on_device_lost(f"the interface {self._tun.name} is gone: {error.strerror}")
            return
        if self._tun.unreadable:
            self.machine.drops[Drop.UNREADABLE] += self._tun.unreadable
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
            refused = self._tun.write(buffers.stream, begin, behind)
            if refused:
                session.drop(Drop.REFUSED, refused)
        if batch.slow or batch.error is not None:
            now = self._loop.time()
            for packet in batch.slow:
                self.machine.receive_slow(session, packet, now)
            if batch.error is not None:
                self.machine.receive_garbage(session, batch.error)
            self.pump()
            if session.slow.used_up and session.number in self._links:
                self._links[session.number].connection.pause(FLOOD_PAUSE)
        self._reads += 1
        if self._reads >= DEVICE_TURN:
            self._on_tun_readable()
        return batch.consumed


def _own(sock: socket.socket, address: str) -> bool:
    """Whether a connection comes from this machine: from the very address that it is for.

    On the loopback that says nothing: there a device of this machine passes on what clients send.
    """
    if ip_address(address.partition("%")[0]).is_loopback:
        return False
    try:
        return bool(sock.getsockname()[0] == address)
    except OSError:
        return False
