"""Fallback, cache, guessed answers, sizes, TCP: what the stub decides beyond a name's way."""

from collections.abc import Hashable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.policy import Fallback, NRPTRule
from throughway.model.status import TunnelState
from throughway.proto.nrpt import Situation, Stub, Table, Transport
from throughway.proto.nrpt.stub import (
    HOLD_TIME,
    INTRANET_TIME,
    MAXIMUM_WAITERS,
    TCP_AFTER,
    TOTAL_TIME,
    UDP_ATTEMPT_TIME,
    AnswerReady,
    AttemptStarted,
)
from throughway.wire.dns import parse_message

INTRANET, LOCAL = "2001:db8:c0:1::10", "192.168.137.1"
RULES = Table((NRPTRule(namespace=".corp.example.com", servers=(INTRANET,)),))
INSIDE_NAME, OUTSIDE_NAME = "app1.corp.example.com", "www.example.net"


def situation(
    fallback: Fallback = Fallback.NEVER,
    *,
    effective: bool = True,
    local: tuple[str, ...] = (LOCAL,),
    intranet: TunnelState = TunnelState.UP,
) -> Situation:
    return Situation(
        table=RULES,
        effective=effective,
        local_servers=local,
        intranet=intranet,
        fallback=fallback,
    )


class World:
    """A stub with one client; what it asks is remembered."""

    def __init__(self, given: Situation) -> None:
        self.random = 0
        self.machine = Stub(self._bits)
        self.machine.set_situation(given, now=0)
        self.now = 0.0
        self.attempts: list[AttemptStarted] = []
        self.answers: list[tuple[object, dns.message.Message]] = []

    def _bits(self, count: int) -> int:
        self.random += 1
        return (self.random * 0x9E3779B97F4A7C15**8) % (1 << count)

    def ask(
        self,
        name: str,
        client: Hashable = "client",
        *,
        payload: int = 0,
        want_dnssec: bool = False,
        flags: int = dns.flags.RD,
    ) -> None:
        message = dns.message.make_query(name, "A", id=7, want_dnssec=want_dnssec, flags=flags)
        if payload:
            message.use_edns(0, payload=payload)
        self.query(message.to_wire(), client)

    def query(
        self, data: bytes, client: Hashable = "client", transport: Transport = Transport.UDP
    ) -> None:
        self.machine.receive_query(data, client, transport, self.now)
        self.drain()

    def drain(self) -> None:
        while event := self.machine.next_event():
            if isinstance(event, AttemptStarted):
                self.attempts.append(event)
            elif isinstance(event, AnswerReady):
                self.answers.append((event.client, dns.message.from_wire(event.data)))

    def wait(self, until: float) -> None:
        self.now = until
        self.machine.handle_timer(until)
        self.drain()

    def answer(
        self,
        rcode: int = 0,
        address: str = "131.107.7.1",
        *,
        attempt: AttemptStarted | None = None,
        ttl: int = 60,
        flags: int = 0,
    ) -> None:
        sent = attempt or self.attempts[-1]
        query = dns.message.from_wire(sent.data)
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.Rcode(rcode))
        response.flags |= dns.flags.Flag(flags)
        if not rcode and not flags:
            name = query.question[0].name
            response.answer.append(dns.rrset.from_text(name, ttl, "IN", "A", address))
        self.receive(sent, response.to_wire())

    def receive(self, sent: AttemptStarted, data: bytes) -> None:
        self.machine.receive_answer(sent.attempt, data, sent.server, self.now)
        self.drain()

    @property
    def last(self) -> dns.message.Message:
        return self.answers[-1][1]

    @property
    def servers(self) -> list[str]:
        return [attempt.server for attempt in self.attempts]


# Fallback


