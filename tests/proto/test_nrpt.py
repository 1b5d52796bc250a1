"""The Name Resolution Policy Table and the stub, driven without a socket; dnspython is the peer."""

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.model.policy import NRPTRule
from throughway.model.status import TunnelState
from throughway.proto.nrpt import Situation, Stub, Table, Transport
from throughway.proto.nrpt.query import TRANSITIONS, Input, State
from throughway.proto.nrpt.stub import (
    HOLD_TIME,
    MAXIMUM_PENDING,
    TOTAL_TIME,
    UDP_ATTEMPT_TIME,
    AnswerReady,
    AttemptEnded,
    AttemptStarted,
    Event,
    IntranetServersChanged,
)
from throughway.wire.dns import (
    build_query,
    build_refusal,
    labels_of,
    parse_addresses,
    parse_message,
)

INTRANET = ("2001:db8:c0:1::10", "2001:db8:c0:1::11")
LOCAL = ("192.168.137.1", "fe80::1%eth0")
SUFFIX = NRPTRule(namespace=".corp.example.com", servers=INTRANET)
EXEMPT = NRPTRule(namespace="nls.corp.example.com")
DEEPER = NRPTRule(namespace=".lab.corp.example.com", servers=("2001:db8:c0:9::1",))
PUBLIC = NRPTRule(namespace=".crl.corp.example.com")
ANY = NRPTRule(namespace=".", servers=("2001:db8:c0:1::99",))
RULES = (SUFFIX, EXEMPT, DEEPER, PUBLIC)


def outside(intranet: TunnelState = TunnelState.UP, local: tuple[str, ...] = LOCAL) -> Situation:
    return Situation(table=Table(RULES), effective=True, local_servers=local, intranet=intranet)


def stub(situation: Situation) -> Stub:
    numbers = iter(range(40000, 60000))
    machine = Stub(lambda bits: next(numbers))
    machine.set_situation(situation, now=0)
    return machine


def query(name: str = "app1.corp.example.com", *, edns: bool = True, kind: str = "AAAA") -> bytes:
    return dns.message.make_query(name, kind, use_edns=0 if edns else -1, id=7).to_wire()


def answer_to(attempt: AttemptStarted, rcode: int = 0) -> bytes:
    answer = dns.message.make_response(dns.message.from_wire(attempt.data))
    answer.set_rcode(dns.rcode.Rcode(rcode))
    return answer.to_wire()


def events(machine: Stub) -> list[Event]:
    return list(iter(machine.next_event, None))


def attempts(machine: Stub) -> list[AttemptStarted]:
    return [event for event in events(machine) if isinstance(event, AttemptStarted)]


def asked(machine: Stub, name: str = "app1.corp.example.com") -> AttemptStarted:
    machine.receive_query(query(name), "client", Transport.UDP, now=0)
    (attempt,) = attempts(machine)
    return attempt


def refusal(machine: Stub) -> dns.message.Message:
    (ready,) = [event for event in events(machine) if isinstance(event, AnswerReady)]
    return dns.message.from_wire(ready.data)


# The table


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("app1.corp.example.com", SUFFIX),
        ("corp.example.com", SUFFIX),
        ("APP1.Corp.Example.COM.", SUFFIX),
        ("a.b.c.corp.example.com", SUFFIX),
        ("nls.corp.example.com", EXEMPT),
        ("x.nls.corp.example.com", SUFFIX),
        ("host.lab.corp.example.com", DEEPER),
        ("lab.corp.example.com", DEEPER),
        ("xlab.corp.example.com", SUFFIX),
        ("root.crl.corp.example.com", PUBLIC),
        ("xcorp.example.com", ANY),
        ("example.com", ANY),
        ("com", ANY),
        (".", ANY),
    ],
)
def test_the_most_specific_rule_wins(name: str, rule: NRPTRule) -> None:
    assert Table((ANY, *RULES)).match_name(name) is rule
    assert Table((*reversed(RULES), ANY)).match_name(name) is rule


def test_without_a_rule_for_any_name_others_match_nothing() -> None:
    assert Table(RULES).match_name("www.example.net") is None
    assert Table().match_name("www.example.net") is None


