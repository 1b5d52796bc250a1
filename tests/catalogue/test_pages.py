"""The pages under docs/problems are those of the catalogue."""

from pathlib import Path

import pytest

from throughway.catalogue import find
from throughway.catalogue.__main__ import write
from throughway.catalogue.pages import pages, render

FOLDER = Path(__file__).parent.parent.parent / "docs" / "problems"


def test_the_pages_in_the_repository_are_current() -> None:
    on_disk = {page.stem: page.read_text() for page in FOLDER.glob("*.md")}
    assert on_disk.keys() == pages().keys(), "run python -m throughway.catalogue"
    assert [name for name, text in pages().items() if on_disk[name] != text] == []


def test_a_page_says_all_that_the_entry_says() -> None:
    problem = find("iphttps-no-router-advertisement")
    page = render(problem)
    for text in (problem.title, problem.code, problem.cause, problem.resolution):
        assert text in page
    for command in (*problem.fix, *problem.verify):
        assert f"\n    {command}\n" in page
    for root in problem.depends_on:
        assert f"[{root.code}]({root.code}.md)" in page
    assert "5 seconds" in page


@pytest.mark.parametrize("code", ["bug-in-throughway", "clock-skew"])
def test_a_page_without_roots_speaks_of_none(code: str) -> None:
    assert "follows" not in render(find(code))


def test_writing_removes_pages_of_problems_that_are_gone(tmp_path: Path) -> None:
    (tmp_path / "gone-problem.md").write_text("old")
    write(tmp_path)
    assert {page.stem for page in tmp_path.iterdir()} == pages().keys()