@pytest.mark.parametrize("fallback", [Fallback.NXDOMAIN, Fallback.PRIVATE, Fallback.ANY])
def test_a_name_that_the_intranet_does_not_have_is_asked_outside(fallback: Fallback) -> None:
    world = World(situation(fallback))
    world.ask(INSIDE_NAME)
    world.answer(dns.rcode.NXDOMAIN)
    assert world.servers == [INTRANET, LOCAL]
    assert not world.attempts[-1].intranet
    world.answer(address="192.168.137.9")
    assert "192.168.137.9" in str(world.last)
    # The next time the intranet may have it.
    world.ask(INSIDE_NAME)
    assert world.servers[-1] == INTRANET


def test_never_means_never() -> None:
    for rcode in (dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, dns.rcode.REFUSED):
        world = World(situation())
        world.ask(INSIDE_NAME)
        world.answer(rcode)
        assert world.servers == [INTRANET]
        assert world.last.rcode() == rcode


@pytest.mark.parametrize(
    ("fallback", "local", "asked"),
    [
        (Fallback.NXDOMAIN, LOCAL, False),
        (Fallback.PRIVATE, LOCAL, True),
        (Fallback.PRIVATE, "fe80::1%eth0", True),
        (Fallback.PRIVATE, "131.107.0.1", False),
        (Fallback.ANY, "131.107.0.1", True),
    ],
)
@pytest.mark.parametrize("tunnel", TunnelState)
def test_silence_is_followed_only_where_the_policy_says(
    fallback: Fallback, local: str, asked: bool, tunnel: TunnelState
) -> None:
    world = World(situation(fallback, local=(local,), intranet=tunnel))
    world.ask(INSIDE_NAME)
    while local not in world.servers and (due := world.machine.timer_at()) is not None:
        world.wait(due)
    assert (local in world.servers) is asked
    if asked:
        world.answer(address="192.0.2.7")
        assert "192.0.2.7" in str(world.last)
        assert world.now <= max(INTRANET_TIME, HOLD_TIME)
    else:
        assert world.last.rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_any_error_is_followed_where_the_policy_says_any(rcode: int) -> None:
    for fallback, asked in ((Fallback.ANY, True), (Fallback.PRIVATE, False)):
        world = World(situation(fallback))
        world.ask(INSIDE_NAME)
        world.answer(rcode)
        assert (LOCAL in world.servers) is asked


@pytest.mark.parametrize("ending", ["no", "silence"])
def test_when_nobody_outside_knows_better_the_intranets_word_counts(ending: str) -> None:
    world = World(situation(Fallback.ANY))
    world.ask(INSIDE_NAME)
    world.answer(dns.rcode.NXDOMAIN)
    if ending == "no":
        world.answer(dns.rcode.SERVFAIL)
    while (due := world.machine.timer_at()) is not None:
        assert due <= TOTAL_TIME
        world.wait(due)
    assert world.last.rcode() == dns.rcode.NXDOMAIN


# The cache


def test_the_same_question_is_asked_once_while_its_answer_lives() -> None:
    world = World(situation())
    world.ask(OUTSIDE_NAME)
    world.answer(ttl=60)
    world.now = 59
    world.ask(OUTSIDE_NAME, "another")
    assert len(world.attempts) == 1
    assert world.answers[-1][0] == "another"
    assert world.last.answer[0].ttl == 1
    assert (world.machine.queries, world.machine.hits) == (2, 1)
    world.now = 60
    world.ask(OUTSIDE_NAME)
    assert len(world.attempts) == 2


def test_what_was_learnt_inside_or_in_another_network_stays_there() -> None:
    inside = situation(effective=False)
    for change in (
        situation(),
        situation(effective=False, local=("192.168.138.1",)),
        situation(Fallback.ANY, effective=False),
    ):
        world = World(inside)
        world.ask(INSIDE_NAME)
        world.answer()
        world.machine.set_situation(change, 1)
        world.ask(INSIDE_NAME)
        assert len(world.attempts) == 2
    world = World(inside)
    world.ask(INSIDE_NAME)
    world.answer()
    world.machine.forget_answers()
    world.ask(INSIDE_NAME)
    assert len(world.attempts) == 2


