"""Native, pure and a plain reference do the same with all traffic."""

import os
import random
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.net import segments_fuzz
from tests.net.segments_world import (
    ACK,
    ALIKE,
    CWR,
    ECE,
    FIN,
    OTHER,
    PSH,
    SYN,
    TCP,
    UDP,
    URG,
    Maker,
    cut,
    reads,
    reference_coalesce,
    reference_segment,
    written_by,
)
from throughway.net import offload, segments
from throughway.net.segments import VNET
from throughway.proto.iphttps.stream import same_addresses

ROOT = Path(__file__).parents[2]
FUZZ_SECONDS = os.environ.get("THROUGHWAY_FUZZ_SECONDS", "60")
TIMESTAMPS = bytes.fromhex("0101080a0000000100000002")

Segment = Callable[[memoryview, int, memoryview, int], int]
Coalesce = Callable[[int, bytes | bytearray, int, int, bool], int]


@pytest.fixture(params=["native", "pure"])
def pump(request: pytest.FixtureRequest) -> offload.Pump:
    pump = offload.choose({}) if request.param == "native" else offload.pure("asked for")
    if pump.name != request.param:
        pytest.skip(pump.why)
    return pump


def implementations() -> list[offload.Pump]:
    return [offload.choose({}), offload.pure("asked for")]


# Traffic

SIZES = st.sampled_from([1, 2, 7, 100, 101, 1208, 1220]) | st.integers(1, 300)
MAKERS = st.sampled_from(
    [
        ALIKE,
        OTHER,
        replace(ALIKE, hop_limit=63),
        replace(ALIKE, first=6 << 28 | 0x00300000),
        replace(ALIKE, first=6 << 28 | 0x12345),
        replace(ALIKE, source=ALIKE.destination, destination=ALIKE.source),
    ]
)
ODD_SEGMENTS = st.fixed_dictionaries(
    {},
    optional={
        "flags": st.sampled_from([0, ACK | PSH, ACK | FIN, SYN, ACK | CWR, ACK | ECE, ACK | URG])
        | st.integers(0, 255),
        "acknowledgement": st.integers(6, 8),
        "window": st.integers(499, 501),
        "urgent": st.integers(0, 1),
        "reserved": st.integers(0, 15),
        "length": st.integers(0, 15),
        "spoil": st.integers(0, 2),
        "options": st.sampled_from([b"", TIMESTAMPS, TIMESTAMPS[:-1] + b"\x03", bytes(40)]),
    },
)
ODD_DATAGRAMS = st.fixed_dictionaries(
    {},
    optional={
        "length": st.integers(0, 1300),
        "spoil": st.integers(0, 2),
        "bare": st.booleans(),
    },
)


@st.composite
def segments_of_a_flow(draw: st.DrawFn) -> list[bytes]:
    """TCP as a sender cuts it, with something odd now and then."""
    maker, size = draw(MAKERS), draw(SIZES)
    sequence = draw(st.sampled_from([0, 5, 2**32 - 1, 2**32 - 1300]))
    options = draw(st.sampled_from([b"", TIMESTAMPS, bytes(40)]))
    packets = []
    fill = draw(st.binary(min_size=1, max_size=8))
    for _ in range(draw(st.integers(1, 6))):
        odd: dict[str, Any] = draw(st.just({}) | st.just({}) | ODD_SEGMENTS)
        own = draw(st.sampled_from([size] * 8 + [0, 1, size - 1, size + 1]))
        payload = (fill * own)[:own]
        packets.append(maker.segment(payload, sequence, **({"options": options} | odd)))
        sequence += own + draw(st.sampled_from([0] * 9 + [1]))
    return packets


@st.composite
def datagrams_of_a_flow(draw: st.DrawFn) -> list[bytes]:
    maker, size, packets = draw(MAKERS), draw(SIZES), []
    for number in range(draw(st.integers(1, 6))):
        own = draw(st.sampled_from([size] * 8 + [0, 1, size - 1, size + 1]))
        odd: dict[str, Any] = draw(st.just({}) | st.just({}) | ODD_DATAGRAMS)
        packets.append(maker.datagram(bytes([number]) * own, **odd))
    return packets


def behind_extension(packet: bytes, header: int) -> bytes:
    """Return the packet with an extension header: hop-by-hop, destination options, fragment."""
    extension = bytes([packet[6]]) + (
        b"\0\0\x01\0\0\0\x09" if header == 44 else b"\0\x01\x04" + bytes(4)
    )
    size = (len(packet) - 40 + len(extension)).to_bytes(2)
    return packet[:4] + size + bytes([header]) + packet[7:40] + extension + packet[40:]


