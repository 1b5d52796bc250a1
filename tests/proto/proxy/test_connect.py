"""CONNECT as transcripts: what the proxy says, what we say to that."""

import base64
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import LocalProtocolError, Stage, TransportError
from throughway.proto.proxy import connect
from throughway.proto.proxy.connect import (
    ConnectionWanted,
    Event,
    State,
    TicketWanted,
    Tunnel,
    TunnelFailed,
    TunnelOpened,
)
from throughway.proto.proxy.schemes import Credentials, Means, Memory
from throughway.wire.ntlm import ChallengeMessage, Flag, build_challenge, parse_authenticate

WHO = Credentials(user="alice", password="s3cret", domain="CORP", workstation="client1")
NOBODY = Credentials()
GRANTED = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 squid\r\n\r\n"
LOST = TransportError(Stage.PROXY, "reset", windows_code=0x2746)
TYPE_2 = base64.b64encode(
    build_challenge(ChallengeMessage(Flag.UNICODE | Flag.NTLM, b"12345678", "CORP", ()))
).decode()
BASIC = 'Proxy-Authenticate: Basic realm="r"'
DIGEST = 'Proxy-Authenticate: Digest realm="r", nonce="n1", qop="auth"'
NTLM, NEGOTIATE = "Proxy-Authenticate: NTLM", "Proxy-Authenticate: Negotiate"


