"""Every problem of the catalogue can come about: by a rule of the doctor, live, or both."""

import ast
import textwrap
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from tests.catalogue.saying import (
    READERS,
    SOURCE,
    SPEAKERS,
    Walked,
    names_used,
    sayable,
    walked,
)
from tests.linux_incidents import found, roots, status_with
from throughway.catalogue import PROBLEMS
from throughway.doctor.rules import RULES

PAGES = Path(__file__).parents[2] / "docs" / "problems"
BY_RULE = {problem.code for rule in RULES for problem in rule.problems}
"""tests/doctor/test_rules.py holds each of them against evidence on which it fires."""


@cache
def live() -> dict[str, set[str]]:
    """Return where the daemons can say what."""
    files = sorted(path for path in SOURCE.rglob("*.py") if _speaks(path))
    modules = [walked(file) for file in files]
    used = names_used([ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")])
    return sayable(modules, used)


def _speaks(path: Path) -> bool:
    name = str(path.relative_to(SOURCE))
    return name not in READERS and name.startswith(SPEAKERS)


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_problem_can_come_about(code: str) -> None:
    assert code in BY_RULE or code in live(), "no rule looks for it, and no daemon can say it"


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_problem_has_its_page(code: str) -> None:
    page = PAGES / f"{code}.md"
    assert PROBLEMS[code].title in page.read_text()


@pytest.mark.parametrize("host", ["client1", "edge1"])
def test_nothing_that_a_daemon_tells_is_lost_on_the_doctor(host: str) -> None:
    answers = {code: roots(found(status_with(code, host))) for code in live()}
    assert {code: answer for code, answer in answers.items() if answer != [code]} == {}


def of_text(source: str) -> dict[str, set[str]]:
    """Walk a module that is only a text."""
    module = ModuleType("said")
    text = textwrap.dedent(source)
    exec(compile(text, "said", "exec"), vars(module))
    walk = Walked("said", ast.parse(text), vars(module))
    return sayable([walk], names_used([walk.tree]))


HEAD = """\
from throughway.catalogue import find
from throughway.catalogue.iphttps import LISTENER_DOWN as D
"""


@pytest.mark.parametrize(
    "said",
    [
        "def f(t): t.set(D, 'x')\nf",
        "def f(t): t.set(find('iphttps-listener-down'))\nf",
        "def f(): raise ValueError('iphttps-listener-down')\nf",
        "def f(t):\n    p = D\n    t.set(p)\nf",
        "ALL = (D,)\ndef f(t): t.set(ALL[0])\nf",
        "def f(t): return f'iphttps-{t}-down'\nf('listener')",
    ],
)
def test_what_is_said_counts(said: str) -> None:
    assert "iphttps-listener-down" in of_text(HEAD + said)


@pytest.mark.parametrize(
    "silent",
    [
        "def f(t): t.set(D, 'x')",
        "def f(t): t.clear(D)\nf",
        "def f(t):\n    p = D\n    t.clear(p)\nf",
        "def f(t):\n    p = D\n    if t.holds(p): return 1\nf",
        "def f(t): return t.code == 'iphttps-listener-down'\nf",
        "def f(t): return Check(problems=(D,))\nf",
        "ALL = (D,)",
        "def f(t):\n    'iphttps-listener-down'\nf",
        "def f(t): return f'iphttps-{t}-down'\nf",
    ],
)
def test_what_is_not_said_does_not(silent: str) -> None:
    assert "iphttps-listener-down" not in of_text(HEAD + silent)
