"""Roots: the system's and a file's."""

from pathlib import Path

import pytest

from tests.probe.probe_world import make
from throughway.model.errors import ConfigError
from throughway.probe.trust import roots_of, system_roots


def test_a_file_may_hold_what_is_no_certificate(tmp_path: Path) -> None:
    first, second = make("One", ca=True), make("Two", ca=True)
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    file = tmp_path / "roots.pem"
    file.write_bytes(b"a comment\n" + first.pem + broken + second.pem)
    assert roots_of(file) == (first.certificate, second.certificate)


@pytest.mark.parametrize("content", [None, b"", b"nothing"])
def test_a_file_without_any(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "roots.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"roots\.pem"):
        roots_of(file)


def test_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "store.pem"
    root = make("One", ca=True)
    file.write_bytes(root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert system_roots() == (root.certificate,)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "away"))
    monkeypatch.setattr("throughway.probe.trust.BUNDLES", ())
    assert system_roots() == ()
