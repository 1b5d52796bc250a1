"""Whatever a portal answers: a verdict, and a URL that can be shown or none."""

from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.net.portal import parse_user_options
from throughway.proto.portal import Answer, PortalWatch, State, Verdict, clean_url, judge, parse_api

TEXT = st.one_of(st.text(max_size=60), st.sampled_from(["http://[", "//", "https://a.example/x"]))


@given(st.integers(100, 599), TEXT, st.binary(max_size=100), st.booleans())
def test_judge(status: int, location: str, body: bytes, own: bool) -> None:
    verdict, url = judge(Answer(status, location, body), "http://da.example.com/", own=own)
    assert url == clean_url(url)
    assert verdict in Verdict


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_parse_api(body: bytes) -> None:
    try:
        told = parse_api(body)
    except WireError:
        return
    assert told.user_portal_url == clean_url(told.user_portal_url)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from(Verdict))))
def test_any_order_of_events(steps: list[tuple[int, int, Verdict]]) -> None:
    """Captive is said to be over whenever it was said to be, and nothing is asked without end."""
    watch, now, number = PortalWatch(), 0.0, 0
    for step, back, verdict in steps:
        match step:
            case 0:
                watch.network_changed(now)
            case 1:
                watch.way_failed()
            case 2:
                watch.way_found()
            case 3:
                watch.receive_verdict(number - back, verdict, "http://login.example/", now)
            case 4:
                now = watch.timer_at() or now
                watch.handle_timer(now)
            case 5:
                watch.stop()
        number = watch._number
        assert watch.timer_at() is None or watch.state is not State.FREE
    if watch.state is not State.CAPTIVE and (due := watch.timer_at()) is not None:
        watch.handle_timer(due)
        assert watch.timer_at() is None, "asked once"


@given(st.binary(max_size=200))
def test_messages_of_the_kernel(data: bytes) -> None:
    named = parse_user_options(data)
    assert named is None or named == clean_url(named)
