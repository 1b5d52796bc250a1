"""What DNS64 makes of answers, by RFC 6147; dnspython writes and reads them."""

import contextlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.gateway import synthesis
from throughway.model.config import NAT64Config
from throughway.net.nat64 import original, translated

PREFIX = "2001:db8:c0:7777::/96"
CONFIG = NAT64Config(
    prefix=PREFIX,
    ipv4_prefixes=("10.0.0.0/16",),
    listen=(("::1", 53),),
    servers=("::1",),
    exclude_names=("v6.corp.example.com",),
    exclude_prefixes=("2001:db8:bad::/48",),
)
RULES = synthesis.rules_of(CONFIG)
NAME = "app4.corp.example.com."


def query(
    name: str = NAME, kind: str = "AAAA", flags: int = 0, *, dnssec: bool = False
) -> dns.message.Message:
    return dns.message.make_query(
        name, kind, flags=dns.flags.RD | flags, want_dnssec=dnssec, use_edns=0
    )


def answer(*records: str, rcode: int = 0, soa: str = "", kind: str = "A") -> dns.message.Message:
    message = dns.message.make_response(query(kind=kind))
    message.set_rcode(dns.rcode.Rcode(rcode))
    for record in records:
        owner, ttl, klass, rtype, *rdata = record.split(" ")
        message.answer.append(dns.rrset.from_text(owner, int(ttl), klass, rtype, *rdata))
    if soa:
        owner, ttl, minimum = soa.split(" ")
        rdata_ = f"ns.{owner} root.{owner} 1 2 3 4 {minimum}"
        message.authority.append(dns.rrset.from_text(owner, int(ttl), "IN", "SOA", rdata_))
    return message


def made(ipv4: dns.message.Message, none: dns.message.Message | None = None) -> list[str]:
    result = synthesis.make_addresses(query(), none, ipv4, RULES)
    if result is None:
        return []
    # As clients read it.
    read = dns.message.from_wire(result.to_wire())
    assert query().question == read.question
    return [rrset.to_text() for rrset in read.answer]


def test_an_address_is_made_of_the_ipv4_one() -> None:
    assert made(answer(f"{NAME} 60 IN A 10.0.2.84")) == [
        f"{NAME} 60 IN AAAA 2001:db8:c0:7777::a00:254"
    ]


def test_aliases_are_kept() -> None:
    ipv4 = answer(f"{NAME} 60 IN CNAME x.example.", "x.example. 50 IN A 10.0.2.84")
    assert made(ipv4) == [
        f"{NAME} 60 IN CNAME x.example.",
        "x.example. 50 IN AAAA 2001:db8:c0:7777::a00:254",
    ]


@pytest.mark.parametrize(
    ("soa", "ttl"),
    [("", 600), ("corp.example.com. 300 900", 300), ("corp.example.com. 900 40", 40)],
)
def test_it_lives_no_longer_than_there_is_no_other(soa: str, ttl: int) -> None:
    (text,) = made(answer(f"{NAME} 9000 IN A 10.0.2.84"), answer(kind="AAAA", soa=soa))
    assert f" {ttl} IN" in text


def test_hosts_that_clients_may_not_reach_get_none() -> None:
    assert made(answer(f"{NAME} 60 IN A 10.1.0.1 127.0.0.1")) == []
    assert made(answer()) == []
    assert made(answer(rcode=dns.rcode.SERVFAIL)) == []
    (text,) = made(answer(f"{NAME} 60 IN A 10.0.2.84 10.1.0.1"))
    assert "a01:1" not in text


def test_nothing_that_is_made_is_authentic() -> None:
    ipv4 = answer(f"{NAME} 60 IN A 10.0.2.84")
    ipv4.flags |= dns.flags.AD | dns.flags.AA
    result = synthesis.make_addresses(query(dnssec=True), None, ipv4, RULES)
    assert result is not None
    assert not result.flags & (dns.flags.AD | dns.flags.AA)
    assert result.flags & dns.flags.RA


@pytest.mark.parametrize(
    ("flags", "dnssec", "wanted"),
    [(0, False, True), (0, True, True), (dns.flags.CD, False, True), (dns.flags.CD, True, False)],
)
def test_who_checks_signatures_by_himself_gets_nothing_made(
    flags: int, dnssec: bool, wanted: bool
) -> None:
    assert synthesis.wants_address(query(flags=flags, dnssec=dnssec), RULES) is wanted


@pytest.mark.parametrize(
    ("name", "kind", "wanted"),
    [
        ("a.example.", "AAAA", True),
        ("a.example.", "A", False),
        ("V6.corp.example.com.", "AAAA", False),
        ("x.v6.corp.example.com.", "AAAA", False),
        ("xv6.corp.example.com.", "AAAA", True),
    ],
)
def test_only_addresses_of_names_that_are_not_excluded(name: str, kind: str, wanted: bool) -> None:
    assert synthesis.wants_address(query(name, kind), RULES) is wanted


