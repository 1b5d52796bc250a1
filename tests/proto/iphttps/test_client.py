"""The client's machine, without a socket or a clock."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import (
    LocalProtocolError,
    RemoteProtocolError,
    Stage,
    TransportError,
)
from throughway.proto.iphttps.client import (
    OWN,
    PROBE_TIMEOUT,
    RESPONSE_TIMEOUT,
    SILENT_AFTER,
    SILENT_TIMEOUT,
    SOLICITATION,
    SPECIFIED,
    TRANSITIONS,
    Client,
    ConnectionUnwanted,
    ConnectionWanted,
    Event,
    Input,
    LinkOpened,
    PacketQueued,
    ReconnectPolicy,
    State,
    StateChanged,
)
from throughway.proto.iphttps.http import build_refusal, build_request, build_response, parse_url

URL = parse_url("https://da.example.com/IPHTTPS")
REFUSED = TransportError(Stage.CONNECT, "refused", windows_code=0x274D)
OK = build_response(0)


def events(client: Client) -> list[Event]:
    return list(iter(client.next_event, None))


def started(policy: ReconnectPolicy | None = None) -> Client:
    client = Client(URL, policy=policy)
    client.enable()
    client.initialize()
    events(client)
    return client


def up(policy: ReconnectPolicy | None = None, now: float = 0) -> Client:
    client = started(policy)
    client.connection_made(now)
    client.receive_data(OK, now)
    assert client.state is State.LINK_UP
    events(client)
    client.data_to_send()
    return client


def test_a_link_comes_up() -> None:
    client = Client(URL, session="key")
    assert client.state is State.DISABLED
    client.enable()
    client.initialize()
    assert events(client) == [
        StateChanged(State.ENABLED),
        StateChanged(State.LINK_DOWN),
        ConnectionWanted(),
    ]
    assert client.data_to_send() == b""
    client.connection_made(1)
    assert events(client) == [StateChanged(State.ESTABLISHED)]
    assert client.data_to_send() == build_request(URL, "key")
    assert client.data_to_send() == b""
    client.receive_data(OK[:20], 2)
    assert events(client) == []
    client.receive_data(OK[20:] + b"`packets", 2)
    assert events(client) == [
        StateChanged(State.LINK_UP),
        LinkOpened(b"`packets"),
        PacketQueued(SOLICITATION),
    ]
    assert client.timer_at() is None


def test_disable_ends_it_in_any_state() -> None:
    for client in (started(), up()):
        client.disable()
        assert events(client) == [ConnectionUnwanted(), StateChanged(State.DISABLED)]
        assert client.timer_at() is None
        client.connection_lost(REFUSED, 1)
        client.connection_made(1)
        client.receive_data(OK, 1)
        client.network_changed(1)
        assert events(client) == []
        client.enable()
        client.initialize()
        assert events(client)[-1] == ConnectionWanted()


def attempts(client: Client, now: float, number: int, lasting: float = 0) -> list[float]:
    """Return when further attempts are made, each of which fails after ``lasting``."""
    times = []
    for _ in range(number):
        at = client.timer_at()
        assert at is not None
        now = max(now, at)
        client.handle_timer(now)
        assert ConnectionWanted() in events(client)
        times.append(now)
        now += lasting
        client.connection_lost(REFUSED, now)
    return times


def test_the_specification_s_schedule() -> None:
    """[MS-IPHTTPS] 3.1.2.1, with attempts that take T = 2 s to fail."""
    client = started(SPECIFIED)
    client.connection_lost(REFUSED, 0)
    assert attempts(client, 0, 8, lasting=2) == [30, 64, 132, 268, 540, 1084, 1986, 2888]
    assert 1986 - 1086 == 2888 - 1988 == SPECIFIED.maximum


def test_ours_tries_often_at_first_and_then_every_minute() -> None:
    client = started()
    client.connection_lost(REFUSED, 0)
    times = attempts(client, 0, 180)
    assert times[:6] == [0.25, 0.75, 1.75, 2.75, 4.75, 6.75]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert max(pause for t, pause in zip(times, pauses, strict=False) if t < 890) == 6
    assert pauses[-1] == 60


def test_a_lost_link_is_tried_at_once_and_quickly_then() -> None:
    client = up()
    client.connection_lost(REFUSED, 100)
    assert events(client) == [StateChanged(State.LINK_DOWN, REFUSED)]
    assert attempts(client, 100, 4) == [100, 100.25, 100.75, 101.75]


def test_a_success_starts_the_schedule_anew() -> None:
    client = started()
    client.connection_lost(REFUSED, 0)
    attempts(client, 0, 20)
    now = client.timer_at()
    assert now is not None
    client.handle_timer(now)
    client.connection_made(now)
    client.receive_data(OK, now)
    client.connection_lost(REFUSED, now + 10)
    assert client.timer_at() == now + 10


def test_a_link_that_falls_at_once_is_no_success() -> None:
    """Or two computers with one key would replace each other's session in a busy loop."""
    client, now, ups = started(), 0.0, 0
    while now < 20:
        client.connection_made(now)
        client.receive_data(OK, now)
        client.connection_lost(REFUSED, now)
        ups += 1
        at = client.timer_at()
        assert at is not None
        client.handle_timer(now := at)
    assert ups < 20