def test_names_beyond_ascii_are_compared_as_a_labels() -> None:
    rule = NRPTRule(namespace=".bücher.example", servers=INTRANET)
    assert Table((rule,)).match_name("xn--bcher-kva.example") is rule
    assert Table((rule,)).match_name("www.BÜCHER.example") is rule


def test_the_first_of_two_rules_for_one_namespace_counts() -> None:
    first, second = NRPTRule(namespace=".a", servers=INTRANET), NRPTRule(namespace=".A")
    assert Table((first, second)).match_name("x.a") is first


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example", ".".join(["x" * 50] * 6)])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(WireError):
        labels_of(name)


LABEL = st.text("abcXYZ-_0", min_size=1, max_size=5)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


def reference(rules: list[NRPTRule], name: str) -> NRPTRule | None:
    """Return the rule by plain comparison of text."""
    name = name.lower().rstrip(".")
    best, length = None, -1
    for rule in rules:
        space = rule.namespace.lower()
        exact = space == name
        suffix = space.startswith(".") and (space == "." or f".{name}".endswith(space))
        score = 1000 if exact else len(space) if suffix else -1
        if score > length:
            best, length = rule, score
    return best


@given(
    st.lists(st.one_of(NAME, NAME.map(".{}".format), st.just(".")), max_size=6),
    NAME,
    st.booleans(),
)
def test_matching_agrees_with_a_plain_reference(spaces: list[str], name: str, dot: bool) -> None:
    rules = [NRPTRule(namespace=space) for space in spaces]
    assert Table(rules).match_name(name + "." * dot) is reference(rules, name)


# Where a name goes


def test_intranet_names_go_to_the_rules_servers_and_others_to_local_dns() -> None:
    machine = stub(outside())
    for name, servers, intranet in [
        ("app1.corp.example.com", INTRANET, True),
        ("nls.corp.example.com", LOCAL, False),
        ("www.example.net", LOCAL, False),
    ]:
        machine.receive_query(query(name), name, Transport.UDP, now=0)
        (attempt,) = attempts(machine)
        assert attempt.server == servers[0]
        assert attempt.intranet is intranet


def test_inside_every_name_goes_to_local_dns() -> None:
    situation = Situation(table=Table(RULES), effective=False, local_servers=LOCAL)
    assert asked(stub(situation)).server == LOCAL[0]


def test_the_answer_comes_back_under_the_clients_number() -> None:
    machine = stub(outside())
    attempt = asked(machine)
    assert attempt.data[2:] == query()[2:]
    assert parse_message(attempt.data).id == 40000
    machine.receive_answer(attempt.attempt, answer_to(attempt), INTRANET[0], now=0.1)
    ended, *_, ready = [e for e in events(machine) if not isinstance(e, IntranetServersChanged)]
    assert ended == AttemptEnded(attempt.attempt)
    assert isinstance(ready, AnswerReady)
    assert ready.client == "client"
    assert dns.message.from_wire(query()).is_response(dns.message.from_wire(ready.data))
    assert machine.timer_at() is None


def test_answers_that_do_not_fit_are_dropped() -> None:
    machine = stub(outside())
    attempt = asked(machine)
    good = answer_to(attempt)
    other = dns.message.make_response(dns.message.make_query("evil.example", "AAAA"))
    other.id = 40000
    for data, address in [
        (b"\0\1" + good[2:], INTRANET[0]),
        (good, INTRANET[1]),
        (attempt.data, INTRANET[0]),
        (other.to_wire(), INTRANET[0]),
        (good[:11], INTRANET[0]),
        (b"", INTRANET[0]),
    ]:
        machine.receive_answer(attempt.attempt, data, address, now=0.1)
        assert events(machine) == []
    machine.receive_answer(attempt.attempt + 1, good, INTRANET[0], now=0.1)
    assert events(machine) == []
    machine.receive_answer(attempt.attempt, good, "2001:DB8:c0:1:0::10", now=0.1)
    assert AnswerReady("client", good[:0] + b"\0\7" + good[2:]) in events(machine)


def test_a_link_local_server_answers_without_its_zone() -> None:
    machine = stub(outside(local=("fe80::1%eth0",)))
    attempt = asked(machine, "www.example.net")
    machine.receive_answer(attempt.attempt, answer_to(attempt), "fe80::1", now=0.1)
    assert machine.pending == 0


