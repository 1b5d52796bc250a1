"""The root of the command line: its commands, its exit codes, its words for errors."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from throughway import __version__
from throughway.catalogue import PROBLEMS
from throughway.cli import main as root
from throughway.cli.lazy import load
from throughway.control.codec import CommandRefused
from throughway.model.errors import ConfigError, ControlError, TrustError

PROGRAM = (sys.executable, "-m", "throughway.cli.main")


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TERM": "dumb", "NO_COLOR": "1"} | environment,
    )


def run_raising(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, *arguments: str
) -> int | str | None:
    """Run a command which raises; return the exit code."""
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None:
        """Make it a group."""

    group = typer.main.get_command(app)
    monkeypatch.setattr("throughway.cli.lazy.load", lambda *_: group)
    with pytest.raises(SystemExit) as caught:
        root.main([*arguments, "policy", "fail"])
    return caught.value.code


def test_version() -> None:
    for arguments in (["--version"], ["version"]):
        answer = run(*arguments)
        assert (answer.returncode, answer.stdout) == (0, f"throughway {__version__}\n")


def test_help_lists_every_command_and_shows_examples() -> None:
    answer = run("--help")
    assert answer.returncode == 0
    for name in (*root.COMMANDS, "version", "Examples", "throughway lab demo"):
        assert name in answer.stdout


@pytest.mark.parametrize(("uid", "hint"), [(65534, True), (0, False)])
def test_a_file_that_only_root_may_read(
    uid: int,
    hint: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The parser of the command line refuses it before the command begins."""
    (tmp_path / "bundle").touch()
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("os.geteuid", lambda: uid)
    with pytest.raises(SystemExit) as caught:
        root.main(["policy", "show", str(tmp_path / "bundle")])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "readable" in said
    assert said.endswith("throughway: run as root\n") is hint


def test_a_full_disk_is_said_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [*PROGRAM, "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert answer.returncode == 2
    assert answer.stderr == "throughway: No space left on device\n"


def test_short_help_is_help() -> None:
    assert run("client", "status", "-h").stdout == run("client", "status", "--help").stdout != ""


def test_help_and_version_import_no_command() -> None:
    code = (
        "import sys, throughway.cli.main as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([n for n in sys.modules if n.startswith(('throughway.lab', 'throughway.net',"
        " 'pydantic', 'cryptography'))])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "[]"


def test_every_commands_help_has_words_and_examples() -> None:
    """Nobody should have to try a command to find out how it is called."""
    for name in root.COMMANDS:
        for path, command in leaves(load(name, root.COMMANDS[name]), (name,)):
            assert command.help, path
            assert f"throughway {' '.join(path)}" in command.epilog, path


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    if isinstance(command, TyperGroup):
        # What only shells need is said once, by the root.
        assert not any("completion" in parameter.name for parameter in command.params), path
        for name in command.commands:
            context = command.make_context(path[-1], [name])
            yield from leaves(command.resolve_command(context, [name])[1], (*path, name))
    else:
        yield path, command


def every_command() -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = {("version",)}
    for name in root.COMMANDS:
        found |= {path for path, _ in leaves(load(name, root.COMMANDS[name]), (name,))}
    return found


def test_every_command_can_be_loaded() -> None:
    found = every_command()
    for path in ("client join", "client leave", "gateway check", "pki issue", "policy build"):
        assert tuple(path.split()) in found
    assert ("login",) in found
    assert ("logout",) in found


def test_the_catalogue_names_only_commands_that_exist() -> None:
    known = every_command()
    unknown = {
        line
        for problem in PROBLEMS.values()
        for line in (*problem.fix, *problem.verify)
        for words in [shlex.split(line)]
        if words[0] == "throughway"
        and not any(tuple(words[1 : 1 + len(path)]) == path for path in known)
    }
    assert unknown == set()


@pytest.mark.parametrize("arguments", [["nonsense"], ["policy", "nonsense"], ["pki", "issue"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    answer = run(*arguments)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "Usage" in answer.stderr


def test_a_misspelt_command_gets_a_hint() -> None:
    assert "client" in run("clint").stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("a.toml", "k", "wrong"), 2, "a.toml: k: wrong"),
        (ControlError("no daemon"), 3, "no daemon"),
        (CommandRefused("x", "refused"), 1, "refused"),
        (TrustError("expired", problem="policy-expired"), 1, "Resolution:"),
        (PermissionError(13, "Permission denied", "/etc/x"), 2, "/etc/x: Permission denied"),
        (OSError(28, "No space left on device"), 2, "No space left"),
        (RuntimeError("oops"), 3, "RuntimeError('oops')"),
        (OSError(5, "Input/output error"), 3, "mistake of its own"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_are_one_clear_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    words: str,
) -> None:
    assert run_raising(monkeypatch, error) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("error", [RuntimeError("oops"), TrustError("no")])
def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    run_raising(monkeypatch, error, "--debug")
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "in fail" in shown


def test_debug_shows_what_a_command_has_turned_into_an_exit_code() -> None:
    arguments = ("client", "status", "--socket", "/nonexistent")
    quiet, loud = run(*arguments), run("--debug", *arguments)
    assert quiet.returncode == loud.returncode == 3
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr


def test_a_bug_says_where_the_log_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_raising(monkeypatch, RuntimeError("oops"))
    shown = capsys.readouterr().err
    assert "--debug" in shown
    assert "journalctl" in shown


def test_a_reader_that_goes_away_is_no_error() -> None:
    line = f"{shlex.join([*PROGRAM, 'pki', 'list', '--help'])} | true"
    for _ in range(3):
        answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert answer.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_installed(shell: str) -> None:
    answer = run("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert answer.returncode == 0
    assert "throughway" in answer.stdout


@pytest.mark.parametrize(
    ("words", "offered"), [("throughway pol", "policy"), ("throughway pki re", "revoke")]
)
def test_completion_offers_commands(words: str, offered: str) -> None:
    answer = run(
        _THROUGHWAY_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert offered in answer.stdout.split()


def test_starting_is_fast() -> None:
    """Nothing heavy before a command is known: what takes long is seen by its module."""
    code = "import sys, throughway.cli.main\nprint(len(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert int(answer.stdout) < 400


def test_the_installed_program_is_this_one() -> None:
    script = Path(sys.executable).with_name("throughway")
    assert re.search(r"from throughway\.cli\.main import main", script.read_text())
