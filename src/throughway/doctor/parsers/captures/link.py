"""The IPv6 link within an IP-HTTPS session that is not encrypted: who is looked for, who answers.

Windows 8 and later choose NULL suites, so that packets stand in the records as they are, with the
authentication code behind each. Looked for are the messages of router discovery alone.
"""

from collections.abc import Iterator
from ipaddress import IPv6Address

from throughway.model.errors import WireError
from throughway.model.evidence import Source
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import IPHTTPSLink, RouterAdvertisementSeen
from throughway.wire.icmpv6 import RouterAdvertisement, RouterSolicitation, parse_icmpv6
from throughway.wire.ip import format_ip
from throughway.wire.ipv6 import HEADER_LENGTH, IPv6Packet

_ICMPV6 = 58
_HOP_LIMIT = 255
_MARK = bytes((_ICMPV6, _HOP_LIMIT))
"""Next header and hop limit, six bytes behind the beginning of the packet."""
_MARK_OFFSET = 6


def read_link(ends: tuple[str, str], source: Source, said: bytes, answer: bytes) -> Iterator[Fact]:
    """Yield what was said of routers between client and server."""
    asked = sum(isinstance(message, RouterSolicitation) for _, message in _messages(said))
    told = [
        (router, message)
        for router, message in _messages(answer)
        if isinstance(message, RouterAdvertisement)
    ]
    client, server = ends
    yield IPHTTPSLink(
        source=source,
        client=client,
        server=server,
        solicitations=asked,
        advertisements=len(told),
    )
    for router, message in told:
        yield advertisement(router, message, source, iphttps=True)


def advertisement(
    router: bytes, message: RouterAdvertisement, source: Source, *, iphttps: bool = False
) -> RouterAdvertisementSeen:
    """Return the fact of an advertisement."""
    return RouterAdvertisementSeen(
        source=source,
        router=format_ip(router),
        lifetime=message.router_lifetime,
        prefixes=tuple(f"{IPv6Address(p.prefix)}/{p.length}" for p in message.prefixes),
        routes=tuple(f"{IPv6Address(r.prefix)}/{r.length}" for r in message.routes),
        iphttps=iphttps,
    )


def _messages(data: bytes) -> Iterator[tuple[bytes, object]]:
    """Yield ICMPv6 messages with their senders; a wrong checksum means that it is none."""
    place = data.find(_MARK)
    while place >= 0:
        begin = place - _MARK_OFFSET
        place = data.find(_MARK, place + 1)
        if begin < 0 or data[begin] >> 4 != 6 or len(data) < begin + HEADER_LENGTH:
            continue
        head = data[begin : begin + HEADER_LENGTH]
        end = begin + HEADER_LENGTH + int.from_bytes(head[4:6], "big")
        packet = IPv6Packet(
            source=head[8:24],
            destination=head[24:40],
            next_header=_ICMPV6,
            hop_limit=_HOP_LIMIT,
            payload=data[begin + HEADER_LENGTH : end],
        )
        try:
            yield packet.source, parse_icmpv6(packet)
        except WireError:
            continue
