"""Medians, ratios and verdicts of the tunnels, and how they are told."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import tunnel_page, tunnel_report
from bench.targets import TARGETS, Verdict, exact, judge
from bench.tunnel_results import CANDIDATES, MEASURES, PEERS, Results, ResultsError, load, parse
from bench.tunnel_tables import figures, shares, targets

SAMPLE = Path(__file__).with_name("tunnel-sample.json")
"""Every figure measured, every target met."""
Told = dict[str, Any]


@pytest.fixture
def told() -> Told:
    """The sample, to be changed."""
    return dict(json.loads(SAMPLE.read_text()))


def results_of(told: Told) -> Results:
    return parse(json.dumps(told))


def change(told: Told, candidate: str, measure: str, *values: float, why: str = "") -> None:
    """Put other values in a measurement's place."""
    [one] = [
        m for m in told["measurements"] if (m["candidate"], m["measure"]) == (candidate, measure)
    ]
    one.update(values=values, why=why)


def drop(told: Told, candidate: str) -> None:
    told["measurements"] = [m for m in told["measurements"] if m["candidate"] != candidate]


def verdict_on(results: Results, row: str, build: str, compared: str = "") -> Verdict:
    [found] = [
        v
        for v in judge(results)
        if (v.target.row, v.build) == (row, build)
        and v.bound is not None
        and compared in v.target.compared
    ]
    return found


# Medians and ratios


@pytest.mark.parametrize(("values", "middle"), [((3, 1, 2), 2), ((1, 4), 2.5), ((7,), 7)])
def test_the_median_counts(told: Told, values: tuple[float, ...], middle: float) -> None:
    change(told, "native", "tcp-1-up", *values)
    assert results_of(told).median("native", "tcp-1-up") == middle


def test_ratios_are_of_medians_and_each_way_by_itself(told: Told) -> None:
    change(told, "native", "tcp-1-up", 1, 500, 90_000)
    change(told, "plain-tls", "tcp-1-up", 1000)
    change(told, "native", "tcp-1-down", 300)
    change(told, "plain-tls", "tcp-1-down", 400)
    checks = verdict_on(results_of(told), "One stream against plain TLS", "native").checks
    assert [(c.measure, c.value) for c in checks] == [("tcp-1-up", 0.5), ("tcp-1-down", 0.75)]


def test_the_best_peer_is_the_best_for_each_figure(told: Told) -> None:
    change(told, "ocserv", "udp-200-up", 130_000)
    change(told, "openvpn", "rtt-loaded-down", 26)
    results = results_of(told)
    small = verdict_on(results, "Small packets", "native")
    assert [c.reference for c in small.checks] == ["ocserv", "softether"]
    assert "(ocserv)" in small.measured
    waits = verdict_on(results, "Round trip under load", "native")
    assert [c.reference for c in waits.checks] == ["wireguard-go", "openvpn"]


def test_ourselves_and_plain_tls_are_no_peers() -> None:
    assert not {"native", "pure", "plain-tls"} & set(PEERS)


def test_two_workers_are_judged_against_one_with_one_client(told: Told) -> None:
    change(told, "native", "tcp-1-up", 1000)
    change(told, "native-2", "two-clients-up", 1400)
    change(told, "native-1x2", "two-clients-up", 2800)
    both = [v for v in judge(results_of(told)) if v.target.row == "Two workers"]
    assert [v.checks[0].value for v in both if v.build == "native"] == [1.4, 0.5]
    assert [v.bound for v in both] == [1.3, 1.3, None, None]
    assert all(v.met for v in both)


# Verdicts


def test_every_target_of_the_sample_is_met() -> None:
    assert [v for v in judge(load(SAMPLE)) if not v.met] == []


@pytest.mark.parametrize(
    ("row", "compared", "candidate", "measure", "values", "build"),
    [
        ("One stream against plain TLS", "", "native", "tcp-1-down", 0.41 * 19000, "native"),
        ("One stream against plain TLS", "", "pure", "tcp-1-up", 0.15 * 20000, "pure"),
        ("One stream against other tunnels", "SoftEther", "softether", "tcp-1-up", 1800, "native"),
        ("One stream against other tunnels", "ocserv", "ocserv", "tcp-1-up", 1000, "pure"),
        ("One stream against other tunnels", "OpenVPN", "openvpn", "tcp-1-up", 900, "native"),
        ("Small packets", "", "ocserv", "udp-200-up", 140_000, "native"),
        ("Small packets", "", "wireguard-go", "udp-200-down", 126_000, "pure"),
        ("Two workers", "", "native-2", "two-clients-up", 12_000, "native"),
        ("Two workers", "", "pure-2", "two-clients-down", 4000, "pure"),
        ("Round trip under load", "", "native", "rtt-loaded-up", 28.1, "native"),
        ("Round trip under load", "", "pure", "rtt-loaded-down", 58.1, "pure"),
        ("Memory of an idle session", "", "native", "memory-idle", 20.1, "native"),
        ("Whole path against ESP alone", "", "path", "tcp-1-up", 360, "native"),
    ],
)
def test_one_figure_misses_its_target(
    told: Told, row: str, compared: str, candidate: str, measure: str, values: float, build: str
) -> None:
    assert verdict_on(results_of(told), row, build, compared).met
    change(told, candidate, measure, values)
    verdict = verdict_on(results_of(told), row, build, compared)
    assert (verdict.met, verdict.word) == (False, "MISSED")


