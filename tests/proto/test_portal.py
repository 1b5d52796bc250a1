"""Answers of portals, gateways and probe pages, judged; and how a portal is waited for."""

import pytest

from throughway.model.errors import WireError
from throughway.proto.portal import (
    DOUBTS,
    FIRST_WAIT,
    GRACE,
    LONGEST_WAIT,
    Answer,
    Event,
    PortalAPI,
    PortalFound,
    PortalOpened,
    PortalWatch,
    ProbeUnwanted,
    ProbeWanted,
    State,
    Verdict,
    clean_url,
    judge,
    parse_api,
)

ASKED = "http://da.example.com/throughway-1"
LOGIN = "https://login.hotel.example/?from=x"
APPLE = b"<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>"
LAB = b"<!doctype html><title>probe.example.com</title><p>throughway probe</p>\n"
FREE, CAPTIVE, UNCLEAR = Verdict.FREE, Verdict.CAPTIVE, Verdict.UNCLEAR


@pytest.mark.parametrize(
    ("answer", "own", "verdict", "url"),
    [
        (Answer(204), True, FREE, ""),
        (Answer(204), False, FREE, ""),
        (Answer(200, body=b"success\n"), True, FREE, ""),
        (Answer(200, body=APPLE), True, FREE, ""),
        (Answer(200, body=LAB), True, FREE, ""),
        (Answer(200, body=b"Microsoft Connect Test"), True, FREE, ""),
        (Answer(200, body=b"<h1>Welcome! Login success is near</h1>"), True, CAPTIVE, ""),
        (Answer(200, body=b""), True, CAPTIVE, ""),
        (Answer(200, body=b"success"), False, CAPTIVE, ""),
        (Answer(302, LOGIN), True, CAPTIVE, LOGIN),
        (Answer(307, LOGIN), False, CAPTIVE, LOGIN),
        (Answer(302, "javascript:alert(1)"), False, FREE, ""),
        (Answer(302, "ftp://login.example/"), False, CAPTIVE, ""),
        (Answer(301, "https://da.example.com/"), False, FREE, ""),
        (Answer(301, "/elsewhere"), False, FREE, ""),
        (Answer(301, "/elsewhere"), True, UNCLEAR, ""),
        (Answer(511), False, CAPTIVE, ""),
        (Answer(404), False, FREE, ""),
        (Answer(404), True, UNCLEAR, ""),
        (Answer(503), True, UNCLEAR, ""),
    ],
)
def test_answers(answer: Answer, own: bool, verdict: Verdict, url: str) -> None:
    assert judge(answer, ASKED, own=own) == (verdict, url)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"captive": false}', PortalAPI(False)),
        (b'{"captive": true, "user-portal-url": "%s"}' % LOGIN.encode(), PortalAPI(True, LOGIN)),
        (b'{"captive": true, "user-portal-url": 7, "seconds-remaining": 9}', PortalAPI(True)),
        (b'{"captive": true, "user-portal-url": "file:///etc/passwd"}', PortalAPI(True)),
    ],
)
def test_the_api_of_a_portal(body: bytes, expected: PortalAPI) -> None:
    assert parse_api(body) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"captive": "yes"}', b"[" * 99999, b"\xff"])
def test_what_is_no_answer_of_an_api(body: bytes) -> None:
    with pytest.raises(WireError):
        parse_api(body)


@pytest.mark.parametrize("url", ["", "http:///x", "http://[::1", "http://a b/", "http://\x1b[2J/"])
def test_what_is_not_shown_to_people(url: str) -> None:
    assert clean_url(url) == ""
    assert clean_url("http://" + "a" * 3000) == ""


class Watched:
    """A watch, and the answers that a test gives it."""

    def __init__(self) -> None:
        self.watch = PortalWatch()
        self.now = 100.0
        self.number = 0

    def events(self) -> list[Event]:
        events = []
        while (event := self.watch.next_event()) is not None:
            if isinstance(event, ProbeWanted):
                self.number = event.number
            events.append(event)
        return events

    def change_network(self) -> None:
        self.watch.network_changed(self.now)

    def state(self) -> State:
        return self.watch.state

    def hear(self, verdict: Verdict, url: str = "") -> list[Event]:
        self.watch.receive_verdict(self.number, verdict, url, self.now)
        return self.events()

    def wait(self) -> list[Event]:
        """Let the time pass until the next probe."""
        due = self.watch.timer_at()
        assert due is not None
        self.now = due
        self.watch.handle_timer(self.now)
        return self.events()


