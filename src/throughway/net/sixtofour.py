"""6to4 in user space: raw IPv4 sockets of protocol 41 on one side, a TUN device on the other.

Packets go through in batches, as in :mod:`throughway.net.link`: they are read back to back into
one buffer and merged as they are written to the device. Which of them pass is said by
:class:`throughway.proto.sixtofour.Gate`. Where the kernel has ``sit``, it carries them itself
(:mod:`throughway.net.sit`), and only the proof goes through a socket of ours.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Interface

from throughway.model.errors import Stage, TransportError
from throughway.net import netlink
from throughway.net.tun import TUN
from throughway.proto.sixtofour import OUTER_LENGTH, Drop, Gate
from throughway.wire.ip import ICMPV6
from throughway.wire.ipv6 import HEADER_LENGTH, MAX_PACKET
from throughway.wire.sixtofour import PROTOCOL

BATCH = 64 * 1024
"""Bytes read from a socket before they are written to the device."""
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes that wait in a socket while this process does not run: 30 ms at 1 Gbit/s."""
REFUSALS = 16
"""ICMP errors read at once."""

_IP_MTU_DISCOVER, _PMTUDISC_DONT = 10, 0
_IP_RECVERR = 11
_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER = 26
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_ORIGIN_ICMP = 2


class Traffic:
    """What has passed."""

    def __init__(self) -> None:
        self.packets_in = self.packets_out = 0
        self.bytes_in = self.bytes_out = 0


def open_socket(address: str, *, mark: int | None = None, refusals: bool = False) -> socket.socket:
    """Return a raw socket for protocol 41 of one of our addresses; raises TransportError.

    With ``refusals`` the network's ICMP errors can be read of it.
    """
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        sock = socket.socket(socket.AF_INET, kind, PROTOCOL)
    except OSError as error:
        raise _unusable(address, error) from error
    try:
        # The outer packet may be fragmented on its way (RFC 4213, section 3.2.1).
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
        with contextlib.suppress(PermissionError):  # then what the system allows anybody
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        if refusals:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        if mark is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        sock.bind((address, 0))
    except OSError as error:
        sock.close()
        raise _unusable(address, error) from error
    return sock


