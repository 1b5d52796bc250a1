"""6to4: which packets pass the gate, and how the way to the gateway is proven and lost."""

import itertools
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packets import ip
from throughway.model.errors import LocalProtocolError
from throughway.proto.sixtofour import (
    ATTEMPTS,
    FLOWS,
    KEEPALIVE,
    NONCE_LENGTH,
    PROOF_TIMEOUT,
    RETRIES,
    TRANSITIONS,
    Budget,
    Cause,
    Drop,
    Gate,
    Input,
    Prover,
    State,
    StateChanged,
)
from throughway.wire.icmpv6 import Echo, NeighborSolicitation, build_icmpv6, parse_icmpv6
from throughway.wire.ipv6 import parse_packet
from throughway.wire.sixtofour import build_endpoint

FIRST, SECOND = IPv4Address("131.107.0.2").packed, IPv4Address("131.107.0.3").packed
CLIENT, OTHER = IPv4Address("131.107.0.50").packed, IPv4Address("131.107.0.51").packed
ENDPOINTS = build_endpoint(FIRST), build_endpoint(SECOND)
OURS = build_endpoint(CLIENT)
NONCE = bytes(range(NONCE_LENGTH))
UDP, TCP, ESP, FRAGMENT, ICMPV6 = 17, 6, 50, 44, 58


def outer(source: bytes, destination: bytes, first: int = 0x45) -> bytes:
    return struct.pack("!BBHHHBBH4s4s", first, 0, 0, 0, 0, 64, 41, 0, source, destination)


def inner(
    source: bytes, destination: bytes, protocol: int = UDP, payload: bytes = b"x" * 8
) -> bytes:
    return ip(str(IPv6Address(source)), str(IPv6Address(destination)), protocol, payload)


def gateway(budget: Budget | None = None) -> Gate:
    own = dict(zip((FIRST, SECOND), ENDPOINTS, strict=True))
    refused = frozenset({IPv4Address("131.107.0.255").packed})
    return Gate(own, refused=refused, budget=budget)


def client() -> Gate:
    return Gate({CLIENT: OURS}, peers=frozenset(ENDPOINTS))


def verdict(gate: Gate, header: bytes, packet: bytes, now: float = 0.0) -> Drop | None:
    """Return why a packet is dropped, as the counters say it; None when it passes."""
    before = gate.drops.copy()
    passed = gate.admit(header, packet, 0, len(packet), now)
    (reason,) = (gate.drops - before) or (None,)
    assert passed == (reason is None)
    return reason


# What comes in


@pytest.mark.parametrize("protocol", [UDP, ESP])
@pytest.mark.parametrize("number", [0, 1])
def test_ike_and_esp_pass_to_either_endpoint(protocol: int, number: int) -> None:
    header = outer(CLIENT, (FIRST, SECOND)[number])
    packet = inner(OURS, ENDPOINTS[number], protocol)
    assert verdict(gateway(), header, packet) is None
    gate = gateway()
    assert [verdict(gate, header, packet) for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(
    "text",
    [
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "0.0.0.0", "192.88.99.1", "192.0.2.1"),
    ],
)
def test_sources_that_nobody_has(text: str) -> None:
    source = IPv4Address(text).packed
    packet = inner(b"\x20\x02" + source + bytes(10), ENDPOINTS[0])
    assert verdict(gateway(), outer(source, FIRST), packet) is Drop.NOT_PUBLIC


@pytest.mark.parametrize("text", ["131.107.0.2", "131.107.0.3", "131.107.0.255"])
def test_our_own_addresses_come_from_nobody(text: str) -> None:
    source = IPv4Address(text).packed
    packet = inner(build_endpoint(source), ENDPOINTS[0])
    assert verdict(gateway(), outer(source, FIRST), packet) is Drop.OWN