# The tunnel is not there


def test_with_the_tunnel_down_an_intranet_name_is_refused_at_once() -> None:
    machine = stub(outside(TunnelState.DOWN))
    machine.receive_query(query(), "client", Transport.UDP, now=0)
    answer = refusal(machine)
    assert answer.rcode() == dns.rcode.SERVFAIL
    assert answer.question == dns.message.from_wire(query()).question
    (error,) = answer.options
    assert isinstance(error, dns.edns.EDEOption)
    assert (error.code, error.text) == (23, "the infrastructure tunnel is down")


def test_a_query_without_edns_gets_no_edns_back() -> None:
    machine = stub(outside(TunnelState.DOWN))
    machine.receive_query(query(edns=False), "client", Transport.UDP, now=0)
    answer = refusal(machine)
    assert answer.rcode() == dns.rcode.SERVFAIL
    assert answer.edns == -1


def test_while_the_tunnel_is_coming_a_query_is_held_and_then_asked() -> None:
    machine = stub(outside(TunnelState.CONNECTING))
    machine.receive_query(query(), "client", Transport.UDP, now=1)
    assert events(machine) == []
    assert machine.timer_at() == 1 + HOLD_TIME
    machine.set_situation(outside(TunnelState.UP), now=2)
    (attempt,) = attempts(machine)
    assert attempt.server == INTRANET[0]


def test_a_query_is_not_held_for_ever() -> None:
    machine = stub(outside(TunnelState.CONNECTING))
    machine.receive_query(query(), "client", Transport.UDP, now=1)
    machine.handle_timer(1 + HOLD_TIME)
    assert refusal(machine).rcode() == dns.rcode.SERVFAIL
    assert machine.pending == 0


def test_a_query_under_way_inside_is_not_repeated_in_plain_outside() -> None:
    machine = stub(Situation(table=Table(RULES), effective=False, local_servers=LOCAL))
    first = asked(machine)
    assert first.server == LOCAL[0]
    machine.set_situation(outside(TunnelState.CONNECTING), now=0.5)
    assert events(machine) == [AttemptEnded(first.attempt)]
    machine.handle_timer(1.9)
    assert attempts(machine) == []
    machine.set_situation(outside(TunnelState.UP), now=1.95)
    assert {attempt.server for attempt in attempts(machine)} <= set(INTRANET)


def test_queries_for_local_names_do_not_wait_for_the_tunnel() -> None:
    machine = stub(outside(TunnelState.CONNECTING))
    assert asked(machine, "www.example.net").server == LOCAL[0]


def test_without_local_servers_a_local_name_is_refused() -> None:
    machine = stub(outside(local=()))
    machine.receive_query(query("www.example.net"), "client", Transport.UDP, now=0)
    assert refusal(machine).rcode() == dns.rcode.SERVFAIL


# Several servers


def test_a_silent_server_is_followed_by_the_next_and_asked_last_for_a_while() -> None:
    machine = stub(outside())
    first = asked(machine)
    assert machine.timer_at() == UDP_ATTEMPT_TIME
    machine.handle_timer(UDP_ATTEMPT_TIME)
    (second,) = attempts(machine)
    assert (first.server, second.server) == INTRANET
    machine.receive_answer(second.attempt, answer_to(second), second.server, now=1.1)
    machine.receive_query(query("dc1.corp.example.com"), "client", Transport.UDP, now=1.2)
    assert attempts(machine)[0].server == INTRANET[1]


def test_a_late_answer_of_the_first_server_counts() -> None:
    machine = stub(outside())
    first = asked(machine)
    machine.handle_timer(UDP_ATTEMPT_TIME)
    machine.receive_answer(first.attempt, answer_to(first), first.server, now=1.2)
    assert machine.pending == 0


def test_an_unreachable_server_is_followed_by_the_next_at_once() -> None:
    machine = stub(outside())
    first = asked(machine)
    machine.receive_failure(first.attempt, now=0.01)
    (second,) = attempts(machine)
    assert second.server == INTRANET[1]
    machine.receive_failure(second.attempt, now=0.02)
    assert attempts(machine) == []
    machine.handle_timer(UDP_ATTEMPT_TIME + 0.01)
    (third,) = attempts(machine)
    machine.receive_failure(third.attempt, now=1.1)
    (fourth,) = attempts(machine)
    machine.receive_failure(fourth.attempt, now=1.1)
    assert refusal(machine).rcode() == dns.rcode.SERVFAIL