def test_an_answer_that_comes_after_the_move_is_not_kept() -> None:
    world = World(situation(effective=False))
    world.ask(OUTSIDE_NAME)
    world.machine.set_situation(situation(), 1)  # the same server, by its address
    world.machine.forget_answers()
    world.answer()
    assert len(world.answers) == 1
    assert world.machine.cached == 0


def test_an_intranet_answer_is_not_given_when_the_tunnel_is_down() -> None:
    world = World(situation())
    world.ask(INSIDE_NAME)
    world.answer()
    world.machine.set_situation(situation(intranet=TunnelState.DOWN), 1)
    world.ask(INSIDE_NAME)
    assert world.last.rcode() == dns.rcode.SERVFAIL
    world.machine.set_situation(situation(), 2)
    world.ask(INSIDE_NAME)
    assert world.last.rcode() == dns.rcode.NOERROR
    assert len(world.attempts) == 1


@pytest.mark.parametrize("address", ["10.0.1.10", "172.16.0.1", "192.168.137.9", "100.64.0.1"])
def test_there_is_no_private_address_to_fall_back_to(address: str) -> None:
    """Outside it is somebody else's, in the network around."""
    world = World(situation())
    world.ask(INSIDE_NAME)
    world.answer(address=address, flags=0)
    assert world.last.rcode() == dns.rcode.NOERROR
    assert world.last.answer == []
    world.ask(OUTSIDE_NAME)
    world.answer(address=address)
    assert address in str(world.last.answer[0]), "what local DNS says is said of this network"
    world.machine.set_situation(situation(effective=False), world.now)
    world.ask(INSIDE_NAME)
    world.answer(address=address)
    assert address in str(world.last.answer[0]), "inside it is the intranet's"


def test_public_addresses_of_the_intranet_s_names_stay() -> None:
    world = World(situation())
    world.ask(INSIDE_NAME)
    sent = world.attempts[-1]
    response = dns.message.make_response(dns.message.from_wire(sent.data))
    alias, host = "cloud.example.net.", "131.107.7.1"
    name = response.question[0].name
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", alias))
    response.answer.append(dns.rrset.from_text(alias, 60, "IN", "A", host))
    world.receive(sent, response.to_wire())
    assert [rrset.to_text().split()[-1] for rrset in world.last.answer] == [alias, host]
    response.answer[1] = dns.rrset.from_text(alias, 60, "IN", "A", host, "10.0.0.7")
    response.flags |= dns.flags.AD
    world.machine.forget_answers()
    world.ask(INSIDE_NAME)
    again = world.attempts[-1]
    response.id = int.from_bytes(again.data[:2], "big")
    response.question = dns.message.from_wire(again.data).question
    world.receive(again, response.to_wire())
    assert world.last.answer == [], "not one of them"
    assert not world.last.flags & (dns.flags.AD | dns.flags.TC)


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR])
def test_failures_are_not_kept(rcode: int) -> None:
    world = World(situation())
    world.ask(OUTSIDE_NAME)
    world.answer(rcode)
    world.ask(OUTSIDE_NAME)
    assert len(world.attempts) == 2


def test_what_is_asked_differently_is_another_question() -> None:
    world = World(situation())
    for dnssec, flags in ((False, 0), (True, 0), (False, dns.flags.CD)):
        world.ask(OUTSIDE_NAME, want_dnssec=dnssec, flags=dns.flags.RD | flags)
        world.answer()
    assert len(world.attempts) == 3


def test_clients_that_ask_the_same_wait_for_one_answer() -> None:
    world = World(situation())
    for number in range(MAXIMUM_WAITERS + 1):
        world.ask(OUTSIDE_NAME, number)
    assert len(world.attempts) == 1
    assert [client for client, _ in world.answers] == [MAXIMUM_WAITERS]
    world.machine.forget_client(3)
    world.answer()
    told = [client for client, _ in world.answers[1:]]
    assert told == [n for n in range(MAXIMUM_WAITERS) if n != 3]