@pytest.mark.parametrize(
    ("header", "packet", "reason"),
    [
        (outer(OTHER, FIRST), inner(OURS, ENDPOINTS[0]), Drop.SPOOFED),
        (outer(CLIENT, FIRST), inner(b"\x20\x01" + bytes(14), ENDPOINTS[0]), Drop.SPOOFED),
        (outer(CLIENT, FIRST), inner(bytes(16), ENDPOINTS[0]), Drop.SPOOFED),
        (outer(CLIENT, FIRST), inner(b"\xff\x02" + bytes(14), ENDPOINTS[0]), Drop.SPOOFED),
        (outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[1]), Drop.RELAY),
        (outer(CLIENT, FIRST), inner(OURS, build_endpoint(OTHER)), Drop.RELAY),
        (outer(CLIENT, FIRST), inner(OURS, IPv6Address("2001:db8:c0:1::10").packed), Drop.RELAY),
        (outer(CLIENT, FIRST), inner(OURS, IPv6Address("ff02::1").packed), Drop.RELAY),
        (outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[0], TCP), Drop.PROTOCOL),
        (outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[0], 0), Drop.PROTOCOL),
        (outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[0], 41), Drop.PROTOCOL),
        (outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[0], ICMPV6, b""), Drop.PROTOCOL),
        (
            outer(CLIENT, FIRST),
            inner(OURS, ENDPOINTS[0], FRAGMENT, b"\x06" + bytes(20)),
            Drop.PROTOCOL,
        ),
        (outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[0], FRAGMENT, b"\x32"), Drop.PROTOCOL),
        (
            outer(CLIENT, FIRST),
            inner(OURS, ENDPOINTS[0], ICMPV6, b"\x86" + bytes(7)),
            Drop.ICMP_TYPE,
        ),
        (outer(CLIENT, FIRST, 0x46), inner(OURS, ENDPOINTS[0]), Drop.MALFORMED),
        (outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[0])[:-1], Drop.MALFORMED),
        (outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[0]) + b"x", Drop.MALFORMED),
        (outer(CLIENT, FIRST), b"", Drop.MALFORMED),
        (outer(CLIENT, FIRST), b"\x45" + inner(OURS, ENDPOINTS[0])[1:], Drop.MALFORMED),
    ],
)
def test_what_is_dropped_is_counted(header: bytes, packet: bytes, reason: Drop) -> None:
    gate = gateway(Budget())
    assert verdict(gate, header, packet) is reason
    sound = verdict(gate, outer(CLIENT, FIRST), inner(OURS, ENDPOINTS[0]))
    assert sound is None
    assert verdict(gate, header, packet) is reason, "also when its addresses are known"


@pytest.mark.parametrize("protocol", [UDP, ESP, ICMPV6])
def test_fragments_of_what_may_pass(protocol: int) -> None:
    packet = inner(OURS, ENDPOINTS[0], FRAGMENT, bytes((protocol, 0, 0, 1)) + bytes(20))
    assert verdict(gateway(), outer(CLIENT, FIRST), packet) is None


def test_a_client_hears_its_gateway_alone() -> None:
    gate = client()
    assert verdict(gate, outer(FIRST, CLIENT), inner(ENDPOINTS[0], OURS)) is None
    stranger = inner(build_endpoint(OTHER), OURS)
    assert verdict(gate, outer(OTHER, CLIENT), stranger) is Drop.STRANGER
    neighbour = inner(ENDPOINTS[0][:15] + b"\x09", OURS)
    assert verdict(gate, outer(FIRST, CLIENT), neighbour) is Drop.STRANGER
    elsewhere = inner(ENDPOINTS[0], build_endpoint(OTHER))
    assert verdict(gate, outer(FIRST, CLIENT), elsewhere) is Drop.RELAY


def test_known_flows_are_bounded() -> None:
    gate = gateway()
    for number in range(FLOWS + 10):
        source = (0x83800000 + number).to_bytes(4)
        packet = inner(build_endpoint(source), ENDPOINTS[0])
        assert verdict(gate, outer(source, FIRST), packet) is None
    assert len(gate._inward) <= FLOWS


PROTOCOLS = st.sampled_from([UDP, TCP, ESP, FRAGMENT, ICMPV6]) | st.integers(0, 255)
OUTER = st.sampled_from([FIRST, SECOND, CLIENT, OTHER, b"\x0a\0\0\1"]) | st.binary(
    min_size=4, max_size=4
)
INNER = st.sampled_from([*ENDPOINTS, OURS, build_endpoint(OTHER)]) | st.binary(
    min_size=16, max_size=16
)


@given(
    st.lists(st.tuples(OUTER, OUTER, INNER, INNER, PROTOCOLS, st.binary(max_size=30)), max_size=20)
)
def test_nothing_passes_a_gateway_but_what_is_promised(
    packets: list[tuple[bytes, bytes, bytes, bytes, int, bytes]],
) -> None:
    """The property of RFC 3964, held against the very bytes that were let in."""
    gate, asked, passed = gateway(), 0, 0
    for source, destination, inner_source, inner_destination, protocol, payload in packets:
        packet = inner(inner_source, inner_destination, protocol, payload)
        asked += 1
        if verdict(gate, outer(source, destination), packet) is None:
            passed += 1
            assert IPv4Address(source).is_global
            assert source not in {FIRST, SECOND}
            assert inner_source[:6] == b"\x20\x02" + source
            assert (destination, inner_destination) in {
                (FIRST, ENDPOINTS[0]),
                (SECOND, ENDPOINTS[1]),
            }
            assert protocol in {UDP, ESP, FRAGMENT, ICMPV6}
    assert gate.drops.total() == asked - passed