def test_silence_ends_in_a_refusal_before_the_clients_patience_does() -> None:
    machine = stub(outside())
    asked(machine)
    while (due := machine.timer_at()) is not None:
        assert due <= TOTAL_TIME < 5
        machine.handle_timer(due)
    found = events(machine)
    assert IntranetServersChanged(False, INTRANET) in found
    answers = [event for event in found if isinstance(event, AnswerReady)]
    assert len(answers) == 1
    assert dns.message.from_wire(answers[0].data).rcode() == dns.rcode.SERVFAIL


def test_servers_that_answer_again_are_announced_once() -> None:
    machine = stub(outside())
    found: list[Event] = []
    for number in range(2):
        attempt = asked(machine, f"app{number}.corp.example.com")
        machine.receive_answer(attempt.attempt, answer_to(attempt), attempt.server, now=0)
        found += events(machine)
    assert [e for e in found if isinstance(e, IntranetServersChanged)] == [
        IntranetServersChanged(True, INTRANET)
    ]


def test_a_server_that_refuses_is_followed_by_the_next_but_its_words_are_kept() -> None:
    machine = stub(outside())
    first = asked(machine)
    machine.receive_answer(first.attempt, answer_to(first, dns.rcode.REFUSED), first.server, now=0)
    (second,) = attempts(machine)
    assert second.server == INTRANET[1]
    refused = answer_to(second, dns.rcode.REFUSED)
    machine.receive_answer(second.attempt, refused, second.server, now=0)
    assert refusal(machine).rcode() == dns.rcode.REFUSED


def test_no_such_name_is_an_answer() -> None:
    machine = stub(outside())
    attempt = asked(machine)
    data = answer_to(attempt, dns.rcode.NXDOMAIN)
    machine.receive_answer(attempt.attempt, data, attempt.server, now=0)
    assert refusal(machine).rcode() == dns.rcode.NXDOMAIN


# Clients


def test_a_client_that_repeats_itself_is_asked_for_once() -> None:
    machine = stub(outside())
    asked(machine)
    machine.receive_query(query(), "client", Transport.UDP, now=0.5)
    assert events(machine) == []
    machine.receive_query(query(kind="A"), "client", Transport.UDP, now=0.5)
    assert len(attempts(machine)) == 1


def test_a_client_that_is_gone_is_forgotten() -> None:
    machine = stub(outside())
    attempt = asked(machine)
    machine.forget_client("client")
    assert events(machine) == [AttemptEnded(attempt.attempt)]
    assert machine.pending == 0


def test_the_number_of_queries_is_bounded() -> None:
    machine = stub(outside())
    for number in range(MAXIMUM_PENDING + 5):
        name = f"app{number}.corp.example.com"
        machine.receive_query(query(name), number, Transport.UDP, now=0)
    assert machine.pending == MAXIMUM_PENDING
    refused = [event for event in events(machine) if isinstance(event, AnswerReady)]
    assert [event.client for event in refused] == list(range(MAXIMUM_PENDING, MAXIMUM_PENDING + 5))


def test_what_is_no_query_is_refused_or_ignored() -> None:
    machine = stub(outside())
    update = bytearray(query())
    update[2] |= 5 << 3
    two = bytearray(query())
    two[5] = 2
    for mangled, rcode in [(update, dns.rcode.NOTIMP), (two, dns.rcode.FORMERR)]:
        machine.receive_query(bytes(mangled), "client", Transport.UDP, now=0)
        (ready,) = events(machine)
        assert isinstance(ready, AnswerReady)
        assert ready.data[3] & 0xF == rcode
    for data in (b"", query()[:11], b"\0\7\x80\0" + query()[4:]):
        machine.receive_query(data, "client", Transport.UDP, now=0)
    assert events(machine) == []


def test_only_our_own_faults_are_refused() -> None:
    assert {s for s, _ in TRANSITIONS} == {State.RECEIVED, State.HELD, State.ASKED}
    for state in (State.RECEIVED, State.HELD, State.ASKED):
        for what in (Input.ROUTE_OPEN, Input.ROUTE_COMING, Input.ROUTE_CLOSED):
            assert (state, what) in TRANSITIONS


