"""Drive a :class:`throughway.proto.iphttps.client.Client` over sockets and a TUN device."""

import asyncio
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable

from throughway.model.errors import NetworkLeftError, Stage, TransportError
from throughway.model.status import LinkStatus
from throughway.net.dial import Dial
from throughway.net.link import Buffers, Connection
from throughway.net.tls import describe, transport_error
from throughway.net.tun import TUN, global_addresses
from throughway.proto.iphttps.client import (
    Client,
    ConnectionUnwanted,
    ConnectionWanted,
    LinkOpened,
    PacketQueued,
    ReconnectPolicy,
    State,
    StateChanged,
)
from throughway.proto.iphttps.http import parse_url
from throughway.proto.iphttps.stream import sort_packets

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for TLS."""
STALE_AFTER = 5.0
"""Seconds without a link after which packets that waited in the TUN device are thrown away: their
senders have given up or repeat them, and a burst of old ones would only delay the new."""

OnState = Callable[[State, TransportError | None], None]
Judge = Callable[[ssl.SSLObject], Awaitable[None]]
"""Judges the server beyond what TLS does; TransportError when it is refused."""


class IPHTTPSClient:
    """The client's IP-HTTPS link: keeps it up until it is closed.

    ``on_doubt()`` is called when nothing comes through a link that is up; seconds later it is up
    still, or lost.
    """

    def __init__(
        self,
        url: str,
        tun: TUN,
        *,
        dial: Dial,
        tls: ssl.SSLContext | None,
        session: str = "",
        judge: Judge | None = None,
        on_state: OnState | None = None,
        on_doubt: Callable[[], None] = lambda: None,
        policy: ReconnectPolicy | None = None,
    ) -> None:
        self.url = url
        self._machine = Client(parse_url(url), session=session, policy=policy, random=random.random)
        self._tun = tun
        self._dial = dial
        self._tls = tls if self._machine.url.scheme == "https" else None
        self._judge = judge
        self._on_state = on_state
        self._on_doubt = on_doubt
        self._loop = asyncio.get_running_loop()
        self._buffers = Buffers()
        self._connection: Connection | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._handshake_timer: asyncio.TimerHandle | None = None
        self._reading = False
        self._down_since = self._loop.time()
        self._error: TransportError | None = None
        self._since = time.time()
        self._earlier_in = self._earlier_out = 0
        """Bytes of the connections before this one."""
        self._remainder = 0
        self._dropped = 0
        self._acknowledged = 0
        """What the gateway had taken of the connection when it was first doubted."""
        self._asked = 0
        """What it has taken when it has the question whether it is there."""

    @property
    def state(self) -> State:
        """Return the state of the link."""
        return self._machine.state

    def start(self) -> None:
        """Bring the link up, and again whenever it is lost."""
        self._machine.enable()
        self._machine.initialize()
        self._pump()

    def network_changed(self) -> None:
        """Tell the link that addresses or routes changed, or that the machine was asleep."""
        if self._connection is not None and self._local_address_gone():
            words = "the network address that the connection was made from is gone"
            error = NetworkLeftError(Stage.LINK, words, windows_code=0x2741)
            self._drop_connection()
            self._machine.connection_lost(error, self._loop.time())
        self._machine.network_changed(self._loop.time())
        self._pump()

    async def close(self) -> None:
        """Take the link down; the TUN device is the caller's to close."""
        attempt = self._attempt
        if self._machine.state is not State.DISABLED:
            self._machine.disable()
        self._pump()
        if attempt is not None:
            await asyncio.gather(attempt, return_exceptions=True)

    def status(self) -> LinkStatus:
        """Return the link as people want to see it."""
        connection, retry_at = self._connection, self._machine.retry_at
        return LinkStatus(
            state=str(self._machine.state),
            url=self.url,
            interface=self._tun.name,
            addresses=global_addresses(self._tun.name),
            last_error=str(self._error or ""),
            windows_code=self._error.windows_code if self._error else 0,
            since=self._since,
            retry_at=0.0 if retry_at is None else time.time() + retry_at - self._loop.time(),
            bytes_in=self._earlier_in + (connection.bytes_in if connection else 0),
            bytes_out=self._earlier_out + (connection.bytes_out if connection else 0),
            tls=describe(connection.tls) if connection else "",
            pump=str(self._tun.pump),
            dropped=self._dropped,
            round_trip=connection.round_trip if connection else 0.0,
        )

    def connection_ready(self) -> None:
        """TLS stands: judge the server, and go on with HTTP."""
        self._cancel_handshake_timer()
        connection = self._connection
        if self._judge is None or connection is None or connection.tls is None:
            self._go_on()
        else:
            judging = self._judged(connection, self._judge(connection.tls))
            self._attempt = self._loop.create_task(judging)

    def refuse(self, error: TransportError) -> None:
        """End the connection to a server that is refused after all."""
        if self._connection is not None:
            self.connection_lost(error)

    async def _judged(self, connection: Connection, judging: Awaitable[None]) -> None:
        """Ask for the session only when the server may have it: nothing was said before."""
        error: TransportError | None = TransportError(
            Stage.TLS, "the server could not be judged", problem="iphttps-tls-handshake-failed"
        )
        try:
            await judging
            error = None
        except TransportError as refused:
            error = refused
        finally:
            if connection is self._connection:
                self._attempt = None
                if error is None:
                    self._go_on()
                else:
                    self.connection_lost(error)

    def _go_on(self) -> None:
        self._machine.connection_made(self._loop.time())
        self._pump()

    def stream_received(self, buffers: Buffers, end: int) -> int:
        """Give the machine its response, and the TUN device all packets that follow."""
        start = 0
        if self._machine.state is not State.LINK_UP:
            self._remainder = 0
            self._machine.receive_data(bytes(buffers.view[:end]), self._loop.time())
            self._pump()
            start = end - self._remainder
        self._machine.sign_of_life()
        batch = sort_packets(buffers.stream, end, start=start, walk=self._tun.pump.walk)
        for begin, behind in batch.runs:
            self._dropped += self._tun.write(buffers.stream, begin, behind)
        if batch.error is not None:
            self._machine.receive_garbage(batch.error, self._loop.time())
            self._pump()
        return batch.consumed

    def connection_lost(self, error: TransportError) -> None:
        """Tell the machine."""
        self._drop_connection()
        self._machine.connection_lost(error, self._loop.time())
        self._pump()

    def _pump(self) -> None:
        """Bring the outside in step with the machine; run after every input."""
        data = self._machine.data_to_send()
        if data and self._connection is not None:
            self._connection.send([data])
        while (event := self._machine.next_event()) is not None:
            match event:
                case ConnectionWanted():
                    self._attempt = self._loop.create_task(self._connect())
                case ConnectionUnwanted():
                    self._drop_connection()
                case StateChanged(state, error):
                    self._take_state(state, error)
                case LinkOpened(remainder):
                    self._open(remainder)
                case PacketQueued(packet):
                    if self._connection is not None:
                        self._connection.send([packet])
        self._arm_timer()

    def _take_state(self, state: State, error: TransportError | None) -> None:
        self._since = time.time()
        if error is not None or state is State.LINK_UP:
            self._error = None if isinstance(error, NetworkLeftError) else error
        if self._on_state is not None:
            self._on_state(state, error)

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self._machine.timer_at()
        self._timer = None if at is None else self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        doubted, connection = self._machine.doubted, self._connection
        if doubted and connection is not None and self._moves(connection):
            self._machine.sign_of_life()
        self._machine.handle_timer(self._loop.time())
        if self._machine.doubted and not doubted and connection is not None:
            self._acknowledged = connection.acknowledged
            self._pump()  # the question
            self._asked = connection.sent
            self._on_doubt()
        self._pump()

    def _moves(self, connection: Connection) -> bool:
        """Whether the line is busy with what was sent before, which holds the question up, too.

        Once the other end's kernel has the question, that it takes more says nothing of who
        should answer: a proxy or a gateway that hangs has a kernel that does not.
        """
        acknowledged = connection.acknowledged
        held_up = acknowledged < self._asked or connection.busy
        return held_up and acknowledged > self._acknowledged

    async def _connect(self) -> None:
        url = self._machine.url
        try:
            sock = await self._dial(url.host, url.port)
        except (TransportError, OSError) as error:
            self._attempt = None
            told = transport_error(error, Stage.CONNECT)
            self._machine.connection_lost(told, self._loop.time())
            self._pump()
            return
        self._attempt = None
        self._handshake_timer = self._loop.call_later(HANDSHAKE_TIMEOUT, self._on_slow_handshake)
        self._connection = Connection(
            sock, self._buffers, self, tls=self._tls, server_name=url.host if self._tls else None
        )
        self._connection.start()

    def _on_slow_handshake(self) -> None:
        self._handshake_timer = None
        self.connection_lost(transport_error(TimeoutError(), Stage.TLS))

    def _cancel_handshake_timer(self) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
            self._handshake_timer = None

    def _drop_connection(self) -> None:
        """End the connection or the attempt at one, without a word to the machine."""
        self._cancel_handshake_timer()
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        self._pause_tun()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._earlier_in += connection.bytes_in
            self._earlier_out += connection.bytes_out
            self._down_since = self._loop.time()
            connection.abort()

    def _open(self, remainder: bytes) -> None:
        """Begin with the stream; its first bytes are the last ones of the buffer."""
        self._remainder = len(remainder)
        if self._loop.time() - self._down_since > STALE_AFTER:
            while self._tun.read():
                pass
        self._read_tun()

    def _read_tun(self) -> None:
        if not self._reading and self._machine.state is State.LINK_UP:
            self._reading = True
            self._loop.add_reader(self._tun.fd, self._on_tun_readable)

    def _pause_tun(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._tun.fd)

    def _on_tun_readable(self) -> None:
        assert self._connection is not None
        try:
            end = self._tun.read()
        except OSError as error:  # the device was deleted under us
            words = f"the interface {self._tun.name} is gone: {error.strerror}"
            problem = "iphttps-interface-creation-failed"
            self.connection_lost(TransportError(Stage.LINK, words, problem=problem))
            return
        self._dropped += self._tun.unreadable
        if end:
            self._dropped += self._connection.send_packets([self._tun.batch[:end]])
            self._machine.packets_sent(self._loop.time())
            if self._timer is None:  # else it is looked at when that is due
                self._arm_timer()

    def _local_address_gone(self) -> bool:
        """Whether the address of our end of the connection is no longer this machine's."""
        assert self._connection is not None
        address = self._connection.local_address()
        if address is None:
            return False
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                return True
        return False