OTHERS = st.one_of(
    st.builds(lambda m, data: [m.packet(data, 58)], MAKERS, st.binary(max_size=80)),
    st.builds(lambda m, data: [m.packet(data, 50)] * 2, MAKERS, st.binary(max_size=80)),
    st.builds(lambda m, p, data: [m.packet(data, p)], MAKERS, st.integers(0, 255), st.binary()),
    st.builds(
        lambda packets, header: [behind_extension(packet, header) for packet in packets],
        segments_of_a_flow() | datagrams_of_a_flow(),
        st.sampled_from([0, 43, 44, 60]),
    ),
)
TRAFFIC = st.lists(segments_of_a_flow() | datagrams_of_a_flow() | OTHERS, max_size=5).map(
    lambda flows: b"".join(packet for flow in flows for packet in flow)
)


@given(TRAFFIC, st.integers(0, 60), st.booleans())
@settings(max_examples=400, deadline=None)
def test_all_merge_alike(data: bytes, truncated: int, udp: bool) -> None:
    data = data[: len(data) - truncated]
    expected = reference_coalesce(data, udp=udp)
    for pump in implementations():
        assert written_by(pump.coalesce, data, udp=udp) == expected, pump.name


@given(segments_of_a_flow() | datagrams_of_a_flow(), st.data())
@settings(max_examples=200, deadline=None)
def test_all_merge_alike_when_bits_are_wrong(packets: list[bytes], data: st.DataObject) -> None:
    stream = bytearray(b"".join(packets))
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    expected = reference_coalesce(bytes(stream), udp=True)
    for pump in implementations():
        assert written_by(pump.coalesce, bytes(stream), udp=True) == expected, pump.name


@given(TRAFFIC)
@settings(deadline=None)
def test_what_was_merged_is_cut_into_the_same(data: bytes) -> None:
    for pump in implementations():
        target, end = memoryview(bytearray(len(data) + 1)), 0
        for read in reads(written_by(pump.coalesce, data, udp=True)):
            end = pump.segment(memoryview(read), len(read), target, end)
        assert target[:end] == data, pump.name


@st.composite
def super_packets(draw: st.DrawFn) -> bytes:
    """What a device reads: of the kernel's, and such as no kernel would send."""
    tcp = draw(st.booleans())
    payload = draw(st.binary(max_size=100)) * draw(st.sampled_from([1, 1, 1, 30, 600]))
    maker = draw(MAKERS)
    if tcp:
        flags, length = draw(st.integers(0, 255)), draw(st.none() | st.integers(0, 15))
        options = draw(st.sampled_from([b"", TIMESTAMPS, bytes(40)]))
        sequence = draw(st.sampled_from([0, 2**32 - 50]))
        packet = maker.segment(payload, sequence, flags=flags, options=options, length=length)
    else:
        packet = maker.datagram(payload)
    upper = 40
    if draw(st.integers(0, 4)) == 0:
        packet, upper = behind_extension(packet, draw(st.sampled_from([0, 60, 44]))), 48
    offset = 16 if tcp else 6
    field = upper + offset
    pseudo = maker.pseudo_sum(len(packet) - upper, TCP if tcp else UDP)
    packet = packet[:field] + pseudo.to_bytes(2) + packet[field + 2 :]
    gso = draw(st.sampled_from([0, 4 if tcp else 5] * 4 + [1, 3, 4, 5, 0x84]))
    step = draw(st.sampled_from([1, 100, 1208]) | st.integers(0, 1500))
    header = [draw(st.sampled_from([1] * 8 + [0, 2, 3])), gso, upper, step, upper, offset]
    if draw(st.integers(0, 9)) == 0:
        header[4] = draw(st.integers(0, 70))
    if draw(st.integers(0, 9)) == 0:
        header[5] = draw(st.integers(0, 70))
    if draw(st.integers(0, 9)) == 0:
        packet = packet[: draw(st.integers(0, len(packet)))]
    return VNET.pack(*header) + packet


@given(super_packets(), st.integers(0, 5), st.sampled_from([1 << 18] * 6 + [0, 50, 500, 4000]))
@settings(max_examples=500, deadline=None)
def test_all_cut_alike(read: bytes, before: int, room: int) -> None:
    expected = reference_segment(read, room)
    for pump in implementations():
        target = bytearray(b"\xee" * (before + room))
        end = pump.segment(memoryview(read + b"\xff"), len(read), memoryview(target), before)
        assert target[before:end] == expected, pump.name
        assert target[:before] + target[end:] == b"\xee" * (before + room - len(expected))


