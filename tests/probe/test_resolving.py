"""DNS servers that answer, lie, synthesise and are silent."""

import asyncio

import dns.asyncresolver
import dns.message
import dns.name
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from tests.patience import PATIENCE
from tests.probe.test_names import Answer, broken, dns_server, nothing
from throughway.model.network import ProxySeen, ResolverSeen
from throughway.probe.resolving import IPV4_ONLY, look_at_resolver, look_for_wpad


def liar(query: dns.message.Message) -> dns.message.Message:
    """Give an address for whatever is asked."""
    question, answer = query.question[0], dns.message.make_response(query)
    if dns.rdatatype.to_text(question.rdtype) == "A":
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "203.0.113.9"))
    return answer


def nat64(query: dns.message.Message) -> dns.message.Message:
    question, answer = query.question[0], nothing(query)
    if str(question.name).startswith(IPV4_ONLY):
        answer.set_rcode(dns.rcode.NOERROR)
        six = "64:ff9b::c000:aa"
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "AAAA", six))
    return answer


def use(monkeypatch: pytest.MonkeyPatch, port: int, search: str = "") -> None:
    original = dns.asyncresolver.Resolver

    def make() -> dns.asyncresolver.Resolver:
        resolver = original(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], port
        resolver.search = [dns.name.from_text(search)] if search else []
        return resolver

    monkeypatch.setattr("throughway.probe.resolving.dns.asyncresolver.Resolver", make)


def looked(monkeypatch: pytest.MonkeyPatch, answer: Answer | None) -> ResolverSeen:
    async def scenario() -> ResolverSeen:
        with dns_server(answer) as port:
            use(monkeypatch, port)
            return await look_at_resolver(seconds=PATIENCE if answer else 1.0)

    return asyncio.run(scenario())


def test_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = looked(monkeypatch, nothing)
    assert (seen.answers, seen.invents, seen.nat64) == (True, (), "")
    assert seen.answered_by == "127.0.0.1"


def test_a_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked(monkeypatch, liar).invents == ("203.0.113.9",)


def test_addresses_made_up_for_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked(monkeypatch, nat64).nat64 == "64:ff9b::c000:aa"


@pytest.mark.parametrize("answer", [broken, None])
def test_silence(monkeypatch: pytest.MonkeyPatch, answer: Answer | None) -> None:
    seen = looked(monkeypatch, answer)
    assert seen.answers is False
    assert seen.words


def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr("throughway.probe.resolving.dns.asyncresolver.Resolver", refuse)
    assert asyncio.run(look_at_resolver()).words == "this computer has no DNS server"
    assert asyncio.run(look_for_wpad()) == ()


@pytest.mark.parametrize(("answer", "found"), [(liar, True), (nothing, False)])
def test_wpad(monkeypatch: pytest.MonkeyPatch, answer: Answer, found: bool) -> None:
    async def scenario() -> tuple[ProxySeen, ...]:
        with dns_server(answer) as port:
            use(monkeypatch, port, "office.test")
            return await look_for_wpad(seconds=PATIENCE)

    expected = (ProxySeen(source="WPAD", proxy="http://wpad.office.test/wpad.dat"),)
    assert asyncio.run(scenario()) == (expected if found else ())
