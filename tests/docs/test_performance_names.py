"""docs/performance-names.md is what was measured."""

from bench import names


def test_the_page_is_that_of_the_results() -> None:
    results = names.read()
    assert names.PAGE.read_text() == names.report(results)


def test_every_candidate_was_measured_in_every_round() -> None:
    results = names.read()
    measured = [(run.candidate, run.measure) for run in results.runs]
    for candidate in ("throughway", "dnsmasq"):
        for what in ("passed on", "cached"):
            assert measured.count((candidate, what)) == results.rounds
    assert all(0 < run.p50 <= run.p99 for run in results.runs)
