"""Whole cases: a bundle in, the cause first.

``evidence/cases/NAME/expected.toml`` says what must come first (``first``, "" for nothing wrong),
what must be shown beside it (``also``) and what must not be said at all (``never``). The
environment variable THROUGHWAY_CASES may name a folder of more cases of that form.
"""

import os
import tomllib
from pathlib import Path

import pytest

from throughway.doctor.examination import examine
from throughway.doctor.report import exit_code

CASES = Path(__file__).parent.parent / "evidence" / "cases"


def cases() -> list[Path]:
    folders = [CASES, *(Path(f) for f in os.environ.get("THROUGHWAY_CASES", "").split() if f)]
    return sorted(file.parent for folder in folders for file in folder.glob("*/expected.toml"))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_cause_comes_first(case: Path) -> None:
    expected = tomllib.loads((case / "expected.toml").read_text())
    examination = examine([case / "evidence"])
    codes = [item.finding.problem.code for item in examination.diagnosis.findings]
    assert codes[:1] == ([expected["first"]] if expected["first"] else [])
    assert set(expected.get("also", ())) <= set(codes)
    assert set(codes) & set(expected.get("never", ())) == set()
    assert exit_code(examination) == expected.get("exit", 1 if expected["first"] else 0)
    assert examination.reading.unreadable == []