def test_every_row_has_a_bound_for_both_builds() -> None:
    judged = {target.row for target in TARGETS if target.bounds}
    assert judged == {target.row for target in TARGETS}


def test_a_bound_that_is_just_reached_is_met(told: Told) -> None:
    change(told, "native", "memory-idle", 20)
    change(told, "native", "rtt-loaded-up", 28)
    results = results_of(told)
    assert verdict_on(results, "Memory of an idle session", "native").met
    assert verdict_on(results, "Round trip under load", "native").met


@pytest.mark.parametrize(
    ("value", "bound", "text"),
    [
        (0.5, 0.42, "0.50"),
        (0.4183, 0.42, "0.418"),
        (0.41996, 0.42, "0.4200"),
        (1.3, 1.3, "1.30"),
        (1.0004, 1.0, "1.0004"),
        (0.3333, None, "0.33"),
    ],
)
def test_a_ratio_shows_on_which_side_of_its_bound_it_is(
    value: float, bound: float | None, text: str
) -> None:
    assert exact(value, bound) == text


# What was not measured


def test_a_candidate_that_did_not_run_is_not_met_and_not_missed(told: Told) -> None:
    for way in ("up", "down"):
        change(told, "softether", f"tcp-1-{way}", why="no server for this system")
    verdict = verdict_on(
        results_of(told), "One stream against other tunnels", "native", "SoftEther"
    )
    assert (verdict.met, verdict.word) == (False, "not measured")
    assert verdict.measured == "- (SoftEther: no server for this system)"


def test_one_way_missed_and_the_other_not_measured_is_missed(told: Told) -> None:
    change(told, "native", "tcp-1-up", 10)
    change(told, "native", "tcp-1-down", why="it hung")
    verdict = verdict_on(results_of(told), "One stream against plain TLS", "native")
    assert verdict.word == "MISSED"
    assert "down - (throughway native: it hung)" in verdict.measured


def test_what_is_not_in_the_run_is_said(told: Told) -> None:
    drop(told, "path-pure")
    verdict = verdict_on(results_of(told), "Whole path against ESP alone", "pure")
    assert (verdict.met, verdict.word) == (False, "not measured")
    assert "not in the run" in verdict.measured


def test_peers_without_values_are_no_best_peer(told: Told) -> None:
    change(told, "wireguard-go", "rtt-loaded-up", why="killed")
    verdict = verdict_on(results_of(told), "Round trip under load", "native")
    assert verdict.checks[0].reference == "openvpn"


def test_a_peer_that_carries_nothing_is_not_divided_by(told: Told) -> None:
    change(told, "ocserv", "tcp-1-up", 0, 0, 0)
    verdict = verdict_on(results_of(told), "One stream against other tunnels", "pure", "ocserv")
    assert verdict.word == "not measured"


def test_without_any_measurement_nothing_breaks(told: Told) -> None:
    results = results_of(told | {"measurements": []})
    judged = [v for v in judge(results) if v.bound is not None]
    assert {v.word for v in judged} == {"not measured"}
    assert "**18 of 18 targets are not met**" in tunnel_page.part(results)
    assert "<svg" in tunnel_page.picture(results)
    assert list(figures(results)) == []


# Results that cannot be read


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        ({"schema": 2}, "schema: Input should be 1"),
        ({"rounds": 0}, "rounds: "),
        ({"machine": {"cores": 2}}, "machine.cpu: Field required"),
        ({"measurements": {}}, "measurements: "),
        ({"versions": {"python": 3}}, "versions.python: "),
    ],
)
def test_a_wrong_field_is_named(told: Told, change: Told, told_of: str) -> None:
    with pytest.raises(ResultsError, match=re.escape(told_of)):
        results_of(told | change)


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        ({"candidate": "netcat"}, "measurements.0.candidate: Value error, 'netcat' is none of"),
        ({"measure": "tcp-2-up"}, "measurements.0.measure: Value error, 'tcp-2-up' is none of"),
        ({"unit": "MB/s"}, "tcp-1-up of plain-tls: in MB/s, not in Mbit/s"),
        ({"values": []}, "tcp-1-up of plain-tls: neither values nor why not"),
        ({"values": [1, "fast"]}, "measurements.0.values.1: "),
        ({"values": [-1]}, "measurements.0.values.0: "),
        ({"values": [float("nan")]}, "measurements.0.values.0: "),
        ({"values": None}, "measurements.0.values: "),
    ],
)
def test_a_wrong_measurement_is_named(told: Told, change: Told, told_of: str) -> None:
    told["measurements"][0].update(change)
    with pytest.raises(ResultsError, match=re.escape(told_of)):
        results_of(told)


