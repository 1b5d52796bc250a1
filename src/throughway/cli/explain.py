"""``throughway explain``: what an error number or a problem code means."""

from typing import Annotated, Any

import typer

from throughway.catalogue import PROBLEMS, windows
from throughway.catalogue.on_windows.advice import advice
from throughway.catalogue.on_windows.codes import Meaning, of_last_error
from throughway.cli.output import examples, print_fields, print_json
from throughway.model.errors import ConfigError
from throughway.model.findings import Problem

_UNSIGNED = 1 << 32

app = typer.Typer(add_completion=False)


@app.command(
    epilog=examples(
        "throughway explain 0x80090326",
        "throughway explain -- -2146893018",
        "throughway explain WSAHOST_NOT_FOUND",
        "throughway explain iphttps-port-blocked",
    ),
    context_settings={"ignore_unknown_options": True},
)
def explain(
    code: Annotated[str, typer.Argument(help="A number, a symbol, or a problem's code.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a code means, what brings it about and what mends it."""
    described, meanings = _look_up(code)
    if as_json:
        print_json(
            {"code": code, "meaning": described, "problems": [_data(m.problem) for m in meanings]}
        )
        return
    typer.echo(typer.style(described, bold=True))
    for meaning in meanings:
        _print(meaning)


def _look_up(code: str) -> tuple[str, tuple[Meaning, ...]]:
    if problem := PROBLEMS.get(code.lower()):
        return problem.title, (Meaning(problem),)
    number = _number(code)
    if number is None or windows.describe(number) == f"0x{number:X}":
        raise ConfigError(code, "", "is neither a known error number nor a problem's code")
    return windows.describe(number), of_last_error(number)


def _number(code: str) -> int | None:
    """Return the number that a person wrote: hexadecimal, decimal, negative, or its symbol."""
    for number, known in windows.CODES.items():
        if known.symbol == code.upper():
            return number
    try:
        return int(code, 0) % _UNSIGNED
    except ValueError:
        return None


def _data(problem: Problem) -> dict[str, Any]:
    said = advice(problem)
    return {
        "code": problem.code,
        "title": problem.title,
        "cause": said.cause,
        "resolution": said.resolution,
        "fix": said.fix,
        "verify": said.verify,
    }


def _print(meaning: Meaning) -> None:
    problem, said = meaning.problem, advice(meaning.problem)
    typer.echo("")
    print_fields(
        [
            ("Problem", f"{problem.title} ({problem.code})"),
            ("Cause", said.cause),
            ("What to do", said.resolution),
            ("Commands", said.fix),
            ("Proof", said.verify),
        ]
    )
