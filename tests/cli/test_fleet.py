"""``throughway doctor --fleet``, as a person runs it."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from throughway.cli.main import main

EVIDENCE = Path(__file__).parent.parent / "evidence"
FAULT = EVIDENCE / "iphttps-port-blocked" / "fires" / "commands"


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--fleet", *arguments])
    return caught.value.code


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    folder = tmp_path / "fleet"
    for name in ("=evil()", "pc1.fabrikam.com", "pc2"):
        shutil.copytree(FAULT, folder / name)
    (folder / "letter.txt").write_text("Nothing works.")
    return folder


def test_table(capsys: pytest.CaptureFixture[str], fleet: Path) -> None:
    assert run(str(fleet)) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "4 bundles: 3 findings, 1 unknown"
    assert shown[3].split()[:3] == ["3", "3", "iphttps-port-blocked"]


def test_csv(capsys: pytest.CaptureFixture[str], fleet: Path) -> None:
    assert run(str(fleet), "--csv", "--jobs", "1") == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["bundle"] for row in rows] == ["'=evil()", "letter.txt", "pc1.fabrikam.com", "pc2"]
    assert rows[3]["cause"] == "iphttps-port-blocked"
    assert rows[1]["outcome"] == "unknown"


def test_json(capsys: pytest.CaptureFixture[str], fleet: Path) -> None:
    assert run(str(fleet), "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert data["bundles"] == 4
    assert data["causes"][0]["bundles"] == 3
    assert data["rows"][3]["causes"] == ["iphttps-port-blocked"]


def test_redacted(capsys: pytest.CaptureFixture[str], fleet: Path) -> None:
    assert run(str(fleet), "--json", "--redact") == 1
    shown = capsys.readouterr().out
    assert "fabrikam" not in shown
    assert "da.example.com" not in shown


def test_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.txt").write_text("Nothing works.")
    assert run(str(tmp_path)) == 3
    assert run(str(tmp_path / "letter.txt")) == 2
    assert "is no folder" in capsys.readouterr().err
