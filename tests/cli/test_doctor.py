"""``throughway doctor``, as a person runs it."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from throughway.cli.main import main

EVIDENCE = Path(__file__).parent.parent / "evidence"
FAULT = EVIDENCE / "iphttps-port-blocked" / "fires" / "commands"
WELL = EVIDENCE / "cases" / "teredo-idle" / "evidence"


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", *arguments])
    return caught.value.code


def test_a_fault_is_said_with_its_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(FAULT)) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("No answer from the gateway's port.\n")
    assert "✗ TCP" in shown
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


def test_another_host_than_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(FAULT), "--host", "pc7") == 2
    assert "nothing in this is of pc7; there are client" in capsys.readouterr().err


def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(FAULT), "--markdown") == 1
    assert capsys.readouterr().out.startswith("# DirectAccess: diagnosis\n")


def test_html_is_written_beside_the_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(str(FAULT), "--html", str(tmp_path / "report.html")) == 1
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert "No answer" in capsys.readouterr().out
    assert run(str(FAULT), "--html", str(tmp_path / "missing" / "report.html")) == 2
    assert "No such file" in capsys.readouterr().err


def test_the_collecting_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--collect", "windows") == 0
    assert "Save-Output 'ipconfig-all'" in capsys.readouterr().out
    assert run("--collect", "beos") == 2
    assert "there is one for windows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "no evidence named"),
        ((str(FAULT), "--json", "--markdown"), "exclude each other"),
        ((str(FAULT), "--csv"), "goes with --fleet"),
        (
            (str(FAULT), "--collect", "windows"),
            "or --live, or --fleet, or --collect",
        ),
        (("--fleet", str(FAULT), "--html", "x.html"), "--fleet"),
        (("--fleet", str(FAULT), "--markdown"), "goes with --fleet only"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str) -> None:
    assert run(*arguments) == 2
    assert why in capsys.readouterr().err


def test_characters_that_the_stream_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "cp1252"))
    assert run(str(FAULT)) == 1
    sys.stdout.flush()
    assert b"x TCP" in raw.getvalue()


def test_on_a_terminal_it_is_as_wide_as_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run(str(FAULT)) == 1
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert text != terminal.getvalue()
    wide = [line for line in text.splitlines() if len(line.rstrip()) > 60]
    commands = ("netsh", "Get-", "reg query", "auditpol", "httpstunnel.txt:")
    assert [line for line in wide if not line.strip().startswith(commands)] == []
