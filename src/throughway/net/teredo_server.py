"""Teredo server and relay on their sockets and a TUN device.

Drives :mod:`throughway.proto.teredo.gateway`; no decisions here.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping

from throughway.net.teredo import Alarm, cut, open_socket, receive, send, write
from throughway.net.tun import TUN
from throughway.proto.teredo.gateway import Gateway
from throughway.proto.teredo.server import Socket
from throughway.wire.teredo import PORT, secondary_address


class TeredoServer:
    """One server, from :meth:`start` to :meth:`close`; sockets and device stay their owner's."""

    def __init__(
        self,
        primary: bytes,
        endpoints: frozenset[bytes],
        sockets: Mapping[Socket, socket.socket],
        tun: TUN,
        *,
        on_device_lost: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.machine = Gateway(primary, endpoints, now=self._loop.time())
        self._sockets = sockets
        self._tun = tun
        self._on_device_lost = on_device_lost
        self._alarm = Alarm(self._timer)

    def start(self) -> None:
        """Serve."""
        for at, sock in self._sockets.items():
            self._loop.add_reader(sock, self._readable, at, sock)
        self._loop.add_reader(self._tun.fd, self._tun_readable)

    def close(self) -> None:
        """Serve no more."""
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
        self._loop.remove_reader(self._tun.fd)
        self._alarm.set(None)

    def _readable(self, at: Socket, sock: socket.socket) -> None:
        now = self._loop.time()
        for data, source in receive(sock):
            self.machine.receive_datagram(data, source, now, at)
        self._pump(now)

    def _tun_readable(self) -> None:
        now = self._loop.time()
        try:
            end = self._tun.read()
        except OSError as error:
            self._loop.remove_reader(self._tun.fd)
            self._on_device_lost(error.strerror or str(error))
            return
        for packet in cut(self._tun.batch[:end]):
            self.machine.send_packet(packet, now)
        self._pump(now)

    def _timer(self) -> None:
        now = self._loop.time()
        self.machine.handle_timer(now)
        self._pump(now)

    def _pump(self, now: float) -> None:
        for outgoing in self.machine.datagrams_to_send(now):
            if send(self._sockets[outgoing.socket], outgoing.data, outgoing.destination):
                self.machine.drops["no way there"] += 1
        if packets := self.machine.packets_received():
            self.machine.drops["device refused"] += write(self._tun, packets)
        self._alarm.set(self.machine.timer_at())


def open_sockets(primary: bytes) -> dict[Socket, socket.socket]:
    """Return the sockets of a server; raises OSError."""
    sockets: dict[Socket, socket.socket] = {}
    first = socket.inet_ntoa(primary)
    places = {
        Socket.PRIMARY: (first, PORT),
        Socket.SECONDARY: (socket.inet_ntoa(secondary_address(primary)), PORT),
        Socket.OTHER_PORT: (first, 0),
    }
    try:
        for at, place in places.items():
            sockets[at] = open_socket(*place)
    except OSError as error:
        for sock in sockets.values():
            sock.close()
        where = ":".join(map(str, place))
        raise OSError(error.errno, f"{where}: {error.strerror}") from error
    return sockets
