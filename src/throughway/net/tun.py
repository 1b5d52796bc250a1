"""The TUN device of a link: the kernel's end of it.

Configured by ioctl and /proc/sys alone: netlink libraries would weigh more than the whole client.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

from throughway.model.errors import Stage, TransportError
from throughway.net import netlink
from throughway.net.offload import Pump, choose
from throughway.net.segments import VNET
from throughway.wire.ipv6 import MAX_PACKET, MIN_MTU, format_address

DEVICE = "/dev/net/tun"
BATCH_SIZE = 64 * 1024
"""Bytes read from the device for one write, more by one super-packet at most. Fewer would be a
write for each super-packet, and twice the steps for each packet of the pump in Python."""
QUEUE_LENGTH = 1000
"""Packets, or super-packets, which wait in the device while this process does not run: 7 ms of
small ones. They are read at once, whether they can be sent or not, so that what waits for the
network is counted in bytes: 32 super-packets would be 80 ms at 200 Mbit/s, 32 datagrams nothing."""
EXPANSION = 160 * 1024
"""Room for the last super-packet of a batch, cut into the smallest segments that TCP sends (48
bytes, 72 of headers)."""

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_TUNGETIFF = 0x800454D2
_TUNSETOFFLOAD = 0x400454D0
_TSO = 0x01 | 0x02 | 0x04  # checksums, and TCP over either version
_USO = 0x20 | 0x40  # UDP over either version; there is only both
_SIOCSIFTXQLEN = 0x8943
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_SIOCSIFADDR, _SIOCSIFMTU = 0x8916, 0x8922
_MAX_NAME = 15
_ERROR_DUP_NAME = 0x34
_CONF = Path("/proc/sys/net/ipv6/conf")
_COUNTERS = Path("/proc/net/dev_snmp6")
_TENTATIVE, _DAD_FAILED = 0x40, 0x08
_GLOBAL_SCOPE = "00"


class TUN:
    """An open TUN device with IFF_VNET_HDR; it is gone when it is closed."""

    def __init__(
        self,
        fd: int,
        name: str,
        *,
        mtu: int = MIN_MTU,
        pump: Pump | None = None,
        udp: bool = True,
    ) -> None:
        self.fd = fd
        self.name = name
        self.mtu = mtu
        self.pump = pump or choose()
        self.udp = udp
        """Whether the kernel takes super-packets of UDP."""
        self.unreadable = 0
        """How much of the last read was dropped: not of IPv6, or such as cannot be cut."""
        self.buffer = bytearray(BATCH_SIZE + EXPANSION)
        self.batch = memoryview(self.buffer)
        """What was read last, packets back to back."""
        self._raw = memoryview(bytearray(VNET.size + MAX_PACKET))

    def read(self) -> int:
        """Read what waits into ``batch``, as much as is good for it; return where it ends."""
        end, self.unreadable = self.pump.fill(self.fd, self._raw, self.batch, BATCH_SIZE)
        return end

    def write(self, buffer: bytes | bytearray, start: int, end: int) -> int:
        """Write the packets of ``buffer[start:end]``; return how many the kernel refused."""
        return self.pump.coalesce(self.fd, buffer, start, end, self.udp)

    @property
    def gone(self) -> bool:
        """Whether somebody has deleted the device, or given it another name."""
        try:
            request = fcntl.ioctl(self.fd, _TUNGETIFF, bytes(40))
        except OSError as error:
            return error.errno == errno.EBADFD
        return request[: _MAX_NAME + 1].rstrip(b"\0") != self.name.encode()

    def close(self) -> None:
        """Remove the device."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def open_tun(name: str, *, mtu: int = MIN_MTU, pump: Pump | None = None) -> TUN:
    """Make a TUN device; it is down and has no addresses yet.

    Raises :exc:`TransportError` when the kernel refuses.
    """
    if not name or len(name.encode()) > _MAX_NAME:
        raise _creation_failed(f"interface names have 1 to {_MAX_NAME} bytes: {name!r}")
    pump = pump or choose()
    fd = -1
    try:
        fd = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        udp = _set_offload(fd, wanted=pump.offload)
        set_mtu(name, mtu)
        _set_queue_length(name, QUEUE_LENGTH)
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        raise _creation_failed(f"cannot make the interface {name}: {error.strerror}") from error
    return TUN(fd, name, mtu=mtu, pump=pump, udp=udp)


def _set_offload(fd: int, *, wanted: bool) -> bool:
    """Let the kernel hand out super-packets, or not; return whether it knows those of UDP."""
    udp = True
    try:
        fcntl.ioctl(fd, _TUNSETOFFLOAD, _TSO | _USO)
    except OSError:  # before Linux 6.2
        udp = False
        fcntl.ioctl(fd, _TUNSETOFFLOAD, _TSO)
    if not wanted:
        fcntl.ioctl(fd, _TUNSETOFFLOAD, 0)
    return udp


def configure_client(tun: TUN, *, secret: bytes | None = None) -> None:
    """Bring a client's device up; the kernel forms the address from the router's advertisement.

    With ``secret`` (16 bytes, RFC 7217) it is the same address whenever the device is made anew.
    """
    _set(tun.name, "disable_ipv6", "0")
    _set(tun.name, "accept_ra", "2")  # also on a machine that forwards
    _set(tun.name, "accept_ra_rt_info_max_plen", "128")  # endpoints are routes to one address
    _set(tun.name, "accept_redirects", "0")
    if secret is not None:
        _set(tun.name, "stable_secret", format_address(secret))
    set_up(tun.name)


