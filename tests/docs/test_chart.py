"""The chart: well-formed, told in words as well, and nothing lies over anything else."""

import itertools
import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from bench import tunnel_page
from bench.chart import STYLE, Panel, Row, chart, number
from bench.tunnel_results import CANDIDATES, PEERS, load

SAMPLE = Path(__file__).with_name("tunnel-sample.json")
SVG = "{http://www.w3.org/2000/svg}"
ADVANCE = 0.65
"""Of a character on average, in ems: DejaVu Sans, which is wider than most."""
BOLD = 1.12
ASCENT, DESCENT = 0.8, 0.25
HOSTILE = Panel(
    'Streams <of> "many" & more',
    "Mbit/s",
    (Row("<a&b>", (1e6, None)), Row("x" * 20, (None, 0.0)), Row("long", (999_999.0, 1.0))),
)


class Box(NamedTuple):
    """A rectangle, and what is in it."""

    left: float
    top: float
    right: float
    bottom: float
    what: str

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def drawn(svg: str) -> tuple[ET.Element, list[Box], list[Box]]:
    """Return the root, the boxes of its texts, and of its bars."""
    root = ET.fromstring(svg)
    texts = [text_box(one) for one in root.iter(f"{SVG}text")]
    bars = [bar_box(one) for one in root.iter(f"{SVG}rect") if one.get("class") != "ground"]
    return root, texts, bars


def text_box(text: ET.Element) -> Box:
    x, y, size = (float(text.get(key, "")) for key in ("x", "y", "font-size"))
    words = text.text or ""
    width = len(words) * size * ADVANCE * (BOLD if text.get("font-weight") == "bold" else 1)
    left = x - width if text.get("text-anchor") == "end" else x
    return Box(left, y - ASCENT * size, left + width, y + DESCENT * size, words)


def bar_box(bar: ET.Element) -> Box:
    x, y, width, height = (float(bar.get(key, "")) for key in ("x", "y", "width", "height"))
    return Box(x, y, x + width, y + height, "bar")


CHARTS = {
    "sample": tunnel_page.picture(load(SAMPLE)),
    "hostile": chart("<title> & so on", "sub", [HOSTILE, HOSTILE]),
    "empty": chart("Nothing", "sub", []),
    "no values": chart("None", "sub", [Panel("p", "ms", (Row("a", (None, None)),))]),
}


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_lies_over_anything_else(name: str) -> None:
    root, texts, bars = drawn(CHARTS[name])
    *_, width, height = (float(side) for side in root.get("viewBox", "").split())
    for box in (*texts, *bars):
        assert box.left >= 0, box
        assert box.top >= 0, box
        assert box.right <= width, box
        assert box.bottom <= height, box
    pairs = itertools.combinations([*texts, *bars], 2)
    assert [(a, b) for a, b in pairs if a.overlaps(b)] == []


def test_boxes_that_overlap_are_found() -> None:
    root = ET.fromstring(CHARTS["sample"])
    first = next(root.iter(f"{SVG}text"))
    root.append(first)
    _, texts, _ = drawn(ET.tostring(root, encoding="unicode"))
    assert any(a.overlaps(b) for a, b in itertools.combinations(texts, 2))


def test_labels_and_values_are_there() -> None:
    _, texts, bars = drawn(CHARTS["sample"])
    words = [box.what for box in texts]
    for name in ("native", "pure", *PEERS):
        assert words.count(CANDIDATES[name]) == 3, name
    assert words.count(CANDIDATES["plain-tls"]) == 1
    assert {"9,700 up", "146,000 down", "25.0 up"} <= set(words)
    assert len(bars) == 2 + 2 * (7 + 6 + 6)


def test_bars_are_as_long_as_their_values() -> None:
    rows = (Row("a", (100.0, 50.0)), Row("b", (25.0, 0.0)))
    _, _, bars = drawn(chart("t", "s", [Panel("p", "ms", rows)]))
    lengths = [box.right - box.left for box in bars[2:]]
    assert [length / lengths[0] for length in lengths] == pytest.approx([1, 0.5, 0.25, 0])


def test_it_is_told_to_those_who_do_not_see_it() -> None:
    root, _, _ = drawn(CHARTS["sample"])
    assert root.get("role") == "img"
    told = {
        one.get("id"): one.text or "" for one in root if one.tag in {f"{SVG}title", f"{SVG}desc"}
    }
    assert list(told) == root.get("aria-labelledby", "").split()
    assert "throughway native 9,700 up and 9,900 down" in told["chart-description"]


def test_what_was_not_measured_is_said() -> None:
    _, texts, bars = drawn(CHARTS["no values"])
    assert [box.what for box in texts][-2:] == ["up not measured", "down not measured"]
    assert len(bars) == 2


def test_it_needs_nothing_else_and_runs_nothing() -> None:
    for svg in CHARTS.values():
        root = ET.fromstring(svg)
        tags = {one.tag.removeprefix(SVG) for one in root.iter()}
        assert tags <= {"svg", "title", "desc", "style", "rect", "text", "line"}
        attributes = {key for one in root.iter() for key in one.attrib}
        assert not [key for key in attributes if key.startswith("on") or "href" in key]
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def luminance(colour: str) -> float:
    """Return the relative luminance, as WCAG defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("what", "least"), [("text", 7), (r"\.faint", 4.5), (r"\.up", 3), (r"\.down", 3)]
)
def test_it_can_be_read_by_light_and_by_dark(scheme: int, what: str, least: float) -> None:
    part = STYLE.split("@media (prefers-color-scheme: dark)")[scheme]
    ground, colour = (
        luminance(re.findall(rf"{name} {{ fill: (#\w{{6}}) }}", part)[0])
        for name in (r"\.ground", what)
    )
    lighter, darker = max(ground, colour), min(ground, colour)
    assert (lighter + 0.05) / (darker + 0.05) >= least


@pytest.mark.parametrize(
    ("value", "text"),
    [(20_712.4, "20,712"), (100, "100"), (99.95, "100.0"), (25, "25.0"), (0.234, "0.23")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text
