"""Give the connections of one port to several listeners by where they come from.

The kernel spreads connections over sockets that share a port (SO_REUSEPORT) by a hash of both
ends' addresses and ports, so that a client which connects again finds another one. A small filter
(BPF, socket(7)) chooses by the client's address alone: neighbouring addresses go to different
listeners, and one client always to the same.
"""

import ctypes
import socket
import struct

_SO_ATTACH_REUSEPORT_CBPF = 51
_NETWORK_HEADER = 0x1_0000_0000 - 0x100000
"""SKF_NET_OFF, as the 32 bits of an instruction have it."""
_IPV4_SOURCE, _IPV6_SOURCE = 12, 8
"""Offsets of the source address."""
_LOAD_WORD, _TO_X, _SHIFT_RIGHT, _XOR_X, _MODULO, _RETURN_A = 0x20, 0x07, 0x74, 0xAC, 0x94, 0x16


def steer(listener: socket.socket, count: int) -> bool:
    """Let the client's address choose among the ``count`` sockets of a listener's group.

    The first one that began to listen has the number 0. Of an IPv6 address the first 64 bits
    count: the others change from day to day (RFC 8981). Returns whether the kernel can.
    """
    program = b"".join(struct.pack("=HBBI", *one) for one in _filter(listener.family, count))
    kept = ctypes.create_string_buffer(program)
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(kept))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, head)
    except OSError:
        return False
    return True


def chosen(address: bytes, count: int) -> int:
    """Return the number that the filter gives a client: 4 or 16 bytes of address."""
    folded = int.from_bytes(address[:4])
    if len(address) == 16:
        folded ^= int.from_bytes(address[4:8])
    folded ^= folded >> 16
    folded ^= folded >> 8
    return folded % count


def _filter(family: int, count: int) -> list[tuple[int, int, int, int]]:
    """Return :func:`chosen` as instructions: code, jumps, operand."""
    load = [(_LOAD_WORD, 0, 0, _NETWORK_HEADER + _IPV4_SOURCE)]
    if family == socket.AF_INET6:
        load = [
            (_LOAD_WORD, 0, 0, _NETWORK_HEADER + _IPV6_SOURCE),
            (_TO_X, 0, 0, 0),
            (_LOAD_WORD, 0, 0, _NETWORK_HEADER + _IPV6_SOURCE + 4),
            (_XOR_X, 0, 0, 0),
        ]
    folds = [
        one
        for bits in (16, 8)
        for one in ((_TO_X, 0, 0, 0), (_SHIFT_RIGHT, 0, 0, bits), (_XOR_X, 0, 0, 0))
    ]
    return [*load, *folds, (_MODULO, 0, 0, count), (_RETURN_A, 0, 0, 0)]
