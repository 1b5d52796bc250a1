"""Live conditions, told by components and read by snapshots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.catalogue import PROBLEMS, find
from throughway.catalogue.host import BUG, CLOCK_SKEW
from throughway.catalogue.internet import CAPTIVE_PORTAL, INTERNET_DOWN
from throughway.catalogue.iphttps import NAME_UNRESOLVABLE, NO_ROUTER_ADVERTISEMENT, PORT_BLOCKED
from throughway.catalogue.iphttps_certificate import EXPIRING
from throughway.catalogue.location import NLS_CERTIFICATE_INVALID
from throughway.catalogue.names import NRPT_DNS_SERVER_UNREACHABLE
from throughway.health.tracker import (
    HISTORY_LENGTH,
    MAX_CONDITIONS,
    MAX_DETAIL,
    Change,
    Tracker,
    fill,
    problem_of,
    roots_of,
    worst,
)
from throughway.model.errors import IPsecError, Stage, ThroughwayError, TransportError, TrustError
from throughway.model.findings import Component, Severity
from throughway.model.status import ComponentState


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracker(clock: Clock) -> Tracker:
    return Tracker(clock)


def shown(tracker: Tracker) -> list[str]:
    return [condition.code for condition in tracker.current()]


def state(tracker: Tracker, component: Component) -> ComponentState:
    return tracker.component(component).state


def test_a_problem_is_shown_from_set_to_clear(tracker: Tracker, clock: Clock) -> None:
    tracker.set(CLOCK_SKEW, "four hours")
    clock.now += 60
    (condition,) = tracker.current()
    assert (condition.code, condition.detail, condition.since) == ("clock-skew", "four hours", 1000)
    assert condition.cause == CLOCK_SKEW.cause
    assert condition.severity is Severity.CRITICAL
    tracker.clear(CLOCK_SKEW)
    assert tracker.current() == ()
    assert not tracker.holds(CLOCK_SKEW)


def test_the_first_time_and_the_last_detail_are_kept(tracker: Tracker, clock: Clock) -> None:
    tracker.set(CLOCK_SKEW, "one hour")
    clock.now += 5
    tracker.set(CLOCK_SKEW, "two hours")
    (condition,) = tracker.current()
    assert (condition.since, condition.detail) == (1000, "two hours")


def test_only_the_root_cause_shows(tracker: Tracker) -> None:
    tracker.set(NAME_UNRESOLVABLE, "da.example.com")
    tracker.set(CAPTIVE_PORTAL, "http://login.hotel")
    assert shown(tracker) == ["captive-portal"]
    assert tracker.holds(NAME_UNRESOLVABLE)
    tracker.clear(CAPTIVE_PORTAL)
    assert shown(tracker) == ["iphttps-name-unresolvable"]


def test_a_far_root_suppresses_though_nothing_between_is_known(tracker: Tracker) -> None:
    tracker.set(find("kerberos-unreachable"))
    tracker.set(CAPTIVE_PORTAL)
    assert "captive-portal" in roots_of(find("kerberos-unreachable"))
    assert shown(tracker) == ["captive-portal"]


@pytest.mark.parametrize(
    "code", ["kerberos-unreachable", "dc-unreachable", "management-server-unreachable"]
)
@pytest.mark.parametrize("way", ["iphttps-forwarding-disabled", "ipsec-daemon-down"])
def test_how_clients_come_hides_nothing_that_a_gateway_sees_from_its_own_place(
    code: str, way: str, clock: Clock
) -> None:
    client, gateway = Tracker(clock), Tracker(clock, inside=True)
    for tracker in (client, gateway):
        tracker.set(find(code))
        tracker.set(find(way))
    clock.now += 60
    assert shown(client) == [way], "through the tunnels it cannot be told"
    assert sorted(shown(gateway)) == sorted([code, way])
    assert "follows" not in gateway.component(find(code).component).detail


def test_a_gateway_that_has_no_names_tells_of_no_controller(clock: Clock) -> None:
    tracker = Tracker(clock, inside=True)
    tracker.set(find("dc-unreachable"))
    tracker.set(NRPT_DNS_SERVER_UNREACHABLE)
    clock.now += 60
    assert shown(tracker) == [NRPT_DNS_SERVER_UNREACHABLE.code]


def test_a_root_suppresses_only_once_it_is_shown_itself(tracker: Tracker, clock: Clock) -> None:
    tracker.set(INTERNET_DOWN)
    tracker.set(NAME_UNRESOLVABLE)
    assert shown(tracker) == ["iphttps-name-unresolvable"]
    clock.now += INTERNET_DOWN.visible_after
    assert shown(tracker) == ["internet-down"]


def test_a_short_trouble_is_not_shown(tracker: Tracker, clock: Clock) -> None:
    tracker.ok(Component.IPHTTPS)
    tracker.set(NO_ROUTER_ADVERTISEMENT)
    clock.now += NO_ROUTER_ADVERTISEMENT.visible_after - 0.1
    assert shown(tracker) == []
    assert state(tracker, Component.IPHTTPS) is ComponentState.OK
    clock.now += 0.1
    assert shown(tracker) == ["iphttps-no-router-advertisement"]
    assert state(tracker, Component.IPHTTPS) is ComponentState.ERROR


def test_a_clock_set_back_does_not_hide_a_problem_for_long(tracker: Tracker, clock: Clock) -> None:
    tracker.set(NO_ROUTER_ADVERTISEMENT)
    clock.now -= 86400
    assert shown(tracker) == []
    clock.now += NO_ROUTER_ADVERTISEMENT.visible_after
    assert shown(tracker) == ["iphttps-no-router-advertisement"]


def test_the_worst_comes_first(tracker: Tracker, clock: Clock) -> None:
    for problem in (EXPIRING, PORT_BLOCKED, BUG):
        tracker.set(problem)
        clock.now += 1
    assert shown(tracker) == ["iphttps-port-blocked", "bug-in-throughway", "iphttps-cert-expiring"]


def test_instances_are_told_apart_by_key(tracker: Tracker) -> None:
    tracker.set(NLS_CERTIFICATE_INVALID, "first", key="https://nls1")
    tracker.set(NLS_CERTIFICATE_INVALID, "second", key="https://nls2")
    assert [c.detail for c in tracker.current()] == ["first", "second"]
    tracker.clear(NLS_CERTIFICATE_INVALID, key="https://nls1")
    assert [c.detail for c in tracker.current()] == ["second"]
    tracker.set(NLS_CERTIFICATE_INVALID, "first", key="https://nls1")
    tracker.clear(NLS_CERTIFICATE_INVALID)
    assert tracker.current() == ()


# Attempts


def test_only_the_last_reason_of_an_attempt_holds(tracker: Tracker) -> None:
    tracker.set(NAME_UNRESOLVABLE, attempt="link")
    tracker.set(CLOCK_SKEW)
    tracker.set(PORT_BLOCKED, attempt="link")
    assert shown(tracker) == ["clock-skew", "iphttps-port-blocked"]
    tracker.succeeded("link")
    assert shown(tracker) == ["clock-skew"]
    assert state(tracker, Component.IPHTTPS) is ComponentState.OK


def test_a_reason_elsewhere_does_not_make_the_component_well(tracker: Tracker) -> None:
    tracker.set(PORT_BLOCKED, attempt="link")
    tracker.set(CAPTIVE_PORTAL, attempt="link")
    assert state(tracker, Component.IPHTTPS) is ComponentState.UNKNOWN
    assert state(tracker, Component.INTERNET) is ComponentState.WARNING


def test_an_error_is_reported_as_its_problem(tracker: Tracker) -> None:
    error = TransportError(
        Stage.RESOLVE, "da.example.com has no address", problem="iphttps-name-unresolvable"
    )
    assert tracker.report(error, attempt="link") is NAME_UNRESOLVABLE
    assert [c.detail for c in tracker.current()] == ["da.example.com has no address"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TransportError(Stage.TLS, "x", problem="iphttps-cert-expired"), "iphttps-cert-expired"),
        (TransportError(Stage.TLS, "x"), "iphttps-tls-handshake-failed"),
        (TransportError(Stage.HTTP, "x", problem="no-such-code"), "iphttps-http-refused"),
        (IPsecError("x"), "ipsec-auth-failure-unspecified"),
        (IPsecError("x", problem="ipsec-daemon-down"), "ipsec-daemon-down"),
        (TrustError("x", problem="policy-expired"), "policy-expired"),
        (TrustError("x"), "bug-in-throughway"),
        (ThroughwayError("x"), "bug-in-throughway"),
    ],
)
def test_problem_of(error: ThroughwayError, code: str) -> None:
    assert problem_of(error).code == code


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_words(stage: Stage) -> None:
    assert problem_of(TransportError(stage, "x")).code in PROBLEMS


# Components


def test_a_component_is_unknown_until_it_has_spoken(tracker: Tracker, clock: Clock) -> None:
    row = tracker.component(Component.NAMES)
    assert (row.state, row.since) == (ComponentState.UNKNOWN, 0.0)
    clock.now += 1
    tracker.ok(Component.NAMES, "4 rules")
    clock.now += 1
    tracker.ok(Component.NAMES, "5 rules")
    row = tracker.component(Component.NAMES)
    assert (row.state, row.since, row.detail) == (ComponentState.OK, 1001, "5 rules")


def test_clearing_what_never_held_says_nothing(tracker: Tracker) -> None:
    tracker.clear(CLOCK_SKEW)
    assert state(tracker, Component.HOST) is ComponentState.UNKNOWN
    assert tracker.history == ()


def test_a_mended_component_is_well_since_then(tracker: Tracker, clock: Clock) -> None:
    tracker.set(CLOCK_SKEW)
    clock.now += 10
    tracker.clear(CLOCK_SKEW)
    row = tracker.component(Component.HOST)
    assert (row.state, row.since) == (ComponentState.OK, 1010)


def test_a_component_is_as_bad_as_its_worst_condition(tracker: Tracker, clock: Clock) -> None:
    tracker.set(find("policy-out-of-date"))
    assert state(tracker, Component.POLICY) is ComponentState.WARNING
    clock.now += 5
    tracker.set(find("policy-malformed"))
    row = tracker.component(Component.POLICY)
    assert (row.state, row.since) == (ComponentState.ERROR, 1005)
    assert {c.code for c in row.conditions} == {"policy-out-of-date", "policy-malformed"}


def test_a_notice_does_not_colour_its_component(tracker: Tracker) -> None:
    tracker.set(find("iphttps-idle-other-transport-in-use"))
    assert state(tracker, Component.IPHTTPS) is ComponentState.OK


def test_a_consequence_is_not_called_well(tracker: Tracker, clock: Clock) -> None:
    tracker.set(CAPTIVE_PORTAL)
    tracker.set(NRPT_DNS_SERVER_UNREACHABLE)
    clock.now += 60
    row = tracker.component(Component.NAMES)
    assert row.state is ComponentState.ERROR
    assert row.conditions == ()
    assert "follows from captive-portal" in row.detail


def test_a_disabled_component_is_never_red(tracker: Tracker) -> None:
    tracker.set(EXPIRING)
    tracker.disable(Component.CERTIFICATES, "not used")
    tracker.set(EXPIRING)
    row = tracker.component(Component.CERTIFICATES)
    assert (row.state, row.detail, row.conditions) == (ComponentState.DISABLED, "not used", ())
    assert shown(tracker) == []
    tracker.ok(Component.CERTIFICATES)
    tracker.set(EXPIRING)
    assert state(tracker, Component.CERTIFICATES) is ComponentState.WARNING


def test_a_forgotten_component_is_unknown_again(tracker: Tracker) -> None:
    tracker.set(PORT_BLOCKED)
    tracker.forget(Component.IPHTTPS)
    assert state(tracker, Component.IPHTTPS) is ComponentState.UNKNOWN
    assert shown(tracker) == []


def test_the_whole_has_the_rows_it_was_given(clock: Clock) -> None:
    tracker = Tracker(clock, [Component.IPSEC, Component.DOMAIN])
    assert [row.component for row in tracker.components()] == [Component.IPSEC, Component.DOMAIN]
    tracker.ok(Component.IPSEC)
    assert tracker.state() is ComponentState.UNKNOWN
    tracker.disable(Component.DOMAIN)
    assert tracker.state() is ComponentState.OK


def test_a_problem_elsewhere_gets_a_row_and_counts(clock: Clock) -> None:
    tracker = Tracker(clock, [Component.IPSEC])
    tracker.ok(Component.IPSEC)
    tracker.set(BUG)
    assert [row.component for row in tracker.components()] == [Component.IPSEC, Component.HOST]
    assert tracker.state() is ComponentState.ERROR


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (["ok", "warning", "error"], "error"),
        (["ok", "warning", "unknown"], "warning"),
        (["ok", "unknown"], "unknown"),
        (["ok", "disabled"], "ok"),
        (["disabled"], "disabled"),
        ([], "unknown"),
    ],
)
def test_roll_up(states: list[str], whole: str) -> None:
    assert worst(ComponentState(s) for s in states) == whole


# History, listeners, bounds


def test_changes_are_told_and_remembered(tracker: Tracker, clock: Clock) -> None:
    heard: list[Change] = []
    tracker.subscribe(heard.append)
    tracker.set(CLOCK_SKEW, "a")
    tracker.set(CLOCK_SKEW, "a")
    clock.now += 1
    tracker.set(CLOCK_SKEW, "b")
    tracker.clear(CLOCK_SKEW)
    assert heard == [
        Change(1000, "clock-skew", "", True, "a"),
        Change(1001, "clock-skew", "", True, "b"),
        Change(1001, "clock-skew", "", False, "b"),
    ]
    assert list(tracker.history) == heard


def test_history_and_details_are_bounded(tracker: Tracker) -> None:
    for n in range(HISTORY_LENGTH + 10):
        tracker.set(CLOCK_SKEW, f"{n} " + "x" * 10_000)
    assert len(tracker.history) == HISTORY_LENGTH
    assert len(tracker.current()[0].detail) == MAX_DETAIL


def test_a_flood_of_mild_conditions_does_not_push_out_grave_ones(
    tracker: Tracker, clock: Clock
) -> None:
    tracker.set(BUG)
    for n in range(2 * MAX_CONDITIONS):
        clock.now += 1
        tracker.set(EXPIRING, key=str(n))
    assert len(tracker.current()) == MAX_CONDITIONS
    assert shown(tracker)[0] == "bug-in-throughway"


@given(st.lists(st.tuples(st.sampled_from(sorted(PROBLEMS)), st.sampled_from("sckrd"))))
def test_whatever_is_said_something_is_shown_of_what_lasts(said: list[tuple[str, str]]) -> None:
    """Suppression never hides everything, and rows agree with what is shown."""
    clock = Clock()
    tracker = Tracker(clock)
    for code, verb in said:
        problem = find(code)
        match verb:
            case "s":
                tracker.set(problem)
            case "c":
                tracker.clear(problem)
            case "k":
                tracker.set(problem, key="k", attempt="a")
            case "r":
                tracker.succeeded("a")
            case "d":
                tracker.ok(problem.component)
    clock.now += 3600
    held = [p for p in PROBLEMS.values() if tracker.holds(p)]
    assert bool(tracker.current()) == bool(held)
    rows = tracker.components()
    assert sum(len(row.conditions) for row in rows) == len(tracker.current())
    red = {row.component for row in rows if row.state is ComponentState.ERROR}
    assert red == {p.component for p in held if p.severity is Severity.CRITICAL}


# Commands


def test_commands_get_their_values(tracker: Tracker) -> None:
    tracker.define(HOST="da.example.com", PORT="443")
    tracker.set(PORT_BLOCKED)
    assert tracker.current()[0].verify[0] == (
        "openssl s_client -connect da.example.com:443 -servername da.example.com -brief"
    )


def test_words_without_a_value_stay() -> None:
    assert fill("dig SRV _ldap._tcp.dc._msdcs.REALM", {"REALM": "corp"}) == (
        "dig SRV _ldap._tcp.dc._msdcs.corp"
    )
    assert fill("ping -c 3 DC", {}) == "ping -c 3 DC"


def test_a_word_may_mean_something_else_for_one_instance() -> None:
    tracker = Tracker(lambda: 0.0)
    tracker.define(INTERFACE="iphttps0")
    problem = find("network-adapter-down")
    tracker.set(problem, key="one")
    tracker.set(problem, key="two", values={"INTERFACE": "eth0"})
    mends = [condition.fix[-1] for condition in tracker.current()]
    assert mends == ["ip link set iphttps0 up", "ip link set eth0 up"]
