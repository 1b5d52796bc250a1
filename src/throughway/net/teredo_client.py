"""The Teredo client on a UDP socket and a TUN device; drives :mod:`throughway.proto.teredo.client`.

No decisions here: datagrams and packets go in, what the machine wants goes out.
"""

import asyncio
import os
from collections.abc import Callable

from throughway.net.teredo import Alarm, Socket, cut, open_socket, receive, send, write
from throughway.net.tun import TUN
from throughway.proto.teredo.client import Client, Event, PacketReceived, State

OnEvent = Callable[[Event], None]


class TeredoClient:
    """One client, from :meth:`start` to :meth:`close`; ``tun`` stays its owner's."""

    def __init__(
        self,
        server: bytes,
        tun: TUN,
        *,
        on_event: OnEvent,
        watched: bytes | None = None,
        allowed: frozenset[bytes] | None = None,
        mark: int = 0,
    ) -> None:
        self.machine = Client(server, random=os.urandom, watched=watched, allowed=allowed)
        self.bytes_in = 0
        self.bytes_out = 0
        self._tun = tun
        self._on_event = on_event
        self._mark = mark
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._timer)
        self._socket: Socket | None = None
        self._test_socket: Socket | None = None

    def start(self) -> None:
        """Begin to qualify; raises OSError when there can be no socket."""
        self._socket = sock = open_socket(mark=self._mark)
        self._test_socket = test = open_socket(mark=self._mark)
        self._loop.add_reader(sock, self._readable, sock)
        self._loop.add_reader(test, self._readable, test)
        self._loop.add_reader(self._tun.fd, self._tun_readable)
        self.machine.enable(self._loop.time())
        self._pump()

    def close(self) -> None:
        """End; nothing is told any more."""
        sockets = (self._socket, self._test_socket)
        self._socket = self._test_socket = None
        self._alarm.set(None)
        self._loop.remove_reader(self._tun.fd)
        for sock in sockets:
            if sock is not None:
                self._loop.remove_reader(sock)
                sock.close()
        if self.machine.state is not State.OFFLINE:
            self.machine.disable()

    def network_changed(self) -> None:
        """Tell the machine that addresses or routes are others."""
        if self._socket is not None:
            self.machine.network_changed(self._loop.time())
            self._pump()

    def _readable(self, sock: Socket) -> None:
        now = self._loop.time()
        for data, source in receive(sock):
            self.machine.receive_datagram(data, source, now, test=sock is self._test_socket)
        self._pump()

    def _tun_readable(self) -> None:
        now = self._loop.time()
        try:
            end = self._tun.read()
        except OSError:  # deleted: its owner finds out, and ends us
            self._loop.remove_reader(self._tun.fd)
            return
        for packet in cut(self._tun.batch[:end]):
            self.machine.send_packet(packet, now)
        self.bytes_out += end
        self._pump()

    def _timer(self) -> None:
        self.machine.handle_timer(self._loop.time())
        self._pump()

    def _pump(self) -> None:
        now = self._loop.time()
        packets: list[bytes] = []
        while True:
            self._send(now)
            event = self.machine.next_event()
            if event is None:
                break
            if isinstance(event, PacketReceived):
                packets.append(event.packet)
            else:
                self._on_event(event)
        if self._socket is None:  # its owner has closed us upon an event
            return
        self.bytes_in += sum(map(len, packets))
        self.machine.drops["device refused"] += write(self._tun, packets)
        self._alarm.set(self.machine.timer_at())

    def _send(self, now: float) -> None:
        for outgoing in self.machine.datagrams_to_send(now):
            sock = self._test_socket if outgoing.test else self._socket
            if sock is not None and (why := send(sock, outgoing.data, outgoing.destination)):
                self.machine.send_failed(why, now)
