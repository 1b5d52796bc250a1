"""The Teredo server (RFC 4380, section 5.3): it keeps nothing of its clients, so has no states.

Driven through :mod:`throughway.proto.teredo.gateway`. It answers solicitations, and passes bubbles
on to its own clients. What else a server may forward, echoes to any IPv6 host, goes only to the
gateway's endpoints, by the relay: nobody reaches anybody else through it.
"""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.errors import WireError
from throughway.proto.teredo.qualification import OTHER_PORT
from throughway.wire.icmpv6 import (
    PrefixInformation,
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
    parse_icmpv6,
)
from throughway.wire.ipv6 import (
    ALL_ROUTERS,
    DESTINATION_OFFSET,
    HEADER_LENGTH,
    MIN_MTU,
    SOURCE_OFFSET,
    is_link_local,
    parse_packet,
)
from throughway.wire.sixtofour import is_usable
from throughway.wire.teredo import (
    CONE,
    PORT,
    SERVER_PREFIX_LENGTH,
    Authentication,
    Mapping,
    TeredoPacket,
    build_link_local,
    build_server_prefix,
    build_teredo,
    is_teredo,
    parse_teredo_address,
    secondary_address,
)

INFINITY = 0xFFFFFFFF
"""Lifetime of a prefix that ends only with the mapping."""
RETRANSMIT_TIMER = 2000
"""Milliseconds, as other servers say."""


class Socket(StrEnum):
    """The server's sockets."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    OTHER_PORT = "other port"
    """At the first address, by which nothing is accepted."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A datagram, to whom it goes and by which socket it leaves."""

    data: bytes
    destination: Mapping
    socket: Socket = Socket.PRIMARY


class Server:
    """A server at two addresses."""

    def __init__(self, primary: bytes) -> None:
        self.primary = primary
        self.addresses = frozenset({primary, secondary_address(primary)})
        self.link_local = build_link_local(CONE, Mapping(primary, PORT))
        self._prefix = build_server_prefix(primary)

    def advertise(self, datagram: TeredoPacket, source: Mapping, at: Socket) -> Outgoing | None:
        """Answer a solicitation (5.3.1), or return None when it is none."""
        try:
            packet = parse_packet(datagram.packet)
            message = parse_icmpv6(packet)
        except WireError:
            return None
        asked = packet.destination in (ALL_ROUTERS, self.link_local)
        if not isinstance(message, RouterSolicitation) or not asked:
            return None
        if not is_link_local(packet.source) and not is_at(packet.source, source):
            return None
        said = datagram.authentication
        answer = build_icmpv6(
            RouterAdvertisement(
                retransmit_timer=RETRANSMIT_TIMER,
                mtu=MIN_MTU,
                prefixes=(
                    PrefixInformation(
                        prefix=self._prefix,
                        length=SERVER_PREFIX_LENGTH,
                        on_link=False,
                        autonomous=True,
                        valid=INFINITY,
                        preferred=INFINITY,
                    ),
                ),
            ),
            source=self.link_local,
            destination=packet.source,
        )
        data = build_teredo(
            TeredoPacket(
                packet=answer,
                authentication=said and Authentication(b"", b"", said.nonce, 0),
                origin=source,
            )
        )
        return Outgoing(data, source, _answered_by(packet.source, said, at))

    def forward(self, datagram: TeredoPacket, source: Mapping) -> Outgoing | None:
        """Pass a bubble on (5.3.1), or return None when it is not legitimate.

        It goes where the address of one of our clients says, to nobody else.
        """
        sender = datagram.packet[SOURCE_OFFSET:DESTINATION_OFFSET]
        receiver = parse_teredo_address(datagram.packet[DESTINATION_OFFSET:HEADER_LENGTH])
        target = receiver.mapping
        if is_teredo(sender) and not is_at(sender, source):
            return None
        if receiver.server != self.primary or not self.may_send_to(target):
            return None
        return Outgoing(build_teredo(TeredoPacket(packet=datagram.packet, origin=source)), target)

    def may_send_to(self, target: Mapping) -> bool:
        """Whether there can be a client: at a public address which is not our own."""
        return (
            is_usable(target.address) and target.port > 0 and target.address not in self.addresses
        )


def is_at(address: bytes, mapping: Mapping) -> bool:
    """Whether it is the Teredo address of whoever is there."""
    return is_teredo(address) and parse_teredo_address(address).mapping == mapping


def _answered_by(source: bytes, said: Authentication | None, at: Socket) -> Socket:
    """Choose the socket: the one which was asked, unless the client tests its NAT."""
    if is_link_local(source) and source[8] & CONE >> 8:
        return Socket.SECONDARY if at is Socket.PRIMARY else Socket.PRIMARY
    if said is not None and said.client == OTHER_PORT and at is Socket.PRIMARY:
        return Socket.OTHER_PORT
    return at
