"""docs/performance.md is what was measured, and what was measured is whole."""

from dataclasses import replace

import pytest

from bench import page, report, tunnel_page, tunnel_results
from bench.report import FIGURES, Results
from bench.targets import TARGETS, judge


@pytest.fixture(scope="module")
def results() -> Results:
    return report.load()


@pytest.fixture(scope="module")
def tunnel() -> tunnel_results.Results:
    found = page.tunnel()
    if found is None:
        pytest.skip("the tunnels were not measured yet")
    return found


def test_the_page_is_made_from_the_results(results: Results) -> None:
    assert page.PAGE.read_text() == page.text(results, page.tunnel())


def test_the_page_has_both_parts(results: Results) -> None:
    text = page.text(results, None)
    for command in (results.command, *(t.command for t in [page.tunnel()] if t)):
        assert f"`{command}`" in page.text(results, page.tunnel())
    assert text.index("## How fast a tunnel carries") < text.index("## How fast it connects")


def test_the_page_says_when_the_tunnels_were_not_measured(results: Results) -> None:
    text = page.text(results, None)
    assert "Not measured yet: there is no `bench/results/tunnel.json`." in text
    assert ".svg" not in text


def test_the_chart_is_made_from_the_results(tunnel: tunnel_results.Results) -> None:
    assert tunnel_page.CHART.read_text() == tunnel_page.picture(tunnel)


def test_tunnels_were_measured_in_three_rounds(tunnel: tunnel_results.Results) -> None:
    assert tunnel.rounds >= 3
    for verdict in judge(tunnel):
        assert verdict.checks


def test_what_is_missed_is_explained(tunnel: tunnel_results.Results) -> None:
    assert tunnel_page.unexplained(judge(tunnel), tunnel_page.LIMITS.read_text()) == []


def test_only_targets_are_explained() -> None:
    """A renamed target does not leave its explanation behind."""
    told = tunnel_page.limits(tunnel_page.LIMITS.read_text())
    assert told.keys() <= {target.row for target in TARGETS}
    assert [row for row, text in told.items() if not tunnel_page.explains(text)] == []


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
    assert "**Not all targets are met.**" in report.part(changed)


def test_too_much_memory_is_told(results: Results) -> None:
    heavy = [replace(r, memory={"x": {"rss": 80.1, "pss": 40.0}}) for r in results.rounds]
    assert not report.met(replace(results, rounds=heavy))