def asked(*headers: str, body: bytes = b"<p>Who?</p>", kept: bool = True) -> bytes:
    """Return a whole 407."""
    lines = [
        "HTTP/1.1 407 Proxy Authentication Required",
        f"Content-Length: {len(body)}",
        *headers,
        *(() if kept else ("Connection: close",)),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Talk:
    """A machine, and somebody who gives it connections when it wants them."""

    def __init__(
        self, who: Credentials = NOBODY, memory: Memory | None = None, host: str = "da.example.com"
    ) -> None:
        counter = itertools.count(1)
        means = Means(random=lambda n: bytes([next(counter)]) * n, wall_time=lambda: 1.8e9)
        self.memory = memory or Memory()
        self.machine = Tunnel(host, 443, credentials=who, memory=self.memory, means=means)
        self.events: list[Event] = []
        self.connections = 0
        self.now = 0.0
        self.machine.start(self.now)
        self.settle()

    def settle(self) -> None:
        while (event := self.machine.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, ConnectionWanted):
                self.connections += 1
                self.machine.connection_made(self.now)

    def hear(self, data: bytes) -> str:
        """Give the machine an answer; return what it says to it."""
        self.said()
        self.give(data)
        return self.said()

    def give(self, data: bytes) -> None:
        """Give the machine an answer."""
        self.machine.receive_data(data, self.now)
        self.settle()

    def said(self) -> str:
        return self.machine.data_to_send().decode()

    @property
    def error(self) -> TransportError:
        failed = self.events[-1]
        assert isinstance(failed, TunnelFailed)
        return failed.error


def authorization(request: str) -> str:
    """Return the value of Proxy-Authorization, "" when there is none."""
    lines = request.split("\r\n")
    found = [line for line in lines if line.startswith("Proxy-Authorization: ")]
    return found[0].removeprefix("Proxy-Authorization: ") if found else ""


def test_a_proxy_that_asks_nothing() -> None:
    talk = Talk()
    assert talk.said() == (
        "CONNECT da.example.com:443 HTTP/1.1\r\nHost: da.example.com:443\r\n"
        "Proxy-Connection: keep-alive\r\n\r\n"
    )
    assert talk.hear(GRANTED) == ""
    assert talk.events == [ConnectionWanted(), TunnelOpened("")]
    assert talk.machine.state is State.OPEN
    assert talk.machine.timer_at() is None


def test_addresses_stand_in_brackets() -> None:
    assert Talk(host="2001:db8::1").said().startswith("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n")


@pytest.mark.parametrize("kept", [True, False])
def test_basic(kept: bool) -> None:
    talk = Talk(WHO)
    assert authorization(talk.said()) == ""
    value = authorization(talk.hear(asked(BASIC, kept=kept)))
    assert base64.b64decode(value.removeprefix("Basic ")) == b"CORP\\alice:s3cret"
    talk.hear(GRANTED)
    assert talk.events[-1] == TunnelOpened("basic")
    assert talk.connections == (1 if kept else 2)


def test_what_worked_is_offered_at_once_the_next_time() -> None:
    first = Talk(WHO)
    first.said()
    first.hear(asked(BASIC))
    first.hear(GRANTED)
    again = Talk(WHO, first.memory)
    assert authorization(again.said()).startswith("Basic ")
    again.hear(GRANTED)
    assert again.events == [ConnectionWanted(), TunnelOpened("basic")]


def test_no_credentials() -> None:
    talk = Talk()
    talk.hear(asked(BASIC, DIGEST))
    assert talk.error.problem == "proxy-authentication-required"
    assert talk.error.windows_code == 0x80190197
    assert str(talk.error) == (
        "the proxy asks for authentication (basic, digest): no credentials for it are configured"
    )


def test_credentials_that_are_refused() -> None:
    talk = Talk(WHO)
    talk.hear(asked(BASIC))
    talk.hear(asked(BASIC))
    assert talk.error.problem == "proxy-credentials-refused"
    assert "basic is refused" in str(talk.error)
    assert "s3cret" not in str(talk.error)
    assert talk.memory.scheme == ""


def test_a_user_whose_name_fits_no_header_is_refused_in_words() -> None:
    talk = Talk(Credentials(user="ali\nce", password="s3cret"))
    talk.hear(asked(DIGEST))
    assert talk.error.problem == "proxy-credentials-refused"
    assert "response=" not in str(talk.error)


def test_a_proxy_that_nobody_named_gets_nothing() -> None:
    talk = Talk(Credentials(user="alice", password="s3cret", disclose=False))
    talk.hear(asked(BASIC, NTLM, DIGEST))
    assert talk.error.problem == "proxy-authentication-required"
    assert "only to a proxy that the configuration names" in str(talk.error)


def test_the_strongest_scheme_first_then_the_next() -> None:
    talk = Talk(WHO)
    first = talk.hear(asked(BASIC, DIGEST))
    assert authorization(first).startswith("Digest ")
    second = talk.hear(asked(BASIC, DIGEST))
    assert authorization(second).startswith("Basic ")
    talk.hear(GRANTED)
    assert talk.events[-1] == TunnelOpened("basic")


def test_digest_counts_and_takes_the_next_nonce() -> None:
    talk = Talk(WHO)
    value = authorization(talk.hear(asked(DIGEST)))
    assert 'uri="da.example.com:443"' in value
    assert "nc=00000001" in value
    info = b'HTTP/1.1 200 OK\r\nProxy-Authentication-Info: nextnonce="n2"\r\n\r\n'
    talk.hear(info)
    again = authorization(Talk(WHO, talk.memory).said())
    assert 'nonce="n2"' in again
    assert "nc=00000001" in again
    assert "nc=00000002" in authorization(Talk(WHO, talk.memory).said())


def test_a_realm_that_is_not_ascii_goes_back_as_it_came() -> None:
    talk = Talk(WHO)
    talk.give(asked(DIGEST).replace(b'realm="r"', b'realm="\xfc"'))
    assert b'realm="\xfc"' in talk.machine.data_to_send()


def test_a_stale_nonce_is_no_refusal() -> None:
    talk = Talk(WHO)
    talk.hear(asked(DIGEST))
    value = authorization(talk.hear(asked(DIGEST.replace("n1", "n2") + ", stale=true")))
    assert 'nonce="n2"' in value
    talk.hear(GRANTED)
    assert talk.events[-1] == TunnelOpened("digest")


def test_a_nonce_of_the_last_time_that_is_not_known_any_more() -> None:
    talk = Talk(WHO)
    talk.hear(asked(DIGEST))
    talk.hear(GRANTED)
    again = Talk(WHO, talk.memory)
    assert 'nonce="n9"' in authorization(again.hear(asked(DIGEST.replace("n1", "n9"))))
    again.hear(GRANTED)
    assert again.events[-1] == TunnelOpened("digest")


def test_ntlm_on_one_connection() -> None:
    talk = Talk(WHO)
    talk.said()
    first = base64.b64decode(authorization(talk.hear(asked(NTLM))).removeprefix("NTLM "))
    assert first.startswith(b"NTLMSSP\0\x01")
    assert b"alice" not in first
    proof = authorization(talk.hear(asked(f"{NTLM} {TYPE_2}")))
    message = parse_authenticate(base64.b64decode(proof.removeprefix("NTLM ")))
    assert (message.domain, message.user) == ("CORP", "alice")
    talk.hear(GRANTED)
    assert talk.events == [ConnectionWanted(), TunnelOpened("ntlm")]


def test_ntlm_begins_anew_where_the_first_connection_ends() -> None:
    talk = Talk(WHO)
    talk.hear(asked(NTLM, kept=False))
    talk.hear(asked(f"{NTLM} {TYPE_2}"))
    talk.hear(GRANTED)
    assert talk.events == [ConnectionWanted(), ConnectionWanted(), TunnelOpened("ntlm")]


def test_ntlm_cannot_go_on_over_another_connection() -> None:
    talk = Talk(WHO)
    talk.hear(asked(NTLM))
    talk.hear(asked(f"{NTLM} {TYPE_2}", kept=False))
    assert talk.error.problem == "proxy-credentials-refused"
    assert "in the midst of ntlm" in str(talk.error)


def test_an_ntlm_message_that_is_none() -> None:
    talk = Talk(WHO)
    talk.hear(asked(NTLM))
    talk.hear(asked(f"{NTLM} Z2FyYmFnZQ=="))
    assert "cannot be read" in str(talk.error)


def test_refused_ntlm_is_not_tried_again() -> None:
    talk = Talk(WHO)
    for answer in (asked(NTLM), asked(f"{NTLM} {TYPE_2}"), asked(NTLM)):
        talk.hear(answer)
    assert talk.error.problem == "proxy-credentials-refused"


def test_negotiate_by_ticket() -> None:
    talk = Talk(Credentials(ticket=True))
    assert talk.hear(asked(NEGOTIATE)) == ""
    assert talk.events[-1] == TicketWanted()
    assert talk.machine.timer_at() is None
    talk.machine.receive_ticket(b"ticket", talk.now)
    talk.settle()
    assert authorization(talk.said()) == "Negotiate dGlja2V0"
    talk.hear(GRANTED)
    assert talk.events == [ConnectionWanted(), TicketWanted(), TunnelOpened("kerberos")]
    again = Talk(Credentials(ticket=True), talk.memory)
    assert again.events == [TicketWanted()]
    again.machine.receive_ticket(b"ticket", talk.now)
    again.settle()
    assert authorization(again.said()) == "Negotiate dGlja2V0"


def test_a_proxy_that_does_not_wait_for_the_ticket() -> None:
    talk = Talk(Credentials(ticket=True))
    talk.hear(asked(NEGOTIATE))
    talk.hear(b"")
    talk.machine.receive_ticket(b"ticket", talk.now)
    talk.settle()
    assert talk.connections == 2
    assert authorization(talk.said()) == "Negotiate dGlja2V0"
    talk.hear(GRANTED)
    assert talk.events[-1] == TunnelOpened("kerberos")


def test_a_ticket_that_is_refused() -> None:
    talk = Talk(Credentials(ticket=True))
    talk.hear(asked(NEGOTIATE))
    talk.machine.receive_ticket(b"ticket", talk.now)
    talk.settle()
    talk.hear(asked(NEGOTIATE))
    assert "kerberos is refused" in str(talk.error)


def test_negotiate_falls_back_to_ntlm() -> None:
    who = Credentials(user="alice", password="s3cret", ticket=True)
    talk = Talk(who)
    talk.hear(asked(NEGOTIATE))
    talk.said()
    talk.machine.ticket_failed("no KDC", talk.now)
    talk.settle()
    assert authorization(talk.said()).startswith("Negotiate TlRMTVNTUAAB")
    talk.hear(asked(f"{NEGOTIATE} {TYPE_2}"))
    talk.hear(GRANTED)
    assert talk.events[-1] == TunnelOpened("negotiated-ntlm")


def test_without_a_ticket_and_anything_else() -> None:
    talk = Talk(Credentials(ticket=True))
    talk.hear(asked(NEGOTIATE))
    talk.machine.ticket_failed("no KDC", talk.now)
    talk.settle()
    assert talk.error.problem == "proxy-credentials-refused"
    assert "no Kerberos ticket for it: no KDC" in str(talk.error)


def test_a_remembered_ticket_that_is_gone() -> None:
    talk = Talk(Credentials(ticket=True), Memory(scheme="kerberos"))
    talk.machine.ticket_failed("expired", talk.now)
    talk.settle()
    assert authorization(talk.said()) == ""
    talk.hear(GRANTED)
    assert talk.events[-1] == TunnelOpened("")


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nServer: squid\r\n\r\n", 0x80190193, "(squid) answers 403"),
        (b"HTTP/1.0 503 Unavailable\r\n\r\n", 0x801901F7, "answers 503"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", 0x8019012E, "answers 302"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, "not that of a proxy"),
        (GRANTED + b"220 mail", 0, "not of the gateway"),
        (b"HTTP/1.1 407 No\r\nX: " + b"x" * connect.MAXIMUM_HEAD, 0, "not that of a proxy"),
    ],
)
def test_other_answers_end_it(answer: bytes, code: int, words: str) -> None:
    talk = Talk(WHO)
    talk.hear(answer)
    assert (talk.error.problem, talk.error.windows_code) == ("proxy-blocks-iphttps", code)
    assert words in str(talk.error)
    assert talk.error.stage is Stage.PROXY


