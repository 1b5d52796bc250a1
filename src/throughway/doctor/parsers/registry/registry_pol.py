"""``Registry.pol``: what a group policy sets; the client's one holds all of DirectAccess."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from throughway.doctor.parser import Parser
from throughway.doctor.parsers.registry.meanings import of_interest, of_key
from throughway.model.errors import ParseError, WireError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.network import RegistryValue
from throughway.wire.registrypol import Entry, RegistryType, is_registry_pol, parse_registry_pol

MAXIMUM_SIZE = 64 * 1024 * 1024
"""Bytes; those of the largest domains have a few million."""
_SHOWN = 200
"""Characters of a value that are quoted."""
_USER = "/user/"


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the values of interest, and what they mean; what stands before an error counts."""
    data = _content(evidence)
    if not data:
        return
    user = _USER in f"/{evidence.file.lower()}"
    hive = "HKEY_CURRENT_USER" if user else "HKEY_LOCAL_MACHINE"
    keys: dict[str, dict[str, RegistryValue]] = {}
    error: WireError | None = None
    try:
        for entry in parse_registry_pol(data):
            _apply(entry, f"{hive}\\{entry.key}", keys, evidence.file)
    except WireError as wrong:
        error = wrong
    for values in keys.values():
        yield from values.values()
        yield from of_key(list(values.values()))
    if error is not None:
        raise ParseError(str(error))


def _content(evidence: Evidence) -> bytes:
    """Read the whole file; an archive may break off."""
    stream: BinaryIO = evidence.open() if evidence.open else io.BytesIO(evidence.content)
    try:
        with stream:
            return stream.read(MAXIMUM_SIZE)
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise ParseError(f"the file breaks off: {error}") from error


def _apply(entry: Entry, key: str, keys: dict[str, dict[str, RegistryValue]], file: str) -> None:
    """Later entries win; some take values away."""
    if not of_interest(key):
        return
    values = keys.setdefault(key.lower(), {})
    if entry.deletes_all:
        values.clear()
    elif entry.deleted is not None:
        values.pop(entry.deleted.lower(), None)
    elif not entry.name.startswith("**"):
        values[entry.name.lower()] = _value(entry, key, file)


def _value(entry: Entry, key: str, file: str) -> RegistryValue:
    value = entry.value
    shown = value.hex() if isinstance(value, bytes) else value
    try:
        kind = f"REG_{RegistryType(entry.type).name}"
    except ValueError:
        kind = ""
    text = f"{key}\\{entry.name} = {shown}"[:_SHOWN]
    return RegistryValue(
        source=Source(file, None, text), key=key, name=entry.name, type=kind, value=shown
    )


PARSER = Parser(name="Registry.pol", parse=parse, magic=is_registry_pol)
