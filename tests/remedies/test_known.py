"""The remedies as data."""

import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from tests.remedies.world import FakeMachine
from throughway.catalogue import PROBLEMS
from throughway.cli.main import app
from throughway.remedies.known import BY_CODE, REMEDIES
from throughway.remedies.remedy import Remedy
from throughway.remedies.steps import Case

NAMES = ("all", "default", "lan", "iphttps0")
BROKEN = {
    f"net.ipv6.conf.{name}.{key}": value
    for name in NAMES
    for key, value in (("forwarding", "0"), ("disable_ipv6", "1"), ("accept_ra", "1"))
}
PAGE = Path(__file__).parents[2] / "docs" / "operate" / "fix.md"


def case() -> Case:
    return Case(FakeMachine(dict(BROKEN), names=NAMES), interfaces=("iphttps0",))


def commands() -> list[str]:
    return sorted(
        {c for remedy in REMEDIES for step in remedy.steps for c in step.commands(case())}
    )


def test_each_problem_has_one_remedy_on_a_host() -> None:
    assert len(BY_CODE) == len(REMEDIES)


@pytest.mark.parametrize("remedy", REMEDIES, ids=lambda r: f"{r.host}-{r.problem.code}")
def test_a_remedy_is_complete(remedy: Remedy) -> None:
    assert PROBLEMS[remedy.problem.code] is remedy.problem
    assert remedy.steps
    assert remedy.limit > 0
    for step in remedy.steps:
        assert step.words[0].islower()
        assert step.commands(case())


def test_what_a_person_must_decide_has_none() -> None:
    codes = {code for code, _host in BY_CODE}
    assert codes.isdisjoint({"clock-skew", "configuration-refused", "gateway-cert-revoked"})


@pytest.mark.parametrize("command", commands())
def test_its_commands_can_be_typed(command: str) -> None:
    program, *words = shlex.split(command)
    if program == "sysctl":
        assert words[0] == "-w"
        return
    assert program == "throughway"
    found = get_command(app)
    while words and isinstance(found, TyperGroup):
        name, *words = words
        context = found.make_context("throughway", [name], resilient_parsing=True)
        _, found, _ = found.resolve_command(context, [name])  # type: ignore[assignment]
    for word in words:
        if word.startswith("-"):
            assert any(word in option.opts for option in found.params), command


@pytest.mark.parametrize("code", sorted({code for code, _host in BY_CODE}))
def test_the_page_lists_it(code: str) -> None:
    assert f"`{code}`" in PAGE.read_text()
