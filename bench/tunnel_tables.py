"""What was measured of the tunnels as tables: for the terminal and for the docs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from bench.chart import number
from bench.targets import Verdict
from bench.tunnel_results import CANDIDATES, MEASURES, PEERS, Results

TUNNELS = ("plain-tls", "native", "pure", *PEERS)
GROUPS = {
    "Medians": TUNNELS,
    "Workers": ("native-1x2", "native-2", "pure-1x2", "pure-2"),
    "The whole path": ("esp", "path", "path-pure"),
}
"""Which candidates stand side by side in a table."""
COLOURS = {"MISSED": "red", "not measured": "yellow", "met": "green"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table, for the terminal and for the docs."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    justify: Literal["left", "right"] = "right"
    """Of all columns but the first."""

    def markdown(self) -> str:
        """Return it for the docs."""
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        whole = ([cell.replace("|", "\\|") for cell in cells] for cells in lines)
        return "\n".join(f"| {' | '.join(cells)} |" for cells in whole)

    def print(self, console: Console) -> None:
        """Print it: with colours in a terminal, as plain columns into a pipe."""
        if not console.is_terminal:
            console.print(self.plain(), markup=False, highlight=False, soft_wrap=True)
            return
        table = RichTable(title=self.title, title_justify="left", box=None, pad_edge=False)
        for index, name in enumerate(self.head):
            table.add_column(name, justify=self.justify if index else "left")
        for cells in self.rows:
            table.add_row(*map(escape, cells), style=COLOURS.get(cells[-1]))
        console.print(table, "")

    def plain(self) -> str:
        """Return it in columns, without colours."""
        lines = [self.head, *self.rows]
        widths = [max(len(cells[i]) for cells in lines) for i in range(len(self.head))]
        text = (
            "  ".join(f"{cell:<{w}}" for cell, w in zip(cells, widths, strict=True)).rstrip()
            for cells in lines
        )
        return "\n".join((self.title, *text, ""))


def figures(results: Results) -> Iterator[Table]:
    """Yield the medians: measures down, candidates across."""
    for title, names in GROUPS.items():
        seen = [n for n in names if any(m.candidate == n for m in results.measurements)]
        rows = tuple(
            (f"{measure.title}, {measure.unit}", *(_cell(results, name, key) for name in seen))
            for key, measure in MEASURES.items()
            if any(results.find(name, key) for name in seen)
        )
        if rows:
            yield Table(title, ("", *(CANDIDATES[name] for name in seen)), rows)


def shares(results: Results) -> Table:
    """Return what of plain TLS each tunnel reaches."""
    keys = [key for key in MEASURES if key.startswith("tcp-") and results.median("plain-tls", key)]
    rows = tuple(
        (CANDIDATES[name], *(_share(results, name, key) for key in keys))
        for name in TUNNELS[1:]
        if any(results.median(name, key) is not None for key in keys)
    )
    return Table("Share of plain TLS", ("", *(MEASURES[key].title for key in keys)), rows)


def targets(verdicts: Sequence[Verdict]) -> Table:
    """Return targets and verdicts for a terminal."""
    head = ("target", "compared with", "build", "measured", "to reach", "verdict")
    rows = tuple(
        (v.target.row, v.target.compared, v.build, v.measured, v.to_reach, v.word) for v in verdicts
    )
    return Table("Targets", head, rows, justify="left")


def _cell(results: Results, candidate: str, measure: str) -> str:
    value = results.median(candidate, measure)
    return "-" if value is None else number(value)


def _share(results: Results, candidate: str, measure: str) -> str:
    value, limit = results.median(candidate, measure), results.median("plain-tls", measure)
    return "-" if value is None or not limit else f"{value / limit:.3f}"
