"""Which transport carries: told as histories of a few seconds."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.status import TransportKind
from throughway.proto.experience import FAILURE_TIME, Experience
from throughway.proto.selection import (
    DOUBT_TIME,
    FIRST_RETRY,
    FLAP_LIMIT,
    HEAD_START,
    KNOWN_HEAD_START,
    LINGER_TIME,
    STAND_TIME,
    YOUNG_TIME,
    Event,
    Selection,
    State,
    TransportChosen,
    TransportUnwanted,
    TransportWanted,
)

NATIVE, SIXTOFOUR, TEREDO, IPHTTPS = TransportKind
ALL = (NATIVE, SIXTOFOUR, TEREDO, IPHTTPS)
HOME, CAFE = "aa:bb", "cc:dd"


class History:
    """A selection with a clock, and what it asked for."""

    def __init__(
        self, kinds: tuple[TransportKind, ...] = ALL, experience: Experience | None = None
    ) -> None:
        self.now = 1000.0
        self.selection = Selection(kinds, experience)
        self.running: set[TransportKind] = set()
        self.started: dict[TransportKind, float] = {}
        self.choices: list[TransportKind | None] = []

    def begin(self, network: str = HOME) -> "History":
        self.selection.start(network, self.now)
        self.drain()
        return self

    def events(self) -> Iterator[Event]:
        while event := self.selection.next_event():
            yield event

    def drain(self) -> None:
        for event in self.events():
            match event:
                case TransportWanted(kind):
                    assert kind not in self.running
                    self.running.add(kind)
                    self.started[kind] = self.now
                case TransportUnwanted(kind):
                    self.running.remove(kind)
                case TransportChosen(kind):
                    self.choices.append(kind)

    def wait(self, seconds: float) -> "History":
        """Let time pass, timer by timer."""
        end = self.now + seconds
        while (due := self.selection.timer_at()) is not None and due <= end:
            assert due > self.now, "the timer stands still"
            self.now = due
            self.selection.handle_timer(self.now)
            self.drain()
        self.now = end
        return self

    def proven(self, kind: TransportKind) -> "History":
        self.selection.receive_proven(kind, self.now)
        self.drain()
        return self

    def failed(self, kind: TransportKind, reason: str = "no") -> "History":
        self.selection.receive_failed(kind, reason, self.now)
        self.drain()
        return self

    def lost(self, kind: TransportKind) -> "History":
        self.selection.receive_lost(kind, "silence", self.now)
        self.drain()
        return self

    def moved(self, network: str) -> "History":
        self.selection.network_changed(network, self.now)
        self.drain()
        return self

    @property
    def chosen(self) -> TransportKind | None:
        return self.selection.chosen

    def why(self, kind: TransportKind) -> str:
        return self.selection.explain(kind, self.now)


def on_iphttps() -> History:
    """Everything better has said that it cannot."""
    history = History().begin()
    for kind in (NATIVE, SIXTOFOUR, TEREDO):
        history.failed(kind, f"no {kind}")
    return history.proven(IPHTTPS)


def test_nothing_runs_before_it_is_wanted() -> None:
    history = History()
    assert history.wait(10).running == set()
    assert history.why(TEREDO) == "not needed"


def test_starts_are_staggered() -> None:
    history = History().begin()
    assert history.running == {NATIVE}
    assert "head start" in history.why(IPHTTPS)
    history.wait(0.6)
    begun = [history.started[kind] - 1000.0 for kind in ALL]
    assert begun[:2] == [0.0, pytest.approx(HEAD_START[NATIVE])]
    assert begun[3] == pytest.approx(sum(HEAD_START.values()))
    assert begun[3] < 0.6, "within a second something must work"


def test_the_next_one_starts_at_once_when_those_before_cannot() -> None:
    history = History().begin()
    for kind in (NATIVE, SIXTOFOUR, TEREDO):
        history.failed(kind)
    assert set(history.started.values()) == {1000.0}
    assert history.running == set(ALL)


def test_the_first_proven_one_carries() -> None:
    history = History().begin().wait(0.6).proven(IPHTTPS)
    assert history.choices == [IPHTTPS]
    assert history.why(IPHTTPS) == "carries the tunnels"
    assert history.selection.state(IPHTTPS) is State.CARRYING


def test_a_worse_one_is_never_started_when_a_better_one_is_quick() -> None:
    history = History().begin().proven(NATIVE).wait(100)
    assert history.running == {NATIVE}
    assert history.why(IPHTTPS) == "not needed: native is better"


def test_a_better_one_must_stand_and_the_worse_one_lingers() -> None:
    history = History().begin().wait(0.6).proven(IPHTTPS).wait(YOUNG_TIME + 3).proven(TEREDO)
    assert history.chosen is IPHTTPS
    assert "takes over from iphttps" in history.why(TEREDO)
    history.wait(STAND_TIME - 0.1)
    assert history.chosen is IPHTTPS
    history.wait(0.2)
    assert history.choices == [IPHTTPS, TEREDO], "made before the other one is broken"
    assert IPHTTPS in history.running
    assert history.why(IPHTTPS) == "works, stands by"
    history.wait(LINGER_TIME)
    assert IPHTTPS not in history.running


def test_one_that_was_chosen_just_now_is_replaced_at_once() -> None:
    history = History().begin().wait(0.6).proven(IPHTTPS).wait(YOUNG_TIME / 2).proven(SIXTOFOUR)
    assert history.chosen is SIXTOFOUR


def test_a_better_one_that_does_not_stand_changes_nothing() -> None:
    history = History().begin().wait(0.6).proven(IPHTTPS).wait(YOUNG_TIME)
    history.proven(TEREDO).wait(STAND_TIME / 2).lost(TEREDO).wait(STAND_TIME)
    assert history.choices == [IPHTTPS]


def test_when_the_carrier_is_lost_the_one_that_stands_by_takes_over() -> None:
    history = History().begin().wait(0.6).proven(IPHTTPS).proven(NATIVE)
    assert history.chosen is NATIVE
    history.wait(1).lost(NATIVE)
    assert history.chosen is IPHTTPS
    assert history.choices[-2:] != [None, IPHTTPS], "no gap between"


def test_when_nothing_is_left_everything_is_tried_at_once() -> None:
    history = History().begin().proven(NATIVE).wait(100).lost(NATIVE)
    assert history.choices == [NATIVE, None]
    history.wait(sum(HEAD_START.values()))
    assert history.running == set(ALL)
    assert "silence" in history.why(NATIVE)


def test_a_flapping_one_is_passed_over_until_it_has_calmed_down() -> None:
    history = on_iphttps().wait(FIRST_RETRY + 1)
    for _ in range(FLAP_LIMIT):
        history.proven(TEREDO).wait(STAND_TIME + 1)
        assert history.chosen is TEREDO
        history.lost(TEREDO).wait(1).proven(IPHTTPS).wait(3)
    history.proven(TEREDO).wait(STAND_TIME + 20)
    assert history.chosen is IPHTTPS
    assert "lost too often" in history.why(TEREDO)
    history.wait(60)
    assert history.chosen is TEREDO


def test_a_flapping_one_is_better_than_none() -> None:
    history = History((IPHTTPS,)).begin()
    for _ in range(FLAP_LIMIT + 2):
        history.proven(IPHTTPS).wait(1)
        assert history.chosen is IPHTTPS
        history.lost(IPHTTPS).wait(1)


def test_one_that_failed_is_tried_again_later_and_less_and_less() -> None:
    history = on_iphttps()
    assert history.running == {IPHTTPS}
    assert history.why(TEREDO) == f"tried again in {FIRST_RETRY:.0f} s: no teredo"
    history.wait(FIRST_RETRY + 0.1)
    assert history.running == set(ALL)
    for kind in (NATIVE, SIXTOFOUR, TEREDO):
        history.failed(kind)
    history.wait(FIRST_RETRY + 1)
    assert history.running == {IPHTTPS}
    history.wait(FIRST_RETRY)
    assert history.running == set(ALL)


def test_a_network_that_is_known_begins_with_what_worked() -> None:
    known = on_iphttps().selection.experience
    history = History(experience=known).begin(HOME)
    assert history.running == {IPHTTPS}
    assert history.why(TEREDO).endswith("no teredo")
    assert History(experience=known).begin(CAFE).running == {NATIVE}


def test_one_that_worked_here_has_a_longer_head_start() -> None:
    known = Experience()
    known.learn_success(HOME, TEREDO)
    history = History((TEREDO, IPHTTPS), known).begin(HOME).wait(KNOWN_HEAD_START - 0.1)
    assert history.running == {TEREDO}
    history.wait(0.2)
    assert history.running == {TEREDO, IPHTTPS}


def test_what_failed_is_believed_for_a_time_only() -> None:
    known = on_iphttps().selection.experience
    history = History(experience=known)
    history.now += FAILURE_TIME
    assert history.begin(HOME).running == {NATIVE}


def test_even_the_last_one_is_tried_where_everything_failed() -> None:
    known = Experience()
    for kind in ALL:
        known.learn_failure(HOME, kind, "dead", 1000.0)
    assert History(experience=known).begin(HOME).running == {IPHTTPS}


def test_a_failure_teaches_nothing_where_nothing_works() -> None:
    history = History().begin()
    for kind in ALL:
        history.failed(kind)
    known = history.selection.experience
    assert all(known.failure(HOME, kind, history.now) is None for kind in ALL)


def test_another_network_is_tried_anew_while_the_old_way_goes_on() -> None:
    history = on_iphttps().wait(10).moved(CAFE)
    assert history.chosen is IPHTTPS
    assert history.running == set(ALL)
    history.lost(IPHTTPS).proven(SIXTOFOUR)
    assert history.choices[-1] is SIXTOFOUR


def test_in_another_network_the_next_one_makes_ready_while_the_carrier_may_be_lost() -> None:
    history = History((TEREDO, IPHTTPS)).begin().proven(TEREDO).wait(10).moved(CAFE)
    assert (history.chosen, history.running) == (TEREDO, {TEREDO})
    history.wait(HEAD_START[TEREDO])
    assert history.running == {TEREDO, IPHTTPS}
    history.proven(IPHTTPS)
    assert history.chosen is TEREDO
    assert history.wait(0.3).lost(TEREDO).chosen is IPHTTPS


def test_where_the_carrier_is_not_lost_what_made_ready_goes_again() -> None:
    history = History((TEREDO, IPHTTPS)).begin().proven(TEREDO).wait(10).moved(CAFE).wait(1)
    history.proven(IPHTTPS).moved(CAFE).wait(LINGER_TIME)
    assert (history.choices, history.running) == ([TEREDO], {TEREDO})
    assert history.wait(2 * DOUBT_TIME).running == {TEREDO}
    assert history.moved(CAFE).wait(DOUBT_TIME).running == {TEREDO}


def test_nothing_is_learned_of_a_network_that_may_be_left_already() -> None:
    history = History().begin().proven(NATIVE).wait(10)
    history.selection.network_doubted()
    history.lost(NATIVE).failed(NATIVE, "no address").proven(SIXTOFOUR).wait(1)
    known = history.selection.experience
    assert known.works(HOME, NATIVE)
    assert not known.works(HOME, SIXTOFOUR)
    history.moved(CAFE).failed(NATIVE, "no address")
    assert known.failure(CAFE, NATIVE, history.now)
    assert known.works(CAFE, SIXTOFOUR)
    assert history.running == {SIXTOFOUR}


def test_a_change_within_the_network_makes_failed_ones_try_again() -> None:
    history = History().begin().failed(NATIVE).failed(SIXTOFOUR)
    assert history.selection.state(NATIVE) is State.FAILED
    history.moved(HOME)
    assert history.selection.state(NATIVE) is State.TRYING


def test_another_policy() -> None:
    history = History().begin().proven(NATIVE).wait(1)
    history.selection.set_kinds((IPHTTPS,), history.now)
    history.drain()
    assert history.running == {IPHTTPS}
    assert history.choices == [NATIVE, None]
    assert history.why(NATIVE) == "not allowed by the policy"
    history.proven(IPHTTPS)
    history.selection.set_kinds(ALL, history.now)
    history.drain()
    assert history.chosen is IPHTTPS
    assert history.running == set(ALL)


def test_inside_everything_stops() -> None:
    history = on_iphttps()
    history.selection.stop(history.now)
    history.drain()
    assert history.running == set()
    assert history.choices[-1] is None
    assert history.wait(100).running == set()


def test_what_is_said_of_one_that_does_not_run_is_not_heard() -> None:
    history = History().begin().proven(TEREDO).failed(TEREDO).lost(TEREDO)
    assert history.chosen is None
    assert history.running == {NATIVE}


kinds = st.sampled_from(ALL)
steps = st.one_of(
    st.tuples(st.sampled_from(["proven", "failed", "lost"]), kinds),
    st.tuples(st.just("wait"), st.floats(0.01, 200)),
    st.tuples(st.just("moved"), st.sampled_from([HOME, CAFE, ""])),
)


@given(st.lists(steps, max_size=60))
def test_whatever_happens_the_choice_is_one_that_is_proven(told: list[tuple[str, object]]) -> None:
    history = History().begin()
    for verb, what in told:
        getattr(history, verb)(what)
        states = {kind: history.selection.state(kind) for kind in ALL}
        up = [kind for kind in ALL if states[kind] in {State.STANDING, State.CARRYING}]
        assert history.running == {kind for kind in ALL if states[kind] is not State.RESTING}
        assert history.chosen in up if up else history.chosen is None
        assert [kind for kind in ALL if states[kind] is State.CARRYING] == [history.chosen][
            : len(up)
        ]
        assert history.running, "something is always being tried"
        assert all(history.why(kind) for kind in ALL)
