"""Flows of which nothing more is wanted: their packets are passed over at the cost of a look-up.

A capture of a gigabyte is nearly all bulk data. Who follows flows puts the sending direction of
each that has told all in here; the reader of the capture then makes no object of its packets.
Only what ends a connection (SYN, FIN, RST) still comes through.
"""

import struct

TCP, UDP, IPV6_IN_IPV4, ESP = 6, 17, 41, 50
MAXIMUM_QUIET = 200_000
"""Directions that are kept, about 40 MiB; the one that was added first is forgotten first."""
MAXIMUM_TUNNELS = 2
"""Tunnels within each other that are looked into."""

_IPV4 = struct.Struct("!B8xB2x12s4s5xB")
"""Version, protocol; addresses with ports (or SPI) in one; TCP's sequence number and flags."""
_IPV6 = struct.Struct("!6xBx36s4s5xB")
_IPV4_LENGTH, _IPV6_LENGTH, _UDP_LENGTH = 20, 40, 8
_NO_OPTIONS = 0x45
_ENDS = 0x07
"""FIN, SYN, RST."""
_NON_ESP_MARKER = bytes(4)
"""RFC 3948, section 2.2: what follows is IKE, which is never passed over."""


class QuietFlows:
    """The directions to pass over, by protocol and by both addresses with what follows them."""

    def __init__(self) -> None:
        self.passed = 0
        """Packets that were passed over."""
        self._last: dict[int, dict[bytes, bytes]] = {TCP: {}, UDP: {}, ESP: {}}

    def add(self, protocol: int, key: bytes) -> None:
        """Pass over what has this key: source, destination, both ports (or the SPI), as sent."""
        last = self._last[protocol]
        if len(last) >= MAXIMUM_QUIET:
            del last[next(iter(last))]
        last.setdefault(key, b"")

    def discard(self, protocol: int, key: bytes) -> None:
        """Let its packets come through again."""
        self._last[protocol].pop(key, None)

    def last_sequence(self, key: bytes) -> int | None:
        """Return the sequence number of the last TCP segment that was passed over."""
        last = self._last[TCP].get(key)
        return int.from_bytes(last, "big") if last else None

    def covers(self, data: bytes, start: int, end: int, tunnels: int = MAXIMUM_TUNNELS) -> bool:
        """Whether the IP packet at ``start`` is passed over; what looks unusual never is."""
        if end - start < _IPV4.size or len(data) - start < _IPV6.size:
            return False
        version, protocol, key, sequence, flags = _IPV4.unpack_from(data, start)
        payload = start + _IPV4_LENGTH
        if version >> 4 == 6 and end - start >= _IPV6.size:
            protocol, key, sequence, flags = _IPV6.unpack_from(data, start)
            payload = start + _IPV6_LENGTH
        elif version != _NO_OPTIONS:
            return False
        last = self._last.get(protocol)
        if last is None:
            tunnelled = protocol == IPV6_IN_IPV4 and tunnels > 0
            return tunnelled and self.covers(data, payload, end, tunnels - 1)
        inner = payload + _UDP_LENGTH
        if key not in last:
            # Teredo: an IPv6 packet in a datagram; its own flow decides.
            tunnelled = protocol == UDP and tunnels > 0 and data[inner] >> 4 == 6
            return tunnelled and self.covers(data, inner, end, tunnels - 1)
        if protocol == TCP:
            if flags & _ENDS:
                return False
            last[key] = sequence
        elif protocol == UDP and data[inner : inner + 4] == _NON_ESP_MARKER:
            return False
        self.passed += 1
        return True
