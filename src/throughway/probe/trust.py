"""The roots that certificates are judged by: the system's, and those of a file."""

import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

from throughway.model.errors import ConfigError

BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)
"""Where systems keep their roots in one file, if OpenSSL does not know."""
_MAXIMUM = 16 * 1024 * 1024
_END = b"-----END CERTIFICATE-----"


def system_roots() -> tuple[x509.Certificate, ...]:
    """Return the system's roots; none where there are none."""
    named = ssl.get_default_verify_paths().cafile
    for path in ((Path(named),) if named else ()) + BUNDLES:
        try:
            return tuple(_read(path))
        except OSError:
            continue
    return ()


def roots_of(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a file that somebody named."""
    try:
        found = tuple(_read(path))
    except OSError as error:
        raise ConfigError("--ca", "", f"{path}: {error.strerror}") from error
    if not found:
        raise ConfigError("--ca", "", f"{path} holds no certificate in PEM form")
    return found


def _read(path: Path) -> Iterator[x509.Certificate]:
    """Yield each that can be read: in a system's store there are old and odd ones."""
    with path.open("rb") as file:
        data = file.read(_MAXIMUM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for part in data.split(_END)[:-1]:
            try:
                yield x509.load_pem_x509_certificate(part + _END)
            except (ValueError, UnsupportedAlgorithm):
                continue
