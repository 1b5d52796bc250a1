"""The dashboards fit: they are whole, and ask for nothing that the daemons do not tell."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.client.test_metrics import EVERYTHING as CLIENT
from tests.client.test_metrics import KEPT as CLIENT_KEPT
from tests.gateway.test_metrics import EVERYTHING as GATEWAY
from tests.gateway.test_metrics import KEPT as GATEWAY_KEPT
from throughway.client import metrics as client
from throughway.gateway import metrics as gateway
from throughway.net.metrics_server import of_process
from throughway.wire.exposition import Family, build_exposition

OPERATE = Path(__file__).parents[2] / "docs" / "operate"
BOARDS = sorted((OPERATE / "grafana").glob("*.json"))
PANELS = {"row", "stat", "timeseries", "table", "bargauge"}
WIDTH = 24
"""Columns of Grafana's grid."""
FROM_PROMETHEUS = {"instance", "job"}
"""Labels that Prometheus itself gives."""

_SELECTOR = re.compile(r"\b((?:throughway|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')


@cache
def told(side: str) -> dict[str, list[dict[str, str]]]:
    """Return the labels of every sample that a daemon tells, by its name."""
    families: list[Family] = list(of_process())
    if side == "client":
        families += client.figures(CLIENT, CLIENT_KEPT)
    else:
        families += gateway.figures(GATEWAY, GATEWAY_KEPT)
    samples: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(build_exposition(families).decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    return samples


def load(board: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(board.read_text())
    return found


def targets(board: Path) -> Iterator[tuple[str, str, str]]:
    """Yield title of the panel, expression and legend."""
    for panel in load(board)["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]


def test_both_daemons_have_one() -> None:
    assert [board.stem for board in BOARDS] == ["client", "gateway"]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_every_expression_asks_for_what_there_is(board: Path) -> None:
    there = told(board.stem)
    for title, expression, legend in targets(board):
        asked = _SELECTOR.findall(expression)
        assert asked, (title, expression)
        for name, inner in asked:
            assert name in there, (title, name)
            for label, sign, value in _MATCHER.findall(inner):
                if label in FROM_PROMETHEUS:
                    continue
                values = {sample.get(label, "") for sample in there[name]}
                fits = re.compile(value if sign == "=~" else re.escape(value))
                assert any(map(fits.fullmatch, values)), (title, label, value)
        labels = {label for name, _ in asked for one in there[name] for label in one}
        assert set(re.findall(r"{{(\w+)}}", legend)) <= labels | FROM_PROMETHEUS, (title, legend)
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            assert set(re.split(r",\s*", grouped)) <= labels | FROM_PROMETHEUS, (title, grouped)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_counters_are_shown_as_rates(board: Path) -> None:
    for title, expression, _ in targets(board):
        for name, _ in _SELECTOR.findall(expression):
            if name.endswith(("_total", "_sum", "_count")):
                assert re.search(rf"\b(rate|increase)\({name}\b", expression), (title, name)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_brackets_are_closed(board: Path) -> None:
    for title, expression, _ in targets(board):
        bare = re.sub(r'"[^"]*"', "", expression)
        for opening, closing in ("()", "{}", "[]"):
            assert bare.count(opening) == bare.count(closing), (title, expression)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_grafana_would_take_it(board: Path) -> None:
    """What Grafana's schema of a dashboard wants, and what its import stumbles over."""
    whole = load(board)
    assert {"uid", "title", "schemaVersion", "version", "time", "templating"} <= whole.keys()
    assert re.fullmatch(r"[\w-]{1,40}", whole["uid"])
    assert isinstance(whole["schemaVersion"], int)
    assert whole["time"].keys() == {"from", "to"}
    variables = {one["name"]: one["type"] for one in whole["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query"}
    numbers = [panel["id"] for panel in whole["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in whole["panels"]:
        assert panel["type"] in PANELS
        assert panel["title"]
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"].keys() == {"defaults", "overrides"}
        references = [target["refId"] for target in panel["targets"]]
        assert references
        assert len(set(references)) == len(references)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_no_panel_lies_on_another(board: Path) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in load(board)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


def test_every_figure_is_on_the_page() -> None:
    """The page names each one, and no other."""
    page = (OPERATE / "metrics.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    there = {
        family.name
        for families in (
            of_process(),
            client.figures(CLIENT, CLIENT_KEPT),
            gateway.figures(GATEWAY, GATEWAY_KEPT),
        )
        for family in families
    }
    assert rows == there
