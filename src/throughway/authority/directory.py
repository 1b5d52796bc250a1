"""An authority's directory: certificate, key, index, CRL and what it has issued.

ca.crt  ca.key  ca.crl  index.json  issued/NAME.crt  issued/NAME.key
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from throughway.authority.files import exists, give_to_owner, locked, write_new
from throughway.model.errors import ConfigError, TrustError
from throughway.net.files import PRIVATE, read_file, read_secret_of_another
from throughway.pki import authority, fields, pem
from throughway.pki.authority import Credential, KeyType, Profile
from throughway.pki.index import Entry, Index, build_index, parse_index

CERTIFICATE = "ca.crt"
KEY = "ca.key"
CRL = "ca.crl"
INDEX = "index.json"
ISSUED = "issued"

MAX_INDEX = 64 * 1024 * 1024
"""Bytes: as many certificates as the index takes, with long names."""


@dataclass(frozen=True, slots=True)
class Written:
    """A certificate that was issued, and where it lies."""

    entry: Entry
    certificate: Path
    key: Path


def create(
    directory: Path,
    name: str,
    now: datetime,
    *,
    days: int,
    key_type: KeyType,
    crl_url: str,
    force: bool,
) -> Credential:
    """Make a new authority with an empty CRL."""
    _check_crl_url(crl_url)
    root = authority.create_root(name, now, days, key_type)
    _make_directory(directory)
    with locked(directory):
        if any((directory / name).exists() for name in (KEY, CERTIFICATE)) and not force:
            raise ConfigError(
                str(directory),
                "",
                "holds an authority already; take another --directory, or --force a new one in "
                "its place: then everything that the old one has issued is worth nothing",
            )
        write_new(directory / KEY, pem.build_key_pem(root.key), PRIVATE, force=force)
        write_new(directory / CERTIFICATE, pem.build_certificate_pem(root.certificate), force=force)
        save_index(directory, Index(crl_url=crl_url))
        _write_crl(directory, root, Index(crl_url=crl_url), now, authority.DEFAULT_CRL_DAYS)
    return root


def issue(
    directory: Path,
    profile: Profile,
    names: Sequence[str],
    now: datetime,
    *,
    days: int,
    key_type: KeyType,
    crl_url: str | None,
    output: Path | None,
    force: bool,
) -> Written:
    """Issue a certificate and write it with its key; ``output`` is their path without suffix."""
    with locked(present(directory)):
        root, index = open_authority(directory), read_index(directory)
        url = index.crl_url if crl_url is None else crl_url
        made = authority.issue(
            root, profile, names, now=now, days=days, key_type=key_type, crl_url=url
        )
        stem = output or directory / ISSUED / names[0].replace("*", "_").replace(":", "_")
        certificate, key = (stem.with_name(stem.name + suffix) for suffix in (".crt", ".key"))
        _refuse_existing((certificate, key), force=force)
        _make_directory(stem.parent)
        # The index first: what is not in it could never be revoked.
        index = index.added(made.certificate, profile, str(certificate))
        save_index(directory, index)
        write_new(key, pem.build_key_pem(made.key), PRIVATE, force=force)
        write_new(certificate, pem.build_certificate_pem(made.certificate), force=force)
    return Written(index.entries[-1], certificate, key)


def revoke(directory: Path, wanted: str, reason: str, now: datetime) -> Entry:
    """Revoke one certificate and write a CRL that says so."""
    with locked(present(directory)):
        root, index = open_authority(directory), read_index(directory)
        entry = _choose(index, wanted, str(directory / INDEX))
        index = index.with_revoked(entry.serial, now, reason)
        save_index(directory, index)
        _write_crl(directory, root, index, now, authority.DEFAULT_CRL_DAYS)
    return next(e for e in index.entries if e.serial == entry.serial)


def renew_crl(directory: Path, now: datetime, days: int) -> Path:
    """Write a new CRL; return where it lies."""
    with locked(present(directory)):
        root, index = open_authority(directory), read_index(directory)
        _write_crl(directory, root, index, now, days)
    return directory / CRL


def open_authority(directory: Path) -> Credential:
    """Return the authority with its key."""
    return authority.open_authority(
        pem.parse_key(read(directory / KEY, read_secret_of_another), str(directory / KEY)),
        read_certificate(directory / CERTIFICATE),
    )


def read_certificate(path: Path) -> x509.Certificate:
    """Return the certificate in a file."""
    return pem.parse_certificate(read(path), str(path))


def read_crl(directory: Path) -> x509.CertificateRevocationList:
    """Return the authority's last CRL."""
    return pem.parse_crl(read(directory / CRL), str(directory / CRL))


def read_index(directory: Path) -> Index:
    """Return what the authority has issued and revoked."""
    path = present(directory) / INDEX
    return parse_index(read(path, lambda p: read_file(p, MAX_INDEX)), str(path))


def _choose(index: Index, wanted: str, file: str) -> Entry:
    """Find the one certificate that is meant and still counts."""
    found = index.find(wanted)
    if not found:
        raise ConfigError(file, wanted, "no certificate of this name or serial number was issued")
    alive = [entry for entry in found if not entry.revoked]
    if not alive:
        raise TrustError(f"{wanted}: is revoked already, on {found[-1].revoked_at[:10]}")
    if len(alive) > 1:
        serials = ", ".join(f"{e.serial} ({e.profile}, until {e.not_after[:10]})" for e in alive)
        raise ConfigError(file, wanted, f"means several certificates; name one serial: {serials}")
    return alive[0]


def _write_crl(directory: Path, root: Credential, index: Index, now: datetime, days: int) -> None:
    index = replace(index, crl_number=index.crl_number + 1)
    crl = authority.build_crl(
        root,
        index.revoked(),
        number=index.crl_number,
        now=now,
        next_update=now + timedelta(days=days),
    )
    # The number first: one that was used must never come again, even when writing fails.
    save_index(directory, index)
    _write(directory / CRL, pem.build_crl_der(crl))


def save_index(directory: Path, index: Index) -> None:
    """Write the index; whoever calls holds the lock."""
    _write(directory / INDEX, build_index(index), PRIVATE)


def read(path: Path, reader: Callable[[Path], bytes] = read_file) -> bytes:
    """Return a file's content; ConfigError where it cannot be read."""
    try:
        return reader(path)
    except ValueError as error:
        raise ConfigError(str(path), "", str(error).removeprefix(f"{path} ")) from None


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    write_new(path, data, mode, force=True)
    give_to_owner(path.parent, path)


def _check_crl_url(url: str) -> None:
    """Refuse what would make the index unreadable and the certificates wrong for ever."""
    try:
        if url:
            fields.check_web_url(url)
    except ValueError as error:
        raise ConfigError("--crl-url", "", str(error)) from None


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(str(directory), "", f"cannot be made: {error.strerror}") from error


def present(directory: Path) -> Path:
    """Return the directory, when there is an authority in it."""
    if not (directory / CERTIFICATE).exists():
        raise ConfigError(str(directory), "", "holds no authority; make one: throughway pki init")
    return directory


def _refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    for path in paths:
        if path.exists() and not force:
            raise exists(path)
