"""``throughway doctor``: from a folder of Windows evidence to the root cause."""

import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.output import examples, print_json
from throughway.doctor.examination import examine
from throughway.doctor.report import Line, as_data, as_lines, exit_code
from throughway.model.errors import ConfigError

_COLOURS = {"critical": "red", "warning": "yellow", "info": "blue", "command": "cyan"}
_STEP = 2
_MAXIMUM_WIDTH = 110
"""Characters of a line of text; longer ones are hard to read."""

app = typer.Typer(add_completion=False)


@app.command(
    epilog=examples(
        "throughway doctor evidence/",
        "throughway doctor bundle.zip --json",
        "cat pasted.txt | throughway doctor -",
    )
)
def doctor(
    paths: Annotated[
        list[Path], typer.Argument(help="Files, folders, zip or tar archives; - is what is piped.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    host: Annotated[
        str | None, typer.Option(help="Only this machine: its name, or client or server.")
    ] = None,
) -> None:
    """Say what is wrong with DirectAccess on Windows, why, and what mends it.

    Exit 0 nothing wrong, 1 findings, 2 usage, 3 could not tell.
    """
    for path in paths:
        if str(path) != "-" and not path.exists():
            raise ConfigError(str(path), "", "does not exist")
    examination = examine(paths, sys.stdin.buffer, host)
    if as_json:
        print_json(as_data(examination))
    else:
        _print(as_lines(examination))
    raise typer.Exit(exit_code(examination))


def _print(lines: Iterator[Line]) -> None:
    width = min(shutil.get_terminal_size().columns, _MAXIMUM_WIDTH) if sys.stdout.isatty() else 0
    for line in lines:
        typer.echo(_styled(line, width))


def _styled(line: Line, width: int) -> str:
    indent = " " * (line.indent * _STEP)
    verbatim = line.style in {"command", "evidence"} or not width
    text = (
        indent + line.text
        if verbatim
        else textwrap.fill(
            line.text, width, initial_indent=indent, subsequent_indent=indent + " " * _STEP
        )
    )
    colour = _COLOURS.get(line.style)
    return typer.style(text, fg=colour, bold=line.style in {"critical", "warning", "bold"})
