"""The cut, held against a version which looks at one packet at a time."""

from hypothesis import given
from hypothesis import strategies as st

from throughway.proto.iphttps.stream import Batch, cut_packets, may_leave, sort_packets
from throughway.proto.router import Link
from throughway.wire.ipv6 import (
    IPv6Packet,
    build_packet,
    is_link_local,
    is_multicast,
    packet_length,
    parse_address,
    parse_packet,
)

LINK = Link.of("2001:db8:da:1000::/64")
OWN, OTHER = "2001:db8:da:1000::a", "2001:db8:da:1000::b"
CORP = "2001:db8:c0::80"
ADDRESSES = st.sampled_from(
    [OWN, OTHER, CORP, "2001:db8:da:1000::1", "fe80::1", "fe80::5", "ff02::1", "::", "febf::1"]
).map(parse_address) | st.binary(min_size=16, max_size=16)
PACKETS = st.builds(
    IPv6Packet,
    source=ADDRESSES,
    destination=ADDRESSES,
    next_header=st.just(59),
    payload=st.binary(max_size=40),
).map(build_packet)
STREAMS = st.tuples(st.lists(PACKETS, max_size=8), st.binary(max_size=50)).map(
    lambda parts: b"".join(parts[0]) + parts[1]
)
OWNED = st.sets(ADDRESSES, max_size=3)


def one_at_a_time(
    data: bytes, owned: set[bytes] | None, client_to_client: bool
) -> tuple[list[bytes], list[bytes], int, bool]:
    """Return fast packets, slow packets, the bytes consumed and whether the stream is broken."""
    fast: list[bytes] = []
    slow: list[bytes] = []
    offset = 0
    while offset < len(data):
        if data[offset] >> 4 != 6:
            return fast, slow, offset, True
        if len(data) - offset < 40 or offset + packet_length(data, offset) > len(data):
            break
        packet = data[offset : offset + packet_length(data, offset)]
        target = parse_packet(packet).destination
        passes = owned is None or (
            parse_packet(packet).source in owned
            and not is_multicast(target)
            and not is_link_local(target)
            and (client_to_client or not LINK.holds(target) or target == LINK.address)
        )
        (fast if passes else slow).append(packet)
        offset += len(packet)
    return fast, slow, offset, False


def fast_packets(data: bytes, batch: Batch) -> list[bytes]:
    return [packet for start, end in batch.runs for packet in cut_packets(data, start, end)]


@given(STREAMS, st.none() | OWNED, st.booleans())
def test_sorts_as_one_packet_at_a_time(
    data: bytes, owned: set[bytes] | None, client_to_client: bool
) -> None:
    batch = sort_packets(
        bytearray(data), len(data), owned=owned, link=LINK, client_to_client=client_to_client
    )
    fast, slow, consumed, broken = one_at_a_time(data, owned, client_to_client)
    assert fast_packets(data, batch) == fast
    assert batch.slow == slow
    assert batch.consumed == consumed
    assert (batch.error is not None) == broken


@given(STREAMS, OWNED, st.binary(max_size=30))
def test_what_is_before_and_behind_does_not_matter(
    data: bytes, owned: set[bytes], around: bytes
) -> None:
    whole = around + data + around
    size = len(around)
    inner = sort_packets(whole, size + len(data), start=size, owned=owned, link=LINK)
    alone = sort_packets(data, len(data), owned=owned, link=LINK)
    assert inner.runs == [(a + size, b + size) for a, b in alone.runs]
    assert inner.slow == alone.slow
    assert inner.consumed == alone.consumed + size


@given(st.lists(PACKETS, max_size=8), OWNED, st.data())
def test_any_cut_of_the_stream_gives_the_same_packets(
    packets: list[bytes], owned: set[bytes], data: st.DataObject
) -> None:
    stream = b"".join(packets)
    tail, fast, slow, offset = b"", [], [], 0
    while offset < len(stream):
        size = data.draw(st.integers(1, len(stream) - offset))
        buffer = tail + stream[offset : offset + size]
        batch = sort_packets(buffer, len(buffer), owned=owned, link=LINK)
        fast += fast_packets(buffer, batch)
        slow += batch.slow
        tail = buffer[batch.consumed :]
        offset += size
    whole = sort_packets(stream, len(stream), owned=owned, link=LINK)
    assert tail == b""
    assert fast == fast_packets(stream, whole)
    assert slow == whole.slow


def test_bulk_is_one_run() -> None:
    packet = build_packet(
        IPv6Packet(
            source=parse_address(OWN),
            destination=parse_address(CORP),
            next_header=50,
            payload=bytes(1240),
        )
    )
    batch = sort_packets(packet * 50, 1280 * 50, owned={parse_address(OWN)}, link=LINK)
    assert batch == Batch([(0, 1280 * 50)], [], 1280 * 50)


def test_a_run_goes_on_where_addresses_change() -> None:
    both = [
        build_packet(
            IPv6Packet(
                source=parse_address(OWN),
                destination=parse_address(to),
                next_header=59,
                payload=b"",
            )
        )
        for to in (CORP, "2001:db8:c0::81", "ff02::1", CORP)
    ]
    batch = sort_packets(b"".join(both), 160, owned={parse_address(OWN)}, link=LINK)
    assert batch == Batch([(0, 80), (120, 160)], both[2:3], 160)


def test_a_client_may_reach_the_router_but_no_neighbour() -> None:
    assert may_leave(parse_address(CORP), LINK)
    assert may_leave(LINK.address, LINK)
    assert not may_leave(parse_address(OTHER), LINK)
    assert may_leave(parse_address(OTHER), LINK, client_to_client=True)
    assert not may_leave(parse_address("ff0e::1"), LINK, client_to_client=True)
    assert not may_leave(LINK.link_local, LINK, client_to_client=True)
