"""Packets and captures for tests, written by hand: documentation addresses, no checksums."""

import ipaddress
import struct

from throughway.wire.ip import TCP

CLIENT, SERVER = "192.0.2.1", "198.51.100.2"


def ip(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    options: bytes = b"",
    fragment: int = 0,
    total: int | None = None,
) -> bytes:
    """Write a packet of the version that the addresses have."""
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if a.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        return head + a.packed + b.packed + payload
    length = 20 + len(options)
    whole = length + len(payload) if total is None else total
    head = struct.pack("!BBHHHBBH", 0x40 | length // 4, 0, whole, 1, fragment, 64, protocol, 0)
    return head + a.packed + b.packed + options + payload


def ipv4(payload: bytes, protocol: int = TCP, **fields: bytes | int) -> bytes:
    """Write an IPv4 packet from the client to the server."""
    return ip(CLIENT, SERVER, protocol, payload, **fields)  # type: ignore[arg-type]


def ipv6(payload: bytes, protocol: int = TCP) -> bytes:
    """Write an IPv6 packet."""
    return ip("2001:db8::a", "2001:db8::b", protocol, payload)


def tcp(
    payload: bytes = b"",
    flags: int = 0x18,
    *,
    ports: tuple[int, int] = (50000, 443),
    sequence: int = 7,
    acknowledgment: int = 9,
    options: bytes = b"",
) -> bytes:
    """Write a segment."""
    words = 5 + len(options) // 4
    numbers = (*ports, sequence, acknowledgment, words << 4, flags, 1024, 0, 0)
    return struct.pack("!HHIIBBHHH", *numbers) + options + payload


def udp(payload: bytes = b"", ports: tuple[int, int] = (50000, 53)) -> bytes:
    """Write a datagram."""
    return struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload


def ethernet(packet: bytes) -> bytes:
    """Write a frame."""
    return bytes(12) + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def pcap(
    *packets: bytes, order: str = "<", nano: bool = False, link: int = 1, step: float = 1.0
) -> bytes:
    """Write a pcap file; the packets come ``step`` seconds one after another, from 1000.0005."""
    ticks = 10**9 if nano else 10**6
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    whole = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for number, data in enumerate(packets):
        at = 1000 * ticks + 500 + round(number * step * ticks)
        whole += struct.pack(f"{order}4I", at // ticks, at % ticks, len(data), len(data)) + data
    return whole


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Write a pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    """Write a pcapng section header."""
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """Write an option of a pcapng block."""
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(link: int = 1, snap: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    """Write a pcapng interface description."""
    return block(1, struct.pack(f"{order}HHI", link, 0, snap) + options, order)


def enhanced(data: bytes, number: int = 0, ticks: int = 0, order: str = "<") -> bytes:
    """Write a pcapng packet with a comment."""
    sizes = (number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data) + 7)
    body = struct.pack(f"{order}5I", *sizes) + data + bytes(-len(data) % 4)
    return block(6, body + option(1, b"a comment", order), order)
