"""``throughway client log``: from a file, from a journal, narrowed and followed."""

import json
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from throughway.cli import daemon_log as module
from throughway.cli import growing
from throughway.cli.client import app as client_app
from throughway.cli.daemon_log import from_journal, wanted_by
from throughway.cli.gateway import app as gateway_app
from throughway.model.config import LogLevel
from throughway.net.log_outputs import LogEntry, encode

NOW = 1_700_000_000.0
ENTRIES = (
    LogEntry(NOW, LogLevel.INFO, "session opened", "gateway", {"peer": "[2001:db8::9]:1"}),
    LogEntry(NOW + 1, LogLevel.ERROR, "problem", "gateway", {"code": "clock-skew"}),
    LogEntry(NOW + 2, LogLevel.WARNING, "client refused", "gateway", {"peer": "192.0.2.9"}),
)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(gateway_app, ["log", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the log of a gateway on a machine without a journal."""
    path = tmp_path / "gateway-log.jsonl"
    path.write_bytes(b"".join(encode(entry) for entry in ENTRIES))
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    return path


def test_the_file_of_the_daemon(file: Path) -> None:
    code, out, _ = run()
    assert code == 0
    assert [line.split("  ")[1].strip() for line in out.splitlines()] == [
        "info",
        "error",
        "warning",
    ]
    assert "problem code=clock-skew" in out


@pytest.mark.parametrize(
    ("arguments", "events"),
    [
        (("--level", "warning"), ["problem", "client refused"]),
        (("--grep", "clock-skew"), ["problem"]),
        (("--grep", "2001:DB8::9"), ["session opened"]),
        (("--since", "2023-11-14T22:13:22+00:00"), ["client refused"]),
        (("-n", "1"), ["client refused"]),
        (("--grep", "nothing of this"), []),
    ],
)
def test_narrowed(file: Path, arguments: tuple[str, ...], events: list[str]) -> None:
    code, out, _ = run("--json", *arguments)
    assert code == 0
    assert [json.loads(line)["event"] for line in out.splitlines()] == events


def test_json_is_what_the_file_holds(file: Path) -> None:
    assert run("--json")[1].encode() == file.read_bytes()


def test_without_a_log_there_is_nothing_to_tell(tmp_path: Path) -> None:
    code, _, err = run("--file", str(tmp_path / "none"))
    assert code == 3
    assert "no daemon has written there" in err


def test_a_time_that_is_none_is_a_mistake(file: Path) -> None:
    code, _, err = run("--since", "yesterday")
    assert code == 2
    assert "--since" in err


def test_a_terminal_is_not_moved(file: Path) -> None:
    entry = LogEntry(NOW, LogLevel.INFO, "x\x1b[2J", "gateway", {"peer": "a\nb\x07"})
    file.write_bytes(encode(entry))
    _, out, _ = run()
    assert len(out.splitlines()) == 1
    assert not {"\x1b", "\x07"} & set(out)


def test_following(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "POLL", 0.0)
    beats = iter(range(3))

    def sleep(_seconds: float) -> None:
        if next(beats) == 2:
            raise KeyboardInterrupt
        with file.open("ab") as log:
            log.write(encode(ENTRIES[1]))

    monkeypatch.setattr(time, "sleep", sleep)
    code, out, _ = run("--follow", "--json", "--level", "error")
    assert code == 0
    assert len(out.splitlines()) == 3


def test_both_daemons_have_it() -> None:
    for app, name in ((client_app, "client"), (gateway_app, "gateway")):
        result = CliRunner().invoke(app, ["log", "--help"])
        assert result.exit_code == 0
        assert f"{name} daemon" in result.stdout


def journal_line(**fields: object) -> bytes:
    line = {"__REALTIME_TIMESTAMP": "1700000000250000", "__CURSOR": "s=1"} | fields
    return json.dumps(line).encode()


def test_an_entry_of_the_journal() -> None:
    line = journal_line(
        SYSLOG_IDENTIFIER="throughway-client",
        PRIORITY="4",
        MESSAGE="client refused peer=x",
        THROUGHWAY_EVENT="client refused",
        THROUGHWAY_COMPONENT="client",
        THROUGHWAY_PEER="x",
    )
    told = LogEntry(NOW + 0.25, LogLevel.WARNING, "client refused", "client", {"peer": "x"})
    assert from_journal(line, "client") == ("s=1", told)


def test_other_lines_of_the_unit() -> None:
    plain = journal_line(SYSLOG_IDENTIFIER="python3", PRIORITY="3", MESSAGE=[72, 105, 255])
    told = LogEntry(NOW + 0.25, LogLevel.ERROR, "Hi\ufffd", "python3")
    assert from_journal(plain, "client") == ("s=1", told)
    audit = journal_line(SYSLOG_IDENTIFIER="throughway-audit", MESSAGE="user-logon")
    assert from_journal(audit, "client") == ("s=1", None)


def test_the_journal_where_it_is_newer(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for journalctl, whose answers are those of the real one."""
    line = journal_line(
        __REALTIME_TIMESTAMP="4000000000000000",
        SYSLOG_IDENTIFIER="throughway-gateway",
        THROUGHWAY_EVENT="from the journal",
    )
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "journalctl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{line.decode()}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    assert json.loads(run("--json")[1])["event"] == "from the journal"
    program.write_text("#!/bin/sh\n")  # nothing of ours in the journal
    assert len(run("--json")[1].splitlines()) == len(ENTRIES)


def test_levels_are_in_order() -> None:
    entry = LogEntry(NOW, LogLevel.WARNING, "x")
    assert [wanted_by(level, "")(entry) for level in LogLevel] == [True, True, True, False]
