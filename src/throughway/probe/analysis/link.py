"""What comes through an IP-HTTPS stream before anybody has an address: the router's words."""

from throughway.model.errors import WireError
from throughway.model.probing import AdvertisementSeen, PrefixSeen
from throughway.wire.icmpv6 import RouterAdvertisement, parse_icmpv6
from throughway.wire.ipv6 import HEADER_LENGTH, VERSION, format_address, packet_length, parse_packet

MAXIMUM_STREAM = 64 * 1024
"""Bytes of the stream in which the advertisement must come."""
MAXIMUM_OPTIONS = 32
"""Prefixes, routes or servers of one advertisement that are said."""


class Inlet:
    """Takes the bytes of the stream; keeps what it learns."""

    def __init__(self) -> None:
        self.packets = 0
        self.advertisement: AdvertisementSeen | None = None
        self.broken = ""
        """Why this is no stream of IPv6 packets."""
        self._data = b""
        self._received = 0

    @property
    def over(self) -> bool:
        """Whether more would tell nothing new."""
        return bool(self.broken) or self.advertisement is not None

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the stream."""
        self._received += len(data)
        self._data += data
        if self._received > MAXIMUM_STREAM:
            self.broken = f"no advertisement in the first {MAXIMUM_STREAM} bytes"
        while self._data and not self.over:
            if self._data[0] >> 4 != VERSION:
                self.broken = f"what follows is not IPv6 but {self._data[:24]!r}"
                return
            if len(self._data) < HEADER_LENGTH or packet_length(self._data) > len(self._data):
                return
            length = packet_length(self._data)
            self._take(self._data[:length])
            self._data = self._data[length:]

    def _take(self, packet: bytes) -> None:
        self.packets += 1
        self.advertisement = self.advertisement or read_advertisement(packet)


def read_advertisement(packet: bytes) -> AdvertisementSeen | None:
    """Return what a packet advertises; None where it is something else."""
    try:
        whole = parse_packet(packet)
        message = parse_icmpv6(whole)
    except WireError:
        return None
    if not isinstance(message, RouterAdvertisement):
        return None
    return AdvertisementSeen(
        router=format_address(whole.source),
        router_lifetime=message.router_lifetime,
        mtu=message.mtu,
        prefixes=tuple(
            PrefixSeen(
                prefix=f"{format_address(each.prefix)}/{each.length}",
                autonomous=each.autonomous,
                on_link=each.on_link,
                valid=each.valid,
                preferred=each.preferred,
            )
            for each in message.prefixes[:MAXIMUM_OPTIONS]
        ),
        routes=tuple(
            f"{format_address(each.prefix)}/{each.length}"
            for each in message.routes[:MAXIMUM_OPTIONS]
        ),
        dns=tuple(
            format_address(server)
            for each in message.dns[:MAXIMUM_OPTIONS]
            for server in each.servers[:MAXIMUM_OPTIONS]
        ),
    )