@given(TRAFFIC, st.integers(0, 60), st.binary(max_size=50))
def test_all_walk_alike(data: bytes, truncated: int, garbage: bytes) -> None:
    stream = bytearray(data[: len(data) - truncated] + garbage)
    packets = cut(bytes(stream))
    same = 0
    while same < len(packets) and packets[same][8:40] == packets[0][8:40]:
        same += 1
    for walk in (pump.walk for pump in implementations()):
        assert walk(stream, 0, len(stream)) == sum(map(len, packets[:same]))


# By example


def merged(pump: offload.Pump, packets: list[bytes], *, udp: bool = True) -> list[tuple[int, ...]]:
    """Return the headers of what is written, with the length of each packet."""
    written = written_by(pump.coalesce, b"".join(packets), udp=udp)
    return [(*VNET.unpack_from(read), len(read) - VNET.size) for read in reads(written)]


def alone(size: int) -> tuple[int, ...]:
    return (0, 0, 0, 0, 0, 0, size)


def flow(count: int, size: int = 100, maker: Maker = ALIKE) -> list[bytes]:
    return [maker.segment(bytes(size), n * size) for n in range(count)]


def test_segments_of_a_flow_become_one(pump: offload.Pump) -> None:
    assert merged(pump, flow(5)) == [(1, 4, 60, 100, 40, 16, 560)]
    assert merged(pump, [*flow(2), ALIKE.segment(b"x", 200, flags=ACK | PSH)]) == [
        (1, 4, 60, 100, 40, 16, 261)
    ]


def test_datagrams_become_one_where_the_kernel_knows_them(pump: offload.Pump) -> None:
    datagrams = [ALIKE.datagram(bytes(100))] * 3
    assert merged(pump, datagrams) == [(1, 5, 48, 100, 40, 6, 348)]
    assert merged(pump, datagrams, udp=False) == [alone(148)] * 3


def test_no_more_than_64_and_no_more_than_65535_bytes(pump: offload.Pump) -> None:
    assert [size for *_, size in merged(pump, flow(65, 10))] == [60 + 640, 70]
    assert [size for *_, size in merged(pump, flow(60, 1220))] == [60 + 53 * 1220, 60 + 7 * 1220]