def test_where_there_is_one_none_is_made() -> None:
    one = answer(f"{NAME} 60 IN AAAA 2001:db8:c0:2::80", kind="AAAA")
    assert synthesis.real_addresses(one, RULES) is one


@pytest.mark.parametrize("address", ["::ffff:10.0.2.84", "2001:db8:bad::1"])
def test_excluded_addresses_are_none(address: str) -> None:
    assert (
        synthesis.real_addresses(answer(f"{NAME} 60 IN AAAA {address}", kind="AAAA"), RULES) is None
    )
    both = answer(f"{NAME} 60 IN AAAA {address} 2001:db8:c0:2::80", kind="AAAA")
    real = synthesis.real_addresses(both, RULES)
    assert real is not None
    (rrset,) = real.answer
    assert [rdata.to_text() for rdata in rrset] == ["2001:db8:c0:2::80"]


def test_no_such_name_is_an_answer_and_other_failures_are_none() -> None:
    missing = answer(rcode=dns.rcode.NXDOMAIN, kind="AAAA")
    assert synthesis.real_addresses(missing, RULES) is missing
    for rcode in (dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP):
        assert synthesis.real_addresses(answer(rcode=rcode, kind="AAAA"), RULES) is None
    alias = answer(f"{NAME} 60 IN CNAME x.example.", kind="AAAA")
    assert synthesis.real_addresses(alias, RULES) is None


def test_the_prefix_can_be_found_out() -> None:
    result = synthesis.well_known(query("IPV4only.arpa."), RULES)
    assert result is not None
    assert sorted(rdata.to_text() for rdata in result.answer[0]) == [
        "2001:db8:c0:7777::c000:aa",
        "2001:db8:c0:7777::c000:ab",
    ]
    assert synthesis.well_known(query("ipv4only.arpa.", "A"), RULES) is None
    assert synthesis.well_known(query(), RULES) is None


def test_a_made_address_has_the_name_of_its_host() -> None:
    name = IPv6Address("2001:db8:c0:7777::a00:254").reverse_pointer
    asked = synthesis.reverse_question(query(name, "PTR"), RULES)
    assert asked is not None
    assert asked.question[0].name.to_text() == "84.2.0.10.in-addr.arpa."
    ipv4 = dns.message.make_response(asked)
    ipv4.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "PTR", NAME))
    result = synthesis.make_reverse(query(name, "PTR"), asked, ipv4)
    read = dns.message.from_wire(result.to_wire())
    assert [rrset.to_text() for rrset in read.answer] == [
        f"{name}. 60 IN CNAME 84.2.0.10.in-addr.arpa.",
        f"84.2.0.10.in-addr.arpa. 60 IN PTR {NAME}",
    ]
    ipv4 = dns.message.make_response(asked)
    ipv4.set_rcode(dns.rcode.NXDOMAIN)
    assert synthesis.make_reverse(query(name, "PTR"), asked, ipv4).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize(
    "name",
    [
        IPv6Address("2001:db8:c0:7778::a00:254").reverse_pointer,
        "4.5.2.ip6.arpa",
        "x.ip6.arpa",
        "84.2.0.10.in-addr.arpa",
        "app4.corp.example.com",
    ],
)
def test_other_names_of_addresses_are_left_alone(name: str) -> None:
    assert synthesis.reverse_question(query(name, "PTR"), RULES) is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1))
def test_addresses_go_there_and_back(ipv4: int, ipv6: int) -> None:
    host = IPv4Address(ipv4)
    address = translated(PREFIX, host)
    assert address in IPv6Network(PREFIX)
    assert original(PREFIX, address) == host
    other = IPv6Address(ipv6)
    assert (original(PREFIX, other) is None) == (other not in IPv6Network(PREFIX))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5), st.integers(0, 2**31 - 1))
def test_made_addresses_are_those_of_reachable_hosts(hosts: list[int], ttl: int) -> None:
    texts = sorted({str(IPv4Address(host)) for host in [*hosts, 0x0A000254]})
    rules = replace(RULES)
    ipv4 = answer(f"{NAME} {ttl} IN A {' '.join(texts)}")
    result = synthesis.make_addresses(query(), None, ipv4, rules)
    assert result is not None
    (rrset,) = result.answer
    found = {original(PREFIX, IPv6Address(rdata.address)) for rdata in rrset}
    assert found == {IPv4Address(t) for t in texts if rules.reachable(IPv4Address(t))}
    assert rrset.ttl <= min(ttl, synthesis.NO_SOA_TTL)


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_garbage_raises_only_what_is_caught(asked: bytes, answered: bytes) -> None:
    with contextlib.suppress(*synthesis.Wrong):
        read = dns.message.from_wire(query().to_wire()[:12] + asked)
        if read.question:
            synthesis.wants_address(read, RULES)
            synthesis.well_known(read, RULES)
            synthesis.reverse_question(read, RULES)
    with contextlib.suppress(*synthesis.Wrong):
        got = dns.message.from_wire(answer().to_wire()[:12] + answered)
        synthesis.make_addresses(query(), got, got, RULES)
        synthesis.real_addresses(got, RULES)
