"""The house keeps its own rules: layers, mirrored tests, sizes, no notes to self."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "throughway"
TESTS = ROOT / "tests"
MAXIMUM_MODULE_LINES = 600
MAXIMUM_FUNCTION_LINES = 60
NOT_MIRRORED = {"model", "catalogue"}
"""Vocabulary and texts: checked whole, by tests/model and tests/catalogue."""


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


@cache
def nodes(module: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(module.read_text())))


def test_import_contracts_hold() -> None:
    answer = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_test_file_mirrors_a_module() -> None:
    strays = []
    for test in sorted(TESTS.rglob("test_*.py")):
        folder = test.parent.relative_to(TESTS)
        if str(folder) in {".", "fuzz", "scenarios", "docs"}:
            continue
        name = test.stem.removeprefix("test_")
        module, package = SOURCE / folder / f"{name}.py", SOURCE / folder / name
        if folder.parts[0] in NOT_MIRRORED or module.exists() or package.is_dir():
            continue
        strays.append(str(test.relative_to(ROOT)))
    assert strays == []


def test_every_module_that_does_something_has_a_test_file() -> None:
    untested = []
    for module in modules():
        path = module.relative_to(SOURCE)
        if path.parts[0] in NOT_MIRRORED or module.name.startswith("__") or len(path.parts) < 2:
            continue
        own = TESTS / path.parent / f"test_{path.stem}.py"
        of_package = TESTS / path.parent.parent / f"test_{path.parent.name}.py"
        if not own.exists() and not (len(path.parts) > 2 and of_package.exists()):
            untested.append(str(path))
    assert untested == []


def test_modules_and_functions_stay_small() -> None:
    too_long = []
    for module in modules():
        text = module.read_text()
        if len(text.splitlines()) > MAXIMUM_MODULE_LINES:
            too_long.append(str(module))
        too_long += [
            f"{module}:{node.lineno} {node.name}"
            for node in nodes(module)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (node.end_lineno or 0) - node.lineno > MAXIMUM_FUNCTION_LINES
        ]
    assert too_long == []


def test_no_notes_to_self() -> None:
    note = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [str(m) for m in modules() if note.search(m.read_text())] == []


def test_nobody_waits_with_what_may_swallow_a_cancellation() -> None:
    """asyncio.wait_for() of Python 3.11 does, when what it waits for comes at the same moment: a
    daemon that stops would wait for ever. asyncio.timeout() does not."""
    swallowing = [
        f"{module.relative_to(ROOT)}:{call.lineno}"
        for module in modules()
        for call in nodes(module)
        if isinstance(call, ast.Attribute) and call.attr == "wait_for"
    ]
    assert swallowing == []
