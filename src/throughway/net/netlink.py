"""Links, addresses, routes and rules of the kernel, over a plain netlink socket.

Written by hand because the client's memory is counted: the few messages here cost nothing,
a whole netlink library about 15 MiB in every daemon. Formats: rtnetlink(7).
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

PROTOCOL = 117
"""The mark of ownership on our routes and rules (rtm_protocol, not taken by anybody)."""
MAIN_TABLE = 254

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_RTM_NEWROUTE, _RTM_DELROUTE, _RTM_GETROUTE = 24, 25, 26
_RTM_GETNEIGH = 30
_NUD_INCOMPLETE, _NUD_FAILED = 0x01, 0x20
_RTM_NEWRULE, _RTM_DELRULE, _RTM_GETRULE = 32, 33, 34
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _REPLACE, _EXCL, _DUMP, _CREATE = 0x1, 0x4, 0x100, 0x200, 0x300, 0x400
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE."""
_IFF_UP, _IFF_LOWER_UP, _IFF_LOOPBACK = 0x1, 0x10000, 0x8
_TENTATIVE, _DEPRECATED, _DADFAILED, _NODAD = 0x40, 0x20, 0x08, 0x02
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_UNICAST, _UNREACHABLE, _THROW = 1, 7, 9
_KINDS = {"unicast": _UNICAST, "unreachable": _UNREACHABLE, "throw": _THROW}
_RULE_INVERT = 0x2
_TO_TABLE = 1
_BUFFER = 65536
_GONE = {errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ENODEV}

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """An address on an interface."""

    interface: str
    address: IPv4Address | IPv6Address
    prefix_length: int
    scope: int
    flags: int

    @property
    def tentative(self) -> bool:
        """Whether duplicate address detection still runs, or has failed."""
        return bool(self.flags & (_TENTATIVE | _DADFAILED))

    @property
    def deprecated(self) -> bool:
        return bool(self.flags & _DEPRECATED)

    @property
    def usable(self) -> bool:
        """Whether it can be reached from other networks now."""
        return self.scope == _SCOPE_UNIVERSE and not self.tentative


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route; without ``via`` and ``interface`` only for kinds that need none."""

    prefix: str
    kind: str = "unicast"
    """``unicast``, ``unreachable`` or ``throw``."""
    interface: str = ""
    via: str = ""
    table: int = MAIN_TABLE
    metric: int = 1024
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A routing rule: look ``table`` up, for packets with (or, inverted, without) ``mark``."""

    table: int
    priority: int
    mark: int | None = None
    invert: bool = False
    source: str = ""
    """A prefix; "" for any."""
    family: int = socket.AF_INET6
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who answers for an address on a link."""

    interface: str
    address: IPv4Address | IPv6Address
    link_address: str
    """As in ``02:00:5e:10:00:01``."""


@dataclass(frozen=True, slots=True)
class NetworkState:
    """What a change of network shows in."""

    addresses: frozenset[tuple[str, str]]
    """Interface and usable address."""
    routes: frozenset[tuple[str, str]]
    """Interface and gateway of each default route."""

    @property
    def connected(self) -> bool:
        """Whether there is any network at all."""
        return bool(self.addresses)


class Netlink:
    """One netlink socket for requests; blocks only for the kernel's answer."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, kind: int, flags: int, body: bytes) -> None:
        """Ask for a change; raises :exc:`OSError` with the kernel's reason."""
        for _ in self._exchange(kind, flags | _ACK, body):
            pass

    def find(self, kind: int, body: bytes) -> Iterator[bytes]:
        """Return the bodies that answer a question which is no dump; :exc:`OSError` as above."""
        yield from self._exchange(kind, _ACK, body)

    def dump(self, kind: int, family: int, length: int) -> Iterator[bytes]:
        """Return the bodies of all objects of a kind; ``length`` is that of their header."""
        yield from self.dump_matching(kind, bytes([family]) + bytes(length - 1))

    def dump_matching(self, kind: int, body: bytes) -> Iterator[bytes]:
        """Return the bodies of all objects that answer a request."""
        yield from self._exchange(kind, _DUMP, body)

    def _exchange(self, kind: int, flags: int, body: bytes) -> Iterator[bytes]:
        self._sequence += 1
        header = struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            for what, sequence, data in _messages(self._socket.recv(_BUFFER)):
                if sequence != self._sequence:
                    continue
                if what == _NLMSG_DONE:
                    return
                if what == _NLMSG_ERROR:
                    (number,) = struct.unpack_from("=i", data)
                    if number:
                        raise OSError(-number, os.strerror(-number))
                    return
                yield data


