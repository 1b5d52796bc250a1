"""End TCP connections of an address that this computer has no more: sock_diag(7).

Nobody tells a program of it: it would wait for an answer that cannot come, for a quarter of an
hour when it has sent something, for ever when it has not. Ended, it knows at once, and connects
anew.
"""

import contextlib
import socket
import struct
from ipaddress import IPv6Address

from throughway.net.netlink import Netlink

_SOCK_DIAG = 4
"""The netlink protocol."""
_BY_FAMILY, _DESTROY = 20, 21
_HEAD = struct.Struct("=BBBxI")
"""Of inet_diag_req_v2: family, protocol, extensions, states."""
_ID = slice(4, 52)
"""Of inet_diag_msg: ports, addresses, interface and cookie."""
_SOURCE = slice(4, 20)
"""Of that."""
_LISTEN, _TIME_WAIT = 1 << 10, 1 << 6
_STATES = 0xFFF & ~(_LISTEN | _TIME_WAIT)
"""Those in which somebody waits for the other end."""


def end_connections(address: str) -> int:
    """End the connections from an IPv6 address; return how many there were."""
    source, ended = IPv6Address(address).packed, 0
    head = _HEAD.pack(socket.AF_INET6, socket.IPPROTO_TCP, 0, _STATES)
    with Netlink(_SOCK_DIAG) as netlink:
        found = [data[_ID] for data in netlink.dump_matching(_BY_FAMILY, head + bytes(48))]
        for one in found:
            if one[_SOURCE] == source:
                # It may have ended by itself.
                with contextlib.suppress(FileNotFoundError):
                    netlink.request(_DESTROY, 0, head + one)
                    ended += 1
    return ended