def source_address(destination: str, *, mark: int | None = None) -> str:
    """Return the address of ours from which packets leave for a destination, "" for none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            if mark is not None:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            probe.connect((destination, 9))  # sends nothing
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def own_addresses() -> frozenset[bytes]:
    """Return this machine's IPv4 addresses and the broadcast addresses of its networks.

    Nobody else can send from one of them.
    """
    found = set()
    for address in netlink.addresses():
        if address.address.version == 4:
            interface = IPv4Interface(f"{address.address}/{address.prefix_length}")
            found.add(interface.ip.packed)
            if interface.network.prefixlen < 31:
                found.add(interface.network.broadcast_address.packed)
    return frozenset(found)


def only_echo_replies(sock: socket.socket) -> None:
    """Let the socket receive answers to the proof alone, where the kernel carries the rest."""
    # Classic BPF over the IPv4 packet: next header of the inner one, and its ICMPv6 type.
    program = b"".join(
        struct.pack("=HBBI", *step)
        for step in (
            (0x30, 0, 0, OUTER_LENGTH + 6),
            (0x15, 0, 3, ICMPV6),
            (0x30, 0, 0, OUTER_LENGTH + HEADER_LENGTH),
            (0x15, 0, 1, 129),
            (0x06, 0, 0, 0xFFFFFFFF),
            (0x06, 0, 0, 0),
        )
    )
    import ctypes

    held = ctypes.create_string_buffer(program)
    reference = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, reference)


class Pipe:
    """Sockets and, unless the kernel carries the packets, the device.

    ``on_icmp`` is shown each ICMPv6 packet that was admitted, and says whether it was for it;
    ``on_refusal`` hears what the network says of our packets.
    """

    def __init__(
        self,
        gate: Gate,
        sockets: Mapping[bytes, socket.socket],
        tun: TUN | None,
        *,
        on_icmp: Callable[[bytes], bool] = lambda packet: False,
        on_traffic: Callable[[], None] = lambda: None,
        on_refusal: Callable[[str], None] = lambda reason: None,
        on_device_lost: Callable[[str], None] = lambda why: None,
    ) -> None:
        self.gate = gate
        self.traffic = Traffic()
        self.refused = 0
        """Packets that the kernel did not take from the device's other side."""
        self._sockets = dict(sockets)
        self._tun = tun
        self._on_icmp = on_icmp
        self._on_traffic = on_traffic
        self._on_refusal = on_refusal
        self._on_device_lost = on_device_lost
        self._loop = asyncio.get_running_loop()
        self._outer = bytearray(OUTER_LENGTH)
        self._buffer = bytearray(BATCH + MAX_PACKET)
        self._view = memoryview(self._buffer)
        self._names: dict[bytes, str] = {}

    def start(self) -> None:
        """Begin to carry packets."""
        for sock in self._sockets.values():
            self._loop.add_reader(sock, self._from_network, sock)
        if self._tun is not None:
            self._loop.add_reader(self._tun.fd, self._from_device, self._tun)

    def close(self) -> None:
        """Carry no more; closes the sockets, the device is its maker's."""
        self._leave_device()
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def send(self, packets: Iterable[bytes]) -> None:
        """Send packets of our own, as if they came from the device."""
        for packet in packets:
            self._send(memoryview(packet), 0, len(packet))

    def _leave_device(self) -> None:
        tun, self._tun = self._tun, None
        if tun is not None and tun.fd >= 0:
            self._loop.remove_reader(tun.fd)

    # From the network

    def _from_network(self, sock: socket.socket) -> None:
        end = self._receive(sock)
        if end and self._tun is not None:
            try:
                self.refused += self._tun.write(self._buffer, 0, end)
            except OSError as error:
                self._lose_device(error)
        if end:
            self._on_traffic()

    def _receive(self, sock: socket.socket) -> int:
        """Read what waits, put what is admitted back to back; return where it ends."""
        descriptor, outer, view, buffer = sock.fileno(), self._outer, self._view, self._buffer
        admit, now, end, count = self.gate.admit, self._loop.time(), 0, 0
        empty = True
        try:
            while end < BATCH:
                size = os.readv(descriptor, (outer, view[end:]))
                empty, after = False, end + size - OUTER_LENGTH
                if not admit(outer, buffer, end, after, now):
                    continue
                if buffer[end + 6] == ICMPV6 and self._on_icmp(bytes(view[end:after])):
                    continue
                end = after
                count += 1
        except BlockingIOError:
            if empty:  # then it is errors that wait, of which sending has told already
                self._read_refusals(sock)
        except OSError:
            self._read_refusals(sock)
        self.traffic.packets_in += count
        self.traffic.bytes_in += end
        return end

    def _read_refusals(self, sock: socket.socket) -> None:
        """Read ICMP errors; they must be read, or the socket stays readable for ever."""
        for _ in range(REFUSALS):
            try:
                _, ancillary, _, _ = sock.recvmsg(64, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, data in ancillary:
                if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR):
                    number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
                    if origin == _ORIGIN_ICMP:
                        self._on_refusal(os.strerror(number))

    # From the device

    def _from_device(self, tun: TUN) -> None:
        try:
            end = tun.read()
        except OSError as error:
            self._lose_device(error)
            return
        batch, start = tun.batch, 0
        while start < end:
            after = start + HEADER_LENGTH + (batch[start + 4] << 8 | batch[start + 5])
            self._send(batch, start, after)
            start = after

    def _send(self, packets: memoryview, start: int, end: int) -> None:
        source, destination = self.gate.route(packets, start)
        if not source:
            return
        name = self._names.get(destination)
        if name is None:
            if len(self._names) >= BATCH:
                self._names.clear()
            name = self._names[destination] = socket.inet_ntoa(destination)
        try:
            self._sockets[source].sendto(packets[start:end], (name, 0))
        except OSError as error:
            # An ICMP error of an earlier packet comes out here too; this one did not leave.
            self.gate.drops[Drop.UNSENT] += 1
            if error.errno not in _OVERLOAD:
                self._on_refusal(error.strerror or str(error))
        else:
            self.traffic.packets_out += 1
            self.traffic.bytes_out += end - start

    def _lose_device(self, error: OSError) -> None:
        self._leave_device()
        self._on_device_lost(error.strerror or str(error))


_OVERLOAD = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})
"""There was no room for it: no word of the network."""


def _unusable(address: str, error: OSError) -> TransportError:
    return TransportError(
        Stage.LINK,
        f"no socket for protocol 41 at {address}: {error.strerror}",
        problem="sixtofour-interface-down",
    )
