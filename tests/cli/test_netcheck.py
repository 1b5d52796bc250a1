"""``throughway netcheck``, as a person runs it."""

import json
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.schemas import check, schema
from throughway.cli.main import main


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["netcheck", *arguments])
    return caught.value.code


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no Teredo server that is not there."""
    monkeypatch.setattr("throughway.probe.teredo.AGAIN", 0.05)
    monkeypatch.setattr("throughway.probe.network.TEREDO_WAIT", 0.05)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--gateway", "127.0.0.1:1", "--json", "--timeout", "3") == 1
    out = capsys.readouterr()
    data = json.loads(out.out)
    check(data, schema("netcheck-1"))
    assert out.err == ""
    assert data["seen"]["gateway"] == "127.0.0.1"
    assert data["seen"]["seconds"] < PATIENCE
    iphttps = data["ways"][-1]
    assert (iphttps["transport"], iphttps["possible"]) == ("iphttps", False)


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--gateway", "127.0.0.1:1", "--timeout", "3") == 1
    out = capsys.readouterr()
    assert "iphttps    no   the connection was refused [iphttps-connection-refused]" in out.out
    assert "tcp 127.0.0.1: the connection was refused" in out.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--gateway", "a b"),
        ("--teredo", "::::"),
        ("--timeout", "0"),
        ("--config", "/no/such/client.toml"),
        ("something",),
    ],
)
def test_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_policy_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no reason to look at nothing, unless it was named."""
    broken = tmp_path / "client.toml"
    broken.write_text("nonsense = 1\n")
    assert run("--config", str(broken)) == 2
    monkeypatch.setattr("throughway.cli.netcheck.DEFAULT_FILE", broken)
    assert run("--config", str(broken), "--timeout", "3") in (0, 1, 3)
    said = capsys.readouterr().err
    assert "The client's policy is not used (--gateway names the gateway)" in said
    assert "nonsense" in said
