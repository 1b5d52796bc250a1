"""docs/performance.md is what was measured, and what was measured is whole."""

from dataclasses import replace

import pytest

from bench import page, report, scale_page, tunnel_page, tunnel_results, weigh
from bench.report import FIGURES, Results
from bench.targets import TARGETS, judge


@pytest.fixture(scope="module")
def results() -> Results:
    return report.load()


@pytest.fixture(scope="module")
def tunnel() -> tunnel_results.Results:
    found = page.tunnel()
    assert found is not None, "`make bench` measures them"
    return found


def test_the_page_is_made_from_the_results(results: Results) -> None:
    assert page.PAGE.read_text() == page.text(results, page.tunnel(), scale_page.load())


def test_the_page_has_all_parts(results: Results) -> None:
    text = page.text(results, None, None)
    for command in (results.command, *(t.command for t in [page.tunnel()] if t)):
        assert f"`{command}`" in page.text(results, page.tunnel(), scale_page.load())
    order = [text.index(f"## How {what}") for what in ("fast a tunnel", "many", "fast it")]
    assert order == sorted(order)


def test_the_page_says_when_the_tunnels_were_not_measured(results: Results) -> None:
    text = page.text(results, None, None)
    assert "Not measured yet: there is no `bench/results/tunnel.json`." in text
    assert ".svg" not in text


@pytest.fixture(scope="module")
def scale() -> scale_page.Found:
    found = scale_page.load()
    assert found is not None, "`make bench` measures what a gateway holds"
    return found


def test_a_gateway_holds_what_it_must(scale: scale_page.Found) -> None:
    assert scale["idle"]["sessions"] >= 10_000
    assert scale["idle"]["kib_per_session"] <= scale_page.TARGET_MEMORY
    assert (scale["storm"]["clients"], scale["storm"]["opened"]) == (2000, 2000)
    assert scale["pings"]["sessions"] >= 1000
    assert scale["pings"]["lost"] == 0
    assert scale["silence"]["opened"] == scale["silence"]["clients"]


def test_what_it_held_is_told(scale: scale_page.Found) -> None:
    text = scale_page.part(scale)
    assert f"{scale['idle']['kib_per_session']:.1f} KiB (to reach: 20, met)" in text
    assert f"2,000 served in {scale['storm']['seconds']:.1f} s, 0 refused" in text
    heavy = scale | {"idle": scale["idle"] | {"kib_per_session": 20.4}}
    assert "20.4 KiB (to reach: 20, **MISSED**)" in scale_page.part(heavy)
    assert "Not measured yet" in scale_page.part(None)


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


def test_trust_leaves_the_client_light() -> None:
    taken, found = weigh.load()
    for memory in found.values():
        assert {"throughway.client", "charon-systemd"} <= memory.keys()
        assert weigh.sums(memory)[0] <= report.TARGET_MEMORY
    heavy = found | {"everything": {"x": {"rss": 80.1, "pss": 40.0}}}
    assert "**MISSED**" in weigh.part(taken, heavy)


def test_too_much_memory_is_told(results: Results) -> None:
    heavy = [replace(r, memory={"x": {"rss": 80.1, "pss": 40.0}}) for r in results.rounds]
    assert not report.met(replace(results, rounds=heavy))
