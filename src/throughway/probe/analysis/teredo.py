"""Solicitations to a Teredo server, what its answers say, and of what kind the NAT is.

RFC 4380, sections 5.2.1 and 5.3.1. A server answers from the address it was asked at, or, when
the cone bit of the source is set, from its other one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from throughway.model.errors import WireError
from throughway.model.network import NAT
from throughway.wire.icmpv6 import (
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
    parse_icmpv6,
)
from throughway.wire.ipv6 import ALL_ROUTERS, format_address, parse_address, parse_packet
from throughway.wire.teredo import Authentication, TeredoPacket, build_teredo, parse_teredo

CONE_SOURCE = parse_address("fe80::8000:ffff:ffff:fffe")
PLAIN_SOURCE = parse_address("fe80::ffff:ffff:fffe")
NONCE_LENGTH = 8


@dataclass(frozen=True, slots=True)
class TeredoAnswer:
    """What a server's answer says."""

    cone: bool
    nonce: bytes
    mapping: str
    """Where the server saw us: address and port."""
    prefix: str


def build_solicitation(nonce: bytes, *, cone: bool) -> bytes:
    """Write a solicitation; the nonce tells whose answer it is."""
    source = CONE_SOURCE if cone else PLAIN_SOURCE
    return build_teredo(
        TeredoPacket(
            packet=build_icmpv6(RouterSolicitation(), source=source, destination=ALL_ROUTERS),
            authentication=Authentication(b"", b"", nonce, 0),
        )
    )


def read_advertisement(data: bytes) -> TeredoAnswer | None:
    """Return what an answer says; None where it is none."""
    try:
        packet = parse_teredo(data)
        whole = parse_packet(packet.packet)
        message = parse_icmpv6(whole)
    except WireError:
        return None
    if not isinstance(message, RouterAdvertisement) or packet.authentication is None:
        return None
    origin = packet.origin
    prefixes = [f"{format_address(p.prefix)}/{p.length}" for p in message.prefixes]
    return TeredoAnswer(
        cone=whole.destination == CONE_SOURCE,
        nonce=packet.authentication.nonce,
        mapping=f"{IPv4Address(origin.address)}:{origin.port}" if origin is not None else "",
        prefix=prefixes[0] if prefixes else "",
    )


def successor(address: str) -> str:
    """Return the next address, at which a Teredo server must answer too; "" behind the last."""
    number = int(IPv4Address(address)) + 1
    return str(IPv4Address(number)) if number < 1 << 32 else ""


def classify(mappings: Sequence[str], cone_passed: bool, local: str) -> NAT:
    """Tell the kind of NAT.

    ``mappings`` are where servers at different addresses saw the same socket, ``local`` is where
    it is; ``cone_passed``: an answer came from an address to which nothing was sent.
    """
    if not mappings:
        return NAT.BLOCKED
    if len(set(mappings)) > 1:
        return NAT.SYMMETRIC
    if mappings[0] == local:
        return NAT.NONE
    if cone_passed:
        return NAT.CONE
    return NAT.RESTRICTED if len(mappings) > 1 else NAT.UNKNOWN
