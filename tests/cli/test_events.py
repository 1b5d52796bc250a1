"""``throughway events``: what is found, what is said where nothing can be."""

import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from throughway.cli import events as module
from throughway.cli import growing
from throughway.cli.events import _parse
from throughway.cli.events import app as events_app
from throughway.cli.growing import Reader
from throughway.model.audit import AuditEvent, AuditRecord, CertificateSeen, record_of
from throughway.net.audit import encode
from throughway.net.audit_file import AuditFile

NOW = time.time()


def record(event: AuditEvent, ago: float, **values: object) -> AuditRecord:
    return record_of(event, at=NOW - ago, side="gateway", **values)


RECORDS = (
    record(AuditEvent.MAIN_MODE_ESTABLISHED, 7200, computer="client1.corp.example.com"),
    record(
        AuditEvent.MAIN_MODE_FAILED,
        600,
        computer="client2.corp.example.com",
        reason="expired",
        problem="ipsec-cert-expired",
        certificate=CertificateSeen(subject="CN=client2", serial="0A", issuer="CN=Root"),
    ),
    record(AuditEvent.EXTENDED_MODE_FAILED, 300, account="CLIENT1$", outer_address="192.0.2.7"),
    record(AuditEvent.USER_LOGON, 60, user="alice@CORP.EXAMPLE.COM"),
)


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment of the records is now, however long ago they were made."""
    monkeypatch.setattr(time, "time", lambda: NOW)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two rotated files and the one that is written."""
    path = tmp_path / "events.jsonl"
    log = AuditFile(path, rotate_size=1)
    log.append(encode(RECORDS[0]), NOW)
    log.append(encode(RECORDS[1]), NOW)
    log.append(encode(RECORDS[2]) + b"what is this\n" + encode(RECORDS[3]), NOW)
    log.close()
    return path


def run(*arguments: str) -> tuple[int, str, str]:
    answer = CliRunner().invoke(events_app, list(arguments))
    return answer.exit_code, answer.stdout, answer.stderr


def found(file: Path, *arguments: str) -> list[str]:
    _, out, _ = run("--file", str(file), "--json", *arguments)
    return [json.loads(line)["event"] for line in out.splitlines()]


def test_all_are_shown_also_from_rotated_files(file: Path) -> None:
    code, out, err = run("--file", str(file))
    lines = out.splitlines()
    assert code == 0
    assert [
        words in line
        for words, line in zip(("4651", "4652", "serial 0A", "4984", "4624"), lines, strict=True)
    ] == [True] * 5
    assert "expired [ipsec-cert-expired]" in lines[1]
    assert "1 lines are no events" in err


@pytest.mark.parametrize(
    ("arguments", "events"),
    [
        (("--failed",), ["main-mode-failed", "extended-mode-failed"]),
        (("--since", "15m"), ["main-mode-failed", "extended-mode-failed", "user-logon"]),
        (("--event", "4652"), ["main-mode-failed"]),
        (("--event", "user-logon"), ["user-logon"]),
        (("--user", "alice"), ["user-logon"]),
        (("--user", "Alice@corp.example.com"), ["user-logon"]),
        (("--user", "ali"), []),
        (("--computer", "client1"), ["main-mode-established", "extended-mode-failed"]),
        (("--computer", "CLIENT1$"), ["extended-mode-failed"]),
        (("--computer", "client2.corp.example.com"), ["main-mode-failed"]),
        (("--last", "1"), ["user-logon"]),
    ],
)
def test_what_is_asked_for_is_shown(
    file: Path, arguments: tuple[str, ...], events: list[str]
) -> None:
    assert found(file, *arguments) == events


def test_a_time_of_day_is_local(file: Path) -> None:
    since = datetime.fromtimestamp(NOW - 120, UTC).astimezone().replace(tzinfo=None)
    assert found(file, "--since", since.isoformat(" ")) == ["user-logon"]


def test_refusals_that_were_asked_for_are_findings(file: Path) -> None:
    assert run("--file", str(file), "--failed")[0] == 1
    assert run("--file", str(file), "--failed", "--since", "1s")[0] == 0


def test_nothing_found_is_said(file: Path) -> None:
    assert "no events match" in run("--file", str(file), "--user", "bob")[2]


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--event", "1234")])
def test_what_cannot_be_meant_is_said(file: Path, arguments: tuple[str, str]) -> None:
    answer = CliRunner().invoke(events_app, ["--file", str(file), *arguments])
    assert arguments[1] in str(answer.exception)


def test_where_there_is_no_file_that_is_said(tmp_path: Path) -> None:
    code, out, err = run("--file", str(tmp_path / "none"))
    assert (code, out) == (3, "")
    assert "no daemon has run here" in err


def test_who_may_not_read_is_told_who_may(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> int:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(module, "open_to_read", refuse)
    code, _, err = run("--file", str(file))
    assert code == 3
    assert "sudo throughway events" in err


def test_a_terminal_is_not_moved_by_what_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(encode(record(AuditEvent.USER_LOGON, 1, user="\x1b[2Jroot\n\nadmitted")))
    _, out, _ = run("--file", str(path))
    assert "\x1b" not in out
    assert len(out.splitlines()) == 1


def test_following_goes_on_through_a_rotation(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "POLL", 0.01)
    reader = Reader((file,), 0.0, _parse)
    assert len(list(reader.past())) == 4
    coming = reader.coming()
    log = AuditFile(file, rotate_size=1)
    for expected in RECORDS:
        writer = threading.Thread(target=log.append, args=(encode(expected), NOW))
        writer.start()
        assert next(coming) == expected
        writer.join()
    log.close()
    reader.close()


def test_two_daemons_of_a_machine_are_put_in_order(tmp_path: Path) -> None:
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_bytes(encode(RECORDS[0]) + encode(RECORDS[2]))
    two.write_bytes(encode(RECORDS[1]))
    _, out, _ = run("--file", str(one), "--file", str(two), "--json")
    assert [json.loads(line)["windows"] for line in out.splitlines()] == [4651, 4652, 4984]
