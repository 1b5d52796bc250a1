"""DNS64 over real sockets: forwards, makes addresses, stays within its bounds."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.net.iphttps_world import wait_for
from tests.net.test_resolver import Server, server
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.gateway import dns64 as module
from throughway.gateway.dns64 import DNS64, MAXIMUM_CLIENTS, SILENCES, Rates
from throughway.model.config import NAT64Config
from throughway.model.errors import ConfigError

HERE, CORP, OTHER = "127.0.91.1", "127.0.91.2", "127.0.91.3"
RECORDS = {
    ("app4.corp.example.com", "A"): "10.0.2.84",
    ("app1.corp.example.com", "AAAA"): "2001:db8:c0:2::80",
    ("app1.corp.example.com", "A"): "10.0.2.80",
    ("mapped.corp.example.com", "AAAA"): "::ffff:10.0.2.90",
    ("mapped.corp.example.com", "A"): "10.0.2.90",
    ("_ldap._tcp.corp.example.com", "SRV"): "0 0 389 dc1.corp.example.com.",
    ("84.2.0.10.in-addr.arpa", "PTR"): "app4.corp.example.com.",
}
MANY = "many.corp.example.com"


def corp(query: dns.message.Message) -> dns.message.Message | None:
    response = dns.message.make_response(query)
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(question.rdtype)
    if name == "silent.corp.example.com":
        return None
    if name == "fails.corp.example.com" and kind == "AAAA":
        response.set_rcode(dns.rcode.SERVFAIL)
    elif name in {MANY, "fails.corp.example.com"} and kind == "A":
        hosts = [f"10.0.9.{number}" for number in range(200 if name == MANY else 1)]
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", *hosts))
    elif record := RECORDS.get((name, kind)):
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, record))
    elif name not in {key[0] for key in RECORDS} | {MANY}:
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response


@asynccontextmanager
async def world(
    answer: Callable[[dns.message.Message], dns.message.Message | None] = corp,
    **changes: object,
) -> AsyncIterator[tuple[int, Server, DNS64, list[bool]]]:
    port = free_port(HERE, CORP, OTHER)
    config = NAT64Config(
        prefix="2001:db8:c0:7777::/96",
        ipv4_prefixes=("10.0.0.0/16",),
        listen=((HERE, port),),
        servers=(CORP,),
    )
    heard: list[bool] = []
    dns64 = DNS64(replace(config, **changes), heard.append, port=port)  # type: ignore[arg-type]
    async with server(CORP, port, answer) as upstream:
        await dns64.start()
        try:
            yield port, upstream, dns64, heard
        finally:
            await dns64.close()


async def ask(port: int, name: str, kind: str = "AAAA", how: str = "udp") -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    send = dns.asyncquery.udp if how == "udp" else dns.asyncquery.tcp
    return await send(query, HERE, port=port, timeout=PATIENCE)


def texts(answer: dns.message.Message) -> list[str]:
    return [item.to_text() for rrset in answer.answer for item in rrset]


@pytest.mark.parametrize("how", ["udp", "tcp"])
def test_addresses_are_made_where_there_are_none(how: str) -> None:
    async def scenario() -> None:
        async with world() as (port, upstream, dns64, _):
            made = await ask(port, "app4.corp.example.com", how=how)
            assert texts(made) == ["2001:db8:c0:7777::a00:254"]
            real = await ask(port, "app1.corp.example.com", how=how)
            assert texts(real) == ["2001:db8:c0:2::80"]
            assert "udp app1.corp.example.com A" not in upstream.asked
            mapped = await ask(port, "mapped.corp.example.com", how=how)
            assert texts(mapped) == ["2001:db8:c0:7777::a00:25a"]
            failed = await ask(port, "fails.corp.example.com", how=how)
            assert texts(failed) == ["2001:db8:c0:7777::a00:900"]
            missing = await ask(port, "none.corp.example.com", how=how)
            assert missing.rcode() == dns.rcode.NXDOMAIN
            assert (dns64.figures.queries, dns64.figures.made) == (5, 3)

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["udp", "tcp"])
def test_everything_else_passes(how: str) -> None:
    async def scenario() -> None:
        async with world() as (port, upstream, _dns64, _):
            service = await ask(port, "_ldap._tcp.corp.example.com", "SRV", how)
            assert texts(service) == ["0 0 389 dc1.corp.example.com."]
            assert texts(await ask(port, "app4.corp.example.com", "A", how)) == ["10.0.2.84"]
            assert upstream.asked[-1] == f"{how} app4.corp.example.com A"
            name = "4.5.2.0.0.0.a.0.0.0.0.0.0.0.0.0.7.7.7.7.0.c.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
            reverse = await ask(port, name, "PTR", how)
            assert texts(reverse) == ["84.2.0.10.in-addr.arpa.", "app4.corp.example.com."]

    asyncio.run(scenario())


def test_a_long_answer_is_cut_by_udp_and_whole_by_tcp() -> None:
    async def scenario() -> None:
        async with world() as (port, _, _dns64, _heard):
            assert (await ask(port, MANY)).flags & dns.flags.TC
            assert len(texts(await ask(port, MANY, how="tcp"))) == 200

    asyncio.run(scenario())


def test_silence_is_told_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ATTEMPT_TIME", 0.05)

    async def scenario() -> None:
        async with world() as (port, _, dns64, heard):
            for _ in range(SILENCES):
                asked = dns.message.make_query("silent.corp.example.com", "A").to_wire()
                assert await dns64.answer(asked, by_tcp=False) is None
            assert heard == [False]
            assert dns64.figures.failed == SILENCES
            monkeypatch.setattr(module, "ATTEMPT_TIME", PATIENCE)
            await ask(port, "app4.corp.example.com")
            assert heard == [False, True]

    asyncio.run(scenario())


def test_the_next_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    # That nobody is at the first one is told by the kernel.
    monkeypatch.setattr(module, "ATTEMPT_TIME", PATIENCE)

    async def scenario() -> None:
        async with world(servers=(OTHER, CORP)) as (port, _, _dns64, heard):
            assert texts(await ask(port, "app4.corp.example.com", "A")) == ["10.0.2.84"]
            assert heard == []

    asyncio.run(scenario())


def test_an_answer_to_another_question_is_not_taken() -> None:
    def lies(query: dns.message.Message) -> dns.message.Message:
        other = dns.message.make_query("bank.example.", "A", id=query.id)
        response = dns.message.make_response(other)
        response.answer.append(dns.rrset.from_text("bank.example.", 60, "IN", "A", "10.0.0.66"))
        return response

    async def scenario() -> None:
        async with world(lies) as (_, _upstream, dns64, _heard):
            for kind in ("A", "AAAA"):
                asked = dns.message.make_query("app4.corp.example.com", kind).to_wire()
                assert await dns64.answer(asked, by_tcp=False) is None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ATTEMPT_TIME", 0.1)
        asyncio.run(scenario())


def test_who_asks_too_much_is_not_answered() -> None:
    async def scenario() -> None:
        async with world(queries_per_client=5) as (port, _, dns64, _heard):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as eager:
                eager.connect((HERE, port))
                for number in range(200):
                    query = dns.message.make_query("app4.corp.example.com", "A", id=number)
                    eager.send(query.to_wire())
                await wait_for(lambda: dns64.figures.queries >= 200)
            assert dns64.figures.limited >= 150
            reader, writer = await asyncio.open_connection(HERE, port, local_addr=("127.0.91.9", 0))
            wire = dns.message.make_query("app4.corp.example.com", "A").to_wire()
            writer.write(len(wire).to_bytes(2, "big") + wire)
            assert int.from_bytes(await reader.readexactly(2), "big") > 12
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    asyncio.run(scenario())


def test_rates_forget_the_longest_silent() -> None:
    rates = Rates(1)
    assert [rates.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert rates.take("a", 1.0)
    for number in range(MAXIMUM_CLIENTS):
        rates.take(str(number), 1.0)
    assert len(rates._left) == MAXIMUM_CLIENTS
    assert "a" not in rates._left


def test_garbage_is_refused_or_ignored() -> None:
    async def scenario() -> None:
        async with world() as (port, _, dns64, _heard):
            dice = random.Random(5)
            good = dns.message.make_query("app4.corp.example.com", "AAAA").to_wire()
            for _ in range(300):
                data = bytearray(good[: dice.randrange(len(good) + 1)])
                for _ in range(3):
                    if data:
                        data[dice.randrange(len(data))] = dice.randrange(256)
                data[2:3] = b"\x01" if len(data) > 2 else b""
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await dns64.answer(bytes(data), by_tcp=False)
            assert texts(await ask(port, "app4.corp.example.com")) == ["2001:db8:c0:7777::a00:254"]

    asyncio.run(scenario())


def test_a_port_that_is_taken_is_told() -> None:
    async def scenario() -> None:
        async with world() as (port, _, _dns64, _heard):
            config = NAT64Config(
                prefix="::/96", ipv4_prefixes=(), listen=((HERE, port),), servers=()
            )
            with pytest.raises(ConfigError, match="cannot listen"):
                await DNS64(config, lambda on: None).start()

    asyncio.run(scenario())
