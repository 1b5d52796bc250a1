"""Garbage from clients and servers: dropped or refused, never a crash."""

import contextlib

import dns.message
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.model.policy import NRPTRule
from throughway.model.status import TunnelState
from throughway.proto.nrpt import Situation, Stub, Table, Transport
from throughway.proto.nrpt.stub import AnswerReady, AttemptStarted
from throughway.wire.dns import build_refusal, parse_addresses, parse_message

QUERY = dns.message.make_query("app1.corp.example.com", "A", use_edns=0).to_wire()


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    data = bytearray(QUERY)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


MESSAGES = st.one_of(st.binary(max_size=80), mangled(), st.just(QUERY))


@given(MESSAGES)
def test_parsers_raise_wire_error_or_nothing(data: bytes) -> None:
    for parse in (parse_message, parse_addresses, lambda d: build_refusal(d, 2, "text")):
        with contextlib.suppress(WireError):
            parse(data)


@given(st.lists(st.tuples(MESSAGES, MESSAGES), max_size=10), st.sampled_from(TunnelState))
def test_the_stub_lives_through_garbage(
    pairs: list[tuple[bytes, bytes]], tunnel: TunnelState
) -> None:
    rules = Table((NRPTRule(namespace=".corp.example.com", servers=("::1",)),))
    machine = Stub(lambda bits: 1)
    machine.set_situation(
        Situation(table=rules, effective=True, local_servers=("127.0.0.1",), intranet=tunnel), now=0
    )
    for number, (data, answer) in enumerate(pairs):
        machine.receive_query(data, number, Transport.UDP, now=0)
        while event := machine.next_event():
            if isinstance(event, AttemptStarted):
                machine.receive_answer(event.attempt, answer, event.server, now=0)
                machine.receive_answer(event.attempt, b"\0\1" + answer[2:], event.server, now=0)
            if isinstance(event, AnswerReady):
                assert event.data[2] & 0x80
    while (due := machine.timer_at()) is not None:
        machine.handle_timer(due)
    assert machine.pending == 0
