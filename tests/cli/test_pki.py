"""``throughway pki``, as a person runs it, with OpenSSL as the judge."""

import json
import subprocess
from pathlib import Path

import pytest

from throughway.cli.main import main


@pytest.fixture(autouse=True)
def pki(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THROUGHWAY_PKI", str(tmp_path / "pki"))
    monkeypatch.setenv("TERM", "dumb")
    return tmp_path / "pki"


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["pki", *arguments])
    return caught.value.code


def openssl(folder: Path, *command: str) -> str:
    answer = subprocess.run(
        ["openssl", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    return answer.stdout + answer.stderr


def check(folder: Path, certificate: str) -> str:
    openssl(folder, "crl", "-inform", "DER", "-in", "ca.crl", "-out", "crl.pem")
    options = ("-x509_strict", "-crl_check", "-CAfile", "ca.crt", "-CRLfile", "crl.pem")
    return openssl(folder, "verify", *options, f"issued/{certificate}.crt")


def test_from_nothing_to_a_revoked_certificate(
    pki: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("init", "--name", "Corp Root", "--crl-url", "http://crl.example.com/r.crl") == 0
    assert run("issue", "gateway", "da.example.com", "--key-type", "rsa2048") == 0
    assert run("issue", "computer", "client1.corp.example.com") == 0
    assert run("issue", "server", "nls.corp.example.com", "nls") == 0
    for name in ("da.example.com", "client1.corp.example.com", "nls.corp.example.com"):
        assert check(pki, name).endswith(": OK\n")
    text = openssl(pki, "x509", "-in", "issued/da.example.com.crt", "-noout", "-text")
    assert "URI:http://crl.example.com/r.crl" in text
    assert "TLS Web Server Authentication, 1.3.6.1.5.5.8.2.2" in text
    capsys.readouterr()

    assert run("revoke", "client1.corp.example.com", "--reason", "key-compromise") == 0
    assert "Publish" in capsys.readouterr().out
    assert "certificate revoked" in check(pki, "client1.corp.example.com")
    assert check(pki, "da.example.com").endswith(": OK\n")
    shown = openssl(pki, "crl", "-inform", "DER", "-in", "ca.crl", "-noout", "-text")
    assert "Key Compromise" in shown
    events = [json.loads(line) for line in (pki / "events.jsonl").read_text().splitlines()]
    assert [(event["windows"], event["computer"]) for event in events] == [
        (4887, "da.example.com"),
        (4887, "client1.corp.example.com"),
        (4887, "nls.corp.example.com"),
        (4870, "client1.corp.example.com"),
    ]
    assert events[1]["certificate"]["serial"] == events[3]["certificate"]["serial"]
    assert events[3]["reason"] == "key-compromise"

    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["valid", "revoked", "valid"]
    assert run("show", "client1.corp.example.com") == 1
    assert "revoked on" in capsys.readouterr().out
    assert run("show", "da.example.com") == 0


def test_the_crl_can_be_renewed_and_written_elsewhere(
    pki: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init", "--name", "Root")
    assert run("crl", "--days", "3", "--output", str(tmp_path / "web" / "root.crl")) == 0
    assert (tmp_path / "web" / "root.crl").read_bytes() == (pki / "ca.crl").read_bytes()
    assert "CRL number 2" in capsys.readouterr().out


def test_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    run("init", "--name", "Root")
    capsys.readouterr()
    assert run("issue", "server", "a.example", "--json") == 0
    issued = json.loads(capsys.readouterr().out)
    assert issued["entry"]["names"] == ["a.example"]
    assert run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["entries"] == [issued["entry"]]
    assert run("show", issued["certificate"], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["certificate"]["serial"] == issued["entry"]["serial"]
    assert shown["revocation"]["state"] == "good"


def test_what_expires_soon_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    run("init", "--name", "Root")
    run("issue", "server", "a.example", "--days", "20")
    assert run("show", "a.example") == 1
    run("list")
    shown = capsys.readouterr().out
    assert "expires-very-soon" in shown
    assert "expires soon" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("issue", "server", "a b"), "not a DNS name"),
        (("issue", "server", "a.example", "--days", "0"), "at least 1"),
        (("issue", "server", "a.example", "--crl-url", "ftp://x"), "http://"),
        (("revoke", "nobody"), "no certificate of this name"),
        (("show", "nobody"), "neither a file nor"),
        (("init", "--name", "Again"), "--force"),
    ],
)
def test_errors_are_told_with_their_remedy(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    run("init", "--name", "Root")
    capsys.readouterr()
    assert run(*arguments) == 2
    assert words in capsys.readouterr().err


def test_without_an_authority_the_way_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 2
    assert "throughway pki init" in capsys.readouterr().err
