"""ICMPv6 as the router of a link needs it: neighbour discovery and echo.

RFC 4443 (checksum, echo), RFC 4861 (neighbour discovery), RFC 4191 (route information),
RFC 8106 (recursive DNS servers). Options which are not named here are skipped, as
RFC 4861, section 4.6 wants.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from throughway.model.errors import WireError
from throughway.wire.ipv6 import ADDRESS_LENGTH, IPv6Packet, build_packet

NEXT_HEADER = 58
ND_HOP_LIMIT = 255
"""Neighbour discovery must come with it: no router has forwarded the packet (RFC 4861, 6.1)."""
INFINITE = 0xFFFFFFFF
"""A lifetime, in seconds, without end."""

ECHO_REQUEST, ECHO_REPLY = 128, 129
MLD_TYPES = frozenset({130, 131, 132, 143})
"""Multicast listener queries, reports and dones (RFC 2710, RFC 3810)."""
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134
NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT = 135, 136
REDIRECT = 137

_PREFIX_INFORMATION, _MTU, _ROUTE_INFORMATION, _RDNSS = 3, 5, 24, 25


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixInformation:
    """The prefix hosts form addresses from (RFC 4861, section 4.6.2)."""

    prefix: bytes
    length: int
    on_link: bool
    autonomous: bool
    valid: int
    """Seconds."""
    preferred: int
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteInformation:
    """A route by way of the router (RFC 4191, section 2.3)."""

    prefix: bytes
    length: int
    lifetime: int
    """Seconds."""
    preference: int = 0
    """0 medium, 1 high, 3 low (RFC 4191, section 2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecursiveDNS:
    """DNS servers (RFC 8106, section 5.1)."""

    lifetime: int
    """Seconds."""
    servers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSolicitation:
    """A host asks for advertisements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterAdvertisement:
    """A router tells of itself and of the link."""

    hop_limit: int = 64
    managed: bool = False
    other: bool = False
    router_lifetime: int = 0
    """Seconds; 0: not a default router."""
    reachable_time: int = 0
    """Milliseconds; 0: does not say."""
    retransmit_timer: int = 0
    """Milliseconds; 0: does not say."""
    mtu: int | None = None
    prefixes: tuple[PrefixInformation, ...] = ()
    routes: tuple[RouteInformation, ...] = ()
    dns: tuple[RecursiveDNS, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborSolicitation:
    """Who has the target?"""

    target: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborAdvertisement:
    """The sender has the target."""

    target: bytes
    router: bool = False
    solicited: bool = False
    override: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """An echo request or its reply."""

    reply: bool
    identifier: int
    sequence: int
    data: bytes = b""


Message = (
    RouterSolicitation | RouterAdvertisement | NeighborSolicitation | NeighborAdvertisement | Echo
)


def checksum(source: bytes, destination: bytes, payload: bytes) -> int:
    """Return the Internet checksum with the IPv6 pseudo-header (RFC 8200, section 8.1).

    Over a payload which holds its checksum it is 0.
    """
    pseudo = source + destination + struct.pack("!IHBB", len(payload), 0, 0, NEXT_HEADER)
    data = pseudo + payload + b"\0" * (len(payload) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def parse_icmpv6(packet: IPv6Packet) -> Message:
    """Read the ICMPv6 message of a packet; its checksum must be right.

    For neighbour discovery the checks of RFC 4861, sections 6.1 and 7.1 are made as well.
    """
    body = packet.payload
    if packet.next_header != NEXT_HEADER or len(body) < 8:
        raise WireError("not an ICMPv6 message")
    if checksum(packet.source, packet.destination, body):
        raise WireError("ICMPv6 checksum is wrong")
    parse = _PARSERS.get(body[0])
    if parse is None:
        raise WireError(f"ICMPv6 type {body[0]} is not read here")
    if body[0] not in (ECHO_REQUEST, ECHO_REPLY) and packet.hop_limit != ND_HOP_LIMIT:
        raise WireError(f"neighbour discovery with hop limit {packet.hop_limit}")
    if body[1]:
        raise WireError(f"ICMPv6 type {body[0]} with code {body[1]}")
    return parse(body)


def build_icmpv6(message: Message, *, source: bytes, destination: bytes) -> bytes:
    """Write a whole IPv6 packet with the message in it."""
    body = _build_body(message)
    filled = checksum(source, destination, body).to_bytes(2, "big")
    return build_packet(
        IPv6Packet(
            source=source,
            destination=destination,
            next_header=NEXT_HEADER,
            hop_limit=64 if isinstance(message, Echo) else ND_HOP_LIMIT,
            payload=body[:2] + filled + body[4:],
        )
    )


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut options: type and the whole option, header included."""
    while data:
        length = data[1] * 8 if len(data) >= 2 else 0
        if not 0 < length <= len(data):
            raise WireError("neighbour discovery option with a wrong length")
        yield data[0], data[:length]
        data = data[length:]


def _parse_solicitation(body: bytes) -> RouterSolicitation:
    for _ in _options(body[8:]):
        pass
    return RouterSolicitation()


def _parse_advertisement(body: bytes) -> RouterAdvertisement:
    if len(body) < 16:
        raise WireError("Router Advertisement is too short")
    _, hop_limit, flags, lifetime, reachable, retransmit = struct.unpack("!IBBHII", body[:16])
    prefixes: list[PrefixInformation] = []
    routes: list[RouteInformation] = []
    dns: list[RecursiveDNS] = []
    mtu: int | None = None
    for kind, option in _options(body[16:]):
        if kind == _PREFIX_INFORMATION:
            prefixes.append(_parse_prefix_information(option))
        elif kind == _MTU:
            mtu = _parse_mtu(option)
        elif kind == _ROUTE_INFORMATION:
            routes.append(_parse_route_information(option))
        elif kind == _RDNSS:
            dns.append(_parse_rdnss(option))
    return RouterAdvertisement(
        hop_limit=hop_limit,
        managed=bool(flags & 0x80),
        other=bool(flags & 0x40),
        router_lifetime=lifetime,
        reachable_time=reachable,
        retransmit_timer=retransmit,
        mtu=mtu,
        prefixes=tuple(prefixes),
        routes=tuple(routes),
        dns=tuple(dns),
    )


def _parse_prefix_information(option: bytes) -> PrefixInformation:
    if len(option) != 32:
        raise WireError("Prefix Information option has a wrong length")
    length, flags, valid, preferred = struct.unpack("!BBII", option[2:12])
    if length > 128:
        raise WireError(f"prefix length {length}")
    return PrefixInformation(
        prefix=option[16:],
        length=length,
        on_link=bool(flags & 0x80),
        autonomous=bool(flags & 0x40),
        valid=valid,
        preferred=preferred,
    )


def _parse_mtu(option: bytes) -> int:
    if len(option) != 8:
        raise WireError("MTU option has a wrong length")
    return int.from_bytes(option[4:], "big")


def _parse_route_information(option: bytes) -> RouteInformation:
    length, flags, lifetime = struct.unpack("!BBI", option[2:8])
    given = option[8:]
    if length > 128 or len(given) > ADDRESS_LENGTH or len(given) * 8 < length:
        raise WireError("Route Information option has a wrong length")
    return RouteInformation(
        prefix=given.ljust(ADDRESS_LENGTH, b"\0"),
        length=length,
        lifetime=lifetime,
        preference=flags >> 3 & 3,
    )


def _parse_rdnss(option: bytes) -> RecursiveDNS:
    given = option[8:]
    if not given or len(given) % ADDRESS_LENGTH:
        raise WireError("Recursive DNS Server option has a wrong length")
    return RecursiveDNS(
        lifetime=int.from_bytes(option[4:8], "big"),
        servers=tuple(given[i : i + ADDRESS_LENGTH] for i in range(0, len(given), ADDRESS_LENGTH)),
    )


def _parse_neighbor_solicitation(body: bytes) -> NeighborSolicitation:
    return NeighborSolicitation(target=_parse_target(body))


def _parse_neighbor_advertisement(body: bytes) -> NeighborAdvertisement:
    return NeighborAdvertisement(
        target=_parse_target(body),
        router=bool(body[4] & 0x80),
        solicited=bool(body[4] & 0x40),
        override=bool(body[4] & 0x20),
    )


def _parse_target(body: bytes) -> bytes:
    if len(body) < 24:
        raise WireError("neighbour discovery message is too short")
    target = body[8:24]
    if target[0] == 0xFF:
        raise WireError("neighbour discovery for a multicast address")
    for _ in _options(body[24:]):
        pass
    return target


def _parse_echo(body: bytes) -> Echo:
    identifier, sequence = struct.unpack("!HH", body[4:8])
    return Echo(
        reply=body[0] == ECHO_REPLY, identifier=identifier, sequence=sequence, data=body[8:]
    )


_PARSERS: dict[int, Callable[[bytes], Message]] = {
    ECHO_REQUEST: _parse_echo,
    ECHO_REPLY: _parse_echo,
    ROUTER_SOLICITATION: _parse_solicitation,
    ROUTER_ADVERTISEMENT: _parse_advertisement,
    NEIGHBOR_SOLICITATION: _parse_neighbor_solicitation,
    NEIGHBOR_ADVERTISEMENT: _parse_neighbor_advertisement,
}


def _build_body(message: Message) -> bytes:
    """Write the message with 0 in place of the checksum."""
    match message:
        case RouterSolicitation():
            return struct.pack("!BBHI", ROUTER_SOLICITATION, 0, 0, 0)
        case RouterAdvertisement():
            return _build_advertisement(message)
        case NeighborSolicitation(target=target):
            return struct.pack("!BBHI", NEIGHBOR_SOLICITATION, 0, 0, 0) + target
        case NeighborAdvertisement(target=target):
            flags = message.router << 31 | message.solicited << 30 | message.override << 29
            return struct.pack("!BBHI", NEIGHBOR_ADVERTISEMENT, 0, 0, flags) + target
        case Echo():
            kind = ECHO_REPLY if message.reply else ECHO_REQUEST
            head = struct.pack("!BBHHH", kind, 0, 0, message.identifier, message.sequence)
            return head + message.data


def _build_advertisement(message: RouterAdvertisement) -> bytes:
    flags = message.managed << 7 | message.other << 6
    head = struct.pack(
        "!BBHBBHII",
        *(ROUTER_ADVERTISEMENT, 0, 0, message.hop_limit, flags, message.router_lifetime),
        *(message.reachable_time, message.retransmit_timer),
    )
    mtu = b"" if message.mtu is None else struct.pack("!BBHI", _MTU, 1, 0, message.mtu)
    options = (
        *(_build_prefix_information(option) for option in message.prefixes),
        *(_build_route_information(option) for option in message.routes),
        *(_build_rdnss(option) for option in message.dns),
    )
    return head + mtu + b"".join(options)


def _build_prefix_information(option: PrefixInformation) -> bytes:
    flags = option.on_link << 7 | option.autonomous << 6
    head = (_PREFIX_INFORMATION, 4, option.length, flags, option.valid, option.preferred, 0)
    return struct.pack("!BBBBIII", *head) + option.prefix


def _build_route_information(option: RouteInformation) -> bytes:
    """Write it with as little of the prefix as its length needs: 0, 8 or 16 bytes."""
    carried = 0 if option.length == 0 else 8 if option.length <= 64 else 16
    if any(option.prefix[carried:]):
        raise WireError("route prefix has bits beyond its length")
    head = (_ROUTE_INFORMATION, 1 + carried // 8, option.length, option.preference << 3)
    return struct.pack("!BBBBI", *head, option.lifetime) + option.prefix[:carried]


def _build_rdnss(option: RecursiveDNS) -> bytes:
    head = struct.pack("!BBHI", _RDNSS, 1 + 2 * len(option.servers), 0, option.lifetime)
    return head + b"".join(option.servers)
