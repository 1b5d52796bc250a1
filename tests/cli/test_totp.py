"""Devices of users: made once, shown once, kept for their owner alone."""

import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from tests.pki_world import GATEWAY, write, write_gateway
from throughway.cli.totp import app
from throughway.gateway.codes import check_totp, read_book
from throughway.pki import pem

ALICE = "alice@CORP.EXAMPLE.COM"
CODES = """
[users.certificates]
ca = "root.crt"

[users.codes]
listen = "[2001:db8:c0:1::1]:8081"
authority = "https://pki.example.com:8443"
authority_ca = "root.crt"
certificate = "registrar.crt"
key = "registrar.key"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write(tmp_path / "registrar.crt", pem.build_certificate_pem(GATEWAY.certificate))
    write(tmp_path / "registrar.key", pem.build_key_pem(GATEWAY.key), 0o600)
    path = write_gateway(tmp_path)
    state = f'state_directory = "{tmp_path / "state"}"\n'
    return write(path, state + path.read_text() + CODES)


def totp(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--config", str(config)])


def test_a_device_is_shown_once_and_its_codes_count(config: Path, tmp_path: Path) -> None:
    made = totp(config, "add", "alice")
    assert made.exit_code == 0, made.output
    uri = urlsplit(made.output.strip())
    assert uri.scheme == "otpauth"
    [secret] = parse_qs(uri.query)["secret"]
    book = tmp_path / "state" / "codes.json"
    assert book.stat().st_mode & 0o777 == 0o600
    [device] = read_book(book).devices
    assert device.principal == ALICE
    listed = totp(config, "list")
    assert ALICE in listed.output
    assert "never used" in listed.output
    assert secret not in listed.output
    now = time.time()
    check_totp(book, ALICE, device.code(now), now)
    assert "never used" not in totp(config, "list").output


def test_a_second_device_replaces_the_first_only_when_told_to(config: Path, tmp_path: Path) -> None:
    first = totp(config, "add", "alice").output
    refused = totp(config, "add", "alice")
    assert refused.exit_code == 2
    assert "--replace" in refused.output
    second = totp(config, "add", "alice", "--replace")
    assert second.exit_code == 0
    assert second.output != first
    assert totp(config, "remove", "alice").exit_code == 0
    assert read_book(tmp_path / "state" / "codes.json").devices == ()
    assert totp(config, "remove", "alice").exit_code == 2


def test_a_gateway_that_asks_nobody_for_codes(tmp_path: Path) -> None:
    refused = totp(write_gateway(tmp_path), "add", "alice")
    assert refused.exit_code == 2
    assert "users.codes" in refused.output
