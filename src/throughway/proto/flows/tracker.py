"""From packets of a capture to what happened: connections, datagrams, errors, tunnels.

Driven by whoever reads a capture with :class:`throughway.wire.pcap.Reader`; both share the
:class:`~throughway.wire.quiet.QuietFlows`, so that bulk data never gets here. Memory is bounded:
connections that were silent for longest are given up first, and say so.
"""

from collections import OrderedDict, deque
from typing import NamedTuple

from throughway.model.errors import WireError
from throughway.proto.flows.fragments import Fragments, FragmentsReceived
from throughway.proto.flows.tcp import Connection, Side, TCPFlow
from throughway.wire.icmpv6 import ROUTER_ADVERTISEMENT, RouterAdvertisement, parse_icmpv6
from throughway.wire.ip import ESP, ICMP, ICMPV6, IPV6_IN_IPV4, TCP, UDP, IPHeader, parse_ip
from throughway.wire.ipv6 import IPv6Packet
from throughway.wire.link import find_ip
from throughway.wire.pcap import Packet
from throughway.wire.quiet import QuietFlows
from throughway.wire.teredo import PORT as TEREDO_PORT
from throughway.wire.teredo import parse_teredo
from throughway.wire.transport import (
    ICMPError,
    TCPFlags,
    TCPSegment,
    UDPDatagram,
    parse_icmp_error,
    parse_tcp,
    parse_udp,
)

MAXIMUM_CONNECTIONS = 20_000
"""Connections that are followed at a time, about 2 KiB each without their data."""
MAXIMUM_KEPT = 64 * 1024 * 1024
"""Bytes of data of all of them."""
MAXIMUM_SPIS = 10_000
"""Security associations that are told of."""
MAXIMUM_TUNNELS = 2
"""Tunnels within each other that are looked into."""

DNS_PORT, IKE_PORT, NAT_T_PORT = 53, 500, 4500
TOLD_PORTS = frozenset({DNS_PORT, IKE_PORT, NAT_T_PORT, TEREDO_PORT})
"""Datagrams from or to these are told one by one."""

_IPV6_LENGTH = 40
_SYN, _ACK = int(TCPFlags.SYN), int(TCPFlags.ACK)
_ENDS = int(TCPFlags.FIN | TCPFlags.RST)
_NON_ESP_MARKER = bytes(4)


class DatagramReceived(NamedTuple):
    """A datagram of a protocol that matters."""

    number: int
    """Of the packet in the capture, counted from 1."""
    timestamp: float | None
    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    payload: bytes


class AdvertisementReceived(NamedTuple):
    """A Router Advertisement."""

    number: int
    timestamp: float | None
    router: bytes
    advertisement: RouterAdvertisement


class ErrorReceived(NamedTuple):
    """Somebody says by ICMP that a packet did not arrive."""

    number: int
    timestamp: float | None
    reporter: bytes
    error: ICMPError


class ESPReceived(NamedTuple):
    """The first packet of a security association."""

    number: int
    timestamp: float | None
    source: bytes
    destination: bytes
    spi: int
    in_udp: bool


Event = (
    DatagramReceived
    | AdvertisementReceived
    | ErrorReceived
    | ESPReceived
    | FragmentsReceived
    | TCPFlow
)