# What goes out


def test_each_endpoint_has_its_own_way_out() -> None:
    gate = gateway()
    for number, own in enumerate((FIRST, SECOND)):
        assert gate.route(inner(ENDPOINTS[number], OURS), 0) == (own, CLIENT)
    assert gate.drops.total() == 0


@pytest.mark.parametrize(
    ("source", "destination", "reason"),
    [
        ("2001:db8:c0:1::1", "2002:836b:32::1", Drop.WRONG_SOURCE),
        ("2002:836b:32::1", "2002:836b:33::1", Drop.WRONG_SOURCE),
        ("2002:836b:2::836b:2", "2001:db8::1", Drop.WRONG_DESTINATION),
        ("2002:836b:2::836b:2", "2002:a00:1::1", Drop.WRONG_DESTINATION),
        ("2002:836b:2::836b:2", "2002:7f00:1::1", Drop.WRONG_DESTINATION),
        ("2002:836b:2::836b:2", "2002:e000:1::1", Drop.WRONG_DESTINATION),
        ("2002:836b:2::836b:2", "2002:836b:3::836b:3", Drop.WRONG_DESTINATION),
        ("2002:836b:2::836b:2", "2002:836b:ff::1", Drop.WRONG_DESTINATION),
    ],
)
def test_what_may_not_leave(source: str, destination: str, reason: Drop) -> None:
    gate = gateway()
    packet = inner(IPv6Address(source).packed, IPv6Address(destination).packed)
    assert gate.route(packet, 0) == (b"", b"")
    assert dict(gate.drops) == {reason: 1}


def test_multicast_of_the_kernel_is_no_fault() -> None:
    gate = gateway()
    assert gate.route(inner(bytes(16), IPv6Address("ff02::16").packed), 0) == (b"", b"")
    assert gate.drops.total() == 0


def test_a_client_sends_to_its_gateway_alone() -> None:
    gate = client()
    assert gate.route(inner(OURS, ENDPOINTS[1]), 0) == (CLIENT, SECOND)
    assert gate.route(inner(OURS, build_endpoint(OTHER)), 0) == (b"", b"")
    assert dict(gate.drops) == {Drop.WRONG_DESTINATION: 1}


# ICMPv6


def test_icmp_is_limited_for_each_source() -> None:
    gate, packet = (
        gateway(Budget()),
        build_icmpv6(
            Echo(reply=False, identifier=1, sequence=1), source=OURS, destination=ENDPOINTS[0]
        ),
    )
    header = outer(CLIENT, FIRST)
    answers = [verdict(gate, header, packet, now=100.0) for _ in range(30)]
    assert answers == [None] * 20 + [Drop.ICMP_LIMIT] * 10
    assert verdict(gate, header, inner(OURS, ENDPOINTS[0]), now=100.0) is None, "IKE is not"
    assert verdict(gate, header, packet, now=100.2) is None
    other = build_icmpv6(
        Echo(reply=False, identifier=1, sequence=1),
        source=build_endpoint(OTHER),
        destination=ENDPOINTS[0],
    )
    assert verdict(gate, outer(OTHER, FIRST), other, now=100.0) is None


def test_invented_sources_are_limited_together_and_forgotten() -> None:
    budget = Budget()
    let_in = sum(budget.take(number.to_bytes(4), 0.0) for number in range(10_000))
    assert let_in == Budget.TOTAL
    assert len(budget._sources) == Budget.SOURCES


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 10)), max_size=300))
def test_a_budget_is_never_overdrawn(asked: list[tuple[int, float]]) -> None:
    budget, taken = Budget(), dict.fromkeys(range(4), 0)
    for source, now in sorted(asked, key=lambda pair: pair[1]):
        taken[source] += budget.take(bytes([source]), now)
    assert max(taken.values()) <= Budget.BURST + 10 * Budget.PER_SOURCE


# The proof


