"""Captures as streams; the vectors are files that Wireshark's own tools wrote."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packets import block, enhanced, ethernet, interface, ipv4, option, pcap, section, tcp
from throughway.model.errors import WireError
from throughway.wire.link import LinkType
from throughway.wire.pcap import Format, Packet, Reader, is_capture
from throughway.wire.quiet import QuietFlows

VECTORS = Path(__file__).parent.parent / "vectors" / "pcap"


def read(content: bytes, size: int = 1 << 20, reader: Reader | None = None) -> list[Packet]:
    reader = reader or Reader()
    found: list[Packet] = []
    for at in range(0, len(content), size):
        reader.receive_data(content[at : at + size])
        found += reader.packets()
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_both_byte_orders_and_both_resolutions(order: str, nano: bool) -> None:
    packets = read(pcap(b"one", b"three", order=order, nano=nano))
    assert [p.data for p in packets] == [b"one", b"three"]
    assert [p.length for p in packets] == [3, 5]
    assert packets[1].timestamp == 1001 + 500 / (10**9 if nano else 10**6)
    assert packets[0].interface.link_type == LinkType.ETHERNET


@pytest.mark.parametrize("order", ["<", ">"])
def test_blocks_of_all_kinds(order: str) -> None:
    resolution = option(2, b"eth7", order) + option(9, b"\x09", order) + option(0, b"", order)
    moved = option(9, b"\x8a", order) + option(14, struct.pack(f"{order}q", 100), order)
    simple = struct.pack(f"{order}I", 90) + bytes(40)
    obsolete = struct.pack(f"{order}HHIIII", 1, 0, 0, 2048, 3, 3) + b"old"
    content = (
        section(order)
        + interface(1, 40, resolution, order)
        + interface(101, 0, moved, order)
        + enhanced(b"first", 0, 5 * 10**9 + 1, order)
        + block(5, bytes(12), order)
        + enhanced(b"second", 1, 1024, order)
        + block(3, simple, order)
        + block(2, obsolete, order)
    )
    first, second, third, fourth = read(content)
    assert (first.data, first.timestamp, first.interface.name) == (b"first", 5 + 1e-9, "eth7")
    assert (second.data, second.timestamp) == (b"second", 101.0)
    assert second.interface.link_type == LinkType.RAW
    assert (third.data, third.length, third.timestamp) == (bytes(40), 90, None)
    assert (fourth.data, fourth.timestamp) == (b"old", 102.0)


def test_a_new_section_has_its_own_interfaces_and_byte_order() -> None:
    content = section("<") + interface(1) + enhanced(b"a")
    content += section(">") + interface(101, order=">") + enhanced(b"b", order=">")
    assert [(p.data, p.interface.link_type) for p in read(content)] == [(b"a", 1), (b"b", 101)]
    with pytest.raises(WireError, match=f"at offset {len(section())}"):
        read(section() + enhanced(b"a"))


@given(st.lists(st.binary(max_size=90), max_size=12), st.integers(1, 70), st.booleans())
def test_chunks_do_not_matter(packets: list[bytes], size: int, blocks: bool) -> None:
    content = pcap(*packets)
    if blocks:
        content = section() + interface() + b"".join(enhanced(p) for p in packets)
    reader = Reader()
    assert [p.data for p in read(content, size, reader)] == packets
    assert (reader.offset, reader.incomplete, reader.count) == (len(content), 0, len(packets))


@pytest.mark.parametrize("blocks", [False, True])
def test_a_file_that_is_cut_off_says_where(blocks: bool) -> None:
    packets = (b"x" * 60, b"y" * 60)
    content = pcap(*packets)
    if blocks:
        content = section() + interface() + b"".join(map(enhanced, packets))
    reader = Reader()
    assert len(read(content[:-5], reader=reader)) == 1
    last = 76 if not blocks else len(enhanced(packets[1]))
    assert reader.offset == len(content) - last
    assert reader.incomplete == last - 5


@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\0",
        b"GMBU" + bytes(40),
        pcap() + struct.pack("<IIII", 0, 0, 1 << 20, 1 << 20),
        section() + block(9, b"")[:4] + struct.pack("<I", 13) + bytes(20),
        section() + struct.pack("<II", 9, 1 << 30) + bytes(20),
        section() + interface() + block(6, bytes(8)),
        section() + interface() + block(6, struct.pack("<5I", 0, 0, 0, 999, 9)),
        section() + interface() + block(6, struct.pack("<5I", 1, 0, 0, 0, 0)),
        section() + block(1, b"abc"),
        section() + block(3, bytes(4)),
        section() + interface() + block(2, bytes(8)),
        b"\x0a\x0d\x0d\x0a" + bytes(40),
    ],
)
def test_what_is_no_capture_is_refused(content: bytes) -> None:
    with pytest.raises(WireError):
        read(content)


def test_recognised_by_their_first_bytes() -> None:
    assert is_capture(pcap())
    assert is_capture(section())
    assert not is_capture(b"\x0a\x0d\x0d\x0a" + bytes(9))
    assert not is_capture(b"\x13\x00\x00\x00ETL")


def segment(sequence: int, flags: int = 0x10, tag: bytes = b"") -> bytes:
    frame = ethernet(ipv4(tcp(bytes(20), flags, sequence=sequence)))
    return frame[:12] + tag + frame[12:]


KEY = segment(0)[26:38]


def quiet() -> QuietFlows:
    flows = QuietFlows()
    flows.add(6, KEY)
    return flows


@pytest.mark.parametrize("tag", [b"", b"\x81\x00\x00\x07"])
@pytest.mark.parametrize("blocks", [False, True])
def test_quiet_flows_are_passed_over(tag: bytes, blocks: bool) -> None:
    frames = [segment(7, 0x02, tag), segment(8, 0x10, tag), segment(9, 0x11, tag)]
    frames.append(b"behind")
    content = pcap(*frames)
    if blocks:
        content = section() + interface() + b"".join(map(enhanced, frames))
    reader = Reader(quiet())
    assert [p.data for p in read(content, reader=reader)] == [frames[0], frames[2], b"behind"]
    assert (reader.count, reader.quiet.passed) == (4, 1)
    assert reader.quiet.last_sequence(KEY) == 8


def test_the_last_time_is_that_of_a_quiet_packet_too() -> None:
    reader = Reader(quiet())
    read(pcap(b"first", segment(8), bytes(80))[:-96], reader=reader)
    assert (reader.first_timestamp, reader.last_timestamp) == (1000.0005, 1001.0005)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.pcap*")), ids=lambda path: path.name)
def test_files_of_other_tools(path: Path) -> None:
    """Three frames, once in each format that editcap writes."""
    reader = Reader()
    packets = read(path.read_bytes(), 13, reader)
    assert [len(p.data) for p in packets] == [54, 70, 86]
    assert reader.format is (Format.PCAPNG if path.suffix == ".pcapng" else Format.PCAP)
    assert packets[0].timestamp == pytest.approx(1700000000.25, abs=1e-6)
    assert reader.incomplete == 0
