"""Hostile 6to4: whatever comes, a packet passes or is counted, and nothing else happens."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proto.test_sixtofour import (
    CLIENT,
    ENDPOINTS,
    FIRST,
    NONCE,
    OURS,
    answer,
    client,
    gateway,
    inner,
    outer,
)
from throughway.proto.sixtofour import OUTER_LENGTH, Budget, Gate, Prover, State

ROUNDS = 3000


def seeds(prover: Prover) -> list[bytes]:
    """Return sound packets with their outer headers."""
    prover.use(OURS, 0.0)
    questions = prover.packets_to_send()
    return [
        outer(CLIENT, FIRST) + inner(OURS, ENDPOINTS[0]),
        *(outer(CLIENT, FIRST) + question for question in questions),
        *(outer(FIRST, CLIENT) + answer(question) for question in questions),
    ]


def offer(gate: Gate, prover: Prover, data: bytes, now: float) -> None:
    """Let the bytes in as the driver does."""
    header = bytearray(data[:OUTER_LENGTH].ljust(OUTER_LENGTH, b"\0"))
    packet = data[OUTER_LENGTH:]
    before = gate.drops.total()
    passed = gate.admit(header, bytearray(packet), 0, len(packet), now)
    assert gate.drops.total() == before + (not passed)
    if passed:
        prover.receive_packet(packet, now)
    if len(packet) >= 40:
        source, destination = gate.route(packet, 0)
        assert bool(source) == bool(destination)


@pytest.mark.parametrize("make", [lambda: gateway(Budget()), client], ids=["gateway", "client"])
def test_changed_packets(make: Callable[[], Gate]) -> None:
    gate, prover = make(), Prover(ENDPOINTS, nonce=NONCE)
    chance, sound = random.Random(3964), seeds(prover)
    for number in range(ROUNDS):
        data = bytearray(chance.choice(sound))
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    del data[at : at + chance.randrange(1, 9)]
                case _:
                    data[at:at] = chance.randbytes(chance.randrange(1, 9))
            data = data or bytearray(1)
        offer(gate, prover, bytes(data), number / 1000)


@given(st.lists(st.binary(max_size=120), max_size=10))
def test_any_bytes(packets: list[bytes]) -> None:
    prover = Prover(ENDPOINTS, nonce=NONCE)
    prover.use(OURS, 0.0)
    for gate in (gateway(Budget()), client()):
        for data in packets:
            offer(gate, prover, data, 0.0)
    assert prover.state is State.PROVING
    assert not prover.proven


INPUTS = st.sampled_from(["use", "none", "stop", "check", "timer", "refusal", "traffic", "answer"])


@given(st.lists(st.tuples(INPUTS, st.floats(0, 1000)), max_size=60))
def test_any_order_of_what_happens(script: list[tuple[str, float]]) -> None:
    """The clock may stand, jump, and everything may come in every state."""
    prover, now, questions = Prover(ENDPOINTS, nonce=NONCE), 0.0, [b""]
    for what, pause in script:
        now += pause
        match what:
            case "use" | "none":
                prover.use(OURS if what == "use" else None, now)
            case "stop":
                prover.stop()
            case "check":
                prover.check(now)
            case "timer":
                prover.handle_timer(now)
            case "refusal":
                prover.receive_refusal("no", now)
            case "traffic":
                prover.traffic_received(now)
            case _:
                for question in questions:
                    prover.receive_packet(answer(question) if question else b"", now)
        questions = prover.packets_to_send()
        while prover.next_event() is not None:
            pass
        assert prover.proven == (prover.state in {State.PROVEN, State.DOUBTED})
        waits = prover.state in {State.PROVING, State.DOUBTED, State.PROVEN, State.FAILED}
        assert (prover.timer_at() is not None) == waits
