"""How a soak judges what it saw, and that its page has what was measured."""

import json
from dataclasses import replace

import pytest

from bench import soak_page
from bench.soak_judge import (
    DESCRIPTORS,
    GROWTH,
    KEPT,
    NOTICED,
    PORTAL,
    UNPLUGGED,
    Alarm,
    Attempt,
    Result,
    Scale,
    Stay,
    Weight,
    broken,
    counted,
    explained,
    grown,
)
from bench.soak_watch import leaking, said, shown

ROAMING, OTHER = "client1", "client2"
HOME = Stay(place="home", begun=0.0, plugged=0.2, cured=0.2, settled=2.0, ended=100.0)
OUT = Stay(
    place="home, cable out",
    kind=UNPLUGGED,
    begun=100.0,
    plugged=110.0,
    cured=110.0,
    settled=112.0,
    ended=200.0,
)
PORTAL_STAY = replace(OUT, place="hotel, portal", kind=PORTAL, begun=200.0, cured=210.0)
STAYS = (HOME, OUT)


def alarm(name: str, first: float, last: float, **values: str) -> Alarm:
    return Alarm(
        **({"who": ROAMING, "where": "problem"} | values), name=name, first=first, last=last
    )


@pytest.mark.parametrize(
    "true",
    [
        alarm("internet-down", 101.0, 110.0 + NOTICED),
        alarm("internet-down", 103.0, 103.0, where="log"),
        alarm("link", 101.0, 109.0, where="stage"),
        alarm("iphttps", 101.0, 109.0, where="component"),
    ],
)
def test_what_was_done_explains_what_is_said(true: Alarm) -> None:
    assert explained(true, STAYS, ROAMING)


@pytest.mark.parametrize(
    "false",
    [
        alarm("internet-down", 50.0, 51.0),
        alarm("internet-down", 99.0, 105.0),
        alarm("internet-down", 101.0, 110.1 + NOTICED),
        alarm("iphttps-port-blocked", 101.0, 102.0),
        alarm("iphttps-port-blocked", 101.0, 102.0, where="log"),
        alarm("captive-portal", 101.0, 102.0),
        alarm("internet-down", 101.0, 102.0, who=OTHER),
        alarm("ipsec", 101.0, 102.0, who="edge1", where="component"),
    ],
)
def test_nothing_else_does(false: Alarm) -> None:
    assert not explained(false, STAYS, ROAMING)


def test_a_portal_explains_itself_alone() -> None:
    stays = (*STAYS, PORTAL_STAY)
    assert explained(alarm("captive-portal", 201.0, 211.0), stays, ROAMING)
    assert not explained(alarm("internet-down", 201.0 + 2 * NOTICED, 225.0), stays, ROAMING)


def test_what_a_user_wants_between_two_moves_must_come() -> None:
    attempts = [
        Attempt(ROAMING, 1.0, "page", False, 0.5),
        Attempt(ROAMING, 10.0, "page", True, 0.5),
        Attempt(ROAMING, 20.0, "page", False, 5.0),
        Attempt(ROAMING, 98.0, "page", False, 5.0),
        Attempt(OTHER, 99.0, "echo", False, 1.0),
    ]
    found = broken(attempts, STAYS, ROAMING)
    assert [(one.who, one.name, one.first) for one in found] == [
        (ROAMING, "page", 20.0),
        (OTHER, "echo", 99.0),
    ]
    assert counted(attempts, STAYS, ROAMING) == {ROAMING: {"page": (2, 1)}, OTHER: {"echo": (1, 0)}}


def test_what_holds_more_than_it_may_is_named() -> None:
    before = {"charon": Weight(rss=10.0, descriptors=5, cpu=1.0)}
    just = {"charon": Weight(rss=10.0 + GROWTH, descriptors=5 + DESCRIPTORS, cpu=9.0)}
    more = {"charon": Weight(rss=10.1 + GROWTH, descriptors=6 + DESCRIPTORS, cpu=9.0)}
    assert grown(before, just) == []
    assert len(grown(before, more)) == 2
    assert grown(before, {}) == ["charon: ended"]
    assert grown({}, just) == []


