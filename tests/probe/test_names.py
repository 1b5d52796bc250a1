"""Names asked of a DNS server on loopback, and of the hosts file."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from tests.patience import PATIENCE
from throughway.probe.names import HOSTS_FILE, look_up

Answer = Callable[[dns.message.Message], dns.message.Message]


@contextlib.contextmanager
def dns_server(answer: Answer | None) -> Iterator[int]:
    """Answer each query in the loop of the test; None answers nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)

        def serve() -> None:
            data, peer = sock.recvfrom(4096)
            if answer is not None:
                sock.sendto(answer(dns.message.from_wire(data)).to_wire(), peer)

        loop = asyncio.get_running_loop()
        loop.add_reader(sock, serve)
        try:
            yield sock.getsockname()[1]
        finally:
            loop.remove_reader(sock)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], None]:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.7 static.test alias # comment\nnonsense\n2001:db8::7 static.test\n")
    monkeypatch.setattr("throughway.probe.names.HOSTS", hosts)

    def use(port: int) -> None:
        def make() -> dns.asyncresolver.Resolver:
            resolver = original(configure=False)
            resolver.nameservers, resolver.port = ["127.0.0.1"], port
            return resolver

        original = dns.asyncresolver.Resolver
        monkeypatch.setattr("throughway.probe.names.dns.asyncresolver.Resolver", make)

    return use


def two_families(query: dns.message.Message) -> dns.message.Message:
    answer = dns.message.make_response(query)
    question = query.question[0]
    alias = dns.rrset.from_text(question.name, 60, "IN", "CNAME", "edge.cdn.test.")
    answer.answer.append(alias)
    kind = dns.rdatatype.to_text(question.rdtype)
    address = {"A": "192.0.2.1", "AAAA": "2001:db8::1"}[kind]
    answer.answer.append(dns.rrset.from_text("edge.cdn.test.", 60, "IN", kind, address))
    return answer


def nothing(query: dns.message.Message) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer


def broken(query: dns.message.Message) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.set_rcode(dns.rcode.SERVFAIL)
    return answer


def test_both_families_with_their_aliases(asked: Callable[[int], None]) -> None:
    async def scenario() -> None:
        with dns_server(two_families) as port:
            asked(port)
            ipv4, ipv6 = await look_up("da.example.test")
        assert (ipv4.addresses, ipv4.aliases) == (("192.0.2.1",), ("edge.cdn.test",))
        assert ipv6.addresses == ("2001:db8::1",)
        assert ipv4.server == "127.0.0.1"
        assert ipv4.trouble is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "words", "code"),
    [
        (nothing, "the name does not exist", 0x2AF9),
        (broken, "the DNS servers fail", 0x2AFB),
        (None, "no DNS server answers", 0x2AFA),
    ],
)
def test_failures(
    asked: Callable[[int], None], answer: Answer | None, words: str, code: int
) -> None:
    async def scenario() -> None:
        with dns_server(answer) as port:
            asked(port)
            for name in await look_up("da.example.test", seconds=PATIENCE if answer else 1.0):
                assert name.trouble is not None
                assert name.trouble.words.startswith(words)
                assert name.trouble.windows_code == code
                assert name.trouble.problem == "iphttps-name-unresolvable"

    asyncio.run(scenario())


def test_the_hosts_file_and_addresses(asked: Callable[[int], None]) -> None:
    async def scenario() -> None:
        asked(9)
        ipv4, ipv6 = await look_up("Static.test")
        assert (ipv4.addresses, ipv4.server) == (("192.0.2.7",), HOSTS_FILE)
        assert ipv6.addresses == ("2001:db8::7",)
        (only,) = await look_up("2001:db8::0001")
        assert (only.family, only.addresses) == ("ipv6", ("2001:db8::1",))

    asyncio.run(scenario())


def test_a_name_that_cannot_be_asked_for(asked: Callable[[int], None]) -> None:
    async def scenario() -> None:
        asked(9)
        for name in await look_up("x" * 70 + ".test"):
            assert name.trouble is not None

    asyncio.run(scenario())
