"""A fault put to the test: what counts as said, as found, as mended, as wanted."""

import json
from dataclasses import replace

import pytest

from throughway.lab.faults import FAULTS, Fault
from throughway.lab.faults.pairs import PAIRS, Pair
from throughway.lab.trial import Said, Seen, Together, _End, _left, fits, is_deeper

FAULT = Fault(
    name="some-fault", title="something", steps=(), client="policy-expired", gateway="clock-skew"
)


def seen(client: str | Said = "policy-expired", **others: object) -> Seen:
    said = {"gateway": Said(code="clock-skew"), "recovered": 1.0}
    client = Said(code=client) if isinstance(client, str) else client
    return Seen(fault="some-fault", client=client, **(said | others))  # type: ignore[arg-type]


def examined(code: str, *found: str) -> Said:
    return Said(code=code, doctor=found)


@pytest.mark.parametrize(
    "good",
    [
        seen(),
        seen(mended=3.0),
        seen(client=examined("policy-expired", "policy-expired", "internet-down")),
        seen(client=examined("policy-expired", "clock-skew")),
        seen(gateway=examined("clock-skew", "clock-skew")),
    ],
)
def test_as_wanted(good: Seen) -> None:
    assert good.as_wanted(FAULT)


def test_who_stays_well_may_feel_it() -> None:
    fault = replace(FAULT, client="", felt="iphttps-port-blocked")
    assert fits("iphttps-port-blocked", "", fault)
    assert not fits("iphttps-port-blocked", "clock-skew", fault)
    assert not fits("iphttps-port-blocked", "", replace(fault, felt=""))


@pytest.mark.parametrize(
    ("others", "found", "wanted"),
    [
        (("clock-skew", "client-not-running"), "client-not-running", False),  # causes it not
        (("worker-restarting",), "worker-restarting", True),
        ((), "worker-restarting", False),  # the daemon does not know that
    ],
)
def test_a_doctor_may_see_what_the_daemon_has_gone_on_to(
    others: tuple[str, ...], found: str, wanted: bool
) -> None:
    fault = replace(FAULT, client="", gateway="iphttps-listener-down")
    end = Said(code="iphttps-listener-down", others=others, doctor=(found,))
    row = Seen(fault="some-fault", client=Said(), gateway=end, recovered=1.0)
    assert row.as_wanted(fault) is wanted


@pytest.mark.parametrize(
    "bad",
    [
        seen(client=""),
        seen(gateway=Said(code="internet-down")),
        seen(recovered=-1.0),
        seen(mended=-1.0),
        seen(leaked=("a packet",)),
        seen(error="no lab"),
        seen(client=examined("policy-expired")),
        seen(client=examined("policy-expired", "internet-down", "policy-expired")),
        seen(gateway=examined("clock-skew", "policy-expired")),
    ],
)
def test_not_as_wanted(bad: Seen) -> None:
    assert not bad.as_wanted(FAULT)


@pytest.mark.parametrize(
    ("code", "fit"),
    [
        ("", True),
        ("iphttps-route-unpublished", True),
        ("ipsec-negotiation-timeout", True),
        ("clock-skew", False),
    ],
)
def test_who_is_to_stay_well_may_feel_what_follows(code: str, fit: bool) -> None:
    root = "iphttps-route-unpublished"
    fault = Fault(name="some-fault", title="something", steps=(), gateway=root)
    assert fits(code, "", fault) is fit
    assert fits(code, root, fault) is (code == root)


def test_on_a_machine_without_daemon_the_doctor_may_find_more() -> None:
    fault = Fault(name="some-fault", title="", steps=(), client="iphttps-connection-refused")
    assert is_deeper("gateway-not-running", fault)
    assert not is_deeper("clock-skew", fault)
    assert not is_deeper("", fault)


def test_where_nothing_is_to_be_said_nothing_is() -> None:
    fault = Fault(name="some-fault", title="something", steps=())
    assert fits("", "", fault)
    assert not fits("clock-skew", "", fault)


def problems(*codes: str) -> dict[str, object]:
    return {"problems": [{"code": code} for code in codes]}


def test_only_the_first_problem_counts() -> None:
    answers = iter([{}, problems("clock-skew", "policy-expired"), problems("policy-expired")])
    end = _End("policy-expired", lambda: next(answers))
    for passed in (1.0, 2.0):
        end.look(passed)
        assert not end.told
    end.look(3.04)
    assert end.told
    assert end.said() == Said(code="policy-expired", others=("policy-expired",), after=3.0)


def test_what_was_said_instead() -> None:
    end = _End("policy-expired", lambda: problems("clock-skew"))
    end.look(1.0)
    assert end.said(("x",)) == Said(code="clock-skew", others=("clock-skew",), doctor=("x",))


def test_who_has_nothing_to_say_has_said_it() -> None:
    end = _End("", lambda: problems())
    assert end.told
    assert end.said() == Said()


@pytest.mark.parametrize(
    ("results", "left"),
    [
        ([("clock-skew", "mended", "")], ""),
        ([("internet-down", "no-remedy", ""), ("clock-skew", "gone", "")], ""),
        ([("clock-skew", "failed", "it stays")], "failed: it stays"),
        ([("internet-down", "mended", "")], "fix does not see it, but internet-down"),
        ([], "fix does not see it, but nothing"),
    ],
)
def test_what_a_remedy_has_left(results: list[tuple[str, str, str]], left: str) -> None:
    rows = [dict(zip(("code", "outcome", "reason"), row, strict=True)) for row in results]
    assert _left(json.dumps({"results": rows}), "clock-skew") == left


def test_a_fix_that_says_nothing_has_mended_nothing() -> None:
    assert _left("", "clock-skew") == "fix says nothing"
    assert _left("no JSON", "clock-skew") == "no JSON"


PAIR = Pair("port-443-blocked", "kdc-silent")
BOTH = ("iphttps-port-blocked", "kerberos-unreachable")


def test_of_a_pair_both_must_be_named() -> None:
    good = Together(pair=PAIR.name, shown=BOTH, found=BOTH, after=3.0, recovered=2.0)
    assert good.as_wanted(PAIR)
    for bad in (
        Together(pair=PAIR.name, shown=BOTH, found=BOTH[:1], after=3.0, recovered=2.0),
        Together(pair=PAIR.name, shown=BOTH[:1], found=BOTH, recovered=2.0),
        Together(pair=PAIR.name, shown=BOTH, found=BOTH, after=3.0),
        Together(pair=PAIR.name, shown=BOTH, after=3.0, recovered=2.0, error="no lab"),
    ):
        assert not bad.as_wanted(PAIR)


def test_pairs_are_of_faults_that_can_be_there_together() -> None:
    assert len(PAIRS) >= 20
    assert len({frozenset(pair.names) for pair in PAIRS}) == len(PAIRS)
    for pair in PAIRS:
        first, second = pair.faults
        assert first.place == second.place or not second.client, pair.name
        assert first.root != second.root, pair.name
        assert first.root, pair.name
        assert second.root, pair.name
    assert {name for pair in PAIRS for name in pair.names} <= set(FAULTS)