def addresses(interface: str = "") -> tuple[InterfaceAddress, ...]:
    """Return the addresses of an interface, or of all."""
    with Netlink() as netlink:
        return tuple(a for a in _addresses(netlink) if interface in {"", a.interface})


def links() -> Mapping[str, int]:
    """Return every interface with its flags (netdevice(7), and IFF_LOWER_UP)."""
    with Netlink() as netlink:
        return dict(_links(netlink))


def routes(table: int, family: int = socket.AF_INET6) -> tuple[Route, ...]:
    """Return the routes of a table."""
    with Netlink() as netlink:
        return tuple(route for route in _routes(netlink, family) if route.table == table)


def interface_towards(address: str, mark: int = 0) -> str:
    """Return the interface by which the kernel would send to an IPv6 address, by all its rules.

    "" where it would not: no route, or one that says unreachable.
    """
    head = struct.pack("=8BI", socket.AF_INET6, 128, 0, 0, 0, 0, 0, 0, 0)
    body = head + _attribute(1, ip_address(address).packed) + _number(16, mark)
    with contextlib.suppress(OSError), Netlink() as netlink:
        for data in netlink.find(_RTM_GETROUTE, body):
            return _name(_integer(_attributes(data[12:]).get(4)))
    return ""


def rules(family: int = socket.AF_INET6) -> tuple[Rule, ...]:
    """Return the routing rules."""
    with Netlink() as netlink:
        return tuple(_rules(netlink, family))


def neighbours() -> tuple[Neighbour, ...]:
    """Return the neighbours whose link-layer address is known."""
    with Netlink() as netlink:
        return tuple(_neighbours(netlink))


def silent_neighbours(*, asked: bool = False) -> frozenset[tuple[str, str]]:
    """Return interface and address of those who were looked for on a link and did not answer.

    ``asked``: also of those who are being looked for and have not answered yet.
    """
    states = _NUD_FAILED | (_NUD_INCOMPLETE if asked else 0)
    with Netlink() as netlink:
        return frozenset(_neighbours_in(netlink, states))


def add_route(route: Route) -> None:
    """Add a route, or replace the one for the same prefix and metric."""
    with Netlink() as netlink:
        netlink.request(_RTM_NEWROUTE, _CREATE | _REPLACE, _build_route(route))


def delete_route(route: Route) -> None:
    """Delete a route, if it is there."""
    with _unless_gone(), Netlink() as netlink:
        netlink.request(_RTM_DELROUTE, 0, _build_route(route))


def add_rule(rule: Rule) -> None:
    """Add a rule, unless it is there."""
    with contextlib.suppress(FileExistsError), Netlink() as netlink:
        netlink.request(_RTM_NEWRULE, _CREATE | _EXCL, _build_rule(rule))


def delete_rule(rule: Rule) -> None:
    """Delete a rule, if it is there."""
    with _unless_gone(), Netlink() as netlink:
        netlink.request(_RTM_DELRULE, 0, _build_rule(rule))


def add_address(interface: str, address: str, *, check_duplicates: bool = True) -> None:
    """Give an interface an address, as in ``2001:db8::1/64``, unless it has it."""
    body = _build_address(interface, address, 0 if check_duplicates else _NODAD)
    with contextlib.suppress(FileExistsError), Netlink() as netlink:
        netlink.request(_RTM_NEWADDR, _CREATE | _EXCL, body)


def delete_address(interface: str, address: str) -> None:
    """Take an address from an interface, if it has it."""
    with _unless_gone(), Netlink() as netlink:
        netlink.request(_RTM_DELADDR, 0, _build_address(interface, address, 0))


def flush_routes(table: int, family: int = socket.AF_INET6) -> None:
    """Delete all routes of ours from a table."""
    for route in routes(table, family):
        if route.protocol == PROTOCOL:
            delete_route(route)


def own_host_routes() -> tuple[Route, ...]:
    """Return our IPv6 routes to single hosts: those to the gateway's endpoints."""
    ours = (route for route in routes(MAIN_TABLE) if route.protocol == PROTOCOL)
    return tuple(route for route in ours if route.prefix.endswith("/128"))


