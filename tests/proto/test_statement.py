"""Judging a statement: what fails, why, and what mends it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.health_faults import FAULTS, POLICY, result, statement
from throughway.model.errors import WireError
from throughway.model.statement import (
    CheckKind,
    CheckState,
    HealthMode,
    HealthPolicy,
    PolicyCheck,
    StatementOfHealth,
    SubjectKind,
)
from throughway.proto.statement import check_form, enforced, judge, version_of


def test_a_healthy_computer_fails_nothing() -> None:
    assert judge(POLICY, statement()) == ()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_with_what_mends_it(fault: str) -> None:
    (failing,) = judge(POLICY, statement(FAULTS[fault].result))
    assert failing.name == FAULTS[fault].result.name
    assert FAULTS[fault].word in failing.words
    assert failing.fix
    assert failing.fix in str(failing)


def test_no_antivirus_is_well_where_none_is_installed() -> None:
    assert judge(POLICY, statement(result(CheckKind.ANTIVIRUS, CheckState.ABSENT))) == ()


def test_what_is_not_stated_is_not_good() -> None:
    failing = judge(POLICY, StatementOfHealth(agent="", results=()))
    assert [each.name for each in failing] == list(POLICY.required)


def test_what_is_not_required_does_not_count() -> None:
    policy = replace(POLICY, required=(CheckKind.AGENT,))
    assert judge(policy, statement(FAULTS["firewall off"].result)) == ()


@pytest.mark.parametrize(
    ("kind", "value", "fix"),
    [
        (SubjectKind.SERVICE, "", "systemctl enable --now x"),
        (SubjectKind.PACKAGE, "", "apt-get install x"),
        (SubjectKind.SYSCTL, "1", "sysctl -w x=1"),
        (SubjectKind.FILE, "", ""),
    ],
)
def test_checks_of_the_policy_know_what_mends_them(kind: SubjectKind, value: str, fix: str) -> None:
    check = PolicyCheck(name="own", kind=kind, subject="x", value=value)
    policy = HealthPolicy(required=("own",), checks=(check,))
    bad = StatementOfHealth(agent="", results=(result("own", CheckState.BAD),))
    assert judge(policy, bad)[0].fix == fix
    named = replace(policy, checks=(replace(check, fix="call 112"),))
    assert judge(named, bad)[0].fix == "call 112"


@pytest.mark.parametrize(
    ("mode", "day", "decides"),
    [
        (HealthMode.OFF, 1, False),
        (HealthMode.REPORT, 1, False),
        (HealthMode.DEFERRED, 1, False),
        (HealthMode.DEFERRED, 2, True),
        (HealthMode.FULL, 1, True),
    ],
)
def test_when_health_decides(mode: HealthMode, day: int, decides: bool) -> None:
    policy = HealthPolicy(mode=mode, deferred_until="2027-01-02")
    assert enforced(policy, datetime(2027, 1, day, 1, tzinfo=UTC).timestamp()) is decides


def test_versions() -> None:
    assert version_of("1.10") > version_of("1.9.8")
    assert version_of("0.2+local9") < version_of("0.2.1")


@pytest.mark.parametrize(
    "bad",
    [
        StatementOfHealth(agent="x" * 65, results=()),
        StatementOfHealth(agent="", results=(result("a"),) * 65),
        StatementOfHealth(agent="", results=(result("a" * 65),)),
        StatementOfHealth(agent="", results=(result("a", value="b" * 301),)),
        StatementOfHealth(agent="", results=(result("a", value="\x1b[2J"),)),
    ],
)
def test_what_is_too_large_or_no_text_is_refused(bad: StatementOfHealth) -> None:
    with pytest.raises(WireError):
        check_form(bad)
    assert check_form(statement()) == statement()
