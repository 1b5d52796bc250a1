"""The driver over a raw socket in a namespace: what arrives, what is spoofed, what ends."""

import asyncio
import contextlib
import errno
import select
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address

import pytest

from tests.ipsec_world import until
from tests.net.iphttps_world import FakeTUN
from tests.net.namespace import in_namespace, run
from tests.patience import PATIENCE
from tests.proto.test_sixtofour import (
    CLIENT,
    ENDPOINTS,
    FIRST,
    OTHER,
    OURS,
    SECOND,
    gateway,
    inner,
)
from throughway.model.errors import TransportError
from throughway.net.sixtofour import (
    REFUSALS,
    Pipe,
    only_echo_replies,
    open_socket,
    own_addresses,
    source_address,
)
from throughway.proto.sixtofour import Drop, Gate
from throughway.wire.icmpv6 import Echo, build_icmpv6
from throughway.wire.sixtofour import build_endpoint

ADDRESSES = ("131.107.0.2/24", "131.107.0.3/24", "131.107.0.50/24")
ECHO = build_icmpv6(
    Echo(reply=False, identifier=1, sequence=1), source=OURS, destination=ENDPOINTS[0]
)


def with_addresses(test: Callable[[], None]) -> None:
    """Run a test in a namespace whose loopback has the addresses of both ends."""

    def inside() -> None:
        for address in ADDRESSES:
            run("ip", "address", "add", address, "dev", "lo")
        test()

    in_namespace(inside)


def scenario(steps: Callable[["Ends"], Awaitable[None]]) -> None:
    """Run steps with a gateway's pipe and a client's socket."""

    async def live() -> None:
        ends = Ends()
        try:
            await steps(ends)
        finally:
            ends.close()

    with_addresses(lambda: asyncio.run(live()))