def test_delays_are_spread_at_random() -> None:
    client = Client(URL, random=lambda: 1.0)
    client.enable()
    client.initialize()
    client.connection_lost(REFUSED, 0)
    assert client.timer_at() == 0.25 * 1.25


def test_a_changed_network_is_tried_at_once() -> None:
    client = started(SPECIFIED)
    client.connection_lost(REFUSED, 0)
    events(client)
    client.network_changed(5)
    assert events(client) == [ConnectionWanted()]
    assert client.timer_at() is None
    client.connection_lost(REFUSED, 6)
    assert client.timer_at() == 36  # and the schedule begins anew


def test_an_attempt_over_the_old_network_is_given_up() -> None:
    client = started()
    client.network_changed(1)
    assert events(client) == [ConnectionUnwanted(), ConnectionWanted()]
    client.connection_made(2)
    client.data_to_send()
    events(client)
    client.network_changed(3)
    assert events(client) == [
        ConnectionUnwanted(),
        StateChanged(State.LINK_DOWN),
        ConnectionWanted(),
    ]
    assert client.data_to_send() == b""


def test_a_link_that_survives_a_changed_network_stays() -> None:
    client = up()
    client.network_changed(50)
    assert events(client) == [PacketQueued(SOLICITATION)]
    assert client.timer_at() == 50 + PROBE_TIMEOUT
    client.sign_of_life()
    assert client.timer_at() is None
    assert client.state is State.LINK_UP


def test_a_link_that_gives_no_sign_of_life_is_made_anew() -> None:
    client = up()
    client.network_changed(50)
    client.network_changed(51)  # asks again, but waits no longer
    events(client)
    client.handle_timer(50 + PROBE_TIMEOUT)
    unwanted, changed = events(client)
    assert unwanted == ConnectionUnwanted()
    assert isinstance(changed, StateChanged)
    assert changed.state is State.LINK_DOWN
    assert client.timer_at() == 50 + PROBE_TIMEOUT


def test_a_link_on_which_nothing_is_answered_is_asked_and_then_made_anew() -> None:
    client = up()
    client.packets_sent(50)
    client.packets_sent(51)
    assert client.timer_at() == 50 + SILENT_AFTER
    client.handle_timer(52)
    assert events(client) == [PacketQueued(SOLICITATION)]
    assert client.doubted
    assert client.timer_at() == 52 + SILENT_TIMEOUT
    client.handle_timer(52 + SILENT_TIMEOUT)
    unwanted, changed = events(client)
    assert unwanted == ConnectionUnwanted()
    assert isinstance(changed, StateChanged)
    assert changed.error is not None
    assert changed.error.problem == "iphttps-port-blocked"
    assert not client.doubted