def configure_gateway(tun: TUN, addresses: tuple[bytes, ...]) -> None:
    """Bring the gateway's device up with its /64 addresses, and let the kernel forward."""
    _set(tun.name, "disable_ipv6", "0")
    _set(tun.name, "addr_gen_mode", "1")  # the router's link-local address is a chosen one
    _set(tun.name, "accept_ra", "0")
    _set(tun.name, "accept_redirects", "0")
    enable_forwarding()
    set_up(tun.name)
    for address in addresses:
        add_address(tun.name, address, 64)


def configure_tunnel(tun: TUN, addresses: tuple[bytes, ...]) -> None:
    """Bring a device up on which nobody advertises or is discovered, with these addresses."""
    _set(tun.name, "disable_ipv6", "0")
    _set(tun.name, "addr_gen_mode", "1")  # none of its own
    _set(tun.name, "accept_ra", "0")
    _set(tun.name, "accept_redirects", "0")
    set_up(tun.name)
    for address in addresses:
        add_address(tun.name, address, 128)


def is_configured(tun: TUN, addresses: tuple[bytes, ...]) -> bool:
    """Whether a gateway's device is up, with its addresses: set down it loses them."""
    try:
        return _is_up(tun.name) and set(addresses) <= _addresses_of(tun.name)
    except OSError:
        return False


def _is_up(name: str) -> bool:
    with _control() as control:
        request = struct.pack("16sh22x", name.encode(), 0)
        flags: int = struct.unpack_from("h", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)[0]
    return bool(flags & _IFF_UP)


def _addresses_of(name: str) -> set[bytes]:
    lines = map(str.split, Path("/proc/net/if_inet6").read_text().splitlines())
    return {bytes.fromhex(address) for address, *_, interface in lines if interface == name}


def forwards() -> bool:
    """Whether the machine is a router for IPv6."""
    return (_CONF / "all/forwarding").read_text().strip() == "1"


def disable_forwarding() -> None:
    """Make the machine a host again."""
    _set("all", "forwarding", "0")


def enable_forwarding() -> None:
    """Make the machine a router, and let it keep what it learned as a host.

    A kernel that forwards ignores Router Advertisements unless accept_ra is 2: without that the
    gateway would lose its own default route.
    """
    if forwards():
        return
    for interface in _CONF.iterdir():
        with contextlib.suppress(OSError):  # it may vanish as we look
            if (interface / "accept_ra").read_text().strip() == "1":
                (interface / "accept_ra").write_text("2")
    _set("all", "forwarding", "1")


def advertisements(name: str) -> int:
    """Return how many Router Advertisements the kernel has taken there; -1: it does not say."""
    try:
        counters = (_COUNTERS / name).read_text().split()
        return int(counters[counters.index("Icmp6InRouterAdvertisements") + 1])
    except (OSError, ValueError, IndexError):
        return -1


def set_up(name: str) -> None:
    """Set the interface up."""
    with _control() as control:
        request = struct.pack("16sh22x", name.encode(), 0)
        try:
            flags = struct.unpack_from("h", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)[0]
            request = struct.pack("16sh22x", name.encode(), flags | _IFF_UP)
            fcntl.ioctl(control, _SIOCSIFFLAGS, request)
        except OSError as error:
            raise _creation_failed(f"cannot set {name} up: {error.strerror}") from error


def set_mtu(name: str, mtu: int) -> None:
    """Set the interface's MTU."""
    with _control() as control:
        fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", name.encode(), mtu))


def _set_queue_length(name: str, packets: int) -> None:
    with _control() as control:
        fcntl.ioctl(control, _SIOCSIFTXQLEN, struct.pack("16si20x", name.encode(), packets))


def add_address(name: str, address: bytes, length: int) -> None:
    """Give the interface an address; it may have it already."""
    request = struct.pack("16sIi", address, length, socket.if_nametoindex(name))
    with _control() as control:
        try:
            fcntl.ioctl(control, _SIOCSIFADDR, request)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise


def global_addresses(name: str) -> tuple[str, ...]:
    """Return the interface's usable global addresses, as the kernel has them now."""
    found = []
    for line in Path("/proc/net/if_inet6").read_text().splitlines():
        address, _, _, scope, flags, interface = line.split()
        usable = not int(flags, 16) & (_TENTATIVE | _DAD_FAILED)
        if interface == name and scope == _GLOBAL_SCOPE and usable:
            found.append(format_address(bytes.fromhex(address)))
    return tuple(found)


def has_lost(name: str, address: str) -> bool:
    """Whether the interface's address was taken away by others, and could be given back.

    Switching IPv6 off takes all of them; with it off there is nothing to give back.
    """
    try:
        if (_CONF / name / "disable_ipv6").read_text().strip() != "0":
            return False
        return address not in {str(own.address) for own in netlink.addresses(name)}
    except OSError:
        return False  # there is no such interface


def _control() -> socket.socket:
    return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)


def _set(interface: str, key: str, value: str) -> None:
    try:
        (_CONF / interface / key).write_text(value)
    except OSError as error:
        why = f"cannot set net.ipv6.conf.{interface}.{key}={value}: {error.strerror}"
        raise _creation_failed(why) from error


def _creation_failed(message: str) -> TransportError:
    return TransportError(
        Stage.LINK,
        message,
        windows_code=_ERROR_DUP_NAME,
        problem="iphttps-interface-creation-failed",
    )