def sweep_host_routes() -> None:
    """Delete them, also those of a daemon that was killed."""
    for route in own_host_routes():
        delete_route(route)


def network_state(ignored: frozenset[str] = frozenset()) -> NetworkState:
    """Return what the network of this machine is, but for the interfaces ``ignored``."""
    with Netlink() as netlink:
        up = {name for name, flags in _links(netlink) if _carries(flags)} - ignored
        found = frozenset(
            (a.interface, str(a.address))
            for a in _addresses(netlink)
            if a.usable and a.interface in up
        )
        defaults = frozenset(
            (route.interface, route.via)
            for family in (socket.AF_INET, socket.AF_INET6)
            for route in _routes(netlink, family)
            if ip_network(route.prefix).prefixlen == 0
            and route.table == MAIN_TABLE
            and route.interface in up
        )
    return NetworkState(found, defaults)


async def wait_global_address(interface: str, prefix: str) -> str:
    """Wait until an interface has a usable address under a prefix, and return it."""
    network = ip_network(prefix)
    with Subscription() as subscription:
        while True:
            for address in addresses(interface):
                fits = address.address in network and not address.deprecated
                if address.usable and fits:
                    return str(address.address)
            await subscription.wait()


class Subscription:
    """A socket that hears of every change of links, addresses and routes."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, _GROUPS))

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    async def wait(self) -> None:
        """Wait for the next change, and forget what else has piled up."""
        await self._readable()
        with contextlib.suppress(BlockingIOError):
            while True:
                # Too much to hold (ENOBUFS) is a change too.
                with _overflow():
                    self._socket.recv(_BUFFER)

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._socket)


class NetworkMonitor:
    """Calls back when the network of the machine has become another one."""

    DEBOUNCE = 0.075
    """Seconds: a DHCP client or a carrier brings several changes in a row."""

    def __init__(
        self,
        on_change: Callable[[NetworkState], None],
        ignored: frozenset[str] = frozenset(),
    ) -> None:
        """``ignored``: interfaces of our own."""
        self.state = NetworkState(frozenset(), frozenset())
        self._on_change = on_change
        self._ignored = ignored
        self._task: asyncio.Task[object] | None = None

    async def close(self) -> None:
        """End :meth:`run`, if it runs."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    async def run(self) -> None:
        """Call back with the state as it is, then at every change; ends only by cancellation."""
        self._task = asyncio.current_task()
        with Subscription() as subscription:
            self.state = network_state(self._ignored)
            self._on_change(self.state)
            while True:
                await subscription.wait()
                await asyncio.sleep(self.DEBOUNCE)
                state = network_state(self._ignored)
                if state != self.state:
                    self.state = state
                    self._on_change(state)


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise


@contextlib.contextmanager
def _overflow() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise


