"""What was gathered as a bundle: in memory for the doctor, or as an archive of one's own."""

import gzip
import io
import json
import os
import secrets as random
import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from throughway.doctor.redaction.text import Redactor, redactor_for
from throughway.doctor.sources.bundle import Bundle

MODE = 0o600


def as_bundle(files: Mapping[str, str]) -> Bundle:
    """Return the files as the doctor reads them: by the same way as from an archive."""
    bundle = Bundle()
    for name, text in files.items():
        content = text.encode()
        bundle.add(name, len(content), partial(io.BytesIO, content))
    return bundle


def redacted(files: Mapping[str, str], computer: str, key: bytes | None = None) -> dict[str, str]:
    """Return the files with names and addresses replaced, the same everywhere by the same."""
    redactor = redactor_for(files.values(), (computer,), key or random.token_bytes(16))
    return {
        name: _document(text, redactor) if name.endswith(".json") else redactor.text(text)
        for name, text in files.items()
    }


def _document(text: str, redactor: Redactor) -> str:
    """Redact the values of a document one by one: it stays one."""
    try:
        data = json.loads(text)
    except ValueError:
        return redactor.text(text)
    return json.dumps(_value(data, redactor), indent=1) + "\n"


def _value(value: object, redactor: Redactor) -> object:
    if isinstance(value, dict):
        return {key: _value(item, redactor) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item, redactor) for item in value]
    return redactor.text(value) if isinstance(value, str) else value


def write(files: Mapping[str, str], folder: str, target: Path) -> int:
    """Write a ``.tar.gz`` that only its owner can read; return its size.

    :exc:`FileExistsError` when something is there: a link, perhaps, to somewhere else.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _write(files, folder, stream)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target.stat().st_size


def _write(files: Mapping[str, str], folder: str, stream: io.BufferedWriter) -> None:
    # No name and no time in the head of the packed file: it says nothing that is not inside.
    with (
        gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"{folder}/{name}" if folder else name)
            entry.size, entry.mode = len(content), MODE
            archive.addfile(entry, io.BytesIO(content))
