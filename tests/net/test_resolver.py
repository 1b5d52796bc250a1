"""The stub resolver over real sockets; dnspython and dnsmasq are the other side."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.clock import pass_time
from tests.net.iphttps_world import end_server, wait_for
from tests.net.namespace import in_namespace, peer
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import NRPTRule
from throughway.model.status import TunnelState
from throughway.net import resolver as module
from throughway.net import stub as stub_module
from throughway.net.firewall import MARK, ClientFirewall, close_client
from throughway.net.resolver import Resolver, read_hosts, resolve
from throughway.net.stub import MAXIMUM_CONNECTIONS, StubListener
from throughway.proto.nrpt import Situation, Table, Transport
from throughway.proto.nrpt import stub as machine
from throughway.wire.dns import Service

STUB, LOCAL, INTRANET, NOBODY = "127.0.88.1", "127.0.88.2", "127.0.88.3", "127.0.88.4"
RULES = Table(
    (
        NRPTRule(namespace=".corp.example.com", servers=(INTRANET,)),
        NRPTRule(namespace="nls.corp.example.com"),
    )
)
Answer = Callable[[dns.message.Message], dns.message.Message | None]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an answer may come late: nothing is asked twice, or given up, for that."""
    for limit in ("UDP_ATTEMPT_TIME", "TCP_ATTEMPT_TIME", "TCP_AFTER", "HOLD_TIME", "TOTAL_TIME"):
        monkeypatch.setattr(machine, limit, PATIENCE)
    monkeypatch.setattr(module, "RESOLVE_TIME", PATIENCE)


def outside(intranet: TunnelState = TunnelState.UP, *local: str) -> Situation:
    return Situation(
        table=RULES, effective=True, local_servers=local or (LOCAL,), intranet=intranet
    )


def records(address: str) -> Answer:
    """Answer A queries with an address, TXT queries with much, others with nothing."""

    def answer(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        (question,) = query.question
        if question.rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", address))
        elif question.rdtype == dns.rdatatype.TXT:
            texts = [f'"{number:0200}"' for number in range(40)]
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *texts))
        return response

    return answer


