"""``throughway pki token`` and ``tokens``, as an administrator runs them."""

import csv
import json
from pathlib import Path

import pytest

from tests.ipsec_world import md4
from throughway.authority.audit import who
from throughway.cli.main import main
from throughway.model.audit import AUTHORITY_EVENTS
from throughway.model.config import Computer
from throughway.net.files import read_toml
from throughway.pki.tokens import account_password, parse_token

NAME = "client1.corp.example.com"


@pytest.fixture(autouse=True)
def pki(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THROUGHWAY_PKI", str(tmp_path / "pki"))
    monkeypatch.setenv("TERM", "dumb")
    assert run("init", "--name", "Root") == 0
    return tmp_path / "pki"


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["pki", *arguments])
    return caught.value.code


def test_one_token_and_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("token", NAME) == 0
    shown = capsys.readouterr()
    text = next(line.split()[1] for line in shown.out.splitlines() if line.startswith("Token"))
    assert parse_token(text).name == NAME
    assert f"throughway client join https://GATEWAY --token {text}" in shown.err
    assert run("tokens") == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[:3] == [NAME, "computer", "unused"]


def test_hundreds_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = tmp_path / "names.csv"
    lines = (f"c{n}.example.com\n" for n in range(300))
    names.write_text("name\n# the second floor\n" + "".join(lines))
    output, accounts = tmp_path / "tokens.csv", tmp_path / "accounts"
    assert run("token", "--file", str(names), "-o", str(output), "--accounts", str(accounts)) == 0
    assert output.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [row["name"] for row in rows] == [f"c{n}.example.com" for n in range(300)]
    assert not any(row["token"] in capsys.readouterr().out for row in rows[:3])
    known = parse_token(rows[7]["token"])
    tables = read_toml(accounts / "computers.toml")["computers"]
    assert isinstance(tables, list)
    computer = Computer(**tables[7])
    assert (computer.account, computer.identity) == ("C7$", "c7.example.com")
    nt_hash = Path(computer.nt_hash or "")
    assert nt_hash.stat().st_mode & 0o077 == 0
    expected = md4(account_password(known).encode("utf-16-le")).hex()
    assert nt_hash.read_text().strip() == expected


def test_a_token_can_be_made_void(pki: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("token", NAME, "--profile", "gateway", "--days", "1", "--json")
    ((token,),) = (json.loads(capsys.readouterr().out),)
    assert run("tokens", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["names"], told["state"]) == ([NAME], "unused")
    assert run("tokens", "--void", NAME) == 0
    assert NAME not in capsys.readouterr().out
    written = (pki / AUTHORITY_EVENTS).read_text()
    made, void = map(json.loads, written.splitlines())
    assert (made["event"], void["event"]) == ("token-made", "token-voided")
    assert made["computer"] == void["computer"] == NAME
    assert made["detail"].startswith("for a gateway, until 20")
    assert f"by {who()}" in made["detail"]
    assert token["token"] not in written
    assert run("tokens", "--void", NAME) == 2


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("", (), "name one computer"),
        ("a.example\n", ("x.example",), "name one computer"),
        ("a.example\n", (), "needs --output"),
        ("# nobody\n", ("-o", "tokens.csv"), "names no computer"),
        ("a.example\nA.example\n", ("-o", "tokens.csv"), "stands there twice"),
        ("a b\n", ("-o", "tokens.csv"), "not a DNS name"),
    ],
)
def test_mistakes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content:
        (tmp_path / "names.csv").write_text(content)
        arguments += ("--file", "names.csv")
    assert run("token", *arguments) == 2
    assert words in capsys.readouterr().err
    assert run("token", NAME, "--days", "0") == 2


def test_serve_without_a_configuration_says_where_one_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("serve", "--config", str(tmp_path / "none.toml")) == 2
    assert "docs/operate/enrolment.md" in capfd.readouterr().err
