"""What is given again, for how long, and what is not kept at all; dnspython writes the answers."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from hypothesis import given
from hypothesis import strategies as st

from throughway.proto.nrpt.cache import (
    LONGEST,
    LONGEST_NEGATIVE,
    MAXIMUM_ANSWER,
    MAXIMUM_ENTRIES,
    MAXIMUM_OCTETS,
    Cache,
)
from throughway.wire.dns import parse_message

NAME = "www.example.net"


def answer(*records: str, section: str = "answer", name: str = NAME, kind: str = "A") -> bytes:
    """Return an answer whose records are written as in a zone file."""
    message = dns.message.make_response(dns.message.make_query(name, kind, id=7))
    for record in records:
        owner, ttl, klass, rtype, rdata = record.split(" ", 4)
        rrset = dns.rrset.from_text(owner, int(ttl), klass, rtype, rdata)
        getattr(message, section).append(rrset)
    return message.to_wire()


def kept(data: bytes, after: float, *, intranet: bool = False) -> dns.message.Message | None:
    """Return what a cache gives that kept the answer so many seconds ago."""
    cache = Cache()
    question = parse_message(data).question
    cache.put(b"key", data[2:], question, 100.0, intranet=intranet)
    found = cache.get(b"key", 100.0 + after, intranet=intranet)
    assert (found is None) == (len(cache) == 0)
    return None if found is None else dns.message.from_wire(b"\0\7" + found)


def ttls(message: dns.message.Message | None) -> list[int]:
    assert message is not None
    return [rrset.ttl for rrset in (*message.answer, *message.authority, *message.additional)]


def test_times_to_live_run_down_and_end() -> None:
    data = answer(f"{NAME}. 60 IN A 192.0.2.1")
    assert kept(data, 0) == dns.message.from_wire(data)
    assert ttls(kept(data, 0.9)) == [60]
    assert ttls(kept(data, 59.9)) == [1]
    assert kept(data, 60) is None


def test_the_shortest_of_a_chain_counts() -> None:
    data = answer(f"{NAME}. 300 IN CNAME edge.example.org.", "edge.example.org. 20 IN A 192.0.2.1")
    assert ttls(kept(data, 19)) == [281, 1]
    assert kept(data, 20) is None


def test_names_that_the_question_does_not_lead_to_are_not_kept() -> None:
    bank = "bank.example.com. 9999 IN A 192.0.2.66"
    assert kept(answer(f"{NAME}. 60 IN A 192.0.2.1", bank), 0) is None
    assert kept(answer(bank), 0) is None
    circle = answer(f"{NAME}. 60 IN CNAME a.test.", f"a.test. 60 IN CNAME {NAME}.")
    assert kept(circle, 0) is None


def test_an_alias_of_a_whole_zone_is_kept() -> None:
    data = answer(
        "example.net. 60 IN DNAME example.org.",
        f"{NAME}. 60 IN CNAME www.example.org.",
        "www.example.org. 60 IN A 192.0.2.1",
    )
    assert kept(data, 1) is not None


SOA = "ns.example.net. root.example.net. 1 2 3 4 "


def test_no_such_name_is_kept_as_long_as_its_zone_says() -> None:
    data = answer(f"example.net. 100 IN SOA {SOA}40", section="authority")
    assert kept(data, 39) is not None
    assert kept(data, 40) is None
    data = answer(f"example.net. 9999 IN SOA {SOA}9999", section="authority")
    assert kept(data, LONGEST_NEGATIVE - 1) is not None
    assert kept(data, LONGEST_NEGATIVE) is None


def test_no_without_a_zone_or_by_another_zone_is_not_kept() -> None:
    assert kept(answer(), 0) is None
    assert kept(answer(f"example.org. 100 IN SOA {SOA}40", section="authority"), 0) is None
    assert kept(answer("example.net. 100 IN NS ns.example.net.", section="authority"), 0) is None


def test_nothing_is_kept_for_ever_and_nothing_that_says_zero() -> None:
    data = answer(f"{NAME}. 2000000000 IN A 192.0.2.1")
    assert kept(data, LONGEST - 1) is not None
    assert kept(data, LONGEST) is None
    assert kept(answer(f"{NAME}. 0 IN A 192.0.2.1"), 0) is None


def test_what_is_mangled_or_too_long_is_not_kept() -> None:
    data = answer(f"{NAME}. 60 IN A 192.0.2.1")
    assert kept(data[:-1], 0) is None
    cache = Cache()
    cache.put(b"key", bytes(MAXIMUM_ANSWER + 1), parse_message(data).question, 0, intranet=False)
    assert len(cache) == 0


def test_answers_of_the_intranet_are_given_only_while_it_is_there() -> None:
    data = answer(f"{NAME}. 60 IN A 192.0.2.1")
    cache = Cache()
    cache.put(b"key", data[2:], parse_message(data).question, 0, intranet=True)
    assert cache.get(b"key", 1, intranet=False) is None
    assert cache.get(b"key", 1, intranet=True) is not None


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, MAXIMUM_ANSWER)), max_size=600))
def test_it_never_holds_more_than_it_may(steps: list[tuple[int, int]]) -> None:
    cache, question = Cache(), parse_message(answer()).question
    for number, size in steps:
        key = number.to_bytes(4, "big")
        cache.put(key, bytes(size), question, 0, intranet=False)
        assert cache._younger[key].answer == bytes(size)
    halves = (cache._younger, cache._older)
    for half in halves:
        assert sum(len(k) + len(e.answer) for k, e in half.items()) <= MAXIMUM_OCTETS // 2


def test_the_oldest_go_first() -> None:
    cache, question = Cache(), parse_message(answer()).question
    for number in range(MAXIMUM_ENTRIES * 3):
        cache.put(number.to_bytes(4, "big"), b"", question, 0, intranet=False)
        assert len(cache) <= MAXIMUM_ENTRIES
    newest = (MAXIMUM_ENTRIES * 3 - 1).to_bytes(4, "big")
    assert newest in cache._younger
    assert (0).to_bytes(4, "big") not in cache._younger | cache._older
    cache.clear()
    assert len(cache) == 0
