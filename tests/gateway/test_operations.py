"""Operations Status as a whole: every check has its name, its place and its problems."""

from pathlib import Path

from tests.operations_world import config, parts_of
from throughway.catalogue import find
from throughway.gateway.daemon import COMPONENTS
from throughway.gateway.operations import operations
from throughway.health.checking import Check
from throughway.model.findings import Component

NOT_LOOKED_AT = {Component.GATEWAY, Component.FIREWALL}
"""The daemon itself, which answers, and the wall, which is raised again by who looks at it."""


def every(tmp_path: Path) -> tuple[Check, ...]:
    return operations(parts_of(config(tmp_path)))


def test_each_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = [check.name for check in every(tmp_path)]
    assert len(set(names)) == len(names)
    taken = {str(component) for component in COMPONENTS}
    assert not taken & set(names) - {"ipv6"}, "a component is asked for by its name"


def test_every_component_is_looked_at(tmp_path: Path) -> None:
    looked_at = {check.component for check in every(tmp_path)}
    assert set(COMPONENTS) - looked_at <= NOT_LOOKED_AT
    assert looked_at <= set(COMPONENTS)


def test_what_may_be_found_has_cause_and_resolution(tmp_path: Path) -> None:
    for check in every(tmp_path):
        assert check.problems, check.name
        for problem in check.problems:
            assert find(problem.code) is problem
            assert problem.cause
            assert problem.resolution


def test_a_look_ends_before_the_next_one_and_failures_show_within_a_quarter_of_a_minute(
    tmp_path: Path,
) -> None:
    for check in every(tmp_path):
        assert check.timeout < check.interval <= 15.0, check.name


def test_of_what_is_not_configured_nothing_is_looked_at(tmp_path: Path) -> None:
    unwanted = {check.name for check in every(tmp_path) if check.wanted()}
    assert unwanted == {
        *("6to4-server", "teredo-server", "user-tickets", "client-lists", "policy-server"),
        *("management-servers", "dns", "domain-controller", "kerberos", "clock"),
        *("location-server", "dns64", "nat64", "policy-bundle"),
    }
