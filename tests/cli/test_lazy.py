"""Commands that are imported when they are called."""

import subprocess
import sys

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from throughway.cli import client, gateway, main
from throughway.cli.lazy import Lazy, load

TABLES = (main.COMMANDS, client.COMMANDS, gateway.COMMANDS)
DAEMONS = {"client": client, "gateway": gateway}


@pytest.mark.parametrize(
    ("name", "lazy"), [(name, lazy) for table in TABLES for name, lazy in table.items()]
)
def test_each_is_there_and_says_what_its_group_says_of_it(name: str, lazy: Lazy) -> None:
    command = load(name, lazy)
    said = " ".join(command.help.split())
    if lazy in main.COMMANDS.values():  # in words of its own: the root tells what it is for
        assert said
    else:
        assert said.startswith(lazy.help)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_all_are_listed_and_can_be_called(daemon: str) -> None:
    group = get_command(DAEMONS[daemon].app)
    assert isinstance(group, TyperGroup)
    for name in DAEMONS[daemon].COMMANDS:
        listed = group.commands[name]
        context = group.make_context(daemon, [name])
        _, command, rest = group.resolve_command(context, [name, "--help"])
        assert command not in (None, listed)
        assert rest == ["--help"]


@pytest.mark.parametrize("command", ["client status", "client reset", "gateway status"])
def test_who_asks_a_daemon_does_not_pay_for_certificates(command: str) -> None:
    """It is what a person waits for each time, and what a computer does as it starts."""
    code = (
        "import sys; from throughway.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'cryptography', 'rich', 'dns', 'httpx', 'structlog'}), file=sys.stderr)"
    )
    words = [*command.split(), "--socket", "/nonexistent/a.sock"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"
