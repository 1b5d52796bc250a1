"""Ports towards servers: one for each question, shared when there are many, none at rest."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from tests.net.iphttps_world import wait_for
from tests.patience import PATIENCE
from throughway.net.ports import OWN, SHARED, SOCKET_QUERIES, Entropy, Ports

SERVER = "127.0.89.1"


class World:
    """Ports, and a server that answers when told to."""

    def __init__(self) -> None:
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.server.bind((SERVER, 0))
        self.answered: list[tuple[int, bytes]] = []
        self.lost: list[int] = []
        self.done = asyncio.Event()
        port = self.server.getsockname()[1]
        loop = asyncio.get_running_loop()
        self.ports = Ports(
            loop, port, 0, Entropy(), self._answer, lambda a, _: self.lost.append(a), self.done.set
        )

    def _answer(self, attempt: int, data: bytes, server: str, now: float) -> None:
        assert server == SERVER
        assert now > 0
        self.answered.append((attempt, data))

    async def asked(self, count: int) -> list[tuple[bytes, tuple[str, int]]]:
        loop = asyncio.get_running_loop()
        return [await loop.sock_recvfrom(self.server, 512) for _ in range(count)]

    def sockets(self) -> int:
        return sum(len(each) for each in self.ports._open.values())


def with_world(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        try:
            await asyncio.wait_for(scenario(world), PATIENCE)
        finally:
            world.ports.close()
            assert world.sockets() == 0
            world.server.close()

    asyncio.run(run())


def number(attempt: int) -> bytes:
    return attempt.to_bytes(2, "big")


def test_an_answer_finds_its_attempt_and_nothing_stays_open() -> None:
    async def scenario(world: World) -> None:
        assert world.ports.send(7, SERVER, b"\1\2question")
        ((data, address),) = await world.asked(1)
        assert data == b"\1\2question"
        for wrong in (b"\1\3other", b"", b"\1", b"\1\2" + bytes(5000)):
            world.server.sendto(wrong, address)
        world.server.sendto(b"\1\2answer", address)
        while not world.answered:
            world.done.clear()
            await world.done.wait()
        assert world.answered == [(7, b"\1\2answer")]
        world.ports.end(7)
        assert world.sockets() == 0
        assert len(world.ports) == 0

    with_world(scenario)


def test_few_questions_have_a_port_each_and_many_share() -> None:
    async def scenario(world: World) -> None:
        for attempt in range(200):
            world.ports.send(attempt, SERVER, number(attempt))
        ports = [address[1] for _, address in await world.asked(200)]
        assert len(set(ports[:OWN])) == OWN
        shared = ports[OWN:]
        assert set(shared) <= set(ports[:OWN])
        assert len(set(shared)) == SHARED, "by lot: none of them is left out"
        for attempt in range(200):
            world.ports.end(attempt)
        await wait_for(lambda: world.sockets() == 0)

    with_world(scenario)


def test_the_same_number_twice_gets_a_port_of_its_own() -> None:
    async def scenario(world: World) -> None:
        for attempt in range(OWN + 3):
            world.ports.send(attempt, SERVER, b"\0\0")
        ports = [address[1] for _, address in await world.asked(OWN + 3)]
        assert len(set(ports)) == OWN + 3
        for attempt in range(OWN + 3):
            world.ports.end(attempt)
        await wait_for(lambda: world.sockets() == 0)

    with_world(scenario)


def test_ports_are_renewed() -> None:
    async def scenario(world: World) -> None:
        for attempt in range(OWN):
            world.ports.send(attempt, SERVER, number(attempt))
        await world.asked(OWN)
        seen: set[int] = set()
        for attempt in range(OWN, OWN + SHARED * (SOCKET_QUERIES + 150)):
            world.ports.send(attempt, SERVER, number(attempt))
            ((_, address),) = await world.asked(1)
            seen.add(address[1])
            world.ports.end(attempt)
        assert len(seen) >= 2 * SHARED - 1

    with_world(scenario)


def test_a_server_that_is_not_there_is_told() -> None:
    async def scenario(world: World) -> None:
        world.server.close()
        world.ports.send(1, SERVER, b"\0\1")
        await world.done.wait()
        assert world.lost == [1]
        assert not world.ports.send(2, "2001:db8::1%nowhere", b"\0\2")

    with_world(scenario)


def test_numbers_are_of_the_size_that_was_asked_for() -> None:
    entropy = Entropy()
    for bits in (1, 8, 16, 17, 2040):
        numbers = {entropy.bits(bits) for _ in range(200)}
        assert max(numbers) < 1 << bits
        assert max(numbers) >= 1 << (bits - 1)
