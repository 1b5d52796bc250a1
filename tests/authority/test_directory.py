"""The authority's directory: nothing is lost, nothing secret is open, numbers only grow."""

import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from throughway.authority import directory as authority
from throughway.authority.directory import Written
from throughway.model.errors import ConfigError, TrustError
from throughway.pki import pem
from throughway.pki.authority import KeyType, Profile

NOW = datetime.now(UTC).replace(microsecond=0)
URL = "http://crl.example.com/root.crl"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create(tmp_path / "pki")
    return tmp_path / "pki"


def create(directory: Path, *, force: bool = False) -> None:
    authority.create(
        directory, "Root", NOW, days=3650, key_type=KeyType.P256, crl_url=URL, force=force
    )


def issue(directory: Path, *names: str, force: bool = False, output: Path | None = None) -> Written:
    return authority.issue(
        directory,
        Profile.COMPUTER,
        names,
        NOW,
        days=100,
        key_type=KeyType.P256,
        crl_url=None,
        output=output,
        force=force,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def number(directory: Path) -> int:
    crl = authority.read_crl(directory)
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_secrets_are_secret(directory: Path) -> None:
    written = issue(directory, "a.example")
    assert mode(directory) == 0o700
    assert mode(directory / "ca.key") == mode(written.key) == 0o600
    assert mode(directory / "index.json") == 0o600
    assert mode(directory / "ca.crt") == mode(written.certificate) == 0o644


def test_issued_files_belong_together(directory: Path, tmp_path: Path) -> None:
    written = issue(directory, "*.a.example", output=tmp_path / "new" / "gateway.x")
    assert written.certificate == tmp_path / "new" / "gateway.x.crt"
    certificate = pem.parse_certificate(written.certificate.read_bytes())
    assert pem.same_key(certificate, pem.parse_key(written.key.read_bytes()))
    assert issue(directory, "*.b.example").certificate.name == "_.b.example.crt"
    assert issue(directory, "2001:db8::1").certificate.name == "2001_db8__1.crt"


def test_nothing_is_overwritten_unless_forced(directory: Path) -> None:
    written = issue(directory, "a.example")
    root, key = (directory / "ca.crt").read_bytes(), written.key.read_bytes()
    with pytest.raises(ConfigError, match="--force"):
        create(directory)
    with pytest.raises(ConfigError, match="--force"):
        issue(directory, "a.example")
    assert (directory / "ca.crt").read_bytes() == root
    assert written.key.read_bytes() == key
    assert len(authority.read_index(directory).entries) == 1
    issue(directory, "a.example", force=True)
    assert written.key.read_bytes() != key
    create(directory, force=True)
    assert (directory / "ca.crt").read_bytes() != root


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", "", "a..b"])
def test_a_name_is_never_a_path(directory: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        issue(directory, name)
    assert authority.read_index(directory).entries == ()


def test_revoking_writes_the_crl(directory: Path) -> None:
    serial = issue(directory, "a.example").entry.serial
    before = number(directory)
    entry = authority.revoke(directory, "A.example", "key-compromise", NOW)
    assert (entry.serial, entry.revoked) == (serial, True)
    crl = authority.read_crl(directory)
    assert crl.get_revoked_certificate_by_serial_number(int(serial, 16)) is not None
    assert number(directory) == before + 1
    with pytest.raises(TrustError, match="revoked already"):
        authority.revoke(directory, "a.example", "superseded", NOW)
    assert number(directory) == before + 1


def test_an_authority_is_not_overwritten_by_the_way(directory: Path) -> None:
    before = (directory / "ca.key").read_bytes()
    with pytest.raises(ConfigError, match="worth nothing"):
        create(directory)
    assert (directory / "ca.key").read_bytes() == before
    create(directory, force=True)
    assert (directory / "ca.key").read_bytes() != before


@pytest.mark.parametrize("url", ["ftp://crl.example.com/root.crl", "garbage"])
def test_what_is_no_url_is_refused_before_anything_is_written(tmp_path: Path, url: str) -> None:
    """Else the index would be written so that it could not be read again."""
    new = tmp_path / "new"
    with pytest.raises(ConfigError, match="--crl-url"):
        authority.create(new, "Root", NOW, days=1, key_type=KeyType.P256, crl_url=url, force=False)
    assert not new.exists()


def test_an_ambiguous_name_is_not_guessed(directory: Path) -> None:
    serials = [issue(directory, "a.example", force=True).entry.serial for _ in range(2)]
    with pytest.raises(ConfigError, match="several") as caught:
        authority.revoke(directory, "a.example", "superseded", NOW)
    assert all(f"{serial} (computer, until " in str(caught.value) for serial in serials)
    authority.revoke(directory, serials[0], "superseded", NOW)
    assert authority.revoke(directory, "a.example", "superseded", NOW).serial == serials[1]
    with pytest.raises(ConfigError, match="no certificate"):
        authority.revoke(directory, "b.example", "superseded", NOW)


def test_crl_numbers_only_grow(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = number(directory)
    authority.renew_crl(directory, NOW, 7)
    assert number(directory) == first + 1
    with monkeypatch.context() as patch:
        patch.setattr(pem, "build_crl_der", _fail)
        with pytest.raises(RuntimeError):
            authority.renew_crl(directory, NOW, 7)
    authority.renew_crl(directory, NOW, 7)
    assert number(directory) == first + 3


def _fail(_: object) -> bytes:
    raise RuntimeError


def test_two_commands_at_once_lose_nothing(directory: Path) -> None:
    failed: list[BaseException] = []

    def attempt(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            failed.append(error)

    threads = [
        threading.Thread(target=attempt, args=(lambda i=i: issue(directory, f"c{i}.example"),))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(authority.read_index(directory).entries) == 8


def test_what_is_missing_or_damaged_is_told(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="throughway pki init"):
        issue(tmp_path / "none", "a.example")
    with pytest.raises(ConfigError, match="throughway pki init"):
        authority.read_index(tmp_path)
    (directory / "ca.key").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 0600"):
        issue(directory, "a.example")
    (directory / "index.json").write_text("{")
    with pytest.raises(ConfigError, match=r"index\.json"):
        authority.read_index(directory)
