"""What [users.codes] must be, beside the rest of the configuration."""

from pathlib import Path

import pytest

from tests.pki_world import GATEWAY, write, write_gateway
from throughway.gateway import settings
from throughway.model.config import CodeCheck, GatewayConfig, UserProof
from throughway.model.errors import ConfigError
from throughway.pki import pem

CERTIFICATES = '[users.certificates]\nca = "root.crt"\n'
CODES = """[users.codes]
listen = "[2001:db8:c0:1::1]:8081"
authority = "https://pki.example.com:8443"
authority_ca = "root.crt"
certificate = "registrar.crt"
key = "registrar.key"
"""
RADIUS = 'check = "radius"\nservers = ["192.0.2.1:1812"]\nsecret = "secret"\n'


def load(folder: Path, added: str, require: str = "") -> GatewayConfig:
    write(folder / "registrar.crt", pem.build_certificate_pem(GATEWAY.certificate))
    write(folder / "registrar.key", pem.build_key_pem(GATEWAY.key), 0o600)
    write(folder / "secret", "s\n", 0o600)
    path = write_gateway(folder)
    text = path.read_text()
    if require:
        text = text.replace("[users]\n", f'[users]\nrequire = "{require}"\n', 1)
    return settings.load(write(path, text + added))


def test_what_is_whole(tmp_path: Path) -> None:
    users = load(tmp_path, CERTIFICATES + CODES, "code").users
    assert users is not None
    assert users.codes is not None
    assert (users.require, users.codes.check) == (UserProof.CODE, CodeCheck.TOTP)
    users = load(tmp_path, CERTIFICATES + CODES + RADIUS).users
    assert users is not None
    assert users.codes is not None
    assert users.codes.servers == (("192.0.2.1", 1812),)


@pytest.mark.parametrize(
    ("added", "require", "words"),
    [
        ("", "smart-card", "needs \\[users.certificates\\]"),
        (CERTIFICATES, "code", "needs \\[users.codes\\]"),
        (CODES, "", "needs \\[users.certificates\\]"),
        (CERTIFICATES + CODES.replace("c0:1::1", "bad::1"), "", "infrastructure_prefixes"),
        (CERTIFICATES + CODES + 'check = "radius"\n', "", "must name a server"),
        (CERTIFICATES + CODES + RADIUS.replace('"secret"', '"none"'), "", "does not exist"),
        (CERTIFICATES + CODES.replace("registrar.crt", "root.crt"), "", "does not belong"),
        (CERTIFICATES + CODES.replace("registrar.crt", "none.crt"), "", "does not exist"),
        (CERTIFICATES + CODES.replace('"root.crt"', '"registrar.key"'), "", "no certificate"),
        (CERTIFICATES + CODES + "hours = 25\n", "", "24"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, added: str, require: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, added, require)