# Guessed answers


def test_names_outside_are_spelled_at_random_and_given_back_as_asked() -> None:
    world = World(situation())
    for name in ("Www.Example.NET", "www.example.org"):
        world.ask(name)
        asked = world.attempts[-1].data
        assert asked[12:29] != world.attempts[-1].data[12:29].lower()
        world.answer()
        assert world.last.question[0].name.to_text(omit_final_dot=True) == name


def test_the_wrong_case_is_not_believed_but_asked_again_in_plain() -> None:
    world = World(situation())
    world.ask(OUTSIDE_NAME)
    first = world.attempts[-1]
    lower = first.data[:12] + first.data[12:].lower()
    plain = dns.message.make_response(dns.message.from_wire(lower))
    plain.answer.append(dns.rrset.from_text(f"{OUTSIDE_NAME}.", 60, "IN", "A", "192.0.2.66"))
    world.receive(first, plain.to_wire())
    assert world.answers == []
    again = world.attempts[-1]
    assert again.server == LOCAL
    assert again.data[12:] == lower[12:]
    world.receive(first, plain.to_wire())
    assert world.answers == []
    world.answer()
    assert "131.107.7.1" in str(world.last)
    world.ask("a.example.net")
    assert world.attempts[-1].data[12:].lower() == world.attempts[-1].data[12:]


def test_within_the_tunnel_names_pass_as_they_are() -> None:
    world = World(situation())
    world.ask("ApP1.corp.example.com")
    assert b"ApP1" in world.attempts[-1].data


# Sizes and TCP


def test_nobody_is_told_that_we_take_more_than_fits_a_packet() -> None:
    world = World(situation())
    for payload, told in ((4096, 1232), (1000, 1000), (100, 100)):
        world.ask(f"h{payload}.example.net", payload=payload)
        assert dns.message.from_wire(world.attempts[-1].data).payload == told


def test_an_answer_that_was_cut_for_us_is_fetched_by_tcp_for_who_takes_more() -> None:
    world = World(situation())
    world.ask(OUTSIDE_NAME, payload=4096)
    world.answer(flags=dns.flags.TC)
    assert world.attempts[-1].transport is Transport.TCP
    assert world.answers == []
    world.answer()
    assert "131.107.7.1" in str(world.last)


def test_who_takes_no_more_is_told_that_it_was_cut() -> None:
    world = World(situation())
    world.ask(OUTSIDE_NAME)
    world.answer(flags=dns.flags.TC)
    assert world.last.flags & dns.flags.TC
    assert len(world.attempts) == 1
    assert world.machine.cached == 0


def test_an_answer_longer_than_the_client_takes_is_cut_here() -> None:
    world = World(situation())
    world.ask(OUTSIDE_NAME)
    sent = world.attempts[-1]
    response = dns.message.make_response(dns.message.from_wire(sent.data))
    name = response.question[0].name
    hosts = [f"192.0.2.{number}" for number in range(100)]
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", *hosts))
    world.receive(sent, response.to_wire(max_size=65535))
    assert world.last.flags & dns.flags.TC
    assert not world.last.answer
    assert world.last.question[0].name.to_text() == f"{OUTSIDE_NAME}."


def test_where_udp_is_lost_tcp_is_tried() -> None:
    world = World(situation())
    world.ask(OUTSIDE_NAME)
    while world.attempts[-1].transport is Transport.UDP:
        due = world.machine.timer_at()
        assert due is not None
        world.wait(due)
    assert world.now == pytest.approx(TCP_AFTER)
    assert len(world.attempts) == 1 + TCP_AFTER / UDP_ATTEMPT_TIME
    world.answer()
    assert world.last.rcode() == dns.rcode.NOERROR