class Ends:
    """The gateway's end as it is, with a device that is a test's; the client's end by hand."""

    def __init__(self) -> None:
        self.tun = FakeTUN("sixtofour0")
        self.tun.udp = False  # so that datagrams stay by themselves
        self.seen: list[bytes] = []
        self.lost: list[str] = []
        sockets = {FIRST: open_socket("131.107.0.2"), SECOND: open_socket("131.107.0.3")}
        self.client = open_socket("131.107.0.50")
        self.pipe = Pipe(
            *(gateway(), sockets, self.tun),
            on_icmp=self._icmp,
            on_device_lost=self.lost.append,
        )
        self.pipe.start()

    def _icmp(self, packet: bytes) -> bool:
        self.seen.append(packet)
        return True

    def send(self, packet: bytes, to: str = "131.107.0.2") -> None:
        self.client.sendto(packet, (to, 0))

    def written(self) -> bytes:
        """Return what the device was given, packets back to back."""
        found = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                found += self.tun.kernel.recv()
        return found

    def give(self, *packets: bytes) -> None:
        """Let the kernel send packets by the device."""
        for packet in packets:
            self.tun.kernel.send(packet)

    async def received(self) -> bytes:
        """Return the next packet at the client."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.client, 65536)

    def close(self) -> None:
        self.pipe.close()
        self.client.close()
        self.tun.close()


pytestmark = pytest.mark.lab


def test_packets_come_out_of_the_device_in_their_order() -> None:
    async def steps(ends: Ends) -> None:
        packets = [inner(OURS, ENDPOINTS[0], payload=bytes([n]) * (n + 8)) for n in range(100)]
        for packet in packets:
            ends.send(packet)
        await until(lambda: ends.pipe.traffic.packets_in == 100)
        assert ends.written() == b"".join(packets)
        assert ends.pipe.traffic.bytes_in == sum(map(len, packets))
        assert ends.pipe.gate.drops.total() == 0

    scenario(steps)


def test_spoofed_packets_never_reach_the_device() -> None:
    async def steps(ends: Ends) -> None:
        ends.send(inner(b"\x20\x02" + OTHER + bytes(10), ENDPOINTS[0]))
        ends.send(inner(OURS, ENDPOINTS[1]))
        ends.send(inner(OURS, ENDPOINTS[0])[:-3])
        await until(lambda: ends.pipe.gate.drops.total() == 3)
        assert dict(ends.pipe.gate.drops) == {
            Drop.SPOOFED: 1,
            Drop.RELAY: 1,
            Drop.MALFORMED: 1,
        }
        assert ends.written() == b""
        assert ends.pipe.traffic.packets_in == 0

    scenario(steps)


def test_icmp_is_shown_to_the_machine_first() -> None:
    async def steps(ends: Ends) -> None:
        ends.send(ECHO)
        await until(lambda: bool(ends.seen))
        assert ends.seen == [ECHO]
        assert ends.written() == b""

    scenario(steps)


@pytest.mark.parametrize("number", [0, 1])
def test_what_leaves_comes_from_the_endpoints_own_address(number: int) -> None:
    async def steps(ends: Ends) -> None:
        packet = inner(ENDPOINTS[number], OURS, payload=b"answer..")
        ends.give(packet, inner(ENDPOINTS[number], OURS, payload=b"another."))
        for expected in (b"answer..", b"another."):
            whole = await ends.received()
            assert whole[12:20] == (FIRST, SECOND)[number] + CLIENT
            assert whole[9] == 41
            assert whole[6] & 0x40 == 0, "it may be fragmented on its way"
            assert whole.endswith(expected)
        assert ends.pipe.traffic.packets_out == 2

    scenario(steps)


def test_nothing_leaves_for_others() -> None:
    async def steps(ends: Ends) -> None:
        ends.give(inner(OURS, ENDPOINTS[0]))
        await until(lambda: ends.pipe.gate.drops[Drop.WRONG_SOURCE] == 1)
        assert ends.pipe.traffic.packets_out == 0

    scenario(steps)


def test_large_packets_are_whole_again() -> None:
    async def steps(ends: Ends) -> None:
        packet = inner(OURS, ENDPOINTS[0], payload=bytes(range(250)) * 120)
        ends.send(packet)
        await until(lambda: ends.pipe.traffic.packets_in == 1)
        assert ends.written() == packet

    scenario(steps)


def lost() -> int:
    raise OSError(errno.EBADFD, "gone")


def test_a_lost_device_is_told() -> None:
    async def steps(ends: Ends) -> None:
        ends.tun.read = lost  # type: ignore[method-assign]
        ends.give(inner(ENDPOINTS[0], OURS))
        await until(lambda: bool(ends.lost))
        ends.send(inner(OURS, ENDPOINTS[0]))
        await until(lambda: ends.pipe.traffic.packets_in == 1)

    scenario(steps)


def test_errors_of_the_network_are_read() -> None:
    """Nobody speaks protocol 41 at 131.107.0.9, a router says so; the socket is readable once."""
    heard: list[str] = []

    async def live() -> None:
        sock = open_socket("131.107.0.50", refusals=True)
        pipe = Pipe(gateway(), {CLIENT: sock}, None, on_refusal=heard.append)
        pipe.start()
        try:
            sock.sendto(ECHO, ("131.107.0.9", 0))
            await until(lambda: bool(heard))
            with pytest.raises(BlockingIOError):
                sock.recv(1000)
        finally:
            pipe.close()

    def inside() -> None:
        run("ip", "address", "add", "131.107.0.9/32", "dev", "lo")
        asyncio.run(live())

    with_addresses(inside)


def test_many_errors_do_not_keep_the_socket_readable() -> None:
    """They would wake the loop without end; some are met by reading, some perhaps by sending."""
    heard: list[str] = []
    endpoint = build_endpoint(IPv4Address("131.107.0.9").packed)

    async def live() -> None:
        sock = open_socket("131.107.0.50", refusals=True)
        gate = Gate({CLIENT: OURS}, peers=frozenset({endpoint}))
        pipe = Pipe(gate, {CLIENT: sock}, None, on_refusal=heard.append)
        pipe.start()
        pipe.send([inner(OURS, endpoint)] * 5 * REFUSALS)
        try:
            waiting = select.poll()
            waiting.register(sock, 0)  # errors only
            await until(lambda: bool(heard) and not waiting.poll(0))
        finally:
            pipe.close()

    def inside() -> None:
        run("ip", "address", "add", "131.107.0.9/32", "dev", "lo")
        asyncio.run(live())

    with_addresses(inside)


def test_only_answers_are_received_where_the_kernel_carries() -> None:
    def inside() -> None:
        with open_socket("131.107.0.2") as listener, open_socket("131.107.0.50") as sender:
            only_echo_replies(listener)
            reply = Echo(reply=True, identifier=1, sequence=1)
            answer = build_icmpv6(reply, source=OURS, destination=ENDPOINTS[0])
            for packet in (inner(OURS, ENDPOINTS[0]), ECHO, answer):
                sender.sendto(packet, ("131.107.0.2", 0))
            assert select.select([listener], [], [], PATIENCE)[0]
            assert listener.recv(1000)[20:] == answer
            with pytest.raises(BlockingIOError):
                listener.recv(1000)

    with_addresses(inside)


def test_addresses() -> None:
    def inside() -> None:
        own = {socket.inet_ntoa(address) for address in own_addresses()}
        assert own >= {"127.0.0.1", "131.107.0.2", "131.107.0.255", "127.255.255.255"}
        assert source_address("131.107.0.50", mark=0x42) in {"131.107.0.50", "131.107.0.2"}
        assert source_address("198.18.0.1") == "", "there is no way"
        with pytest.raises(TransportError, match=r"no socket for protocol 41 at 131\.107\.7\.77"):
            open_socket("131.107.7.77")

    with_addresses(inside)