class Proof:
    """A prover, its clock, and the gateway's answers."""

    def __init__(self) -> None:
        self.prover = Prover(ENDPOINTS, nonce=NONCE)
        self.now = 1000.0
        self.states: list[State] = []
        self.asked: list[tuple[float, bytes]] = []
        """Round numbers of seconds since the start, and the endpoint."""

    def begin(self, address: bytes | None = OURS) -> "Proof":
        self.prover.use(address, self.now)
        return self

    def state(self) -> State:
        return self.prover.state

    def pump(self) -> list[bytes]:
        while (event := self.prover.next_event()) is not None:
            assert isinstance(event, StateChanged)
            self.states.append(event.state)
        packets = self.prover.packets_to_send()
        self.asked += [(round(self.now - 1000.0, 3), p[24:40]) for p in packets]
        return packets

    def run(
        self, seconds: float, answers: Callable[[bytes], bool] = lambda endpoint: False
    ) -> None:
        """Let time pass; ``answers`` says which endpoints do."""
        until = self.now + seconds
        while True:
            for packet in self.pump():
                if answers(packet[24:40]):
                    assert self.prover.receive_packet(answer(packet), self.now + 0.01)
            self.pump()
            due = self.prover.timer_at()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.prover.handle_timer(self.now)
        self.now = until


def answer(packet: bytes, **changes: bytes | int | bool) -> bytes:
    question = parse_packet(packet)
    echo = parse_icmpv6(question)
    assert isinstance(echo, Echo)
    fields: dict[str, bytes | int | bool] = {
        "reply": True,
        "identifier": echo.identifier,
        "sequence": echo.sequence,
        "data": echo.data,
    }
    return build_icmpv6(
        Echo(**(fields | changes)),  # type: ignore[arg-type]
        source=question.destination,
        destination=question.source,
    )


def everybody(_endpoint: bytes) -> bool:
    return True


def nobody(_endpoint: bytes) -> bool:
    return False


def test_a_proof_takes_one_exchange() -> None:
    proof = Proof().begin()
    proof.run(0.0, everybody)
    assert proof.prover.proven
    assert proof.states == [State.PROVING, State.PROVEN]
    assert proof.asked == [(0.0, endpoint) for endpoint in ENDPOINTS]
    assert proof.prover.round_trip == pytest.approx(0.01)
    assert proof.prover.cause is None


def test_silence_is_noticed_within_two_seconds() -> None:
    proof = Proof().begin()
    proof.run(1.99)
    assert proof.state() is State.FAILED
    assert proof.prover.cause is Cause.SILENCE
    times = sorted({when for when, _ in proof.asked})
    assert times == list(ATTEMPTS)
    assert PROOF_TIMEOUT < 2


@pytest.mark.parametrize("silent", ENDPOINTS)
def test_both_endpoints_must_answer(silent: bytes) -> None:
    proof = Proof().begin()
    proof.run(1.99, lambda endpoint: endpoint != silent)
    assert proof.state() is State.FAILED
    others = [endpoint for when, endpoint in proof.asked if when]
    assert set(others) == {silent}, "who has answered is not asked again"


def test_a_late_answer_to_an_early_question_counts() -> None:
    proof = Proof().begin()
    first = proof.pump()
    proof.run(0.7)
    for packet in first:
        proof.prover.receive_packet(answer(packet), proof.now)
    assert proof.state() is State.PROVEN
    assert proof.prover.round_trip == pytest.approx(0.7)


def test_without_a_public_address_nothing_is_asked() -> None:
    proof = Proof().begin(None)
    proof.run(100.0)
    assert proof.state() is State.UNUSABLE
    assert proof.asked == []
    assert proof.prover.timer_at() is None


def test_a_failed_proof_is_tried_again_less_and_less_often() -> None:
    proof = Proof().begin()
    proof.run(2 * sum(RETRIES) + 1000)
    begins = [when for when, endpoint in proof.asked if endpoint == ENDPOINTS[0]][:: len(ATTEMPTS)]
    pauses = [b - a - PROOF_TIMEOUT for a, b in itertools.pairwise(begins)]
    assert [round(pause) for pause in pauses[: len(RETRIES)]] == list(RETRIES)
    assert set(map(round, pauses[len(RETRIES) :])) == {RETRIES[-1]}


def test_what_failed_stays_the_reason_while_it_is_tried_again() -> None:
    proof = Proof().begin()
    proof.run(PROOF_TIMEOUT + RETRIES[0] + 0.1)
    assert proof.state() is State.PROVING
    assert proof.prover.cause is Cause.SILENCE
    proof.prover.use(OURS, proof.now)
    assert proof.prover.cause is None


def test_it_comes_up_when_the_gateway_is_back() -> None:
    proof = Proof().begin()
    proof.run(5.0)
    proof.run(RETRIES[0], everybody)
    assert proof.state() is State.PROVEN


