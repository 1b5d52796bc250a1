"""``throughway lab fault``: break something in a lab, see what is said of it, mend it."""

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from throughway.cli.asking import AsJSON, exit_codes
from throughway.cli.output import examples, note, print_json
from throughway.lab.faults import FAULTS, Fault
from throughway.lab.state import DEFAULT_NAME, load, names
from throughway.model.errors import ConfigError, LabError
from throughway.pki.fields import did_you_mean

if TYPE_CHECKING:
    from throughway.lab.lab import Lab

WIDTH, INDENT = 80, 4

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Break something in a lab that is up, see what is said of it, and mend it.",
)


def _faults(incomplete: str) -> list[tuple[str, str]]:
    return [(f.name, f.title) for f in FAULTS.values() if f.name.startswith(incomplete)]


def _labs(incomplete: str) -> list[str]:
    return [name for name in names() if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Option("--name", "-n", envvar="THROUGHWAY_LAB", help="Which lab.", autocompletion=_labs),
]


def _require_known(fault: str) -> None:
    """What is mistyped is an error of usage, whether the lab is up or not."""
    if fault not in FAULTS:
        why = f"there is no such fault{did_you_mean(fault, FAULTS)}; throughway lab fault list"
        raise ConfigError(fault, "", why)


@app.command(
    "list",
    epilog=examples(
        "throughway lab fault list", "throughway lab fault list --json | jq -r .[].name"
    ),
)
def show(name: Name = DEFAULT_NAME, as_json: AsJSON = False) -> None:
    """Show every fault, what it breaks, what is said of it, and which ones are there now."""
    with exit_codes():
        kept = load(name)
    there = kept.faults if kept else {}
    if as_json:
        print_json(
            [
                {
                    "name": fault.name,
                    "title": fault.title,
                    "client": fault.client,
                    "gateway": fault.gateway,
                    "place": fault.place,
                    "transports": fault.transports,
                    "injected": fault.name in there,
                }
                for fault in FAULTS.values()
            ]
        )
        return
    for fault in FAULTS.values():
        typer.echo(typer.style(fault.name, bold=True) + (" (now)" if fault.name in there else ""))
        for line in textwrap.wrap(fault.title, WIDTH - INDENT):
            typer.echo(f"{'':{INDENT}}{line}")
        said = (
            f"{fault.place}; client: {fault.client or 'well'}; gateway: {fault.gateway or 'well'}"
        )
        for line in textwrap.wrap(said, WIDTH - INDENT, break_on_hyphens=False):
            typer.echo(f"{'':{INDENT}}{line}")


@app.command(
    epilog=examples(
        "throughway lab fault inject port-443-blocked",
        "throughway lab fault inject ipv6-disabled --client client2",
    )
)
def inject(
    fault: Annotated[str, typer.Argument(autocompletion=_faults, help="Such as port-443-blocked.")],
    client: Annotated[str, typer.Option(help="The client that it is for.")] = "client1",
    name: Name = DEFAULT_NAME,
) -> None:
    """Break something. What is broken already stays so."""
    from throughway.lab.lab import Lab  # only here: completion should answer at once

    with exit_codes():
        _require_known(fault)
        lab = Lab(name).require()
        lab.inject(fault, client)
        known = FAULTS[fault]
        typer.echo(f"Now {known.title}.")
        place, way_round = lab.where(client), _goes_round(lab, client, known)
    if place != known.place:
        note(f"{client} notices it {known.place} only; throughway lab move {client} {known.place}")
    if way_round:
        wanted = " ".join(known.transports)
        note(
            f"{client} may get round it by another transport than {wanted};\n"
            f"to keep it from that: throughway lab transports {client} {wanted}"
        )


def _goes_round(lab: "Lab", client: str, fault: Fault) -> bool:
    """Whether the client may use transports that the fault is not for, and so not notice it."""
    try:
        kinds = lab.transports(client)
    except LabError:  # it has joined nothing yet
        return False
    return bool(fault.client and fault.transports) and kinds != fault.transports


@app.command(
    epilog=examples(
        "throughway lab fault clear port-443-blocked",
        "throughway lab fault clear  # everything that was broken",
    )
)
def clear(
    fault: Annotated[
        str | None, typer.Argument(autocompletion=_faults, help="Empty: all of them.")
    ] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Mend what was broken: one fault, or all, the latest first."""
    from throughway.lab.lab import Lab

    with exit_codes():
        if fault:
            _require_known(fault)
        lab = Lab(name).require()
        wanted = [fault] if fault else list(lab.faults)[::-1]
        cleared = [one for one in wanted if lab.clear(one)]
    typer.echo(f"Mended: {', '.join(cleared)}." if cleared else "Nothing of that was broken.")