class Tracker:
    """Follows everything in one capture."""

    def __init__(self, quiet: QuietFlows) -> None:
        self.quiet = quiet
        self.given_up = 0
        """Connections that were ended here to save memory."""
        self.malformed = 0
        """Packets that could not be read."""
        self.fragments = 0
        """Fragments that were not the first: their content is not seen."""
        self._reassembly = Fragments()
        self._connections: OrderedDict[bytes, Connection] = OrderedDict()
        self._kept = 0
        self._spis: set[bytes] = set()
        self._events: deque[Event] = deque()
        self._number = 0
        self._at: float | None = None

    def receive_packet(self, packet: Packet, number: int) -> None:
        """Take the packet with that number."""
        self._number, self._at = number, packet.timestamp
        try:
            offset = find_ip(packet.interface.link_type, packet.data)
            if offset is not None:
                self._receive_ip(packet.data, offset, len(packet.data), MAXIMUM_TUNNELS)
        except WireError:
            self.malformed += 1

    def next_event(self) -> Event | None:
        """Return what happened next."""
        return self._events.popleft() if self._events else None

    def finish(self) -> None:
        """End what is open: the capture is over."""
        self._events.extend(self._reassembly.finish())
        while self._connections:
            key, connection = self._connections.popitem(last=False)
            self._end(key, connection)

    def _receive_ip(self, data: bytes, offset: int, end: int, tunnels: int) -> None:
        ip = parse_ip(data, offset, end)
        if ip.fragment_offset or ip.more_fragments:
            self._reassembly.receive(data, offset, ip, self._number)
        if ip.fragment_offset:
            self.fragments += 1
        elif ip.protocol == TCP:
            self._receive_tcp(data, ip)
        elif ip.protocol == UDP:
            self._receive_udp(data, ip, tunnels)
        elif ip.protocol in (ICMP, ICMPV6):
            self._receive_icmp(data, ip)
        elif ip.protocol == ESP:
            self._receive_esp(ip, data[ip.start : ip.start + 4], in_udp=False)
            self.quiet.add(ESP, ip.source + ip.destination + data[ip.start : ip.start + 4])
        elif ip.protocol == IPV6_IN_IPV4 and tunnels:
            self._receive_ip(data, ip.start, ip.end, tunnels - 1)

    def _receive_tcp(self, data: bytes, ip: IPHeader) -> None:
        segment = parse_tcp(data, ip)
        ports = data[ip.start : ip.start + 4]
        ahead = ip.source + ip.destination + ports
        back = ip.destination + ip.source + ports[2:] + ports[:2]
        key, side = ahead, Side.CLIENT
        connection = self._connections.get(ahead)
        if connection is None:
            connection = self._connections.get(back)
            if connection is not None:
                key, side = back, Side.SERVER
        if connection is not None and connection.is_new(segment, side):
            self._end(key, self._connections.pop(key))
            connection = None
        if connection is None:
            if not segment.flags & _SYN and not segment.length:
                return
            side = _likely_side(segment)
            key = ahead if side is Side.CLIENT else back
            connection = self._open(key, segment, ip, side)
        self._advance(key, connection, segment, side, ip.hop_limit)

    def _open(self, key: bytes, segment: TCPSegment, ip: IPHeader, side: Side) -> Connection:
        ends = (ip.source, segment.source_port), (ip.destination, segment.destination_port)
        (client, client_port), (server, server_port) = (
            ends if side is Side.CLIENT else reversed(ends)
        )
        if len(self._connections) >= MAXIMUM_CONNECTIONS:
            self._give_up()
        connection = Connection(client, client_port, server, server_port, self._number, self._at)
        self._connections[key] = connection
        if segment.flags & _SYN:
            self.quiet.discard(TCP, key)
            self.quiet.discard(TCP, _turned(key))
        else:
            # What was said first is not in the capture: only how it ends is of interest.
            self._silence(key)
        return connection

    def _advance(
        self, key: bytes, connection: Connection, segment: TCPSegment, side: Side, hop_limit: int
    ) -> None:
        connection.receive(segment, side, self._at, self._number, hop_limit)
        if segment.flags & _ENDS and connection.closed:
            self._end(key, self._connections.pop(key))
            return
        self._connections.move_to_end(key)
        if not segment.length:
            return
        self._kept += connection.kept - connection.counted
        connection.counted = connection.kept
        if connection.told_all:
            self._silence(key)
        while self._kept > MAXIMUM_KEPT and len(self._connections) > 1:
            self._give_up()

    def _silence(self, key: bytes) -> None:
        self.quiet.add(TCP, key)
        self.quiet.add(TCP, _turned(key))

    def _give_up(self) -> None:
        key, connection = self._connections.popitem(last=False)
        self.given_up += 1
        self._end(key, connection, complete=False)

    def _end(self, key: bytes, connection: Connection, *, complete: bool = True) -> None:
        """Tell of a connection; what still comes of it is passed over."""
        self._kept -= connection.counted
        for way, direction in (
            (key, connection.from_client),
            (_turned(key), connection.from_server),
        ):
            sequence = self.quiet.last_sequence(way)
            if sequence is not None:
                direction.pass_over(sequence)
        self._silence(key)
        self._events.append(connection.result(complete))

    def _receive_udp(self, data: bytes, ip: IPHeader, tunnels: int) -> None:
        datagram = parse_udp(data, ip)
        ports = {datagram.source_port, datagram.destination_port}
        if not ports & TOLD_PORTS:
            if not self._is_teredo(datagram):
                self.quiet.add(UDP, ip.source + ip.destination + data[ip.start : ip.start + 4])
                return
        elif NAT_T_PORT in ports and not datagram.payload.startswith(_NON_ESP_MARKER):
            self._receive_esp(ip, datagram.payload[:4], in_udp=True)
            self.quiet.add(UDP, ip.source + ip.destination + data[ip.start : ip.start + 4])
            return
        else:
            addresses = (ip.source, datagram.source_port, ip.destination, datagram.destination_port)
            payload = bytes(datagram.payload)
            self._events.append(DatagramReceived(self._number, self._at, *addresses, payload))
        if tunnels and (TEREDO_PORT in ports or self._is_teredo(datagram)):
            inner = parse_teredo(datagram.payload).packet
            self._receive_ip(inner, 0, len(inner), tunnels - 1)

    def _is_teredo(self, datagram: UDPDatagram) -> bool:
        """Whether it holds a whole IPv6 packet: Teredo's clients speak to each other anywhere."""
        payload = datagram.payload
        return (
            len(payload) >= _IPV6_LENGTH
            and payload[0] >> 4 == 6
            and int.from_bytes(payload[4:6], "big") + _IPV6_LENGTH == datagram.length
        )

    def _receive_icmp(self, data: bytes, ip: IPHeader) -> None:
        error = parse_icmp_error(data, ip)
        if error is not None:
            self._events.append(ErrorReceived(self._number, self._at, ip.source, error))
        elif ip.protocol == ICMPV6 and data[ip.start] == ROUTER_ADVERTISEMENT:
            packet = IPv6Packet(
                source=ip.source,
                destination=ip.destination,
                next_header=ICMPV6,
                hop_limit=ip.hop_limit,
                payload=data[ip.start : ip.end],
            )
            message = parse_icmpv6(packet)
            if isinstance(message, RouterAdvertisement):
                self._events.append(
                    AdvertisementReceived(self._number, self._at, ip.source, message)
                )

    def _receive_esp(self, ip: IPHeader, spi: bytes, *, in_udp: bool) -> None:
        key = ip.source + ip.destination + spi
        if len(spi) < 4 or key in self._spis or len(self._spis) >= MAXIMUM_SPIS:
            return
        self._spis.add(key)
        number = int.from_bytes(spi, "big")
        ends = (ip.source, ip.destination)
        self._events.append(ESPReceived(self._number, self._at, *ends, number, in_udp))


def _turned(key: bytes) -> bytes:
    """Return the key of the other direction."""
    size = (len(key) - 4) // 2
    return key[size : 2 * size] + key[:size] + key[-2:] + key[-4:-2]


def _likely_side(segment: TCPSegment) -> Side:
    """Tell whose segment it is that shows a connection for the first time."""
    if segment.flags & _SYN:
        return Side.SERVER if segment.flags & _ACK else Side.CLIENT
    # Servers have the lower port: well-known ones are below all that clients take.
    return Side.SERVER if segment.source_port < segment.destination_port else Side.CLIENT
