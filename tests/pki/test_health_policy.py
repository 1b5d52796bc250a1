"""The health part of a policy: what may stand in a bundle, and what may not."""

import pytest

from throughway.model.errors import ConfigError
from throughway.model.statement import HealthMode, HealthPolicy, PolicyCheck, SubjectKind
from throughway.pki.fields import Fields
from throughway.pki.health_policy import check_own_name, check_subject, check_whole, read_health


def read(values: dict[str, object]) -> HealthPolicy:
    top = Fields({"health": values}, "bundle")
    table = top.optional_table("health")
    policy = read_health(table)
    top.finish(table)
    return policy


def test_older_bundles_ask_for_nothing() -> None:
    assert read({}) == HealthPolicy()


def test_all_of_it() -> None:
    check = {"name": "own", "kind": "file", "subject": "/etc/x", "value": "", "fix": "call us"}
    policy = read({"mode": "full", "required": ["own", "agent"], "hours": 8, "checks": [check]})
    assert policy.mode is HealthMode.FULL
    assert policy.checks == (
        PolicyCheck(name="own", kind=SubjectKind.FILE, subject="/etc/x", fix="call us"),
    )


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "some"},
        {"mode": "deferred"},
        {"mode": "deferred", "deferred_until": "soon"},
        {"required": ["no-such-check"]},
        {"hours": 0},
        {"unknown": 1},
        {"checks": [{"name": "firewall", "kind": "file", "subject": "/x"}]},
        {"checks": [{"name": "a", "kind": "program", "subject": "/x"}]},
        {"checks": [{"name": "a", "kind": "file", "subject": "/x"}] * 2},
    ],
)
def test_what_nobody_can_obey_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        read(values)


@pytest.mark.parametrize(
    ("kind", "subject", "value"),
    [
        (SubjectKind.FILE, "etc/x", ""),
        (SubjectKind.FILE, "/etc/../x", ""),
        (SubjectKind.FILE, "/x", "abc"),
        (SubjectKind.SERVICE, "--now", ""),
        (SubjectKind.SERVICE, "x.service", "1"),
        (SubjectKind.PACKAGE, "-x", ""),
        (SubjectKind.PACKAGE, "x", "new"),
        (SubjectKind.SYSCTL, "kernel/x", "1"),
        (SubjectKind.SYSCTL, "kernel..x", "1"),
        (SubjectKind.SYSCTL, "kernel.x", ""),
    ],
)
def test_subjects_that_are_none(kind: SubjectKind, subject: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_subject(kind, subject, value)


def test_names() -> None:
    assert check_own_name("own-2") == "own-2"
    with pytest.raises(ValueError, match="name of its own"):
        check_own_name("updates")
    check_whole(HealthPolicy(mode=HealthMode.DEFERRED, deferred_until="2027-01-31"))
