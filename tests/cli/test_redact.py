"""``throughway redact``, as a person runs it."""

import json
import zipfile
from pathlib import Path

import pytest

from throughway.cli.main import main

EVIDENCE = Path(__file__).parent.parent / "evidence"
FAULT = EVIDENCE / "iphttps-port-blocked" / "fires" / "commands"


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["redact", *arguments])
    return caught.value.code


def test_a_bundle(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(str(FAULT)) == 0
    said = capsys.readouterr()
    assert said.out == "commands-redacted.zip\n"
    assert "look through them" in said.err
    with zipfile.ZipFile(tmp_path / "commands-redacted.zip") as archive:
        text = archive.read("httpstunnel.txt").decode()
    assert "0x274c" in text
    assert "da.example.com" not in text
    assert run(str(FAULT)) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_key_makes_the_same_of_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(str(FAULT), "-o", str(tmp_path / name), "--key", "k") == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\0\1\2" * 50)
    (tmp_path / "t.txt").write_bytes((FAULT / "httpstunnel.txt").read_bytes())
    assert run(str(tmp_path), "--json", "-o", str(tmp_path / "out.zip")) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["files"] == ["t.txt"]
    assert data["left_out"] == [["x.bin", "holds more than text"]]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("/no/such/thing",), "does not exist"),
        ((str(FAULT), "-o", "/no/such/folder/x.zip"), "No such file"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str) -> None:
    assert run(*arguments) == 2
    assert why in capsys.readouterr().err


def test_nothing_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\0\1\2" * 50)
    assert run(str(tmp_path / "x.bin"), "-o", str(tmp_path / "out.zip")) == 3
