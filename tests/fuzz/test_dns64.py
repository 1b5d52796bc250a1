"""Answers of the intranet's servers, as wrong as can be: clients get a message or nothing."""

import asyncio

import dns.message
import dns.rdataclass
import dns.rrset
from hypothesis import example, given
from hypothesis import strategies as st

from throughway.gateway.dns64 import DNS64, Forwarder
from throughway.model.config import NAT64Config

CONFIG = NAT64Config(
    prefix="2001:db8:c0:7777::/96",
    ipv4_prefixes=("10.0.0.0/16",),
    listen=(("::1", 53),),
    servers=("::1",),
    exclude_prefixes=("2001:db8:bad::/48",),
)
NAMES = ("app4.corp.example.com.", "84.2.0.10.in-addr.arpa.", "ipv4only.arpa.")
REVERSE = "4.5.2.0.0.0.a.0.0.0.0.0.0.0.0.0.7.7.7.7.0.c.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
RECORDS = {
    "A": "10.0.2.84",
    "AAAA": "2001:db8:bad::1",
    "CNAME": "app4.corp.example.com.",
    "DNAME": "example.com.",
    "PTR": "app4.corp.example.com.",
    "SOA": "a. b. 1 2 3 4 5",
}


class Hostile(Forwarder):
    """Answers what a test says, to the question that was asked."""

    def __init__(self, answers: list[tuple[list[tuple[str, str, str]], bytes, int]]) -> None:
        super().__init__((), lambda _: None)
        self._answers = answers
        self._asked = 0

    async def ask(self, query: bytes, *, by_tcp: bool) -> bytes:
        records, rest, rcode = self._answers[self._asked % len(self._answers)]
        self._asked += 1
        read = dns.message.from_wire(query)
        answer = dns.message.Message(read.id)
        answer.flags |= dns.flags.QR
        answer.question = read.question
        for owner, rdclass, kind in records:
            generic = rdclass != "IN"  # as dnspython reads what it does not know
            text = "\\# 4 0a000254" if generic else RECORDS[kind]
            answer.answer.append(dns.rrset.from_text(owner, 60, rdclass, kind, text))
        data = bytearray(answer.to_wire())
        data[3] |= rcode
        return bytes(data) + rest if not rest or not records else bytes(data[: -len(rest)]) + rest


ANSWERS = st.lists(
    st.tuples(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES),
                st.sampled_from(("IN", "IN", "HS", "NONE")),
                st.sampled_from(tuple(RECORDS)),
            ),
            max_size=4,
        ),
        st.binary(max_size=8),
        st.integers(0, 15),
    ),
    min_size=1,
    max_size=3,
)


@example(NAMES[0], "AAAA", False, [([(NAMES[0], "HS", "AAAA")], b"", 0)])
@example(NAMES[0], "AAAA", False, [([], b"", 0), ([(NAMES[0], "HS", "A")], b"", 0)])
@given(st.sampled_from((*NAMES, REVERSE)), st.sampled_from(("AAAA", "PTR")), st.booleans(), ANSWERS)
def test_answers(
    name: str,
    kind: str,
    tcp: bool,
    answers: list[tuple[list[tuple[str, str, str]], bytes, int]],
) -> None:
    query = dns.message.make_query(name, kind, use_edns=0).to_wire()
    dns64 = DNS64(CONFIG, lambda _: None)
    dns64._forwarder = Hostile(answers)
    answer = asyncio.run(dns64.answer(query, by_tcp=tcp))
    assert answer is None or answer[:2] == query[:2]
