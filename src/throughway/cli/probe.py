"""``throughway probe``: what a public IP-HTTPS server looks like from outside."""

import asyncio
import ipaddress
import os
import ssl
import sys
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.output import examples, print_json
from throughway.cli.progress import telling
from throughway.model.errors import ConfigError
from throughway.probe.analysis.verdict import exit_code, judge
from throughway.probe.course import TOTAL_TIME, Course, Options
from throughway.probe.https import lenient_context
from throughway.probe.lines import plain, show
from throughway.probe.report import as_data, as_lines
from throughway.probe.target import parse_target
from throughway.probe.trust import roots_of, system_roots

MAXIMUM_TIMEOUT = 600.0
"""Seconds: whoever wants to wait longer has another wish."""

app = typer.Typer(add_completion=False)


@app.command(
    epilog=examples(
        "throughway probe da.example.com",
        "throughway probe https://da.example.com:443/IPHTTPS --json",
        "throughway probe da.example.com --ca corp-root.pem --no-revocation",
        "throughway probe da.example.com --connect 131.107.0.2",
    )
)
def probe(
    target: Annotated[str, typer.Argument(metavar="URL|HOST", help="The server, seen from here.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    timeout: Annotated[
        float,
        typer.Option(min=1, max=MAXIMUM_TIMEOUT, help="Seconds for everything together."),
    ] = TOTAL_TIME,
    no_revocation: Annotated[
        bool, typer.Option("--no-revocation", help="Ask no revocation list and no responder.")
    ] = False,
    no_transitions: Annotated[
        bool, typer.Option("--no-transitions", help="Send nothing for Teredo and 6to4.")
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="Roots (PEM) to trust beside the system's."),
    ] = None,
    connect: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Go to this address instead of the name's.")
    ] = "",
    certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A client certificate (PEM) to show when asked."),
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")] = None,
) -> None:
    """Say everything of a public IP-HTTPS server that can be seen from here, and what mends it.

    Windows' or ours; as any user. Exit 0 well, 1 findings, 2 usage, 3 could not tell.
    """
    options = Options(
        timeout=timeout,
        revocation=not no_revocation,
        anchors=(*system_roots(), *(roots_of(ca) if ca is not None else ())),
        connect=_address(connect),
        transitions=not no_transitions,
        tls=_with_certificate(certificate, key),
    )
    where = parse_target(target)
    with telling(quiet=as_json) as listener:
        seen = asyncio.run(Course(where, options, listener).run(os.environ))
    judged = judge(seen)
    if as_json:
        print_json(as_data(seen, judged))
    elif sys.stdout.isatty():
        show(as_lines(seen, judged), sys.stdout)
    else:
        for line in plain(as_lines(seen, judged)):
            typer.echo(line)
    raise typer.Exit(exit_code(seen, judged))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError as error:
        raise ConfigError("--connect", "", f"{text!r} is not an address") from error


def _with_certificate(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise ConfigError("--key", "", "goes with --certificate only")
        return None
    try:
        return lenient_context(certificate, key)
    except FileNotFoundError as error:
        missing = [file for file in (certificate, key) if file is not None and not file.exists()]
        why = f"{missing[0] if missing else certificate}: there is no such file"
        raise ConfigError("--certificate", "", why) from error
    except ssl.SSLError as error:
        with_key = key or "--key FILE, where the certificate's own file has none"
        why = f"{certificate} is no certificate (PEM) with its key, without a password ({with_key})"
        raise ConfigError("--certificate", "", why) from error
    except (OSError, ValueError) as error:
        raise ConfigError("--certificate", "", f"{certificate}: {error}") from error
