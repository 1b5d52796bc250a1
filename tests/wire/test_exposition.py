"""The text format, as Prometheus' own parser reads it."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from throughway.wire.exposition import Family, Kind, build_exposition

ANY_TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)


def test_families() -> None:
    families = (
        Family("up", "Whether.").add(1),
        Family("seen_total", "How often.", Kind.COUNTER).add(3, by="a").add(4, by="b"),
        Family("took_seconds", "How long.", Kind.SUMMARY).observed(1.5, 2, by="a"),
        Family("nobody", "Of nothing."),
    )
    assert build_exposition(families).decode() == (
        "# HELP up Whether.\n# TYPE up gauge\nup 1\n"
        "# HELP seen_total How often.\n# TYPE seen_total counter\n"
        'seen_total{by="a"} 3\nseen_total{by="b"} 4\n'
        "# HELP took_seconds How long.\n# TYPE took_seconds summary\n"
        'took_seconds_sum{by="a"} 1.5\ntook_seconds_count{by="a"} 2\n'
        "# HELP nobody Of nothing.\n# TYPE nobody gauge\n"
    )


def test_values_that_are_no_numbers() -> None:
    family = Family("x", "").add(math.inf, of="1").add(-math.inf, of="2").add(math.nan, of="3")
    values = [line.rsplit(" ", 1)[1] for line in build_exposition([family]).decode().splitlines()]
    assert values[-3:] == ["+Inf", "-Inf", "NaN"]


@given(ANY_TEXT, st.floats(allow_nan=False) | st.integers(-(2**53), 2**53))
def test_whatever_a_label_says_is_read_back(text: str, value: float) -> None:
    told = build_exposition([Family("x", "What it is.").add(value, label=text)]).decode()
    assert re.search(r"\n(?!x\{|#|$)", told) is None  # nobody can forge a line
    [family] = text_string_to_metric_families(told)
    [sample] = family.samples
    assert (sample.name, sample.labels, sample.value) == ("x", {"label": text}, float(value))


@given(ANY_TEXT)
def test_whatever_a_help_says_stays_one_line(text: str) -> None:
    assert build_exposition([Family("x", text).add(1)]).count(b"\n") == 3
