"""``throughway doctor``, as a person runs it."""

import io
import json
import sys
from pathlib import Path

import pytest

from throughway.cli.main import main

EVIDENCE = Path(__file__).parent.parent / "evidence"
FAULT = EVIDENCE / "iphttps-port-blocked" / "fires"
WELL = EVIDENCE / "cases" / "teredo-idle" / "evidence"


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", *arguments])
    return caught.value.code


def test_a_fault_is_said_with_its_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(FAULT)) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("No answer from the gateway's port")
    assert "httpstunnel.txt:6: Last Error Code" in shown
    assert "Test-NetConnection da.example.com -Port 443" in shown


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(FAULT), "--json") == 1
    assert json.loads(capsys.readouterr().out)["diagnosis"][0]["code"] == "iphttps-port-blocked"


def test_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(WELL)) == 0
    assert "Nothing wrong in what was shown" in capsys.readouterr().out


def test_what_is_piped_in(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (FAULT / "httpstunnel.txt").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run("-", "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert data["diagnosis"][0]["evidence"][0]["source"] == "-"


def test_a_path_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/no/such/place") == 2
    assert "does not exist" in capsys.readouterr().err


def test_nothing_to_judge(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Nothing works.")
    assert run(str(tmp_path)) == 3


def test_one_host_of_several(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("pc1", "pc2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.txt").write_bytes((FAULT / "httpstunnel.txt").read_bytes())
    assert run(str(tmp_path), "--host", "pc2", "--json") == 1
    found = json.loads(capsys.readouterr().out)["diagnosis"]
    assert [finding["host"] for finding in found] == ["pc2"]
