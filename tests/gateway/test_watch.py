"""The dates of certificates, at the edges."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from throughway.gateway.watch import WARNING_TIME, expiry_problem, read_certificate
from throughway.model.errors import ConfigError, ThroughwayError
from throughway.pki.authority import create_root
from throughway.pki.pem import build_certificate_pem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 365


@pytest.mark.parametrize("use", ["iphttps", "ipsec"])
def test_dates(use: str) -> None:
    certificate = create_root("Example Root", NOW, DAYS).certificate
    ends = certificate.not_valid_after_utc
    assert expiry_problem(certificate, use, NOW + timedelta(days=1)) == ""
    assert expiry_problem(certificate, use, ends - WARNING_TIME) == ""
    late = ends - WARNING_TIME + timedelta(seconds=1)
    assert expiry_problem(certificate, use, late) == f"{use}-cert-expiring"
    over = ends + timedelta(seconds=1)
    assert expiry_problem(certificate, use, over) == f"{use}-cert-expired"


def test_a_file_is_read(tmp_path: Path) -> None:
    certificate = create_root("Example Root", NOW, DAYS).certificate
    file = tmp_path / "root.crt"
    file.write_bytes(build_certificate_pem(certificate))
    assert read_certificate(file) == certificate


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.crt.*cannot be read"):
        read_certificate(tmp_path / "absent.crt")


def test_garbage_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "garbage.crt"
    file.write_bytes(b"\x00garbage")
    with pytest.raises(ThroughwayError):
        read_certificate(file)
