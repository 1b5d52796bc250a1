"""``throughway explain``: what an error number or a problem code means."""

from typing import Annotated, Any

import typer

from throughway.catalogue import PROBLEMS, windows
from throughway.catalogue.on_windows.advice import advice
from throughway.catalogue.on_windows.codes import Meaning
from throughway.catalogue.on_windows.explanation import Explanation, near
from throughway.catalogue.on_windows.explanation import explain as explanations_of
from throughway.cli.output import examples, print_fields, print_json
from throughway.model.errors import ConfigError

app = typer.Typer(add_completion=False)


def _complete(incomplete: str) -> list[str]:
    """Offer problems' codes and symbols to a shell."""
    symbols = (known.symbol for known in windows.CODES.values())
    return sorted(name for name in (*PROBLEMS, *symbols) if name.startswith(incomplete))


@app.command(
    epilog=examples(
        "throughway explain 0x80090326",
        "throughway explain -2146893018",
        "throughway explain 13905",
        "throughway explain 4653",
        "throughway explain WSAHOST_NOT_FOUND",
        "throughway explain iphttps-port-blocked --json",
    ),
    context_settings={"ignore_unknown_options": True},
)
def explain(
    code: Annotated[
        str,
        typer.Argument(
            help="An error number as it was shown (hexadecimal or decimal), the number of an "
            "event, a symbol, or a problem's code.",
            autocompletion=_complete,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a code means, what brings it about and what mends it."""
    known = explanations_of(code)
    if not known:
        alike = near(code)
        hint = f"; alike: {', '.join(alike)}" if alike else ""
        raise ConfigError(
            code, "", f"is neither a known error number, event or symbol nor a problem{hint}"
        )
    if as_json:
        print_json(_data(code, known))
        return
    for number, explanation in enumerate(known):
        if number:
            typer.echo("")
        _print(explanation)


def _data(code: str, known: tuple[Explanation, ...]) -> dict[str, Any]:
    return {
        "code": code,
        "meaning": known[0].title,
        "meanings": [explanation.title for explanation in known],
        "problems": [_problem_data(m) for explanation in known for m in explanation.meanings],
    }


def _problem_data(meaning: Meaning) -> dict[str, Any]:
    problem, said = meaning.problem, advice(meaning.problem)
    return {
        "code": problem.code,
        "title": problem.title,
        "confidence": meaning.confidence,
        "reason": meaning.reason,
        "cause": said.cause,
        "resolution": said.resolution,
        "fix": said.fix,
        "verify": said.verify,
    }


def _print(explanation: Explanation) -> None:
    typer.echo(typer.style(explanation.title, bold=True))
    if explanation.reading:
        typer.echo(f"{explanation.reading[0].upper()}{explanation.reading[1:]}.")
    if not explanation.meanings:
        typer.echo("By itself it stands for no problem that is known here.")
    for meaning in explanation.meanings:
        _print_problem(meaning)


def _print_problem(meaning: Meaning) -> None:
    problem, said = meaning.problem, advice(meaning.problem)
    typer.echo("")
    print_fields(
        [
            ("Problem", f"{problem.title} ({problem.code})"),
            ("Confidence", f"{meaning.confidence}, because {meaning.reason}"),
            ("Cause", said.cause),
            ("What to do", said.resolution),
            ("Commands", said.fix),
            ("Proof", said.verify),
        ]
    )