def test_a_notice_before_the_answer_is_passed_over() -> None:
    talk = Talk()
    talk.hear(b"HTTP/1.1 100 Continue\r\n\r\n" + GRANTED)
    assert talk.events[-1] == TunnelOpened("")


def test_a_refusal_too_long_to_read() -> None:
    talk = Talk(WHO)
    talk.hear(asked(BASIC, body=b"x" * (connect.MAXIMUM_BODY + 1)))
    assert talk.connections == 2


def test_a_refusal_that_ends_with_the_connection() -> None:
    talk = Talk(WHO)
    talk.hear(b"HTTP/1.0 407 Who?\r\n" + BASIC.encode() + b"\r\n\r\nwho")
    assert talk.connections == 2
    talk.hear(GRANTED)
    assert talk.events[-1] == TunnelOpened("basic")


def test_http_1_0_that_stays() -> None:
    head = f"HTTP/1.0 407 Who?\r\n{NTLM}\r\nContent-Length: 3\r\nProxy-Connection: keep-alive\r\n"
    talk = Talk(WHO)
    talk.hear(head.encode() + b"\r\nwho")
    assert talk.connections == 1


def test_a_connection_cut_within_a_refusal() -> None:
    talk = Talk(WHO)
    talk.hear(asked(BASIC)[:-3])
    talk.hear(b"")
    assert talk.connections == 2
    again = Talk(WHO)
    again.hear(asked(BASIC)[:-3])
    again.machine.connection_lost(LOST, 0.0)
    again.settle()
    assert again.connections == 2


