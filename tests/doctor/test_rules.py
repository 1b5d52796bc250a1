"""Every problem that a rule looks for has evidence on which it fires and on which it is quiet."""

from pathlib import Path

import pytest

from throughway.catalogue import PROBLEMS
from throughway.catalogue.on_windows.advice import ADVICE, advice
from throughway.doctor.engine import Diagnosed
from throughway.doctor.examination import examine
from throughway.doctor.rules import RULES
from throughway.model.evidence import Platform
from throughway.model.facts.base import Fact
from throughway.model.findings import Severity

EVIDENCE = Path(__file__).parent.parent / "evidence"
SOUGHT = sorted({problem.code for rule in RULES for problem in rule.problems})
ON_WINDOWS = sorted(
    {p.code for rule in RULES if rule.platform is not Platform.LINUX for p in rule.problems}
)
LIST = (Path(__file__).parent / "codes-of-windows.txt").read_text().splitlines()
OF_WINDOWS = {code: set(marks) for code, *marks in map(str.split, LIST)}
"""What outputs of Windows ("w") or a capture ("c") can show; codes are added, and never go."""
PAGES = Path(__file__).parents[2] / "docs" / "problems"
CAPTURES = {".pcap", ".pcapng"}
LINUX_ONLY = ("throughway ", "systemctl ", "journalctl ", "ip ", "sysctl ", "openssl ", "nft ")


def bundles(folder: Path) -> list[Path]:
    """The folder is one bundle; or several, when it holds nothing but folders."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    if entries and all(entry.is_dir() for entry in entries):
        return entries
    return [folder] if entries else []


def said(bundle: Path) -> set[str]:
    """Return the codes of all findings, consequences among them."""
    found = examine([bundle]).diagnosis.findings
    return {item.finding.problem.code for item in (*found, *consequences(found))}


def consequences(found: tuple[Diagnosed, ...]) -> list[Diagnosed]:
    return [follower for item in found for follower in item.consequences]


def test_every_problem_that_windows_shows_has_a_rule() -> None:
    assert [code for code in OF_WINDOWS if code not in ON_WINDOWS] == []


@pytest.mark.parametrize("code", OF_WINDOWS)
def test_what_windows_shows_is_explained(code: str) -> None:
    problem = PROBLEMS[code]
    words = advice(problem)
    assert words.cause
    assert words.resolution
    # What our own software knows as well has other words, and other commands, there.
    assert code in ADVICE or not any(c.startswith(LINUX_ONLY) for c in problem.verify)
    if problem.severity is not Severity.INFO:
        assert words.fix
    assert words.verify
    assert (PAGES / f"{code}.md").is_file()


@pytest.mark.parametrize("code", OF_WINDOWS)
def test_it_is_shown_by_what_the_list_says(code: str) -> None:
    files = [f for f in (EVIDENCE / code / "fires").rglob("*") if f.is_file()]
    shown = {"c" if file.suffix in CAPTURES else "w" for file in files}
    assert OF_WINDOWS[code] <= shown


@pytest.mark.parametrize("code", SOUGHT)
def test_it_fires(code: str) -> None:
    fires = bundles(EVIDENCE / code / "fires")
    assert fires, f"tests/evidence/{code}/fires is missing"
    assert {bundle.name: said(bundle) & {code} for bundle in fires} == {
        bundle.name: {code} for bundle in fires
    }


@pytest.mark.parametrize("code", SOUGHT)
def test_it_is_quiet(code: str) -> None:
    quiet = bundles(EVIDENCE / code / "quiet")
    assert quiet, f"tests/evidence/{code}/quiet is missing"
    for bundle in quiet:
        examination = examine([bundle])
        assert examination.could_tell
        assert code not in said(bundle)


def test_no_evidence_is_of_a_problem_that_nobody_looks_for() -> None:
    folders = {folder.name for folder in EVIDENCE.iterdir()} - {"cases"}
    assert folders - set(SOUGHT) == set()


@pytest.mark.parametrize("code", ON_WINDOWS)
def test_what_is_said_can_be_done_on_windows(code: str) -> None:
    words = advice(PROBLEMS[code])
    commands = [*words.fix, *words.verify]
    assert commands
    assert [command for command in commands if command.startswith(LINUX_ONLY)] == []


def test_every_needed_fact_says_how_to_collect_it() -> None:
    kinds = {kind for rule in RULES for need in rule.needs() for kind in need.kinds}
    silent = [kind.__name__ for kind in kinds - {Fact} if not kind.COLLECT or not kind.QUESTION]
    assert [name for name in silent if name not in {"Host", "RegistryValue"}] == []
