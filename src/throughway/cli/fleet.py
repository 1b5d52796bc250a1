"""``throughway doctor --fleet``: which cause holds how many machines."""

import csv
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from throughway.cli.output import note, print_json, print_table
from throughway.doctor.fleet import FAILED, Row, Totals, bundles, examine_all
from throughway.doctor.report import COULD_NOT_TELL, FINDINGS, WELL
from throughway.model.errors import ConfigError

SCHEMA = 1
COLUMNS = ("bundle", "outcome", "host", "cause", "other causes", "facts", "summary")
_FORMULA = ("=", "+", "-", "@", "\t")
"""Beginnings that a spreadsheet would run."""


def examine_fleet(
    folder: Path, jobs: int | None, *, as_json: bool, as_csv: bool, redact: bool
) -> int:
    """Examine every bundle of a folder and print the table; return the exit code."""
    if not folder.is_dir():
        raise ConfigError(str(folder), "--fleet", "is no folder")
    paths = bundles(folder)
    if not paths:
        raise ConfigError(str(folder), "--fleet", "is empty")
    rows = _counted(examine_all(paths, jobs), len(paths))
    if redact:
        rows = _redacted(rows)
    totals = Totals(Counter(), Counter(), Counter())
    if as_csv:
        _print_csv(rows, totals)
    elif as_json:
        data = [_row_data(row, totals) for row in rows]
        print_json({"schema": SCHEMA, **_totals_data(totals), "rows": data})
    else:
        for row in rows:
            totals.add(row)
        _print_table(totals)
    return _exit_code(totals)


def _exit_code(totals: Totals) -> int:
    if totals.outcomes["findings"]:
        return FINDINGS
    return WELL if totals.outcomes["well"] else COULD_NOT_TELL


def _counted(rows: Iterable[Row], number: int) -> Iterator[Row]:
    """Show on a terminal how far the work is."""
    if not sys.stderr.isatty():
        yield from rows
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(rows, "Bundles", number, console=Console(stderr=True), transient=True)


def _redacted(rows: Iterable[Row]) -> Iterator[Row]:
    from throughway.doctor.redaction.text import Redactor

    redactor = Redactor(secrets.token_bytes(16))
    for number, row in enumerate(rows, start=1):
        for name in row.host.split(", "):
            redactor.learn_computer(name)
        yield replace(
            row,
            bundle=f"bundle-{number}",
            host=redactor.text(row.host),
            summary=redactor.text(row.summary),
        )


def _row_data(row: Row, totals: Totals) -> dict[str, Any]:
    totals.add(row)
    return {
        "bundle": row.bundle,
        "outcome": row.outcome,
        "host": row.host,
        "causes": row.causes,
        "facts": row.facts,
        "summary": row.summary,
    }


def _totals_data(totals: Totals) -> dict[str, Any]:
    return {
        "bundles": totals.outcomes.total(),
        "outcomes": totals.outcomes,
        "causes": [
            {"code": code, "title": title, "first": first, "bundles": number}
            for code, title, first, number in totals.by_cause()
        ],
    }


def _print_csv(rows: Iterable[Row], totals: Totals) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        totals.add(row)
        first, others = row.causes[:1], row.causes[1:]
        cells = (row.bundle, row.outcome, row.host, *(first or ("",)), " ".join(others))
        writer.writerow([*map(_cell, cells), row.facts, _cell(row.summary)])


def _cell(text: str) -> str:
    """Return a text that a spreadsheet takes for one."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _print_table(totals: Totals) -> None:
    number = totals.outcomes.total()
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(totals.outcomes.items()))
    typer.echo(f"{number} bundle{'s' if number != 1 else ''}: {outcomes}")
    causes = totals.by_cause()
    if causes:
        typer.echo("")
        print_table(
            ("FIRST", "IN ALL", "CAUSE", "TITLE"),
            [(str(first), str(every), code, title) for code, title, first, every in causes],
        )
    if totals.outcomes[FAILED]:
        note(f"{totals.outcomes[FAILED]} could not be examined; --csv or --json says why")
