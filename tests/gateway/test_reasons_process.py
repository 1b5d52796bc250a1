"""The process that answers; the whole of it runs in test_reasons."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from throughway.gateway.reasons_process import NO_CHECK_TIME, reasons_context
from throughway.model.errors import ThroughwayError
from throughway.net.tls import Credentials
from throughway.pki.authority import Profile, create_root, issue
from throughway.pki.pem import build_certificate_pem, build_key_pem

NOW = datetime.now(UTC)
ROOT = create_root("Test Root", NOW - timedelta(days=1))
GATEWAY = issue(ROOT, Profile.GATEWAY, ["da.example.com"], now=NOW)
CREDENTIALS = Credentials(
    certificate=build_certificate_pem(GATEWAY.certificate).decode(),
    key=build_key_pem(GATEWAY.key).decode(),
    client_ca=build_certificate_pem(ROOT.certificate).decode(),
)


def test_a_certificate_is_demanded_whatever_its_dates() -> None:
    context = reasons_context(CREDENTIALS)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.verify_flags & NO_CHECK_TIME


@pytest.mark.parametrize("credentials", [Credentials(), Credentials(client_ca="x")])
def test_without_a_certificate_or_an_authority_nothing_is_served(credentials: Credentials) -> None:
    with pytest.raises(ThroughwayError):
        reasons_context(credentials)