def test_a_measurement_is_told_once(told: Told) -> None:
    told["measurements"].append(told["measurements"][0])
    with pytest.raises(ResultsError, match="tcp-1-up of plain-tls is there twice"):
        results_of(told)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "\x00"])
def test_broken_json_is_refused_with_the_files_name(text: str) -> None:
    with pytest.raises(ResultsError, match=r"^tunnel\.json: "):
        parse(text)


def test_keys_that_nobody_reads_may_be_there(told: Told) -> None:
    assert results_of(told | {"weather": "fine"}).rounds == 3


# The page


def test_the_page_tells_all_of_a_run() -> None:
    results = load(SAMPLE)
    text = tunnel_page.part(results)
    machine = results.machine
    for fact in (
        "All 18 targets are met.",
        results.taken,
        f"`{results.command}`",
        f"{results.rounds} rounds",
        machine.cpu,
        machine.kernel,
        machine.memory,
        results.congestion_control,
        *(f"{name} {version}" for name, version in results.versions.items()),
        *results.settings.values(),
        "(../bench/results/tunnel.svg)",
        "- **wireguard-go**: handshakes, memory of an idle session: has no sessions to accept",
    ):
        assert fact in text, fact


def test_the_tables_have_every_candidate_and_measure() -> None:
    results = load(SAMPLE)
    text = "\n".join(table.markdown() for table in figures(results))
    for title in (*CANDIDATES.values(), *(measure.title for measure in MEASURES.values())):
        assert title in text, title
    assert "| throughway native | 0.485 | 0.521 |" in shares(results).markdown()


def test_tables_are_whole() -> None:
    results = load(SAMPLE)
    for table in (*figures(results), shares(results), targets(judge(results))):
        assert {len(cells) for cells in table.rows} == {len(table.head)}
        assert len(table.plain().splitlines()) == len(table.rows) + 2


def test_the_page_says_where_rounds_are_missing(told: Told) -> None:
    change(told, "native", "handshakes", 1900)
    assert "handshakes: in 1 of 3 rounds only" in tunnel_page.part(results_of(told))


def test_a_missed_target_leads_to_its_explanation(told: Told) -> None:
    change(told, "native", "memory-idle", 21)
    text = tunnel_page.part(results_of(told))
    assert "**1 of 18 targets are not met**" in text
    assert "[**MISSED**](performance-limits.md#memory-of-an-idle-session)" in text


SECTION = """
## Memory of an idle session

**What was profiled.** The heap of two thousand sessions.
**What was tried.** A smaller buffer, and none at all.

**What the limit is.** OpenSSL keeps its own state for each.
"""


@pytest.mark.parametrize(
    ("page", "explained"),
    [
        (SECTION, True),
        ("", False),
        (SECTION.replace("an idle", "some idle"), False),
        (SECTION.replace("**What was tried.**", ""), False),
        (SECTION.replace("The heap of two thousand sessions.", ""), False),
        (SECTION.replace("**What was tr", "## Small packets\n\n**What was tr"), False),
    ],
)
def test_a_missed_target_wants_an_explanation(told: Told, page: str, explained: bool) -> None:
    assert tunnel_page.unexplained(judge(load(SAMPLE)), page) == []
    change(told, "native", "memory-idle", 21)
    change(told, "pure", "memory-idle", 21)
    missing = [] if explained else ["Memory of an idle session"]
    assert tunnel_page.unexplained(judge(results_of(told)), page) == missing


# The program


def test_exit_codes(told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    assert tunnel_report.main([str(file)]) == 2
    assert "results.json: " in capsys.readouterr().err
    file.write_text(json.dumps(told))
    assert tunnel_report.main([str(file)]) == 0
    assert "MISSED" not in capsys.readouterr().out
    change(told, "native", "memory-idle", 21)
    file.write_text(json.dumps(told))
    assert tunnel_report.main([str(file)]) == 1
    assert re.search(r"Memory of an idle session +native +21\.00 KiB", capsys.readouterr().out)


def test_json_tells_ratios_and_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    assert tunnel_report.main(["--json", str(SAMPLE)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["met"] is True
    first = answer["targets"][0]
    assert (first["bound"], first["met"], first["sign"]) == (0.42, True, "≥")
    assert first["checks"][0] == {
        "measure": "tcp-1-up",
        "value": 0.485,
        "against": "plain-tls",
        "why": "",
    }


def test_in_a_terminal_a_reason_is_text_and_no_markup(told: Told) -> None:
    change(told, "native", "memory-idle", why="[/red] [x] no server")
    console = Console(file=io.StringIO(), force_terminal=True, width=300)
    targets(judge(results_of(told))).print(console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[/red] [x] no server" in said
    assert "\x1b[32m" in said


def test_into_a_pipe_it_writes_plain_columns(tmp_path: Path) -> None:
    """No colours, no frames, no line broken by a width that nobody sees."""
    answer = subprocess.run(
        [sys.executable, "-m", "bench.tunnel_report", SAMPLE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b" not in answer.stdout
    assert max(map(len, answer.stdout.splitlines())) > 120
    assert re.search(r"^Small packets +the best peer +native .* ≥ 1\.1 +met$", answer.stdout, re.M)