def test_it_is_kept_alive_and_its_loss_noticed() -> None:
    proof = Proof().begin()
    proof.run(101.0, everybody)
    assert proof.state() is State.PROVEN
    assert len(proof.asked) == 2 * (1 + 100 / KEEPALIVE)
    assert set(proof.states[2:]) == {State.DOUBTED, State.PROVEN}
    proof.run(KEEPALIVE + 2, nobody)
    assert proof.state() is State.FAILED
    assert proof.prover.cause is Cause.LOSS


def test_one_lost_answer_is_no_loss() -> None:
    proof = Proof().begin()
    proof.run(1.0, everybody)
    lost = iter((False, False))
    proof.run(KEEPALIVE + 2, lambda _endpoint: next(lost, True))
    assert proof.states == [State.PROVING, State.PROVEN, State.DOUBTED, State.PROVEN]


def test_traffic_is_proof_when_answers_are_limited() -> None:
    proof = Proof().begin()
    proof.run(1.0, everybody)
    proof.run(KEEPALIVE)
    assert proof.state() is State.DOUBTED
    proof.prover.traffic_received(proof.now)
    proof.run(1.9)
    assert proof.state() is State.PROVEN
    proof.run(KEEPALIVE + 2)
    assert proof.state() is State.FAILED, "old traffic proves nothing"


def test_after_a_change_of_network_it_is_asked_at_once() -> None:
    proof = Proof().begin()
    proof.run(1.0, everybody)
    proof.prover.check(proof.now)
    assert proof.state() is State.DOUBTED
    assert proof.prover.proven, "until it is known better"
    proof.run(1.9)
    assert proof.state() is State.FAILED
    proof.prover.check(proof.now)
    proof.run(0.0, everybody)
    assert proof.state() is State.PROVEN
    proof.prover.stop()
    proof.prover.check(proof.now)
    assert proof.state() is State.IDLE


def test_icmp_errors_alone_end_nothing() -> None:
    proof = Proof().begin()
    proof.run(1.0, everybody)
    proof.prover.receive_refusal("Protocol not available", proof.now)
    assert proof.state() is State.DOUBTED
    proof.run(0.0, everybody)
    assert proof.state() is State.PROVEN
    assert proof.prover.refusal == ""


def test_icmp_errors_are_the_reason_where_there_is_silence() -> None:
    proof = Proof().begin()
    proof.run(0.1)
    proof.prover.receive_refusal("No route to host", proof.now)
    proof.run(1.9)
    assert (proof.prover.cause, proof.prover.refusal) == (Cause.REFUSAL, "No route to host")


@pytest.mark.parametrize(
    "changes", [{"identifier": 7}, {"sequence": 999}, {"data": b"guess"}, {"reply": False}]
)
def test_answers_cannot_be_guessed(changes: dict[str, int | bytes | bool]) -> None:
    proof = Proof().begin()
    for packet in proof.pump():
        proof.prover.receive_packet(answer(packet, **changes), proof.now)
    assert proof.state() is State.PROVING


def test_other_packets_are_not_its_own() -> None:
    proof = Proof().begin()
    (packet, _) = proof.pump()
    assert not proof.prover.receive_packet(packet, proof.now)
    assert not proof.prover.receive_packet(b"", proof.now)
    solicitation = NeighborSolicitation(target=OURS)
    other = build_icmpv6(solicitation, source=ENDPOINTS[0], destination=OURS)
    assert not proof.prover.receive_packet(other, proof.now)
    proof.prover.address = build_endpoint(OTHER)
    assert not proof.prover.receive_packet(answer(packet), proof.now), "for an address before"


def test_another_address_is_another_proof() -> None:
    proof = Proof().begin()
    proof.run(1.0, everybody)
    proof.begin(build_endpoint(OTHER))
    assert not proof.prover.proven
    proof.run(1.9)
    assert proof.prover.cause is Cause.SILENCE, "what was proven was another address"


def test_a_stopped_one_is_silent() -> None:
    proof = Proof().begin()
    proof.prover.stop()
    proof.run(100.0)
    assert proof.asked == []
    assert proof.state() is State.IDLE


def test_what_it_needs() -> None:
    with pytest.raises(LocalProtocolError):
        Prover(ENDPOINTS, nonce=b"short")
    with pytest.raises(LocalProtocolError):
        Prover((), nonce=NONCE)


def test_every_state_knows_every_input() -> None:
    assert TRANSITIONS.keys() == {(state, what) for state in State for what in Input}