class Server(asyncio.DatagramProtocol):
    """A DNS server; cuts answers by UDP that are longer than 1232 octets."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.ports: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.ports.add(addr[1])
        query = dns.message.from_wire(data)
        if response := self.respond(query, "udp"):
            wire = response.to_wire(max_size=65535)
            if len(wire) > 1232:
                response.answer.clear()
                response.flags |= dns.flags.TC
                wire = response.to_wire()
            self.transport.sendto(wire, addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        query = dns.message.from_wire(await reader.readexactly(size))
        if response := self.respond(query, "tcp"):
            wire = response.to_wire(max_size=65535)
            writer.write(len(wire).to_bytes(2, "big") + wire)
        else:
            await reader.read()
        writer.close()

    def respond(self, query: dns.message.Message, how: str) -> dns.message.Message | None:
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{how} {question.name.to_text(omit_final_dot=True).lower()} {kind}")
        return self._answer(query)


@asynccontextmanager
async def server(address: str, port: int, answer: Answer) -> AsyncIterator[Server]:
    made = Server(answer)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=(address, port))
    tcp = await asyncio.start_server(made.serve, address, port)
    try:
        yield made
    finally:
        transport.close()
        await end_server(tcp)


@asynccontextmanager
async def stub(
    port: int,
    situation: Situation,
    on_servers: Callable[[bool, tuple[str, ...]], None] | None = None,
) -> AsyncIterator[Resolver]:
    resolver = Resolver(port=port, on_intranet_servers=on_servers)
    resolver.set_situation(situation)
    listener = StubListener(resolver, STUB, port)
    await listener.start()
    try:
        yield resolver
    finally:
        await listener.close()
        await resolver.close()
        await asyncio.sleep(0)


async def ask(port: int, name: str, kind: str = "A", how: str = "udp") -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    send = dns.asyncquery.udp if how == "udp" else dns.asyncquery.tcp
    return await send(query, STUB, port=port, timeout=PATIENCE)


def addresses(answer: dns.message.Message) -> list[str]:
    return [item.to_text() for rrset in answer.answer for item in rrset]


def test_names_go_where_the_rules_say_over_udp_and_tcp() -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        seen: list[tuple[bool, tuple[str, ...]]] = []
        async with (
            server(LOCAL, port, records("192.0.2.1")) as local,
            server(INTRANET, port, records("131.107.7.9")) as intranet,
            stub(port, outside(), lambda *args: seen.append(args)) as resolver,
        ):
            for how in ("udp", "tcp"):
                for name, address in [
                    (f"{how}.corp.example.com", "131.107.7.9"),
                    ("nls.corp.example.com", "192.0.2.1"),
                    (f"{how}.example.net", "192.0.2.1"),
                ]:
                    resolver.forget_answers()
                    assert addresses(await ask(port, name, how=how)) == [address]
                    asked = intranet.asked if address.endswith("7.9") else local.asked
                    assert asked[-1] == f"{how} {name} A"
            assert len(intranet.asked) == 2
            assert len(local.asked) == 4
            assert seen == [(True, (INTRANET,))]
            assert await resolver.lookup("app1.corp.example.com") == ("131.107.7.9",)
            resolver.set_situation(Situation(table=RULES, local_servers=(LOCAL,)))
            assert addresses(await ask(port, "app1.corp.example.com")) == ["192.0.2.1"]

    asyncio.run(scenario())


def test_every_question_has_a_port_of_its_own() -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with server(LOCAL, port, records("192.0.2.1")) as local, stub(port, outside()):
            for number in range(10):
                await ask(port, f"h{number}.example.net")
            assert len(local.ports) >= 9

    asyncio.run(scenario())


def test_a_long_answer_is_cut_by_udp_and_whole_by_tcp() -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with server(LOCAL, port, records("192.0.2.1")), stub(port, outside()):
            cut = await ask(port, "www.example.net", "TXT")
            assert cut.flags & dns.flags.TC
            whole = await ask(port, "www.example.net", "TXT", how="tcp")
            assert len(addresses(whole)) == 40

    asyncio.run(scenario())


def test_without_the_tunnel_nothing_is_asked_and_held_queries_are_asked_when_it_is_up() -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with (
            server(LOCAL, port, records("192.0.2.1")) as local,
            server(INTRANET, port, records("131.107.7.9")) as intranet,
            stub(port, outside(TunnelState.DOWN)) as resolver,
        ):
            refused = await ask(port, "app1.corp.example.com")
            assert refused.rcode() == dns.rcode.SERVFAIL
            assert "infrastructure tunnel is down" in str(refused.options[0])
            resolver.set_situation(outside(TunnelState.CONNECTING))
            held = asyncio.create_task(ask(port, "app1.corp.example.com"))
            assert addresses(await ask(port, "www.example.net")) == ["192.0.2.1"]
            assert not held.done()
            resolver.set_situation(outside(TunnelState.UP))
            assert addresses(await held) == ["131.107.7.9"]
            assert local.asked == ["udp www.example.net A"]
            assert intranet.asked == ["udp app1.corp.example.com A"]

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["udp", "tcp"])
def test_a_server_that_is_not_there_is_passed_over(how: str) -> None:
    """At once, by the ICMP error or the reset: nobody waits for it, were it for a minute."""

    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with (
            server(LOCAL, port, records("192.0.2.1")),
            stub(port, outside(TunnelState.UP, NOBODY, LOCAL)),
        ):
            assert addresses(await ask(port, "www.example.net", how=how)) == ["192.0.2.1"]

    asyncio.run(scenario())


def test_one_connection_may_ask_several_questions_at_once() -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with server(LOCAL, port, records("192.0.2.1")), stub(port, outside()):
            reader, writer = await asyncio.open_connection(STUB, port)
            queries = {}
            for number in range(20):
                query = dns.message.make_query(f"h{number}.example.net", "A")
                query.id = number
                queries[number] = query
                wire = query.to_wire()
                writer.write(len(wire).to_bytes(2, "big") + wire)
            for _ in range(20):
                size = int.from_bytes(await reader.readexactly(2), "big")
                answer = dns.message.from_wire(await reader.readexactly(size))
                assert queries.pop(answer.id).is_response(answer)
            writer.close()
            await writer.wait_closed()

    asyncio.run(scenario())


def test_idle_connections_are_closed_and_too_many_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with stub(port, outside()), contextlib.AsyncExitStack() as stack:

            async def connect() -> asyncio.StreamReader:
                reader, writer = await asyncio.open_connection(STUB, port)
                stack.callback(writer.close)
                return reader

            many = [await connect() for _ in range(MAXIMUM_CONNECTIONS)]
            assert await (await connect()).read() == b""
            assert not any(reader.at_eof() for reader in many)
            pass_time(stub_module.IDLE_TIME)
            for reader in many:
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""

    monkeypatch.setattr(stub_module, "IDLE_TIME", PATIENCE)
    asyncio.run(scenario())


def test_a_client_that_goes_away_leaves_nothing() -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with (
            server(LOCAL, port, lambda query: None) as silent,
            stub(port, outside()) as resolver,
        ):
            task = asyncio.create_task(ask(port, "www.example.net", how="tcp"))
            await wait_for(lambda: silent.asked)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await wait_for(lambda: not resolver._stub.pending)
            assert not resolver._tasks
            assert not len(resolver._ports)

    asyncio.run(scenario())


def test_a_port_that_is_taken_is_an_error() -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with stub(port, outside()):
            with pytest.raises(OSError, match="in use"):
                await StubListener(Resolver(), STUB, port).start()

    asyncio.run(scenario())


def test_closing_in_the_middle_leaves_no_socket_behind() -> None:
    async def scenario() -> None:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        resolver = Resolver(port=port)
        resolver.set_situation(outside())
        async with server(LOCAL, port, lambda query: None):
            waiting = asyncio.create_task(resolver.lookup("www.example.net"))
            by_tcp = asyncio.create_task(
                resolver._ask(
                    b"\0\1" + dns.message.make_query("www.example.net", "A").to_wire()[2:],
                    Transport.TCP,
                )
            )
            await wait_for(lambda: len(resolver._ports) and resolver._tasks)
            await resolver.close()
            for task in (waiting, by_tcp):
                task.cancel()
            await asyncio.gather(waiting, by_tcp, return_exceptions=True)

    asyncio.run(scenario())


# Names that the daemon needs itself


def resolved(
    answer: Answer, name: str = "da.example.com", hosts: Path = Path("/dev/null")
) -> tuple[tuple[str, ...], list[str]]:
    async def scenario() -> tuple[tuple[str, ...], list[str]]:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with server(LOCAL, port, answer) as local:
            found = await resolve(name, servers=(LOCAL,), port=port, hosts=hosts)
            return found, local.asked

    return asyncio.run(scenario())


def test_both_families_are_asked() -> None:
    found, asked = resolved(records("192.0.2.1"))
    assert found == ("192.0.2.1",)
    assert sorted(asked) == ["udp da.example.com A", "udp da.example.com AAAA"]


def test_a_family_that_is_never_answered_does_not_hold_up_the_other() -> None:
    answer = records("192.0.2.1")

    def drops_ipv6(query: dns.message.Message) -> dns.message.Message | None:
        return None if query.question[0].rdtype == dns.rdatatype.AAAA else answer(query)

    assert resolved(drops_ipv6)[0] == ("192.0.2.1",)


def test_a_cut_answer_is_asked_for_again_by_tcp() -> None:
    def many(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        if query.question[0].rdtype == dns.rdatatype.A:
            hosts = [f"192.0.2.{number}" for number in range(200)]
            response.answer.append(
                dns.rrset.from_text(query.question[0].name, 60, "IN", "A", *hosts)
            )
        return response

    found, asked = resolved(many)
    assert len(found) == 200
    assert "tcp da.example.com A" in asked


def services(answer: Answer) -> tuple[Service, ...]:
    async def scenario() -> tuple[Service, ...]:
        port = free_port(STUB, LOCAL, INTRANET, NOBODY)
        async with server(LOCAL, port, answer):
            resolver = Resolver(port=port)
            try:
                local = replace(resolver.situation, local_servers=(LOCAL,))
                resolver.set_situation(local)
                return await resolver.services("_ldap._tcp.dc._msdcs.corp.example.com")
            finally:
                await resolver.close()

    return asyncio.run(scenario())


def test_services_come_best_first() -> None:
    def controllers(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        texts = ["10 100 389 dc2.corp.example.com.", "0 100 389 dc1.corp.example.com."]
        response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "SRV", *texts))
        return response

    found = services(controllers)
    assert [service.target for service in found] == ["dc1.corp.example.com", "dc2.corp.example.com"]


def test_a_name_without_services() -> None:
    def nobody(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    with pytest.raises(TransportError, match="does not exist"):
        services(nobody)


@pytest.mark.parametrize(
    ("rcode", "code", "words"),
    [
        (dns.rcode.NXDOMAIN, 0x2AF9, "does not exist"),
        (dns.rcode.NOERROR, 0x2AFC, "has no address"),
        (dns.rcode.SERVFAIL, 0x2AFA, "no DNS server"),
    ],
)
def test_what_went_wrong_is_said_in_both_languages(
    rcode: dns.rcode.Rcode, code: int, words: str
) -> None:
    def fails(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        return response

    with pytest.raises(TransportError, match=words) as caught:
        resolved(fails)
    assert caught.value.stage is Stage.RESOLVE
    assert caught.value.windows_code == code


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESOLVE_TIME", 0.2)
    with pytest.raises(TransportError, match="no DNS server could be asked"):
        resolved(lambda query: None)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(TransportError, match="no domain name"):
        resolved(records("192.0.2.1"), name="a..b")


def test_the_hosts_file_comes_first(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(
        "# x\n192.0.2.7 DA.example.com alias # c\nbad da.example.com\n::7 da.example.com\n"
    )
    found, asked = resolved(records("192.0.2.1"), hosts=hosts)
    assert found == ("192.0.2.7", "::7")
    assert asked == []
    assert read_hosts(hosts, "alias.") == ("192.0.2.7",)
    assert read_hosts(hosts, "c") == ()
    assert read_hosts(tmp_path / "none", "da.example.com") == ()


def test_an_address_is_its_own_answer() -> None:
    assert resolved(records("192.0.2.1"), name="2001:db8::1") == (("2001:db8::1",), [])


# dnsmasq, and the closed intranet


@contextmanager
def dnsmasq(address: str, port: int, *options: str, inside: tuple[str, ...] = ()) -> Iterator[None]:
    process = subprocess.Popen(
        [
            *(*inside, "dnsmasq"),
            *("--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"),
            *("--bind-interfaces", "--pid-file", "--user=root", "--log-facility=-"),
            *(f"--listen-address={address}", f"--port={port}", *options),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "started" in process.stderr.readline()
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.lab
def test_with_dnsmasq_over_udp_and_tcp() -> None:
    async def scenario(port: int) -> None:
        async with stub(port, outside()):
            for how in ("udp", "tcp"):
                answer = await ask(port, "dc1.corp.example.com", "AAAA", how)
                assert addresses(answer) == ["2001:db8:c0:1::10"]
                service = await ask(port, "_ldap._tcp.corp.example.com", "SRV", how)
                assert addresses(service) == ["0 0 389 dc1.corp.example.com."]
                assert addresses(await ask(port, "www.example.net", how=how)) == ["192.0.2.1"]
                missing = await ask(port, "none.corp.example.com", how=how)
                assert missing.rcode() == dns.rcode.NXDOMAIN
        found = await resolve("www.example.net", servers=(LOCAL,), port=port)
        assert found == ("192.0.2.1",)

    port = free_port(STUB, LOCAL, INTRANET, NOBODY)
    with (
        dnsmasq(LOCAL, port, "--address=/#/192.0.2.1"),
        dnsmasq(
            INTRANET,
            port,
            "--local=/corp.example.com/",
            "--host-record=dc1.corp.example.com,2001:db8:c0:1::10",
            "--srv-host=_ldap._tcp.corp.example.com,dc1.corp.example.com,389",
        ),
    ):
        asyncio.run(scenario(port))


def _marked() -> None:
    dc1, dns = "2001:db8:c0:1::10", ("--address=/#/192.0.2.81",)
    close_client(ClientFirewall(prefixes=("2001:db8:c0::/48",)))

    async def scenario() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "RESOLVE_TIME", 1.0)
            with pytest.raises(TransportError, match="no DNS server"):
                await resolve("nls.corp.example.com", servers=(dc1,))
        found = await resolve("nls.corp.example.com", servers=(dc1,), mark=MARK)
        assert found == ("192.0.2.81",)

    with (
        peer("v0", "2001:db8:c0:1::5/64", (f"{dc1}/64",)) as other,
        dnsmasq(dc1, 53, *dns, inside=other.inside),
    ):
        asyncio.run(scenario())


@pytest.mark.lab
def test_only_a_marked_question_reaches_a_server_with_an_intranet_address() -> None:
    """In the office, before the location is known, the intranet is closed: ask all the same."""
    in_namespace(_marked)