def test_a_tcp_client_gets_all_of_it_and_udp_clients_only_what_fits() -> None:
    world = World(situation())
    query = dns.message.make_query(OUTSIDE_NAME, "A", id=9).to_wire()
    world.query(query, "tcp", Transport.TCP)
    sent = world.attempts[-1]
    response = dns.message.make_response(dns.message.from_wire(sent.data))
    hosts = [f"192.0.2.{number}" for number in range(100)]
    name = response.question[0].name
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", *hosts))
    world.receive(sent, response.to_wire(max_size=65535))
    assert len(world.last.answer[0]) == 100
    world.query(query, "udp")
    assert len(world.attempts) == 2


# All of it together

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from([INSIDE_NAME, OUTSIDE_NAME])),
        st.tuples(st.just("answer"), st.sampled_from([0, 2, 3, 5])),
        st.tuples(st.just("lower"), st.none()),
        st.tuples(st.just("wait"), st.floats(0, 3)),
        st.tuples(st.just("situation"), st.tuples(st.booleans(), st.sampled_from(TunnelState))),
        st.tuples(st.just("forget"), st.none()),
    ),
    max_size=30,
)


@given(STEPS, st.sampled_from(Fallback))
def test_everybody_is_answered_once_and_never_from_another_place(
    steps: list[tuple[str, object]], fallback: Fallback
) -> None:
    """Inside servers say 131.107.0.1, local ones 10.0.0.2, when they are asked inside 10.0.0.3."""
    world, clients, effective = World(situation(fallback)), 0, True
    open_attempts: dict[int, tuple[AttemptStarted, bool]] = {}
    for what, detail in steps:
        seen = len(world.attempts)
        told = len(world.answers)
        if what == "ask":
            clients += 1
            world.ask(str(detail), clients)
        elif what == "answer" and open_attempts:
            sent, inside = open_attempts[max(open_attempts)]
            address = "131.107.0.1" if sent.intranet else "10.0.0.3" if inside else "10.0.0.2"
            world.answer(int(str(detail)), address, attempt=sent)
        elif what == "lower" and open_attempts:
            sent, _ = open_attempts[max(open_attempts)]
            world.receive(sent, sent.data[:2] + b"\x81\x80" + sent.data[4:12].lower())
        elif what == "wait":
            world.wait(world.now + float(str(detail)))
        elif what == "situation":
            assert isinstance(detail, tuple)
            effective, tunnel = detail
            new = situation(fallback, effective=effective, intranet=tunnel)
            world.machine.set_situation(new, world.now)
            world.drain()
        elif what == "forget":
            world.machine.forget_answers()
        for attempt in world.attempts[seen:]:
            open_attempts[attempt.attempt] = attempt, not effective
            name = parse_message(attempt.data).question.name
            if effective and name == INSIDE_NAME and fallback is Fallback.NEVER:
                assert attempt.intranet
        if what == "ask":
            for _, message in world.answers[told:]:
                if any("10.0.0.3" in str(rrset) for rrset in message.answer):
                    assert not effective
    final = situation(local=(), intranet=TunnelState.DOWN)
    world.machine.set_situation(final, world.now)
    world.drain()
    assert world.machine.pending == 0
    assert sorted(str(client) for client, _ in world.answers) == sorted(
        map(str, range(1, clients + 1))
    )


def test_long_questions_are_answered_and_not_remembered() -> None:
    """A program could fill the memory with them: 64 KiB each by TCP."""
    world = World(situation())
    message = dns.message.make_query(OUTSIDE_NAME, "A", use_edns=0, pad=1024, payload=2048)
    for _ in range(2):
        world.query(message.to_wire(max_size=4096), transport=Transport.TCP)
        world.answer(ttl=0)
    assert [answer.rcode() for _, answer in world.answers] == [0, 0]
    assert not world.machine._known
    world.ask(OUTSIDE_NAME)
    assert len(world.machine._known) == 1
