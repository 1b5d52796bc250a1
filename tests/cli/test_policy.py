"""``throughway policy``, as an administrator runs it."""

import json
import stat
import time
from pathlib import Path

import pytest

from tests.pki_world import write_gateway
from throughway.cli.main import main
from throughway.pki import bundle


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["policy", *arguments])
    return caught.value.code


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    path = write_gateway(tmp_path)
    (tmp_path / "policy.key").unlink()
    assert run("key", str(tmp_path / "policy.key")) == 0
    return path


def test_the_signing_key_is_made_once(gateway: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = gateway.parent / "policy.key"
    public = bundle.parse_public_key((gateway.parent / "policy.pub").read_bytes())
    assert run("show", str(gateway.parent / "policy.bundle")) == 2  # not built yet
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    before = secret.read_bytes()
    assert run("key", str(secret)) == 2
    assert "--force" in capsys.readouterr().err
    assert secret.read_bytes() == before
    assert run("key", str(secret), "--force") == 0
    assert secret.read_bytes() != before
    replaced = bundle.parse_public_key((gateway.parent / "policy.pub").read_bytes())
    assert bundle.fingerprint(replaced) in capsys.readouterr().out
    assert bundle.fingerprint(replaced) != bundle.fingerprint(public)


def test_build_signs_the_next_version(
    gateway: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carried = tmp_path / "usb" / "policy.bundle"
    assert run("build", "--config", str(gateway)) == 0
    assert run("build", "--config", str(gateway), "--output", str(carried)) == 0
    assert "Version:     2" in capsys.readouterr().out
    data = (tmp_path / "policy.bundle").read_bytes()
    assert carried.read_bytes() == data
    public = bundle.parse_public_key((tmp_path / "policy.pub").read_bytes())
    assert bundle.verify(data, public, time.time()).version == 2


def test_show_verifies(gateway: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("build", "--config", str(gateway))
    made = str(tmp_path / "policy.bundle")
    capsys.readouterr()
    assert run("show", made) == 0
    shown = capsys.readouterr().out
    assert "compare it yourself" in shown
    assert ".corp.example.com -> 2001:db8:c0:1::10" in shown
    assert run("show", made, "--key", str(tmp_path / "policy.pub"), "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["verified"] is True
    assert values["policy"]["version"] == 1
    run("key", str(tmp_path / "other.key"))
    assert run("show", made, "--key", str(tmp_path / "other.pub")) == 1
    assert "another key" in capsys.readouterr().err


def test_show_tells_what_has_expired(
    gateway: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run("build", "--config", str(gateway))
    later = time.time() + 91 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    assert run("show", str(tmp_path / "policy.bundle")) == 1
    shown = capsys.readouterr()
    assert "Version:        1" in shown.out
    assert "expired" in shown.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "none.bundle"), 2, "does not exist"),
        (("show", "gateway.toml"), 1, "gateway.toml: not a policy bundle"),
        (("show", "policy.bundle", "--key", "gateway.toml"), 1, "no public key"),
        (("build", "--config", "none.toml"), 2, "does not exist"),
        (("build", "--config", "root.crt"), 2, "not TOML"),
        (("build", "--config", "gateway.toml", "--output", "root.crt/x"), 2, "cannot be written"),
    ],
)
def test_errors_are_told(
    gateway: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(gateway.parent)
    run("build", "--config", str(gateway))
    assert run(*arguments) == code
    assert words in capsys.readouterr().err


def test_every_error_of_the_configuration_is_a_line(
    gateway: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = gateway.read_text().replace("2001:db8:da:1000::/64", "x").replace("CLIENT1$", "x")
    gateway.write_text(text)
    assert run("build", "--config", str(gateway)) == 2
    shown = capsys.readouterr().err
    assert "iphttps.prefix" in shown
    assert "computers[0].account" in shown


def test_without_a_server_people_are_told_to_carry_it(
    gateway: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = gateway.read_text().replace('serve = "[2001:db8:c0:1::1]:8080"\n', "")
    gateway.write_text(text)
    assert run("build", "--config", str(gateway)) == 0
    assert "publish.serve" in capsys.readouterr().err
