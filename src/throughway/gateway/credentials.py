"""The files that the workers need, read for them: they may not read any themselves."""

from base64 import encodebytes
from pathlib import Path

from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import ConfigError, TrustError
from throughway.net import descriptors
from throughway.net.files import read_file, read_secret
from throughway.net.iphttps_server import tls_context
from throughway.net.tls import Credentials, context_of, null_context_of
from throughway.pki import pem


def read_credentials(config: IPHTTPSServerConfig, file: str) -> Credentials:
    """Read certificates, keys and lists; ConfigError when they, or the limits, cannot be used."""
    if config.certificate is not None:
        tls_context(config, file)
    descriptors.require(config.max_sessions, file)
    asked = config.authentication is AuthenticationMode.CERTIFICATES
    credentials = Credentials(
        certificate=_text(file, "certificate", config.certificate),
        key=_text(file, "key", config.key),
        client_ca=_text(file, "client_ca", config.client_ca if asked else None),
        client_crls="".join(_crl(file, path) for path in config.client_crls) if asked else "",
        rsa_certificate=_text(file, "rsa_certificate", config.rsa_certificate),
        rsa_key=_text(file, "rsa_key", config.rsa_key),
    )
    try:
        context_of(credentials)
        if config.null_suites:
            null_context_of(credentials)
    except ConfigError as error:
        raise ConfigError(file, f"iphttps.{error.key}", error.why) from error
    return credentials


def revoked_serials(credentials: Credentials) -> frozenset[str]:
    """Return what the lists name, as sessions are known by; raises ConfigError."""
    try:
        crls = pem.parse_crls(credentials.client_crls.encode())
    except TrustError as error:
        raise ConfigError("", "iphttps.client_crls", str(error)) from error
    return frozenset(f"{entry.serial_number:X}" for crl in crls for entry in crl)


def _text(file: str, key: str, path: Path | None) -> str:
    read = read_secret if key.endswith("key") else read_file
    try:
        return read(path).decode() if path is not None else ""
    except ValueError as error:
        raise ConfigError(file, f"iphttps.{key}", str(error)) from error


def _crl(file: str, path: Path) -> str:
    """Authorities publish DER (RFC 5280, 4.2.1.13); OpenSSL takes PEM from a file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(file, "iphttps.client_crls", f"{path}: {error}") from error
    if data.lstrip().startswith(b"-----BEGIN"):
        return data.decode("ascii", "replace") + "\n"
    body = encodebytes(data).decode()
    return f"-----BEGIN X509 CRL-----\n{body}-----END X509 CRL-----\n"
