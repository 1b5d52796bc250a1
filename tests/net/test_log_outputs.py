"""Where a daemon's log goes, and what of it can be read back."""

import errno
import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.config import LogConfig, LogLevel
from throughway.net import log_outputs as module
from throughway.net.audit_file import AuditFile
from throughway.net.journal import MAX_ENTRY, Journal
from throughway.net.log_outputs import (
    LogEntry,
    LogOutput,
    decode,
    encode,
    entry_of,
    is_journal,
    log_outputs,
    sentence,
)

EVENT = {
    "timestamp": "2026-11-22T01:00:00Z",
    "level": "warning",
    "component": "gateway",
    "event": "client refused",
    "peer": "[2001:db8::9]:4711",
    "problem": "clock-skew",
    "worker": 3,
}


def test_a_file_has_a_line_of_json_for_each_event(tmp_path: Path) -> None:
    path = tmp_path / "log" / "gateway-log.jsonl"
    file = AuditFile(path)
    output = LogOutput("gateway", None, file, clock=lambda: 1_700_000_000.25)
    assert not output(EVENT)  # standard error has it, too
    output(EVENT)
    file.close()
    one, other = path.read_bytes().splitlines()
    assert one == other
    assert json.loads(one) == {
        "at": 1_700_000_000.25,
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "component": "gateway",
        "event": "client refused",
        "peer": "[2001:db8::9]:4711",
        "problem": "clock-skew",
        "worker": 3,
    }
    assert path.stat().st_mode & 0o777 == 0o640


def test_journald_gets_fields(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(path))
        journal = Journal(path)
        assert LogOutput("client", journal, None)(EVENT)
        fields = dict(line.split("=", 1) for line in journald.recv(MAX_ENTRY).decode().splitlines())
        journal.close()
    assert fields["SYSLOG_IDENTIFIER"] == "throughway-client"
    assert fields["PRIORITY"] == "4"
    assert fields["THROUGHWAY_EVENT"] == "client refused"
    assert fields["THROUGHWAY_PROBLEM"] == "clock-skew"
    assert fields["MESSAGE"].startswith("client refused peer=[2001:db8::9]:4711 problem=clock-skew")


def test_what_journald_does_not_take_standard_error_has(tmp_path: Path) -> None:
    assert not LogOutput("client", Journal(tmp_path / "none"), None)(EVENT)


def test_a_full_disk_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, now = AuditFile(tmp_path / "log"), 100.0
    tries = 0

    def append(lines: bytes, now: float | None = None) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(file, "append", append)
    output = LogOutput("client", None, file, clock=lambda: now)
    for _ in range(100):
        assert not output(EVENT)
    assert tries == 1
    now += module.RETRY
    output(EVENT)
    assert tries == 2


def test_whether_our_output_is_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        right = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_journal(stream.fileno(), right)
        assert not is_journal(stream.fileno(), {})
        assert not is_journal(stream.fileno(), {"JOURNAL_STREAM": "1:2"})
    assert not is_journal(-1, right)


def test_what_a_configuration_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    config = LogConfig(file=path)
    monkeypatch.setattr(module, "is_journal", lambda descriptor, environment: True)
    journal = log_outputs(config, "client")
    assert (journal._journal is not None, journal._file) == (True, None)
    for elsewhere in (LogConfig(file=path, journal=False), config):
        output = log_outputs(elsewhere, "client")
        assert output._journal is None
        assert output._file is not None
        assert output._file.path == path
        monkeypatch.setattr(module, "is_journal", lambda descriptor, environment: False)
    assert log_outputs(LogConfig(), "client")._file is None


def test_what_was_left_out_is_said_in_words() -> None:
    more = {"level": "info", "event": "more of these", "of": "problem", "count": 57, "seconds": 60}
    entry = entry_of(more | {"code": "clock-skew"}, 1.0)
    assert sentence(entry) == "57 more of these in 60 s: problem code=clock-skew"


@given(
    st.dictionaries(
        st.sampled_from(("peer", "code", "detail")),
        st.text(max_size=20) | st.integers(),
        max_size=3,
    )
)
def test_a_line_is_read_back(fields: dict[str, str | int]) -> None:
    entry = LogEntry(1.5, LogLevel.ERROR, "an event", "client", fields)
    line = encode(entry)
    assert line.count(b"\n") == 1
    assert decode(line) == entry


@given(st.binary(max_size=60) | st.sampled_from((b"{}", b"[]", b'{"at": "x"}', b'{"at": 1}')))
def test_anything_else_is_no_line(data: bytes) -> None:
    with pytest.raises(ValueError, match="no line"):
        decode(data)
