"""docs/performance.md is what was measured, and what was measured is whole."""

from dataclasses import replace

import pytest

from bench import report
from bench.report import FIGURES, Results


@pytest.fixture(scope="module")
def results() -> Results:
    return report.load()


def test_the_page_is_made_from_the_results(results: Results) -> None:
    assert report.PAGE.read_text() == report.page(results)


def test_ten_rounds_with_every_figure(results: Results) -> None:
    assert len(results.rounds) >= 10
    assert len(results.distant) >= 5
    for one in (*results.rounds, *results.distant):
        assert one.seconds.keys() == FIGURES.keys()
    for one in results.rounds:
        assert {"throughway.client", "charon-systemd"} <= one.memory.keys()


def test_the_targets_are_met(results: Results) -> None:
    assert report.met(results)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_target_that_is_missed_is_told(results: Results, figure: str) -> None:
    slow = [replace(r, seconds=r.seconds | {figure: 3.1}) for r in results.rounds]
    changed = replace(results, rounds=slow)
    assert not report.met(changed)
    assert "MISSED" in report.table(changed)
    assert "**Not all targets are met.**" in report.page(changed)


def test_too_much_memory_is_told(results: Results) -> None:
    heavy = [replace(r, memory={"x": {"rss": 80.1, "pss": 40.0}}) for r in results.rounds]
    assert not report.met(replace(results, rounds=heavy))
