"""The certificates that a configuration names: who, by whom, until when. Never a key."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from throughway.doctor.parsers.linux.document import load_toml
from throughway.model.errors import TrustError
from throughway.net.files import read_file
from throughway.pki import pem

MAXIMUM_CHAIN = 16
"""Certificates of one file that are shown."""
_SETTINGS = frozenset(
    {"certificate", "rsa_certificate", "ca", "client_ca", "authority_ca", "iphttps_ca"}
    | {"trust_anchors"}
)


def certificates(
    configuration: str, folder: Path, of: str, now: datetime
) -> Iterator[dict[str, Any]]:
    """Yield what each file of certificates holds, or why it cannot be read."""
    try:
        data = load_toml(configuration)
    except ValueError:
        return
    for setting, path in _named(data):
        file = folder / path
        row: dict[str, Any] = {"of": of, "setting": setting, "file": str(file)}
        row["judged_at"] = now.isoformat(timespec="seconds")
        try:
            chain = pem.parse_certificates(read_file(file), str(file))
            row["chain"] = [_shown(each) for each in chain[:MAXIMUM_CHAIN]]
        except (ValueError, TrustError) as error:
            row["why"] = str(error)
        yield row


def _named(data: Mapping[str, object], table: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        name = f"{table}.{key}" if table else key
        if isinstance(value, Mapping):
            yield from _named(value, name)
        elif key in _SETTINGS:
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, str) and "\0" not in path:
                    yield name, path


def _shown(certificate: x509.Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "names": _names(certificate),
        "serial": f"{certificate.serial_number:x}",
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "sha256": pem.certificate_fingerprint(certificate),
    }


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value) for name in extension.value][:50]
