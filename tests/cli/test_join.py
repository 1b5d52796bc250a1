"""``throughway client join`` and ``leave``, as run on a client."""

import io
import json
from pathlib import Path

import pytest

from tests.pki_world import COMPUTER, SIGNING_KEY, write, write_credential, write_gateway
from throughway.cli import join as module
from throughway.cli.main import main
from throughway.client import settings
from throughway.pki import bundle
from throughway.pki.tokens import Token, build_token

FINGERPRINT = bundle.fingerprint(SIGNING_KEY.public_key())


class Client:
    """A client's directories and what was handed to its administrator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.etc = folder / "etc"
        self.places = ("--directory", str(self.etc), "--state-directory", str(folder / "state"))
        write_credential(folder, "c", COMPUTER)
        write(folder / "password", "secret\n", 0o600)
        self.credentials = (
            *("--certificate", str(folder / "c.crt")),
            *("--key", str(folder / "c.key")),
            *("--password-file", str(folder / "password")),
        )

    def run(self, command: str, *arguments: str) -> int | str | None:
        with pytest.raises(SystemExit) as caught:
            main(["client", command, *arguments, *self.places])
        return caught.value.code

    def join(self, *arguments: str) -> int | str | None:
        return self.run("join", str(self.folder / "policy.bundle"), *arguments)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    build(tmp_path)
    return Client(tmp_path)


def build(folder: Path) -> None:
    with pytest.raises(SystemExit):
        main(["policy", "build", "--config", str(write_gateway(folder))])


def test_join_with_a_fingerprint_and_leave(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert client.join(*client.credentials, "--trust", FINGERPRINT) == 0
    assert "corp.example.com, policy version 1" in capsys.readouterr().out
    assert settings.load(client.etc / "client.toml").account == "CLIENT1$"
    assert client.run("leave") == 0
    assert list(client.etc.iterdir()) == []
    assert client.run("leave") == 0
    assert "had joined no deployment" in capsys.readouterr().out


def test_a_newer_bundle_needs_nothing_but_itself(client: Client) -> None:
    client.join(*client.credentials, "--account", "OTHER$", "--trust", FINGERPRINT)
    build(client.folder)
    assert client.join() == 0
    config = settings.load(client.etc / "client.toml")
    assert config.account == "OTHER$"
    assert b'"format":1' in config.bundle.read_bytes()


def test_without_a_terminal_nothing_is_trusted_by_itself(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.join(*client.credentials) == 1
    shown = capsys.readouterr().err
    assert f"--trust '{FINGERPRINT}'" in shown
    assert not client.etc.exists()


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 1)])
def test_a_person_is_asked_and_obeyed(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: bool,
    code: int,
) -> None:
    monkeypatch.setattr(module, "confirm", lambda question: answer)
    assert client.join(*client.credentials) == code
    assert FINGERPRINT in capsys.readouterr().err
    assert (client.etc / "client.toml").exists() is answer


def test_a_wrong_fingerprint_is_refused_with_the_problem(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.join(*client.credentials, "--trust", "0" * 64) == 1
    assert "Resolution:" in capsys.readouterr().err
    assert not client.etc.exists()


def test_a_password_from_standard_input(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\r\n"))
    arguments = (*client.credentials[:4], "--password-file", "-", "--trust", FINGERPRINT)
    assert client.join(*arguments) == 0
    assert (client.etc / "account.password").read_text() == "from stdin\n"


def test_files_put_in_place_beforehand_are_taken(client: Client) -> None:
    client.etc.mkdir()
    write_credential(client.etc, "computer", COMPUTER)
    write(client.etc / "account.password", "secret\n", 0o600)
    assert client.join("--trust", FINGERPRINT) == 0


def test_what_is_missing_names_its_option(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.join("--trust", FINGERPRINT) == 2
    assert "--certificate" in capsys.readouterr().err
    write(client.folder / "password", "secret\n", 0o644)
    assert client.join(*client.credentials, "--trust", FINGERPRINT) == 2
    assert "chmod 0600" in capsys.readouterr().err


def test_garbage_is_no_bundle(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    write(client.folder / "policy.bundle", "garbage")
    assert client.join(*client.credentials) == 1
    assert f"{client.folder / 'policy.bundle'}: not a policy bundle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "token", "code", "words"),
    [
        ("https://da.example.com", "", 2, "`throughway pki token` makes one"),
        ("https://da.example.com", "AAAA", 1, "copy it whole"),
        ("https://da.example.com/x", "GOOD", 2, "must be without a path"),
        ("policy.bundle", "GOOD", 2, "needs the gateway's URL"),
        ("https://localhost.invalid", "GOOD", 1, "is not running or cannot be reached"),
    ],
)
def test_joining_by_token_says_what_is_wrong(
    client: Client,
    capsys: pytest.CaptureFixture[str],
    url: str,
    token: str,
    code: int,
    words: str,
) -> None:
    good = build_token(Token(bytes(16), bytes(32), "client1.corp.example.com"))
    option = ("--token", good if token == "GOOD" else token) if token else ()
    assert client.run("join", url, *option) == code
    shown = capsys.readouterr().err
    assert words in shown
    assert good not in shown
    assert not (client.etc / "client.toml").exists()


def test_a_token_from_standard_input(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("AAAA\n"))
    assert client.run("join", "https://da.example.com", "--token", "-") == 1
    assert "Resolution:" in capsys.readouterr().err


def test_json_for_programs(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert client.join(*client.credentials, "--trust", FINGERPRINT, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["identity"] == "client1.corp.example.com"
    assert values["policy"]["version"] == 1