def _carries(flags: int) -> bool:
    return flags & (_IFF_UP | _IFF_LOWER_UP | _IFF_LOOPBACK) == _IFF_UP | _IFF_LOWER_UP


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    while len(data) >= 16:
        length, kind, _, sequence, _ = struct.unpack_from("=IHHII", data)
        yield kind, sequence, data[16:length]
        data = data[_aligned(length) :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[_aligned(length) :]
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(_aligned(len(value)) - len(value))
    return struct.pack("=HH", 4 + len(value), kind) + value + padding


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _links(netlink: Netlink) -> Iterator[tuple[str, int]]:
    for data in netlink.dump(_RTM_GETLINK, socket.AF_UNSPEC, 16):
        (flags,) = struct.unpack_from("=I", data, 8)
        yield _attributes(data[16:])[3].rstrip(b"\0").decode(), flags


def _addresses(netlink: Netlink) -> Iterator[InterfaceAddress]:
    for data in netlink.dump(_RTM_GETADDR, socket.AF_UNSPEC, 8):
        family, length, flags, scope, index = struct.unpack_from("=BBBBI", data)
        if family not in {socket.AF_INET, socket.AF_INET6}:
            continue
        found = _attributes(data[8:])
        if 8 in found:
            (flags,) = struct.unpack("=I", found[8])
        # IFA_LOCAL is the own address where IFA_ADDRESS is the peer's.
        raw = found.get(2) or found[1]
        yield InterfaceAddress(_name(index), ip_address(raw), length, scope, flags)


def _routes(netlink: Netlink, family: int) -> Iterator[Route]:
    kinds = {number: kind for kind, number in _KINDS.items()}
    for data in netlink.dump(_RTM_GETROUTE, family, 12):
        of, length, _, _, table, protocol, _, kind, _ = struct.unpack_from("=8BI", data)
        found = _attributes(data[12:])
        # A kernel without the family asked for dumps another one.
        if kind not in kinds or of != family:
            continue
        prefix = found.get(1, bytes(16 if family == socket.AF_INET6 else 4))
        yield Route(
            prefix=f"{ip_address(prefix)}/{length}",
            kind=kinds[kind],
            interface=_name(_integer(found.get(4))) if kind == _UNICAST else "",
            via=str(ip_address(found[5])) if 5 in found else "",
            table=_integer(found[15]) if 15 in found else table,
            metric=_integer(found.get(6)),
            protocol=protocol,
        )


def _neighbours(netlink: Netlink) -> Iterator[Neighbour]:
    for data in netlink.dump(_RTM_GETNEIGH, socket.AF_UNSPEC, 12):
        (index,) = struct.unpack_from("=4xI", data)
        found = _attributes(data[12:])
        if 1 in found and any(found.get(2, b"")):
            yield Neighbour(_name(index), ip_address(found[1]), found[2].hex(":"))


def _neighbours_in(netlink: Netlink, states: int) -> Iterator[tuple[str, str]]:
    for data in netlink.dump(_RTM_GETNEIGH, socket.AF_UNSPEC, 12):
        index, state = struct.unpack_from("=4xIH", data)
        found = _attributes(data[12:])
        if state & states and 1 in found:
            yield _name(index), str(ip_address(found[1]))


def _rules(netlink: Netlink, family: int) -> Iterator[Rule]:
    for data in netlink.dump(_RTM_GETRULE, family, 12):
        of, _, length, _, table, _, _, action, flags = struct.unpack_from("=8BI", data)
        if action != _TO_TABLE or of != family:
            continue
        found = _attributes(data[12:])
        yield Rule(
            table=_integer(found[15]) if 15 in found else table,
            priority=_integer(found.get(6)),
            mark=_integer(found[10]) if 10 in found else None,
            invert=bool(flags & _RULE_INVERT),
            source=f"{ip_address(found[2])}/{length}" if 2 in found else "",
            family=family,
            protocol=found[21][0] if 21 in found else 0,
        )


def _build_route(route: Route) -> bytes:
    network = ip_network(route.prefix)
    kind = _KINDS[route.kind]
    scope = _SCOPE_LINK if network.version == 4 and kind == _UNICAST and not route.via else 0
    table = route.table if route.table < 256 else 0
    head = struct.pack(
        "=8BI", _family(network), network.prefixlen, 0, 0, table, route.protocol, scope, kind, 0
    )
    body = _attribute(1, network.network_address.packed) if network.prefixlen else b""
    body += _number(15, route.table) + _number(6, route.metric)
    if route.via:
        body += _attribute(5, ip_address(route.via).packed)
    if route.interface:
        body += _number(4, socket.if_nametoindex(route.interface))
    return head + body


def _build_rule(rule: Rule) -> bytes:
    source = ip_network(rule.source) if rule.source else None
    flags = _RULE_INVERT if rule.invert else 0
    length = source.prefixlen if source else 0
    head = struct.pack("=8BI", rule.family, 0, length, 0, 0, 0, 0, _TO_TABLE, flags)
    body = _number(15, rule.table) + _number(6, rule.priority)
    body += _attribute(21, bytes([rule.protocol]))
    if source:
        body += _attribute(2, source.network_address.packed)
    if rule.mark is not None:
        body += _number(10, rule.mark) + _number(16, 0xFFFFFFFF)
    return head + body


def _build_address(interface: str, address: str, flags: int) -> bytes:
    host, _, length = address.partition("/")
    parsed = ip_address(host)
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    index = socket.if_nametoindex(interface)
    head = struct.pack("=BBBBI", family, int(length or parsed.max_prefixlen), flags, 0, index)
    return head + _attribute(2, parsed.packed) + _attribute(1, parsed.packed)


def _family(network: Network) -> int:
    return socket.AF_INET6 if network.version == 6 else socket.AF_INET


def _integer(data: bytes | None) -> int:
    return int.from_bytes(data, sys.byteorder) if data else 0


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""
