"""One connection of the server: what its entry in the client table says, and how it ends."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.net.iphttps_world import NAME, PREFIX, wait_for
from throughway.net.iphttps_session import NO_PROXY_HEADER, SessionLink, Waiting
from throughway.net.link import Buffers
from throughway.proto.iphttps.hello import Offer
from throughway.proto.iphttps.http import build_request, parse_url
from throughway.proto.iphttps.server import ClientRefused, Refusal, Server, SessionOpened
from throughway.proto.iphttps.session import Session
from throughway.proto.router import Link, Router
from throughway.wire.proxy_protocol import build_v1

URL = parse_url(f"https://{NAME}/IPHTTPS")
REQUEST = build_request(URL)


@dataclass
class Owner:
    """A server with one connection and no device: packets are only counted."""

    machine: Server
    link: SessionLink | None = None
    offers: list[Offer] = field(default_factory=list)
    refused: list[ClientRefused] = field(default_factory=list)
    taken: int = 0

    def pump(self) -> None:
        while (event := self.machine.next_event()) is not None:
            match event:
                case SessionOpened(remainder=remainder) if self.link is not None:
                    self.link.opened(len(remainder))
                case ClientRefused():
                    self.refused.append(event)

    def begin_after(
        self, session: Session, sock: socket.socket, tls: ssl.SSLContext | None, offer: Offer
    ) -> None:
        assert tls is None
        self.offers.append(offer)
        self.begin(session, sock)

    def begin(self, session: Session, sock: socket.socket) -> None:
        self.link = SessionLink(self, session, sock, Buffers(), None)
        self.link.connection.start()

    def take(self, session: Session, buffers: Buffers, start: int, end: int) -> int:
        assert session.number in self.machine.sessions
        self.taken += end - start
        return end


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Owner, Session, socket.socket, socket.socket]]:
    """Give an owner, a session, and both ends of its connection: the client's, the server's."""
    now = asyncio.get_running_loop().time()
    owner = Owner(Server(URL, Router(Link.of(PREFIX), routes=(), now=now), wall_clock=time.time))
    owner.machine.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, (address, port) = listener.accept()
    near.setblocking(False)
    far.setblocking(False)
    session = owner.machine.accept(address, port, address, now)
    assert session is not None
    with near, far:
        yield owner, session, near, far
        if owner.link is not None:
            owner.link.finish()
            near.close()
            await owner.link.connection.wait_closed()


def test_a_request_opens_it_and_what_comes_with_it_are_packets() -> None:
    async def scenario() -> None:
        async with connected() as (owner, session, near, far):
            owner.begin(session, far)
            assert owner.link is not None
            near.sendall(REQUEST + bytes(40))
            await wait_for(lambda: owner.taken == 40)
            answer = await asyncio.get_running_loop().sock_recv(near, 4096)
            assert answer.startswith(b"HTTP/1.1 200")
            status = owner.link.status()
            assert status.peer == "{}:{}".format(*near.getsockname())
            assert (status.id, status.bytes_in) == (session.number, len(REQUEST) + 40)
            assert (status.suite, status.certificate) == ("", "")

    asyncio.run(scenario())


def test_a_client_that_goes_before_its_request_was_none() -> None:
    async def scenario() -> None:
        async with connected() as (owner, session, near, far):
            owner.begin(session, far)
            near.close()
            await wait_for(lambda: owner.machine.refusals[Refusal.CLOSED] == 1)

    asyncio.run(scenario())


def test_a_header_says_who_comes_and_then_its_own_bytes_do() -> None:
    async def scenario() -> None:
        async with connected() as (owner, session, near, far):
            Waiting(owner, session, far, None).start(header=True, hello=False)
            near.sendall(build_v1("192.0.2.7", 4711, "192.0.2.1", 443) + REQUEST)
            await wait_for(lambda: owner.link is not None and bool(owner.machine.sessions))
            assert owner.link is not None
            assert owner.link.status().peer == "192.0.2.7:4711"
            assert len(owner.offers) == 1

    asyncio.run(scenario())


def test_without_the_header_nobody_is_let_in() -> None:
    async def scenario() -> None:
        async with connected() as (owner, session, near, far):
            waiting = Waiting(owner, session, far, None)
            waiting.start(header=True, hello=False)
            near.sendall(REQUEST)
            await wait_for(lambda: [one.problem for one in owner.refused] == [NO_PROXY_HEADER])
            waiting.close()
            assert owner.link is None

    asyncio.run(scenario())