def scale(at: float, rss: float, kept: int) -> Scale:
    weights = {"edge1": {"charon": Weight(rss=rss, descriptors=5, cpu=at)}}
    return Scale(at=at, weights=weights, kept={"edge1": kept})


def result(*scales: Scale) -> Result:
    return Result(
        taken="2026-01-01",
        seed=1,
        cores=2,
        load=(1.0, 2.0),
        stays=list(STAYS),
        attempts={ROAMING: {"page": (2, 2)}},
        scales=list(scales),
    )


def test_the_first_time_through_all_places_is_not_growth() -> None:
    late = scale(3600.0, 20.0, int(KEPT * 2**20) + 100)
    assert result(scale(0.0, 10.0, 0), scale(300.0, 20.0, 100), late).well()
    assert not result(scale(0.0, 10.0, 0), scale(300.0, 15.0, 100), late).well()
    assert not result(scale(0.0, 20.0, 0), late).well()


def test_an_alarm_or_a_leak_is_not_well() -> None:
    well = result(scale(0.0, 10.0, 0))
    assert well.well()
    well.alarms.append(alarm("clock-skew", 1.0, 2.0))
    assert not well.well()
    assert "clock-skew" in soak_page.text(well)
    assert "| false alarms | none | 1 |" in soak_page.text(well)


def test_whatever_makes_somebody_look_is_seen_in_a_status() -> None:
    status = {
        "problems": [{"code": "clock-skew", "detail": "7 minutes"}],
        "components": [
            {"component": "ipsec", "state": "warning", "detail": ""},
            {"component": "host", "state": "ok"},
            {"component": "teredo", "state": "disabled"},
        ],
        "checks": [{"name": "dns", "state": "error", "detail": ""}],
        "chain": [{"stage": "link", "state": "waiting"}, {"stage": "names", "state": "error"}],
    }
    assert [(one.where, one.name) for one in shown("edge1", status, 1.0)] == [
        ("problem", "clock-skew"),
        ("component", "ipsec"),
        ("check", "dns"),
        ("stage", "names"),
    ]


@pytest.mark.parametrize(
    ("entry", "seen"),
    [
        ({"level": "info", "event": "problem is over", "code": "clock-skew"}, []),
        ({"level": "warning", "event": "policy"}, [("log", "policy")]),
        ({"level": "error", "event": "problem", "code": "clock-skew"}, [("log", "clock-skew")]),
        ({"event": "main-mode-established", "outcome": "admitted"}, []),
        ({"event": "iphttps-refused", "outcome": "refused"}, [("event", "iphttps-refused")]),
    ],
)
def test_what_is_loud_in_a_log_is_seen(entry: dict[str, str], seen: list[tuple[str, str]]) -> None:
    found = said("edge1", json.dumps(entry | {"at": 1.0}))
    assert [(one.where, one.name) for one in found] == seen


@pytest.mark.parametrize(
    ("line", "leaks"),
    [
        ("1.0 IP 192.168.137.101.5 > 192.168.137.1.53: 1+ A? app1.corp.example.com. (39)", True),
        ("1.0 IP 192.168.137.101.5 > 192.168.137.1.53: 1+ A? nls.corp.example.com. (39)", False),
        ("1.0 IP 192.168.137.101.5 > 192.168.137.1.53: 1+ A? da.example.com. (39)", False),
        ("1.0 IP 192.168.137.1.53 > 192.168.137.101.5: 1 NXDomain 0/1/0 (99)", False),
        ("1.0 IP6 2001:db8:66::101.5 > 2001:db8:c0:2::80.80: Flags [S]", True),
    ],
)
def test_what_belongs_inside_leaks(line: str, leaks: bool) -> None:
    assert leaking(line) is leaks


def test_the_page_has_what_was_measured() -> None:
    assert soak_page.PAGE.read_text() == soak_page.text(soak_page.load())
