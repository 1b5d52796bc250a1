"""What both ends of Teredo need of the kernel: a UDP socket and a device, a batch at a time."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable

from throughway.model.errors import WireError
from throughway.net.tun import TUN
from throughway.wire.ipv6 import packet_length
from throughway.wire.teredo import Mapping

DATAGRAMS_AT_ONCE = 64
"""Datagrams read before others have their turn."""
MAX_DATAGRAM = 2048
"""Bytes: an IPv6 packet of the smallest MTU with everything that can stand before and behind it."""
BUFFER_SIZE = 1024 * 1024
"""Bytes that wait in the kernel while this process does not run."""

Socket = socket.socket
_IP_MTU_DISCOVER, _PMTUDISC_DONT = 10, 0


def open_socket(address: str = "", port: int = 0, *, mark: int = 0) -> socket.socket:
    """Return a bound UDP socket; raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        # A packet of 1280 octets must arrive, in fragments where it does not fit (RFC 4380, 5.1.2).
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_SIZE)
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def receive(sock: socket.socket) -> Iterable[tuple[bytes, Mapping]]:
    """Return what waits, so many at most."""
    for _ in range(DATAGRAMS_AT_ONCE):
        try:
            data, (host, port) = sock.recvfrom(MAX_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:  # an ICMP error of something that was sent
            continue
        yield data, Mapping(socket.inet_aton(host), port)


def send(sock: socket.socket, data: bytes, target: Mapping) -> str:
    """Send a datagram; return why it could not leave, or ""."""
    try:
        sock.sendto(data, (socket.inet_ntoa(target.address), target.port))
    except BlockingIOError:
        pass  # the network is slower than we are: it is lost like any other there
    except OSError as error:
        return error.strerror or str(error)
    return ""


def cut(batch: bytes | memoryview) -> Iterable[bytes]:
    """Cut what a device has given, packets back to back."""
    start = 0
    with contextlib.suppress(WireError):
        while start < len(batch):
            end = start + packet_length(memoryview(batch), start)
            yield bytes(batch[start:end])
            start = end


def write(tun: TUN, packets: list[bytes]) -> int:
    """Give packets to the kernel; return how many it refused."""
    batch = b"".join(packets)
    return tun.write(batch, 0, len(batch)) if batch else 0


class Alarm:
    """One timer, set anew as often as one likes."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: float | None) -> None:
        """Ring then; None: not at all."""
        if self._handle is not None:
            if at is not None and self._handle.when() == at:
                return
            self._handle.cancel()
        self._handle = None if at is None else self._loop.call_at(at, self._rung)

    def _rung(self) -> None:
        self._handle = None
        self._ring()
