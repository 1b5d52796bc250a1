"""``throughway doctor``: from evidence, in files or on the spot, to the root cause."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.output import examples, note, print_json
from throughway.doctor.collecting import SYSTEMS, script
from throughway.doctor.examination import Examination, examine_bundle
from throughway.doctor.report import as_data, exit_code, host_name
from throughway.doctor.report_html import as_html
from throughway.doctor.report_markdown import as_markdown
from throughway.doctor.report_terminal import plain, show
from throughway.doctor.sources.bundle import STDIN, Bundle, read
from throughway.model.errors import ConfigError

_LONG = 8 * 1024 * 1024
"""Bytes of evidence from which on a person would wonder whether it still works."""
_WIDE = "utf-8"
_IN_ASCII = "throughway-ascii"
_SIGNS = {"✓": "+", "✗": "x", "↳": ">", "—": "-", "·": "-", "…": "..."}

app = typer.Typer(add_completion=False)

Network = Annotated[
    bool,
    typer.Option("--network/--no-network", help="With --live: look at the network, if need be."),
]


def _complete_host(incomplete: str) -> list[str]:
    """Offer roles to a shell; names are in the evidence."""
    return [role for role in ("client", "server") if role.startswith(incomplete)]


def _complete_system(incomplete: str) -> list[str]:
    return [system for system in SYSTEMS if system.startswith(incomplete)]


Fleet = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Each folder or archive in it is a bundle; a table of causes."
    ),
]
Script = Annotated[
    str | None,
    typer.Option(
        metavar="SYSTEM",
        help="Print the script that gathers everything into one zip: windows.",
        autocompletion=_complete_system,
    ),
]


@app.command(
    epilog=examples(
        "throughway doctor --live",
        "throughway doctor evidence/",
        "throughway doctor bundle.zip --html report.html",
        "cat pasted.txt | throughway doctor -",
        "throughway doctor evidence/ --host server --json",
        "throughway doctor evidence/ --redact --markdown > ticket.md",
        "throughway doctor --collect windows > collect.ps1",
        "throughway doctor --fleet bundles/ --csv > fleet.csv",
    )
)
def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files, folders, zip or tar archives; - is what is piped."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a ticket or a wiki.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one page to this file, too."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Only this machine: its name, or client or server.", autocompletion=_complete_host
        ),
    ] = None,
    redact: Annotated[
        bool,
        typer.Option("--redact", help="Replace names, addresses and identifiers in the report."),
    ] = False,
    fleet: Fleet = None,
    csv: Annotated[bool, typer.Option("--csv", help="With --fleet: one line a bundle.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="With --fleet: processes; by default one a core.")
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="This very machine, a client or gateway; best as root."),
    ] = False,
    network: Network = True,
    collect: Script = None,
) -> None:
    """Say what is wrong with DirectAccess, on Windows or with throughway, why, and what mends it.

    Reads only, offline, as any user. Exit 0 nothing wrong, 1 findings, 2 usage, 3 could not tell.
    """
    _say_what_the_stream_can()
    _check_usage(paths, fleet, collect, live=live, as_json=as_json, markdown=markdown, csv=csv)
    if collect is not None:
        _print_script(collect)
    elif fleet is not None:
        if html is not None or host is not None:
            raise ConfigError("--fleet", "", "goes with --json, --csv and --redact only")
        from throughway.cli.fleet import examine_fleet

        raise typer.Exit(examine_fleet(fleet, jobs, as_json=as_json, as_csv=csv, redact=redact))
    else:
        bundle = _bundle_of_here(network) if live else None
        examination = _examined(paths or [], bundle, host, redact=redact)
        if html is not None:
            _write(html, as_html(examination))
        _print(examination, as_json=as_json, markdown=markdown)
        raise typer.Exit(exit_code(examination))


def _check_usage(
    paths: list[Path] | None,
    fleet: Path | None,
    collect: str | None,
    *,
    live: bool,
    as_json: bool,
    markdown: bool,
    csv: bool,
) -> None:
    given = [bool(paths), fleet is not None, collect is not None, live]
    if sum(given) == 0:
        raise ConfigError("doctor", "", "no evidence named; see `throughway doctor --help`")
    if sum(given) > 1:
        raise ConfigError("doctor", "", "takes evidence, or --live, or --fleet, or --collect")
    if as_json + markdown + csv > 1:
        raise ConfigError("doctor", "", "--json, --markdown and --csv exclude each other")
    if (csv and fleet is None) or (markdown and fleet is not None):
        raise ConfigError("doctor", "", "--csv goes with --fleet only, --markdown without it")
    for path in paths or ():
        if str(path) != STDIN and not path.exists():
            raise ConfigError(str(path), "", "does not exist")


def _print_script(system: str) -> None:
    try:
        typer.echo(script(system), nl=False)
    except ValueError as error:
        raise ConfigError("--collect", "", str(error)) from error


def _bundle_of_here(network: bool) -> Bundle:
    """Return what this machine says, as if it had come in an archive."""
    from throughway.cli.collect import gathered
    from throughway.doctor.gathering.bundle import as_bundle

    return as_bundle(gathered(network=network).files)


def _examined(
    paths: list[Path], bundle: Bundle | None, host: str | None, *, redact: bool
) -> Examination:
    with _working(paths):
        bundle = bundle or read(paths, sys.stdin.buffer)
        examination = examine_bundle(bundle, host)
        if host is not None and not examination.hosts:
            known = ", ".join(filter(None, map(host_name, examine_bundle(bundle).hosts)))
            hint = f"; there are {known}" if known else ""
            raise ConfigError("--host", "", f"nothing in this is of {host}{hint}")
        if redact:
            from throughway.doctor.redaction.report import redacted

            examination = redacted(examination, bundle)
    return examination


@contextmanager
def _working(paths: list[Path]) -> Iterator[None]:
    """Show on a terminal that long work goes on; say nothing of short work."""
    if not sys.stderr.isatty() or _size(paths) < _LONG:
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("Reading the evidence …"):
        yield


def _size(paths: list[Path]) -> int:
    """Return about how many bytes there are to read; what is no folder counts for itself."""
    total = 0
    for path in paths:
        for where, _, names in os.walk(path):
            total += sum(_bytes(Path(where, name)) for name in names)
            if total >= _LONG:
                return total
        total += _bytes(path)
    return total


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding=_WIDE)
    except OSError as error:
        raise ConfigError(str(file), "", str(error.strerror)) from error


def _print(examination: Examination, *, as_json: bool, markdown: bool) -> None:
    if as_json:
        print_json(as_data(examination))
    elif markdown:
        typer.echo(as_markdown(examination), nl=False)
    elif sys.stdout.isatty():
        show(examination, sys.stdout)
    else:
        for line in plain(examination):
            typer.echo(line)
    if not examination.could_tell:
        note("To gather everything: throughway doctor --collect windows > collect.ps1")
        note("On a client or gateway of throughway: throughway collect")


def _say_what_the_stream_can() -> None:
    """Let no character of the evidence be one that the terminal's encoding refuses."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        codecs.register_error(_IN_ASCII, _in_ascii)
        reconfigure(errors=_IN_ASCII)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Write the signs of a report alike in ASCII: a question mark means "not judged" there."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    return "".join(_SIGNS.get(sign, "?") for sign in unknown), error.end
