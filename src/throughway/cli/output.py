"""What commands print: the same for people on every page, and JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

import typer

COLUMN_GAP = "  "


def plain(value: object) -> object:
    """Return a value as JSON has it: dataclasses as objects, times as ISO 8601, bytes as hex."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case Path():
            return str(value)
        case bytes():
            return value.hex()
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"{type(value).__name__} has no form in JSON")


def print_json(value: object) -> None:
    """Print for programs."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns; nothing is cut off, since a pipe has no width."""
    every = [tuple(columns), *(tuple(row) for row in rows)]
    widths = [max(len(row[i]) for row in every) for i in range(len(columns))]
    for number, row in enumerate(every):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = COLUMN_GAP.join(cells).rstrip()
        typer.echo(typer.style(line, bold=True) if number == 0 else line)


def print_fields(pairs: Iterable[tuple[str, str | Iterable[str]]]) -> None:
    """Print names with their values; a value of several lines stands below itself."""
    every = [(name, [text] if isinstance(text, str) else list(text)) for name, text in pairs]
    width = max((len(name) for name, _ in every), default=0)
    for name, lines in every:
        for number, line in enumerate(lines or ["none"]):
            label = f"{name}:" if number == 0 else ""
            typer.echo(f"{label.ljust(width + 1)} {line}")


def note(text: str) -> None:
    """Say something to people that no program should read."""
    typer.echo(text, err=True)


def examples(*lines: str) -> str:
    """Return the epilog of a command's help; each example stays on a line of its own."""
    return "\n\n".join(("Examples:", *lines))


def confirm(question: str) -> bool:
    """Ask yes or no on the terminal; where there is none, the answer is no."""
    return sys.stdin.isatty() and typer.confirm(question)
