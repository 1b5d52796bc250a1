"""What the gateway looks at from time to time: the dates of its certificates."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from throughway.model.errors import ConfigError
from throughway.pki.pem import parse_certificate

WARNING_TIME = timedelta(days=30)
"""How long before its end a certificate is warned about."""


def read_certificate(file: Path) -> x509.Certificate:
    """Return the certificate in a PEM file; ConfigError when there is none."""
    try:
        return parse_certificate(file.read_bytes(), str(file))
    except OSError as error:
        raise ConfigError(str(file), "", f"cannot be read: {error.strerror}") from error


def expiry_problem(certificate: x509.Certificate, use: str, now: datetime) -> str:
    """Return the catalogue's code for what the dates say of ``use`` (iphttps, ipsec), or ""."""
    if now > certificate.not_valid_after_utc:
        return f"{use}-cert-expired"
    if now > certificate.not_valid_after_utc - WARNING_TIME:
        return f"{use}-cert-expiring"
    return ""
