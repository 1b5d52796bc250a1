"""[directory], [[access]] and [radius] against each other and the rest of the file."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pki_world import write, write_gateway
from throughway.gateway import settings
from throughway.model.errors import ConfigError

DIRECTORY = """
[directory]
domain = "corp.example.com"
keytab = "gateway.keytab"
principal = "EDGE1$"
"""
ACCESS = '[[access]]\nusers = ["DA Users"]\n'
RADIUS = '[radius]\nservers = ["192.0.2.1:1812"]\nsecret = "radius.secret"\n'


def errors_of(folder: Path, *more: str) -> dict[str, str]:
    path = write_gateway(folder)
    write(path, "\n".join((path.read_text(), *more)))
    with pytest.raises(ConfigError) as caught:
        settings.load(path)
    error = caught.value
    return {one.key: one.why for one in error.errors or (error,)}


def secret(folder: Path, text: str = "a secret of 16 and more\n") -> None:
    file = folder / "radius.secret"
    file.write_text(text)
    file.chmod(0o600)


def test_a_good_one_comes_back_whole(tmp_path: Path) -> None:
    secret(tmp_path)
    path = write_gateway(tmp_path)
    write(path, path.read_text() + DIRECTORY + ACCESS + RADIUS)
    config = settings.load(path)
    assert config.directory is not None
    assert config.directory.realm == "CORP.EXAMPLE.COM"
    assert config.access[0].users == ("DA Users",)
    assert config.radius is not None
    assert config.radius.servers == (("192.0.2.1", 1812),)
    assert replace(config.directory, enrol=True).enrol


@pytest.mark.parametrize(
    ("more", "key", "why"),
    [
        ((DIRECTORY,), "access", "nobody may come in without a rule"),
        ((ACCESS,), "access", r"needs \[directory\]"),
        ((DIRECTORY.replace("corp", "other"), ACCESS), "directory.domain", "realm of"),
        ((DIRECTORY.replace("gateway.keytab", "none"), ACCESS), "directory.keytab", "not exist"),
        ((DIRECTORY.replace("gateway.keytab", "gateway.key"), ACCESS), "directory.keytab", "not a"),
        (
            (DIRECTORY, ACCESS + 'prefixes = ["2001:db8:ffff::/64"]'),
            "access[0].prefixes",
            "outside of ipsec.intranet_prefixes",
        ),
        ((RADIUS,), "radius.secret", "fewer than 16"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, more: tuple[str, ...], key: str, why: str) -> None:
    secret(tmp_path, "short\n")
    errors = errors_of(tmp_path, *more)
    assert key in errors
    assert re.search(why, errors[key])


def test_a_secret_that_others_can_read_is_none(tmp_path: Path) -> None:
    secret(tmp_path)
    (tmp_path / "radius.secret").chmod(0o644)
    assert "chmod 0600" in errors_of(tmp_path, RADIUS)["radius.secret"]


def test_somebody_must_be_able_to_check_the_account(tmp_path: Path) -> None:
    path = write_gateway(tmp_path)
    text = path.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("nt_hash")]
    head, _, tail = "\n".join(lines).partition("[users]")
    write(path, head + "[" + tail.partition("\n[")[2])
    with pytest.raises(ConfigError) as caught:
        settings.load(path)
    error = caught.value
    assert any(
        one.key == "computers[0].nt_hash" and "otherwise" in one.why
        for one in error.errors or (error,)
    )
