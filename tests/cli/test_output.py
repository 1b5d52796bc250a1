"""What commands print."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from throughway.cli import output
from throughway.model.errors import Stage


@dataclass(frozen=True)
class Inner:
    path: Path
    stage: Stage


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    at: datetime
    data: bytes
    nothing: None = None


def test_json_takes_dataclasses_enums_times_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    value = Outer(
        (Inner(Path("/x"), Stage.TLS),), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), b"\xff"
    )
    output.print_json({"a": value, "b": {1: 2.5}, "ü": True})
    text = capsys.readouterr().out
    assert json.loads(text) == {
        "a": {
            "inner": [{"path": "/x", "stage": "tls"}],
            "at": "2026-01-02T03:04:05+00:00",
            "data": "ff",
            "nothing": None,
        },
        "b": {"1": 2.5},
        "ü": True,
    }
    assert "ü" in text


def test_json_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="object"):
        output.plain(object())


def test_tables_align_and_cut_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("A", "LONG"), [("x" * 200, "1"), ("y", "2")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A" + " " * 201 + "LONG"
    assert lines[1] == "x" * 200 + "  1"
    assert lines[2].endswith("  2")


def test_fields_align_and_lists_go_on_below(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_fields([("A", "one"), ("Long", ["two", "three"]), ("None", [])])
    assert capsys.readouterr().out == "A:    one\nLong: two\n      three\nNone: none\n"


def test_examples_stay_on_lines_of_their_own() -> None:
    assert output.examples("a", "b") == "Examples:\n\na\n\nb"


def test_without_a_terminal_the_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        @staticmethod
        def isatty() -> bool:
            return False

    monkeypatch.setattr("sys.stdin", Pipe())
    assert output.confirm("sure?") is False
