"""Files that grow: what is read of them is tested with the audit's, too (test_events.py)."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from throughway.cli import growing
from throughway.cli.growing import Reader, moment_of
from throughway.model.errors import ConfigError


@dataclass
class Number:
    at: float


def parse(line: bytes) -> Number:
    return Number(float(line))


def test_from_a_moment_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"5\nno number\n6\n\n7\n8")
    path.with_name("log.1").write_bytes(b"3\n4\n")
    reader = Reader((path,), 4.0, parse)
    assert [line.at for line in reader.past()] == [4, 5, 6, 7]
    assert reader.unreadable == 1  # an empty line is nobody's fault, half a line is not one yet
    reader.close()


def test_what_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "POLL", 0.0)
    path = tmp_path / "log"
    path.write_bytes(b"1\n2")
    reader = Reader((path,), 0.0, parse)
    assert [line.at for line in reader.past()] == [1]
    with path.open("ab") as file:
        file.write(b"3\n")
    assert next(reader.coming()).at == 23
    reader.close()


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 100_000.0)
    assert moment_of(None) == 0
    assert moment_of("2h") == 92_800
    assert moment_of("1970-01-02T00:00:00+00:00") == 86_400
    with pytest.raises(ConfigError, match="no time"):
        moment_of("yesterday")
