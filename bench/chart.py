"""Horizontal bars as SVG: text is text, it reads by light and by dark, and runs no scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

WIDTH = 800
MARGIN = 16
BARS_LEFT = 180
BARS_WIDTH = 460
"""What is right of it is for the value behind the longest bar."""
BAR = 12
PITCH = 16
"""From one bar to the next of the same candidate: a line of text of :data:`SMALL` fits."""
GAP = 8
"""Between candidates."""
HEADING, TEXT, SMALL = 17, 13, 11
"""Font sizes, in pixels."""
STYLE = """
svg { color-scheme: light dark; font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif }
.ground { fill: #ffffff } text { fill: #1f2328 } .faint { fill: #59636e }
.line { stroke: #8c959f } .up { fill: #0b63b5 } .down { fill: #c2570c }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117 } text { fill: #e6edf3 } .faint { fill: #9198a1 }
  .line { stroke: #656c76 } .up { fill: #6cb6ff } .down { fill: #f0a45d }
}
"""
WAYS = ("up", "down")


@dataclass(frozen=True, slots=True)
class Row:
    """A candidate: one value a way, None where there is none."""

    label: str
    values: tuple[float | None, ...]
    strong: bool = False

    def told(self) -> str:
        """Return the row in words."""
        values = (_value(value, way) for value, way in zip(self.values, WAYS, strict=True))
        return f"{self.label} {' and '.join(values)}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure, for every candidate."""

    title: str
    unit: str
    rows: tuple[Row, ...]

    def sentence(self) -> str:
        """Return the panel for those who do not see it."""
        return f"{self.title}, {self.unit}: {'; '.join(row.told() for row in self.rows)}."


def chart(title: str, subtitle: str, panels: Sequence[Panel]) -> str:
    """Return the chart."""
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "role": "img",
            "aria-labelledby": "chart-title chart-description",
        },
    )
    ET.SubElement(root, "title", id="chart-title").text = title
    description = " ".join(panel.sentence() for panel in panels)
    ET.SubElement(root, "desc", id="chart-description").text = description
    ET.SubElement(root, "style").text = STYLE
    ground = ET.SubElement(root, "rect", {"class": "ground", "width": "100%", "height": "100%"})
    bottom = _legend(root, title, subtitle)
    for panel in panels:
        bottom = _panel(root, panel, bottom + 2 * GAP)
    height = f"{bottom + MARGIN}"
    root.attrib |= {"viewBox": f"0 0 {WIDTH} {height}", "width": f"{WIDTH}", "height": height}
    ground.tail = "\n"
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode") + "\n"


def _legend(root: ET.Element, title: str, subtitle: str) -> int:
    _text(root, MARGIN, MARGIN + HEADING, title, HEADING, strong=True)
    _text(root, MARGIN, MARGIN + HEADING + 22, subtitle, TEXT, kind="faint")
    top = MARGIN + HEADING + 34
    for x, way, meaning in (
        (MARGIN, "up", "up: client to gateway"),
        (MARGIN + 200, "down", "down: gateway to client"),
    ):
        _rect(root, x, top, BAR, way)
        _text(root, x + BAR + 6, top + BAR - 1, meaning, TEXT)
    return top + BAR


def _panel(root: ET.Element, panel: Panel, top: int) -> int:
    _text(root, MARGIN, top + TEXT, f"{panel.title}, {panel.unit}", TEXT, strong=True)
    top = first = top + TEXT + GAP + 4
    known = [value for row in panel.rows for value in row.values if value is not None]
    scale = BARS_WIDTH / (max(known, default=0.0) or 1.0)
    for row in panel.rows:
        middle = top + (PITCH * len(row.values) + TEXT) // 2 - 2
        _text(root, BARS_LEFT - 10, middle, row.label, TEXT, strong=row.strong, anchor="end")
        for way, value in zip(WAYS, row.values, strict=False):
            length = round((value or 0.0) * scale, 1)
            if value is not None:
                bar = _rect(root, BARS_LEFT, top + (PITCH - BAR) // 2, length, way)
                ET.SubElement(bar, "title").text = f"{row.label}: {_value(value, way)}"
            where = BARS_LEFT + length + 6
            _text(root, where, top + PITCH - 4, _value(value, way), SMALL)
            top += PITCH
        top += GAP
    attributes = {
        "x1": f"{BARS_LEFT}",
        "x2": f"{BARS_LEFT}",
        "y1": f"{first}",
        "y2": f"{top - GAP}",
    }
    ET.SubElement(root, "line", {"class": "line"} | attributes)
    return top - GAP


def _value(value: float | None, way: str) -> str:
    return f"{way} not measured" if value is None else f"{number(value)} {way}"


def number(value: float) -> str:
    """Write a figure with about three digits, or all those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _rect(root: ET.Element, x: float, y: float, width: float, kind: str) -> ET.Element:
    place = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{BAR}"}
    return ET.SubElement(root, "rect", {"class": kind} | place)


def _text(
    root: ET.Element,
    x: float,
    y: float,
    text: str,
    size: int,
    *,
    kind: str = "",
    strong: bool = False,
    anchor: str = "start",
) -> None:
    attributes = {"x": f"{x:g}", "y": f"{y:g}", "font-size": f"{size}"}
    if kind:
        attributes["class"] = kind
    if strong:
        attributes["font-weight"] = "bold"
    if anchor != "start":
        attributes["text-anchor"] = anchor
    ET.SubElement(root, "text", attributes).text = text