@pytest.mark.parametrize("size", [1023, 1024, 1092, 1093, 1285])
def test_the_last_byte_that_fits(pump: offload.Pump, size: int) -> None:
    """Headers count too: 60 + 64 * 1023 = 65,532 bytes fit, 60 + 60 * 1092 do not."""
    whole, short = flow(66, size), (65535 - 60) % size
    most = min(64, (65535 - 60) // size)
    assert merged(pump, whole)[0] == (1, 4, 60, size, 40, 16, 60 + most * size)
    if most < 64:
        for more in (0, 1):
            rest = ALIKE.segment(bytes(short + more), most * size)
            sizes = [size for *_, size in merged(pump, [*whole[:most], rest])]
            assert sizes == ([60 + most * size, 61 + short] if more else [65535])


def test_a_run_goes_on_where_sequence_numbers_begin_again(pump: offload.Pump) -> None:
    around = [ALIKE.segment(bytes(100), 2**32 - 250 + n * 100) for n in range(6)]
    assert merged(pump, around) == [(1, 4, 60, 100, 40, 16, 660)]
    for port in (b"\x01\xba", b"\x01\xbc"):  # what a careless sum would take for it
        other = replace(ALIKE, ports=b"\x12\x34" + port)
        for sequence in (50, 2**32 + 50 - 100):
            odd = [*around[:3], other.segment(bytes(100), sequence)]
            assert [size for *_, size in merged(pump, odd)] == [360, 160]


def test_flows_side_by_side_stay_apart_and_in_order(pump: offload.Pump) -> None:
    packets = [*flow(2), *flow(2, maker=OTHER), flow(3)[2]]
    assert [size for *_, size in merged(pump, packets)] == [260, 260, 160]


@pytest.mark.parametrize(
    "second",
    [
        ALIKE.segment(bytes(100), 100, spoil=1),
        ALIKE.segment(bytes(100), 100, acknowledgement=8),
        ALIKE.segment(bytes(100), 100, window=501),
        ALIKE.segment(bytes(100), 100, flags=ACK | FIN),
        ALIKE.segment(bytes(100), 100, flags=ACK | CWR),
        ALIKE.segment(bytes(100), 100, options=TIMESTAMPS),
        ALIKE.segment(bytes(100), 101),
        ALIKE.segment(bytes(101), 100),
        ALIKE.segment(b"", 100),
    ],
)
def test_what_differs_is_written_alone(pump: offload.Pump, second: bytes) -> None:
    assert merged(pump, [ALIKE.segment(bytes(100), 0), second]) == [alone(160), alone(len(second))]


def test_a_wrong_checksum_stays_wrong(pump: offload.Pump) -> None:
    wrong = ALIKE.segment(bytes(100), 0, spoil=1)
    assert merged(pump, [wrong, flow(2)[1]]) == [alone(160), alone(160)]


def test_the_last_segment_alone_ends_and_the_first_alone_reduces(pump: offload.Pump) -> None:
    whole = ALIKE.segment(bytes(250), 0, flags=ACK | PSH | FIN | CWR)
    pseudo = ALIKE.pseudo_sum(270, TCP).to_bytes(2)
    read = VNET.pack(1, 0x84, 60, 100, 40, 16) + whole[:56] + pseudo + whole[58:]
    target = memoryview(bytearray(1000))
    end = pump.segment(memoryview(read), len(read), target, 0)
    assert cut(bytes(target[:end])) == [
        ALIKE.segment(bytes(100), 0, flags=ACK | CWR),
        ALIKE.segment(bytes(100), 100),
        ALIKE.segment(bytes(50), 200, flags=ACK | PSH | FIN),
    ]


def test_a_datagram_never_has_the_checksum_zero(pump: offload.Pump) -> None:
    whole = ALIKE.datagram(b"\0\0")
    payload = (0xFFFF - (0x1234 + 0x01BB + 10)).to_bytes(2)  # with which all adds up to 0xFFFF
    read = VNET.pack(1, 0, 48, 0, 40, 6) + whole[:46] + b"\0\0" + payload
    target = memoryview(bytearray(100))
    assert pump.segment(memoryview(read), len(read), target, 0) == 50
    assert bytes(target[46:48]) == b"\xff\xff"


def test_refused_packets_are_counted(pump: offload.Pump) -> None:
    data = b"".join([*flow(5), ALIKE.segment(b"")])
    fd = os.open(os.devnull, os.O_RDONLY)
    assert pump.coalesce(fd, data, 0, len(data), True) == 6
    os.close(fd)


@pytest.mark.parametrize("offsets", [(-1, 2), (2, 1), (0, 101)])
def test_offsets_outside_of_a_buffer_are_an_error_of_the_native_module(
    offsets: tuple[int, int],
) -> None:
    pump = offload.choose({})
    if pump.name != "native":
        pytest.skip(pump.why)
    data = bytearray(100)
    calls: tuple[Callable[[], int], ...] = (
        lambda: pump.walk(data, *offsets),
        lambda: pump.coalesce(0, data, *offsets, True),
        lambda: pump.segment(memoryview(data), 101, memoryview(data), 0),
        lambda: pump.segment(memoryview(data), 100, memoryview(data), 101),
    )
    for call in calls:
        with pytest.raises(ValueError, match="offsets outside"):
            call()


# Whatever bytes


def test_fuzz_without_sanitizers() -> None:
    native = offload.choose({})
    chance = random.Random(1)
    for _ in range(300):
        segments_fuzz.one_round(native, chance)


def test_fuzz_with_sanitizers(tmp_path: Path) -> None:
    """Build the module with both sanitizers, and let it at whatever bytes."""
    library = tmp_path / "_segments.so"
    include = sysconfig.get_path("include")
    try:
        subprocess.run(
            [
                *("gcc", "-g", "-O1", "-shared", "-fPIC", "-I", include),
                *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
                *(ROOT / "src/throughway/net/_segments.c", "-o", library),
            ],
            check=True,
            capture_output=True,
        )
        asan = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no compiler with sanitizers: {error}")
    answer = subprocess.run(
        [sys.executable, "-m", "tests.net.segments_fuzz", library, FUZZ_SECONDS],
        cwd=ROOT,
        env=os.environ
        | {
            "LD_PRELOAD": str(Path(asan).resolve()),
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONMALLOC": "malloc",  # so that each buffer has its own bounds
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-4000:]
    assert int(answer.stdout) > 100, "too few rounds to say anything"


def test_the_python_walk_is_the_one_of_the_stream() -> None:
    assert offload.pure("").walk is same_addresses
    assert offload.pure("").segment is segments.segment