def test_a_link_that_answers_is_asked_nothing() -> None:
    client = up()
    client.packets_sent(50)
    client.sign_of_life()
    assert client.timer_at() is None
    client.packets_sent(60)
    client.handle_timer(60)
    client.handle_timer(62)
    assert events(client) == [PacketQueued(SOLICITATION)]
    client.sign_of_life()
    assert not client.doubted
    assert client.timer_at() is None


@pytest.mark.parametrize(
    ("data", "windows_code", "problem", "words"),
    [
        (build_refusal(404, "no", 0), 0x80190194, "iphttps-http-refused", "404 Not Found"),
        (b"HTTP/1.1 302 Found\r\nServer: nginx\r\n\r\n", 0x8019012E, "iphttps-http-refused", "ngi"),
        (b"SSH-2.0-x\r\n\r\n", 0x80090308, "iphttps-wrong-server", "not HTTP"),
        (b"", 0, "iphttps-http-refused", "without an answer"),
    ],
)
def test_other_answers(data: bytes, windows_code: int, problem: str, words: str) -> None:
    client = started()
    client.connection_made(0)
    events(client)
    client.receive_data(data, 1)
    unwanted, changed = events(client)
    assert unwanted == ConnectionUnwanted()
    assert isinstance(changed, StateChanged)
    assert changed.error is not None
    assert (changed.error.stage, changed.error.problem) == (Stage.HTTP, problem)
    assert changed.error.windows_code == windows_code
    assert words in str(changed.error)
    assert client.timer_at() == 1.25


def test_no_answer() -> None:
    client = started()
    client.connection_made(0)
    assert client.timer_at() == RESPONSE_TIMEOUT
    client.handle_timer(RESPONSE_TIMEOUT)
    assert client.state is State.LINK_DOWN
    lost = [e for e in events(client) if isinstance(e, StateChanged) and e.error]
    assert lost[0].error is not None
    assert lost[0].error.windows_code == 0x274C


def test_garbage_ends_the_link() -> None:
    client = up()
    client.receive_garbage(RemoteProtocolError("out of step"), 30)
    assert client.state is State.LINK_DOWN
    assert events(client)[0] == ConnectionUnwanted()


def test_only_our_own_calls_can_be_refused() -> None:
    refused = {(s, i) for s in State for i in Input} - TRANSITIONS.keys()
    assert {what for _, what in refused} <= OWN
    with pytest.raises(LocalProtocolError):
        Client(URL).initialize()
    with pytest.raises(LocalProtocolError):
        started().enable()


