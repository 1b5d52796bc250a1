"""Inside or outside, driven without a network or a clock."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from throughway.model.status import Location
from throughway.proto.location import (
    DOUBT_INTERVAL,
    FLAP_DELAY,
    FLAP_LIMIT,
    INSIDE_INTERVAL,
    MAXIMUM_RESTARTS,
    OUTSIDE_INTERVAL,
    PROBE_TIME,
    TRANSITIONS,
    Event,
    Input,
    LocationJudge,
    LocationJudged,
    ProbesEnded,
    ProbesStarted,
)

A, B = "https://nls1.example/", "https://nls2.example/"


def events(judge: LocationJudge) -> list[Event]:
    return list(iter(judge.next_event, None))


def where(judge: LocationJudge) -> Location:
    return judge.location


def judged(found: Iterable[Event]) -> list[Location]:
    return [event.location for event in found if isinstance(event, LocationJudged)]


def started(judge: LocationJudge, now: float = 0.0) -> int:
    """Start, and return the number of the round that began."""
    judge.start(connected=True, now=now)
    return running(judge)


def running(judge: LocationJudge) -> int:
    rounds = [event.round for event in events(judge) if isinstance(event, ProbesStarted)]
    assert rounds
    return rounds[-1]


def inside(now: float = 0.0) -> LocationJudge:
    judge = LocationJudge((A,))
    judge.receive_verified(started(judge, now), A, now)
    assert judged(events(judge)) == [Location.INSIDE]
    return judge


def test_any_verified_url_is_inside() -> None:
    judge = LocationJudge((A, B))
    judge.start(connected=True, now=0)
    assert events(judge) == [ProbesStarted(1, (A, B))]
    judge.receive_failed(1, A, "refused", now=0.1)
    assert events(judge) == []
    judge.receive_verified(1, B, now=0.2)
    assert events(judge) == [ProbesEnded(1), LocationJudged(Location.INSIDE, f"{B} has answered")]
    assert judge.timer_at() == 0.2 + INSIDE_INTERVAL


def test_all_failed_is_outside_at_once_with_the_reasons() -> None:
    judge = LocationJudge((A, B))
    number = started(judge)
    judge.receive_failed(number, A, "name not found", now=0.01)
    judge.receive_failed(number, B, "refused", now=0.02)
    assert where(judge) is Location.OUTSIDE
    assert judge.reason == f"{A}: name not found; {B}: refused"
    assert judge.timer_at() == 0.02 + OUTSIDE_INTERVAL


def test_a_probe_that_hangs_is_cut_off() -> None:
    judge = LocationJudge((A,))
    started(judge)
    assert judge.timer_at() == PROBE_TIME <= 1.5
    judge.handle_timer(PROBE_TIME)
    assert where(judge) is Location.OUTSIDE
    assert "no answer within 1.5 s" in judge.reason


def test_results_of_an_older_round_do_not_count() -> None:
    judge = LocationJudge((A,))
    first = started(judge)
    judge.network_changed(connected=True, now=0.5)
    second = running(judge)
    judge.receive_verified(first, A, now=0.6)
    assert where(judge) is Location.UNKNOWN
    judge.receive_failed(second, A, "refused", now=0.7)
    assert where(judge) is Location.OUTSIDE


def test_inside_is_left_at_the_second_failure_when_nothing_moved() -> None:
    judge = inside()
    judge.handle_timer(INSIDE_INTERVAL)
    judge.receive_failed(running(judge), A, "refused", now=INSIDE_INTERVAL)
    assert where(judge) is Location.INSIDE
    assert judge.reason.startswith("doubtful")
    assert judge.timer_at() == INSIDE_INTERVAL + DOUBT_INTERVAL
    judge.handle_timer(INSIDE_INTERVAL + DOUBT_INTERVAL)
    judge.receive_failed(running(judge), A, "refused", now=INSIDE_INTERVAL + DOUBT_INTERVAL)
    assert where(judge) is Location.OUTSIDE


def test_a_success_between_two_failures_forgives_the_first() -> None:
    judge = inside()
    now = INSIDE_INTERVAL
    for _ in range(3):
        judge.handle_timer(now)
        judge.receive_failed(running(judge), A, "refused", now)
        now += DOUBT_INTERVAL
        judge.handle_timer(now)
        judge.receive_verified(running(judge), A, now)
        now += INSIDE_INTERVAL
        assert where(judge) is Location.INSIDE


def test_inside_ends_at_once_when_the_network_changes() -> None:
    """Until the new network has answered, nothing may go out as if it were the intranet."""
    judge = inside()
    judge.network_changed(connected=True, now=1)
    found = events(judge)
    assert judged(found) == [Location.UNKNOWN]
    assert isinstance(found[-1], ProbesStarted)
    judge.receive_failed(found[-1].round, A, "name not found", now=1.01)
    assert where(judge) is Location.OUTSIDE


def test_outside_stays_outside_while_it_looks_again() -> None:
    judge = LocationJudge((A,))
    judge.receive_failed(started(judge), A, "refused", now=0)
    events(judge)
    judge.network_changed(connected=True, now=1)
    found = events(judge)
    assert judged(found) == []
    judge.receive_verified(2, A, now=1.1)
    assert judged(events(judge)) == [Location.INSIDE]


def test_without_a_network_nothing_is_probed() -> None:
    judge = LocationJudge((A,))
    judge.start(connected=False, now=0)
    assert events(judge) == [LocationJudged(Location.UNKNOWN, "no network")]
    assert judge.timer_at() is None
    judge.network_changed(connected=True, now=5)
    assert running(judge) == 1


def test_an_outside_client_without_network_stays_outside_and_says_why() -> None:
    judge = LocationJudge((A,))
    judge.receive_failed(started(judge), A, "refused", now=0)
    judge.network_changed(connected=False, now=1)
    assert (judge.location, judge.reason) == (Location.OUTSIDE, "no network")


def test_an_inside_client_that_is_unplugged_is_not_inside_at_the_next_network() -> None:
    judge = inside()
    judge.network_changed(connected=False, now=1)
    assert (judge.location, judge.reason) == (Location.UNKNOWN, "no network")


def test_no_url_means_outside() -> None:
    judge = LocationJudge(())
    judge.start(connected=True, now=0)
    assert events(judge) == [
        LocationJudged(Location.OUTSIDE, "the policy names no location server")
    ]
    judge.set_urls((A,), now=1)
    judge.receive_verified(running(judge), A, now=1)
    assert where(judge) is Location.INSIDE
    judge.set_urls((), now=2)
    assert where(judge) is Location.OUTSIDE


def test_a_network_that_changes_all_the_time_is_judged_nevertheless() -> None:
    judge = LocationJudge((A,))
    started(judge)
    now = 0.0
    while judge.location is Location.UNKNOWN:
        now += 0.2
        assert now < PROBE_TIME * (MAXIMUM_RESTARTS + 2)
        judge.network_changed(connected=True, now=now)
        judge.handle_timer(now)
    assert where(judge) is Location.OUTSIDE
    assert judge.timer_at() == now + DOUBT_INTERVAL


def test_an_answer_from_before_the_change_proves_nothing() -> None:
    judge = LocationJudge((A,))
    started(judge)
    for _ in range(MAXIMUM_RESTARTS):
        judge.network_changed(connected=True, now=0.1)
    number = running(judge)
    judge.network_changed(connected=True, now=0.2)
    judge.receive_verified(number, A, now=0.3)
    assert where(judge) is Location.UNKNOWN
    again = running(judge)
    assert again > number
    judge.receive_verified(again, A, now=0.4)
    assert where(judge) is Location.INSIDE


def test_a_flapping_network_is_given_time_to_settle() -> None:
    judge = inside()
    now = 0.0
    while judge.timer_at() != now + FLAP_DELAY:
        now += 1
        assert now <= FLAP_LIMIT
        judge.network_changed(connected=True, now=now)
        for event in events(judge):
            if isinstance(event, ProbesStarted):
                judge.receive_verified(event.round, A, now)
    assert where(judge) is Location.UNKNOWN
    due = now + FLAP_DELAY
    judge.network_changed(connected=True, now=now + 1)
    assert judge.timer_at() == due, "changes must not put the probe off for ever"
    judge.handle_timer(due)
    judge.receive_verified(running(judge), A, due)
    assert where(judge) is Location.INSIDE


def test_refresh_looks_at_once_and_believes_what_it_sees() -> None:
    judge = inside()
    judge.refresh(now=1)
    judge.receive_failed(running(judge), A, "refused", now=1)
    assert where(judge) is Location.OUTSIDE


def test_every_state_takes_what_the_world_does() -> None:
    refused = {(s, i) for s in Location for i in Input} - TRANSITIONS.keys()
    assert {what for _, what in refused} == {Input.DOUBTED}


WORLD = st.one_of(
    st.tuples(st.just("change"), st.booleans()),
    st.tuples(st.just("verified"), st.sampled_from((A, B, "https://other/"))),
    st.tuples(st.just("failed"), st.sampled_from((A, B))),
    st.tuples(st.just("wait"), st.floats(0, 100)),
    st.tuples(st.just("urls"), st.sampled_from(((A,), (A, B), ()))),
    st.tuples(st.just("refresh"), st.none()),
)


@given(st.lists(WORLD, max_size=40))
def test_inside_only_by_a_verified_answer_of_the_running_round(
    steps: list[tuple[str, object]],
) -> None:
    judge, now, number, urls = LocationJudge((A, B)), 0.0, 0, (A, B)
    judge.start(connected=True, now=0)
    changed = False
    for what, detail in [("", None), *steps]:
        was = judge.location
        match what:
            case "change":
                judge.network_changed(bool(detail), now)
                changed = True
            case "verified":
                judge.receive_verified(number, str(detail), now)
            case "failed":
                judge.receive_failed(number, str(detail), "refused", now)
            case "urls":
                assert isinstance(detail, tuple)
                urls = detail
                judge.set_urls(urls, now)
            case "wait":
                assert isinstance(detail, float)
                now += detail
                judge.handle_timer(now)
            case "refresh":
                judge.refresh(now)
        if judge.location is Location.INSIDE and was is not Location.INSIDE:
            assert what == "verified"
            assert detail in urls
            assert not changed
        for event in events(judge):
            if isinstance(event, ProbesStarted):
                number, changed = event.round, False
        if judge.connected and judge.location is Location.UNKNOWN:
            assert judge.timer_at() is not None, "must not stay in the dark"
