"""One part of Operations Status, as a console shows it: error, causes, resolution."""

from dataclasses import replace
from datetime import UTC

import pytest

from tests.cli.snapshots import GATEWAY, NOW, condition
from throughway.cli.parts import part_of, render_part
from throughway.cli.status import View
from throughway.model.errors import ConfigError
from throughway.model.findings import Component
from throughway.model.status import CheckChange, CheckStatus, ComponentState, GatewaySnapshot

VIEW = View(now=NOW, zone=UTC)
CHECK = CheckStatus(
    name="listener",
    title="IP-HTTPS listener",
    component=Component.IPHTTPS,
    state=ComponentState.ERROR,
    since=NOW - 60,
    detail="192.0.2.1 port 443: Connection refused",
    looked_at=NOW - 2,
    took=0.25,
    interval=5.0,
    problems=("iphttps-listener-down",),
    history=(
        CheckChange(at=NOW - 600, state=ComponentState.OK, detail="takes connections"),
        CheckChange(at=NOW - 60, state=ComponentState.ERROR, detail="Connection refused"),
    ),
)
ABOUT = """\
IP-HTTPS listener: Not working properly
  Since                 since 22:12 (60 s)
  Found                 192.0.2.1 port 443: Connection refused
  Last look             2 s ago, took 0.25 s; every 5 s
  History               22:12  error    Connection refused
                        22:03  ok       takes connections
"""


def gateway(*checks: CheckStatus, problem: str = "") -> GatewaySnapshot:
    problems = (condition(problem, "192.0.2.1 port 443"),) if problem else ()
    return replace(GATEWAY, checks=checks, problems=problems)


def shown(snapshot: GatewaySnapshot, name: str) -> str:
    return render_part(snapshot, part_of(snapshot, name), VIEW) + "\n"


def test_a_check_with_what_it_has_found() -> None:
    text = shown(gateway(CHECK, problem="iphttps-listener-down"), "listener")
    about, _, error = text.partition("\n\n")
    assert about + "\n" == ABOUT
    lines = error.splitlines()
    assert lines[0].startswith("Error: ")
    assert "[iphttps-listener-down], critical, since " in lines[0]
    assert lines[1] == "  192.0.2.1 port 443"
    titles = [line.split()[0] for line in lines[2:] if line[2] != " "]
    assert titles == [*("Causes:", "Resolution:"), *titles[2:]]
    assert set(titles[2:]) == {"Mend:", "Prove:"}


def test_what_is_found_and_not_among_the_problems_is_explained_all_the_same() -> None:
    lines = shown(gateway(CHECK), "listener").splitlines()
    (error,) = (line for line in lines if line.startswith("Error: "))
    assert error.endswith("[iphttps-listener-down], found just now, not told of until it lasts")
    assert any(line.startswith("  Causes:") for line in lines)
    assert any(line.startswith("  Resolution:") for line in lines)


def test_what_follows_from_another_problem_says_so() -> None:
    route = replace(CHECK, name="route", problems=("iphttps-route-unpublished",))
    lines = shown(gateway(CHECK, route, problem="iphttps-listener-down"), "route").splitlines()
    (error,) = (line for line in lines if line.startswith("Error: "))
    assert error.endswith("[iphttps-route-unpublished], follows from iphttps-listener-down")


def test_a_component_with_its_checks() -> None:
    text = shown(gateway(CHECK, problem="iphttps-listener-down"), "iphttps")
    assert text.startswith("iphttps: ")
    assert "  listener              error    since 22:12 (60 s), 192.0.2.1 port 443" in text
    assert text.count("Error: ") == 1


def test_one_that_is_named_by_nobody() -> None:
    with pytest.raises(ConfigError, match="moon: there is no such part; there are iphttps, cert"):
        part_of(gateway(CHECK), "moon")


def test_one_that_is_mistyped() -> None:
    with pytest.raises(ConfigError, match="did you mean 'listener'"):
        part_of(gateway(CHECK), "listner")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ComponentState.OK, "Working properly"),
        (ComponentState.WARNING, "Working, with warnings"),
        (ComponentState.UNKNOWN, "Cannot be told"),
        (ComponentState.DISABLED, "Disabled"),
    ],
)
def test_each_state_in_words(state: ComponentState, words: str) -> None:
    check = replace(CHECK, state=state, problems=(), history=())
    assert shown(gateway(check), "listener").startswith(f"IP-HTTPS listener: {words}\n")
