"""Conversations with the authoriser, packet by packet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import LocalProtocolError
from throughway.proto.authoriser import (
    CONVERSATION_TIMEOUT,
    END_STATES,
    MAX_IDENTITY,
    MAX_TOKEN,
    PEER_INPUTS,
    TRANSITIONS,
    Authoriser,
    Event,
    FlightReceived,
    Input,
    Method,
    State,
    TokenReceived,
    UserAccepted,
    UserRefused,
    is_person,
    same_principal,
)
from throughway.wire.eap import EAPCode, EAPPacket, EAPType, build_eap, parse_eap

ALICE = "alice@CORP.EXAMPLE.COM"


def response(identifier: int, kind: int, data: bytes) -> bytes:
    return build_eap(EAPPacket(EAPCode.RESPONSE, identifier, kind, data))


def events(machine: Authoriser) -> list[Event]:
    return list(iter(machine.next_event, None))


def begun(identity: str = ALICE) -> Authoriser:
    machine = Authoriser(realm="CORP.EXAMPLE.COM", now=0)
    machine.receive_data(response(7, EAPType.IDENTITY, identity.encode()))
    return machine


def judging() -> Authoriser:
    machine = begun()
    request = parse_eap(machine.data_to_send())
    machine.receive_data(response(request.identifier, EAPType.GTC, b"token"))
    assert events(machine) == [TokenReceived(ALICE, b"token")]
    return machine


def test_a_user_with_a_ticket_is_accepted() -> None:
    machine = begun()
    request = parse_eap(machine.data_to_send())
    assert (request.code, request.type) == (EAPCode.REQUEST, EAPType.GTC)
    machine.receive_data(response(request.identifier, EAPType.GTC, b"token"))
    assert events(machine) == [TokenReceived(ALICE, b"token")]
    assert machine.data_to_send() == b""
    machine.accept(ALICE)
    assert events(machine) == [UserAccepted(ALICE)]
    success = EAPPacket(EAPCode.SUCCESS, request.identifier)
    assert parse_eap(machine.data_to_send()) == success
    assert machine.timer_at() is None


def test_the_ticket_of_another_is_refused() -> None:
    machine = judging()
    machine.accept("bob@CORP.EXAMPLE.COM")
    [refused] = events(machine)
    assert isinstance(refused, UserRefused)
    assert "bob" in refused.reason
    assert machine.state is State.REFUSED
    assert parse_eap(machine.data_to_send()).code is EAPCode.FAILURE


def test_a_refusal_does_not_tell_the_peer_why() -> None:
    machine = judging()
    machine.refuse("the token was used before", "ipsec-user-refused")
    refused = UserRefused(ALICE, "the token was used before", "ipsec-user-refused")
    assert events(machine) == [refused]
    assert len(machine.data_to_send()) == 4


def test_an_identity_without_a_realm_belongs_to_ours() -> None:
    assert begun("alice").identity == ALICE


@pytest.mark.parametrize(
    "identity",
    [b"", b"@CORP", b"alice@", b"\xff\xfe", b"al\nice@CORP", b"a" * (MAX_IDENTITY + 1)],
)
def test_what_is_no_principal_is_refused(identity: bytes) -> None:
    machine = Authoriser(realm="CORP.EXAMPLE.COM", now=0)
    machine.receive_data(response(1, EAPType.IDENTITY, identity))
    assert [type(e) for e in events(machine)] == [UserRefused]


@pytest.mark.parametrize("token", [b"", bytes(MAX_TOKEN + 1)])
def test_a_token_of_no_sensible_size_is_refused(token: bytes) -> None:
    machine = begun()
    machine.receive_data(response(8, EAPType.GTC, token))
    assert machine.state is State.REFUSED


def test_a_nak_ends_it() -> None:
    machine = begun()
    machine.receive_data(response(8, EAPType.NAK, b"\x1a"))
    [refused] = events(machine)
    assert isinstance(refused, UserRefused)
    assert "no ticket" in refused.reason


def test_an_answer_to_another_question_ends_it() -> None:
    machine = begun()
    machine.receive_data(response(99, EAPType.GTC, b"token"))
    assert machine.state is State.REFUSED


def test_a_token_sent_twice_is_judged_once() -> None:
    machine = judging()
    machine.receive_data(response(8, EAPType.GTC, b"token"))
    assert events(machine) == []
    assert machine.state is State.JUDGING


def test_silence_ends_it() -> None:
    machine = begun()
    machine.handle_timer(CONVERSATION_TIMEOUT - 1)
    assert events(machine) == []
    machine.handle_timer(CONVERSATION_TIMEOUT)
    assert [type(e) for e in events(machine)] == [UserRefused]
    assert machine.timer_at() is None


def test_a_verdict_that_time_has_overtaken_changes_nothing() -> None:
    machine = judging()
    machine.handle_timer(CONVERSATION_TIMEOUT)
    assert [type(e) for e in events(machine)] == [UserRefused]
    machine.accept(ALICE)
    assert machine.state is State.REFUSED
    assert events(machine) == []


def test_a_verdict_that_nobody_waits_for_is_our_error() -> None:
    with pytest.raises(LocalProtocolError):
        begun().accept(ALICE)


def test_only_a_verdict_can_be_refused() -> None:
    refused = {(s, i) for s in State for i in Input} - TRANSITIONS.keys()
    verdicts = {Input.SEND_TLS, Input.CONDEMN, Input.ACCEPT, Input.REFUSE}
    assert {what for _, what in refused} == verdicts
    waiting = {state for state in State if state.name.startswith("AWAITING")}
    assert {state for state, _ in refused} == waiting | {State.CONDEMNED}


def test_what_is_refused_is_never_accepted_after_all() -> None:
    assert all(TRANSITIONS[State.REFUSED, what] is State.REFUSED for what in Input)
    assert {state for (state, _), after in TRANSITIONS.items() if after is State.ACCEPTED} == {
        State.JUDGING,
        State.ACCEPTED,
    }


@given(
    st.sampled_from((State.AWAITING_IDENTITY, State.AWAITING_TOKEN, State.JUDGING, *END_STATES)),
    st.one_of(
        st.binary(max_size=32),
        st.builds(response, st.integers(0, 255), st.integers(0, 8), st.binary(max_size=32)),
    ),
)
def test_the_peer_cannot_make_our_error(state: State, data: bytes) -> None:
    machine = Authoriser(realm="CORP.EXAMPLE.COM", now=0)
    machine.state = state
    machine.receive_data(data)
    assert machine.state in {TRANSITIONS[state, what] for what in PEER_INPUTS}


@pytest.mark.parametrize(
    ("principal", "person"),
    [
        (ALICE, True),
        ("CLIENT1$@CORP.EXAMPLE.COM", False),
        ("host/da.example.com@CORP.EXAMPLE.COM", False),
        ("@CORP.EXAMPLE.COM", False),
        ("", False),
    ],
)
def test_computers_and_services_are_no_users(principal: str, person: bool) -> None:
    assert is_person(principal) is person


def test_realms_are_compared_without_case_and_names_with() -> None:
    assert same_principal("alice@corp.example.com", ALICE)
    assert not same_principal("Alice@CORP.EXAMPLE.COM", ALICE)
    assert not same_principal("alice@OTHER.EXAMPLE.COM", ALICE)
    assert not same_principal("alice", "alice")


def tls(identifier: int, data: bytes) -> bytes:
    return response(identifier, EAPType.TLS, data)


def handshaking(methods: tuple[Method, ...] = (Method.CERTIFICATE,)) -> Authoriser:
    machine = Authoriser(realm="CORP.EXAMPLE.COM", now=0, methods=methods)
    machine.receive_data(response(7, EAPType.IDENTITY, ALICE.encode()))
    return machine


def test_a_certificate_is_asked_for_and_proves_the_user() -> None:
    machine = handshaking()
    start = parse_eap(machine.data_to_send())
    assert (start.identifier, start.type, start.data) == (8, EAPType.TLS, b"\x20")
    machine.receive_data(tls(8, b"\x00hello"))
    assert events(machine) == [FlightReceived(ALICE, b"hello")]
    machine.send_tls(b"server hello")
    answer = parse_eap(machine.data_to_send())
    assert (answer.identifier, answer.data) == (9, b"\x00server hello")
    machine.receive_data(tls(9, b"\x00"))
    assert events(machine) == [FlightReceived(ALICE, b"")]
    machine.accept(ALICE)
    assert events(machine) == [UserAccepted(ALICE)]


def test_the_certificate_of_another_is_refused() -> None:
    machine = handshaking()
    machine.receive_data(tls(8, b"\x00hello"))
    events(machine)
    machine.accept("bob@CORP.EXAMPLE.COM")
    [refused] = events(machine)
    assert isinstance(refused, UserRefused)
    assert refused.reason == "the certificate is bob@CORP.EXAMPLE.COM's"


def test_fragments_are_acknowledged() -> None:
    machine = handshaking()
    machine.receive_data(tls(8, b"\x40hel"))
    assert events(machine) == []
    assert parse_eap(machine.data_to_send()).data == b"\x00"
    machine.receive_data(tls(9, b"\x00lo"))
    assert events(machine) == [FlightReceived(ALICE, b"hello")]


def test_who_is_condemned_hears_the_alert_and_then_the_verdict() -> None:
    machine = handshaking()
    machine.receive_data(tls(8, b"\x00hello"))
    events(machine)
    machine.condemn(b"alert", "it has expired", "user-certificate-expired")
    assert events(machine) == [UserRefused(ALICE, "it has expired", "user-certificate-expired")]
    assert parse_eap(machine.data_to_send()).data == b"\x00alert"
    machine.receive_data(tls(9, b"\x00"))
    assert parse_eap(machine.data_to_send()).code is EAPCode.FAILURE
    assert events(machine) == []
    assert machine.state is State.REFUSED


def test_a_ticket_where_a_certificate_is_required() -> None:
    machine = handshaking()
    machine.receive_data(response(8, EAPType.NAK, bytes((EAPType.GTC,))))
    [refused] = events(machine)
    assert isinstance(refused, UserRefused)
    assert refused.problem == "ipsec-smart-card-required"
    assert "came with a ticket" in refused.reason


@pytest.mark.parametrize("first", [Method.TICKET, Method.CERTIFICATE])
def test_where_both_are_open_the_peer_chooses(first: Method) -> None:
    [second] = {Method.TICKET, Method.CERTIFICATE} - {first}
    machine = handshaking((first, second))
    assert parse_eap(machine.data_to_send()).type == first.value
    machine.receive_data(response(8, EAPType.NAK, bytes((second.value,))))
    offered = parse_eap(machine.data_to_send())
    assert (offered.identifier, offered.type) == (9, second.value)
    assert events(machine) == []


@pytest.mark.parametrize("data", [b"", b"\x80\x00", b"\x40" + bytes(40_000)])
def test_what_is_no_eap_tls_is_refused(data: bytes) -> None:
    machine = handshaking()
    machine.receive_data(tls(8, data))
    assert [type(e) for e in events(machine)] == [UserRefused]


def test_tls_that_nobody_asked_for() -> None:
    machine = begun()
    machine.receive_data(tls(8, b"\x00hello"))
    assert machine.state is State.REFUSED