class Driver:
    """Inputs of the network and the clock, in whatever order."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.now = 0.0

    def do(self, what: str, data: bytes) -> None:
        client = self.client
        match what:
            case "made":
                client.connection_made(self.now)
            case "lost":
                client.connection_lost(REFUSED, self.now)
            case "data":
                client.receive_data(data, self.now)
            case "ok":
                client.receive_data(OK, self.now)
            case "garbage":
                client.receive_garbage(RemoteProtocolError("x"), self.now)
            case "life":
                client.sign_of_life()
            case "sent":
                client.packets_sent(self.now)
            case "network":
                client.network_changed(self.now)
            case "time":
                self.now = max(self.now, client.timer_at() or self.now + 1)
                client.handle_timer(self.now)


INPUTS = st.sampled_from(
    ["made", "lost", "data", "ok", "garbage", "life", "sent", "network", "time"]
)


@given(st.sampled_from(State), st.lists(st.tuples(INPUTS, st.binary(max_size=40))))
def test_the_network_cannot_make_our_error(state: State, inputs: list[tuple[str, bytes]]) -> None:
    client = Client(URL)
    with contextlib.suppress(LocalProtocolError):
        client.enable()
        client.initialize()
    client.state = state
    driver = Driver(client)
    for what, data in inputs:
        driver.do(what, data)


@given(st.lists(st.tuples(INPUTS, st.binary(max_size=40))))
def test_a_link_that_is_down_always_waits_for_something(inputs: list[tuple[str, bytes]]) -> None:
    """Either an attempt is under way or a timer runs: nothing can leave the client stuck."""
    client = Client(URL)
    client.enable()
    client.initialize()
    driver, attempting = Driver(client), False
    for what, data in [("life", b""), *inputs]:
        driver.do(what, data)
        if what == "lost":
            attempting = False
        for event in events(client):
            if isinstance(event, ConnectionWanted):
                assert not attempting
                attempting = True
            elif isinstance(event, ConnectionUnwanted):
                attempting = False
        if client.state is not State.LINK_UP:
            assert attempting or client.timer_at() is not None
            assert not (attempting and client.retry_at is not None)


def refused(client: Client, response: bytes, now: float) -> TransportError:
    """Ask, and be answered this; return the error."""
    client.connection_made(now)
    client.receive_data(response, now)
    (error,) = [e.error for e in events(client) if isinstance(e, StateChanged) and e.error]
    return error


def length_of(client: Client) -> int:
    head = client.data_to_send().decode()
    return int(head.partition("Content-Length: ")[2].partition("\r\n")[0])


def test_a_proxy_that_cannot_count_so_far_is_asked_otherwise() -> None:
    """nginx takes 2^63-1 at the most; [MS-IPHTTPS] wants 2^64-1, which comes first and again."""
    client, lengths = started(), []
    nginx = b"HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\nContent-Length: 0\r\n\r\n"
    for now in (0.0, 1.0, 2.0):
        client.connection_made(now)
        lengths.append(length_of(client))
        client.receive_data(nginx, now)
        assert client.state is State.LINK_DOWN
        events(client)
        client.handle_timer(now + 1)
    assert lengths == [2**64 - 1, 2**63 - 1, 2**64 - 1]


def test_what_worked_is_asked_again_and_a_gateway_is_not_asked_otherwise() -> None:
    client = started()
    refused(client, build_refusal(400, "no", 0), 0)
    client.handle_timer(1)
    client.connection_made(1)
    client.data_to_send()
    client.receive_data(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 1)
    client.handle_timer(2)
    client.connection_made(2)
    assert length_of(client) == 2**63 - 1
    client.receive_data(OK, 2)
    client.connection_lost(REFUSED, 20)
    client.handle_timer(21)
    client.connection_made(21)
    assert length_of(client) == 2**63 - 1


@pytest.mark.parametrize(
    ("code", "windows", "problem"),
    [
        ("iphttps-client-cert-none", 0x90320, "iphttps-client-cert-required"),
        ("iphttps-client-cert-untrusted", 0x80090327, "iphttps-client-cert-rejected"),
        ("iphttps-client-cert-expired", 0x80090328, "iphttps-client-cert-rejected"),
        ("iphttps-client-cert-revoked", 0x80090327, "iphttps-client-cert-rejected"),
        ("iphttps-client-cert-usage", 0x80090327, "iphttps-client-cert-rejected"),
        ("iphttps-client-crl-unusable", 0x80090327, "iphttps-client-cert-rejected"),
        ("iphttps-adc-header-forged", 0x80190000 + 403, "iphttps-http-refused"),
        ("a-code-that-nobody-knows", 0x80190000 + 403, "iphttps-http-refused"),
    ],
)
def test_what_a_gateway_says_of_the_certificate_is_said(
    code: str, windows: int, problem: str
) -> None:
    error = refused(started(), build_refusal(403, "CN=client1: it \x07 ended\n", 0, code), 0)
    assert (error.windows_code, error.problem) == (windows, problem)
    if problem != "iphttps-http-refused":
        assert str(error) == "the gateway refuses this client: CN=client1: it ? ended?"