# Messages


def test_our_query_is_read_by_dnspython() -> None:
    message = dns.message.from_wire(build_query(5, labels_of("da.example.com"), 28))
    assert message.id == 5
    assert message.question[0].to_text() == "da.example.com. IN AAAA"
    assert message.edns == 0
    assert message.flags == dns.flags.RD


def test_addresses_are_read_behind_an_alias() -> None:
    answer = dns.message.make_response(dns.message.make_query("da.example.com", "A"))
    answer.answer = [
        dns.rrset.from_text("da.example.com.", 60, "IN", "CNAME", "edge.example.com."),
        dns.rrset.from_text("edge.example.com.", 60, "IN", "A", "131.107.0.2", "131.107.0.3"),
        dns.rrset.from_text("edge.example.com.", 60, "IN", "AAAA", "2001:db8::1"),
    ]
    *ipv4, ipv6 = parse_addresses(answer.to_wire())
    assert sorted(ipv4) == ["131.107.0.2", "131.107.0.3"], "dnspython shuffles records"
    assert ipv6 == "2001:db8::1"


def test_a_refusal_keeps_what_was_asked() -> None:
    asked_for = dns.message.make_query("a.example", "MX", want_dnssec=True)
    data = build_refusal(asked_for.to_wire(), 2, "why")
    assert data is not None
    answer = dns.message.from_wire(data)
    assert asked_for.is_response(answer)
    assert answer.flags & dns.flags.RA
    assert answer.flags & dns.flags.RD


NAMES = st.sampled_from(
    ["app1.corp.example.com", "nls.corp.example.com", "www.example.net", "x.lab.corp.example.com"]
)
WORLD = st.one_of(
    st.tuples(st.just("query"), NAMES),
    st.tuples(st.just("answer"), st.integers(0, 3)),
    st.tuples(st.just("failure"), st.none()),
    st.tuples(st.just("wait"), st.floats(0, 3)),
    st.tuples(st.just("tunnel"), st.sampled_from(TunnelState)),
    st.tuples(st.just("inside"), st.booleans()),
)


@given(st.lists(WORLD, max_size=40))
def test_intranet_names_are_never_asked_of_local_dns_outside(
    steps: list[tuple[str, object]],
) -> None:
    machine, now, clients, answered = stub(outside()), 0.0, 0, []
    open_attempts: dict[int, AttemptStarted] = {}
    for what, detail in steps:
        last = next(reversed(open_attempts.values()), None)
        match what:
            case "query":
                clients += 1
                machine.receive_query(query(str(detail)), clients, Transport.UDP, now)
            case "answer" if last and isinstance(detail, int):
                data = answer_to(last, detail)
                machine.receive_answer(last.attempt, data, last.server, now)
            case "failure" if last:
                machine.receive_failure(last.attempt, now)
            case "wait":
                assert isinstance(detail, float)
                now += detail
                machine.handle_timer(now)
            case "tunnel":
                assert isinstance(detail, TunnelState)
                machine.set_situation(outside(detail), now)
            case "inside":
                local = Situation(table=Table(RULES), effective=False, local_servers=LOCAL)
                machine.set_situation(local if detail else outside(), now)
        for event in events(machine):
            if isinstance(event, AttemptStarted):
                open_attempts[event.attempt] = event
                rule = Table(RULES).match(parse_message(event.data).question.labels)
                private = rule is not None and not rule.exemption
                if machine.situation.effective and private:
                    assert event.intranet
                    assert rule is not None
                    assert event.server in rule.servers
                    assert machine.situation.intranet is TunnelState.UP
            elif isinstance(event, AttemptEnded):
                del open_attempts[event.attempt]
            elif isinstance(event, AnswerReady):
                answered.append(event.client)
        assert (machine.timer_at() is None) == (machine.pending == 0)
        assert len(open_attempts) <= 2 * machine.pending
    machine.set_situation(outside(TunnelState.DOWN, local=()), now)
    answered += [e.client for e in events(machine) if isinstance(e, AnswerReady)]
    assert sorted(map(str, answered)) == sorted(map(str, range(1, clients + 1)))