@pytest.fixture
def watched() -> Watched:
    """A watch in a network it has just come to."""
    watched = Watched()
    watched.change_network()
    assert watched.wait() == [ProbeWanted(1)]
    return watched


def test_a_portal_is_found_waited_for_and_gone(watched: Watched) -> None:
    assert watched.hear(CAPTIVE, LOGIN) == [PortalFound(LOGIN)]
    assert watched.state() is State.CAPTIVE
    waits = []
    for _ in range(15):
        before = watched.now
        assert watched.wait() == [ProbeWanted(watched.number)]
        waits.append(watched.now - before)
        assert watched.hear(CAPTIVE, LOGIN) == []
    assert waits[0] == pytest.approx(FIRST_WAIT)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(LONGEST_WAIT)
    watched.wait()
    assert watched.hear(FREE) == [PortalOpened()]
    assert watched.state() is State.FREE
    assert watched.watch.timer_at() is None


def test_a_free_network_is_not_probed_again_without_a_reason(watched: Watched) -> None:
    assert watched.hear(FREE) == []
    assert watched.watch.timer_at() is None
    watched.watch.way_failed()
    assert watched.events() == [ProbeWanted(2)]
    assert watched.hear(CAPTIVE, "") == [PortalFound("")]


def test_no_answer_says_nothing(watched: Watched) -> None:
    assert watched.hear(UNCLEAR) == []
    assert watched.watch.state is State.UNKNOWN
    assert watched.watch.timer_at() is None


def test_a_portal_that_answers_no_more_is_gone_after_a_doubt(watched: Watched) -> None:
    watched.hear(CAPTIVE)
    for _ in range(DOUBTS - 1):
        watched.wait()
        assert watched.hear(UNCLEAR) == []
        assert watched.watch.state is State.CAPTIVE
    watched.wait()
    assert watched.hear(UNCLEAR) == [PortalOpened()]


def test_a_portal_that_answers_again_is_still_there(watched: Watched) -> None:
    watched.hear(CAPTIVE)
    for verdict in (UNCLEAR, CAPTIVE, UNCLEAR, CAPTIVE):
        watched.wait()
        assert watched.hear(verdict) == []


def test_another_page_to_sign_in_is_told(watched: Watched) -> None:
    watched.hear(CAPTIVE, "")
    watched.wait()
    assert watched.hear(CAPTIVE, LOGIN) == [PortalFound(LOGIN)]
    assert watched.watch.url == LOGIN


def test_the_gateway_proves_that_nothing_is_in_the_way(watched: Watched) -> None:
    watched.watch.way_found()
    assert watched.events() == [ProbeUnwanted()]
    assert watched.watch.state is State.FREE
    assert watched.hear(CAPTIVE) == []
    watched.watch.way_failed()
    watched.events()
    watched.hear(CAPTIVE)
    watched.watch.way_found()
    assert watched.watch.timer_at() is None


def test_a_gateway_that_answers_at_once_spares_the_probe(watched: Watched) -> None:
    watched.change_network()
    assert watched.watch.timer_at() == watched.now + GRACE
    watched.events()
    watched.watch.way_found()
    assert watched.events() == []
    assert watched.watch.timer_at() is None
    watched.change_network()
    watched.watch.way_failed()
    assert watched.events() == [ProbeWanted(2)], "there is a reason now"
    assert watched.watch.timer_at() is None


def test_failures_begin_no_second_probe(watched: Watched) -> None:
    watched.watch.way_failed()
    assert watched.events() == []
    watched.hear(CAPTIVE)
    watched.watch.way_failed()
    assert watched.events() == []


def test_another_network_begins_anew(watched: Watched) -> None:
    watched.hear(CAPTIVE, LOGIN)
    watched.change_network()
    assert (watched.watch.state, watched.watch.url) == (State.UNKNOWN, "")
    assert watched.wait() == [ProbeWanted(2)]
    watched.change_network()
    assert watched.events() == [ProbeUnwanted()]
    assert watched.wait() == [ProbeWanted(3)]
    watched.watch.receive_verdict(2, CAPTIVE, LOGIN, watched.now)
    assert watched.events() == []


def test_nothing_happens_after_the_end(watched: Watched) -> None:
    watched.hear(CAPTIVE)
    watched.watch.stop()
    assert watched.watch.timer_at() is None
    assert watched.watch.state is State.UNKNOWN
    watched.watch.handle_timer(watched.now + 99)
    assert watched.events() == []
