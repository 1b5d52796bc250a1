"""A DNS server is asked whether it answers."""

import asyncio
import socket
from typing import cast

import dns.message
import dns.rcode
import pytest

from throughway.gateway.operations import names
from throughway.gateway.operations.names import asks


class Server(asyncio.DatagramProtocol):
    """Answers with these codes, one after the other; None: not at all."""

    def __init__(self, *codes: int | None) -> None:
        self.codes = list(codes)
        self.asked: list[str] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python's own is no subclass of what it is, before 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(query.question[0].to_text())
        code = self.codes.pop(0)
        if code is not None and self._transport is not None:
            answer = dns.message.make_response(query)
            answer.set_rcode(dns.rcode.Rcode(code))
            self._transport.sendto(answer.to_wire(), addr)


def answer_of(server: Server, locator: str = "") -> str:
    async def scenario() -> str:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: server, local_addr=("127.0.0.1", 0)
        )
        try:
            port = transport.get_extra_info("sockname")[1]
            return await asks("127.0.0.1", "corp.example.com", port, locator)
        finally:
            transport.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (dns.rcode.NOERROR, ""),
        (dns.rcode.NXDOMAIN, ""),
        (dns.rcode.SERVFAIL, "answers SERVFAIL"),
        (dns.rcode.REFUSED, "answers REFUSED"),
    ],
)
def test_what_is_an_answer(code: int, said: str) -> None:
    server = Server(code)
    assert answer_of(server) == said
    assert server.asked == ["corp.example.com. IN SOA"]


def test_one_that_knows_neither_the_namespace_nor_its_domain() -> None:
    locator = "_kerberos._tcp.corp.example.com"
    unknown, there = dns.rcode.NXDOMAIN, dns.rcode.NOERROR
    server = Server(unknown, unknown)
    assert answer_of(server, locator) == "does not know corp.example.com"
    assert server.asked == ["corp.example.com. IN SOA", f"{locator}. IN SOA"]
    assert answer_of(Server(unknown, there), locator) == ""
    assert answer_of(Server(there), locator) == ""


def test_one_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "ASK_TIME", 0.05)
    assert answer_of(Server(None, None)) == "no answer"


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    monkeypatch.setattr(names, "ASK_TIME", 0.05)
    assert asyncio.run(asks("127.0.0.1", "corp.example.com", port))