def test_a_connection_that_was_kept_in_words_only() -> None:
    talk = Talk(WHO)
    talk.hear(asked(BASIC))
    again = talk.hear(b"")
    assert talk.connections == 2
    assert authorization(again).startswith("Basic ")
    talk.hear(GRANTED)
    assert talk.events[-1] == TunnelOpened("basic")


@pytest.mark.parametrize("reset", [True, False])
def test_no_answer_at_all(reset: bool) -> None:
    talk = Talk(WHO)
    if reset:
        talk.machine.connection_lost(LOST, 0.0)
        talk.settle()
    else:
        talk.hear(b"")
    assert "ends the connection instead of answering" in str(talk.error)
    assert talk.error.windows_code == 0x2746


def test_a_proxy_that_cannot_be_connected_to() -> None:
    machine = Tunnel(
        *("da.example.com", 443),
        credentials=NOBODY,
        memory=Memory(),
        means=Means(random=bytes, wall_time=float),
    )
    machine.start(0.0)
    assert machine.next_event() == ConnectionWanted()
    machine.connection_lost(LOST, 0.0)
    assert machine.next_event() == TunnelFailed(LOST)
    assert machine.next_event() is None
    with pytest.raises(LocalProtocolError):
        machine.start(0.0)


def test_silence_has_an_end() -> None:
    talk = Talk()
    at = talk.machine.timer_at()
    assert at == connect.ANSWER_TIME
    talk.machine.handle_timer(at - 0.1)
    talk.settle()
    assert talk.machine.state is State.ASKED
    talk.machine.handle_timer(at)
    talk.settle()
    assert (talk.error.problem, talk.error.windows_code) == ("iphttps-port-blocked", 0x274C)


def test_going_round_in_circles_has_an_end() -> None:
    talk = Talk(WHO)
    for _ in range(connect.MAXIMUM_REQUESTS):
        talk.hear(asked(DIGEST + ", stale=true"))
    assert "8 requests" in str(talk.error)


ANSWERS = (asked(NTLM, BASIC, body=b"x" * 300), asked(f"{NTLM} {TYPE_2}"), GRANTED)


@given(st.lists(st.integers(1, 400), min_size=1))
def test_any_cut_of_the_stream_says_the_same(sizes: list[int]) -> None:
    whole, cut = Talk(WHO), Talk(WHO)
    said = [whole.hear(answer) for answer in ANSWERS]
    assert [_in_pieces(cut, answer, itertools.cycle(sizes)) for answer in ANSWERS] == said
    assert cut.events == whole.events


def _in_pieces(talk: Talk, data: bytes, sizes: Iterator[int]) -> str:
    said = ""
    while data:
        size = next(sizes)
        said += talk.hear(data[:size])
        data = data[size:]
    return said


def test_passwords_do_not_show() -> None:
    assert "s3cret" not in repr(WHO)


def test_a_proxy_that_only_says_continue_is_none() -> None:
    talk = Talk()
    for _ in range(2000):
        talk.give(b"HTTP/1.1 100 Continue\r\n\r\n")
        if talk.machine.state is State.FAILED:
            break
    assert "no end" in str(talk.error)
