"""Event logs as Windows keeps them, ``*.evtx``; the format is binary XML in chunks of 64 KiB.

The library that reads them is loaded when the first one is met. It trusts what it reads (a damaged
table of names keeps it busy for ever), so only chunks whose checksums fit are given to it, a few
at a time, which also bounds the memory.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from throughway.doctor.parser import Parser
from throughway.doctor.parsers.logs import meaning
from throughway.doctor.parsers.logs.event import Event
from throughway.doctor.parsers.logs.event_xml import of_xml
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact

MAGIC = b"ElfFile\0"
_CHUNK_MAGIC = b"ElfChnk\0"
_FILE_HEADER = 4096
_CHUNK = 65_536
_CHUNK_HEADER = 512
_TOGETHER = 16
"""Chunks that are read at once: 1 MiB."""
_PROVIDER = re.compile(r"<Provider[^>]{0,200}?\bName=\"([^\"]{1,200})\"")
_NUMBER = re.compile(r"<EventID[^>]{0,80}>\s*(\d{1,5})\s*<")
_HEAD = 1000
"""Characters of an event in which provider and number stand."""
_MAXIMUM_BROKEN = 100
"""Records of some chunks that cannot be read before the rest of those is given up."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the events say."""
    with _opened(evidence) as stream:
        yield from meaning.facts(_events(stream, evidence.file))


def _opened(evidence: Evidence) -> BinaryIO:
    return evidence.open() if evidence.open is not None else io.BytesIO(evidence.content)


def _events(stream: BinaryIO, file: str) -> Iterator[Event]:
    header = stream.read(_FILE_HEADER)
    if not header:
        return
    if len(header) < _FILE_HEADER or not header.startswith(MAGIC):
        raise ParseError("the head of the event log is not whole")
    sound: list[bytes] = []
    damaged = read = 0
    while chunk := _next(stream):
        if _is_sound(chunk):
            sound.append(chunk.ljust(_CHUNK, b"\0"))
            read += 1
        elif chunk.startswith(_CHUNK_MAGIC):
            damaged += 1
        if len(sound) == _TOGETHER:
            yield from _read(header, sound, file)
            sound = []
    yield from _read(header, sound, file)
    if damaged:
        what = "none of its chunks is whole" if not read else f"{damaged} chunks are damaged"
        raise ParseError(f"{what}; export the log again: wevtutil epl LOG FILE")


def _next(stream: BinaryIO) -> bytes:
    """Return the next chunk; an archive may break off."""
    try:
        return stream.read(_CHUNK)
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise ParseError(f"the file breaks off: {error}") from error


def _is_sound(chunk: bytes) -> bool:
    """Whether head and records of a chunk are as Windows wrote them."""
    if len(chunk) < _CHUNK_HEADER or not chunk.startswith(_CHUNK_MAGIC):
        return False
    free, records_sum = struct.unpack_from("<II", chunk, 48)
    (head_sum,) = struct.unpack_from("<I", chunk, 124)
    if not _CHUNK_HEADER <= free <= len(chunk):
        return False
    head = chunk[:120] + chunk[128:_CHUNK_HEADER]
    sums = (zlib.crc32(head), zlib.crc32(chunk[_CHUNK_HEADER:free]))
    return sums == (head_sum, records_sum)


def _read(header: bytes, chunks: list[bytes], file: str) -> Iterator[Event]:
    if not chunks:
        return
    head = bytearray(header)
    struct.pack_into("<QQ", head, 8, 0, len(chunks) - 1)
    struct.pack_into("<H", head, 42, len(chunks))
    struct.pack_into("<I", head, 124, zlib.crc32(bytes(head[:120])))
    records = _records(io.BytesIO(b"".join((head, *chunks))))
    broken = 0
    while broken < _MAXIMUM_BROKEN:
        try:
            record = next(records)
        except StopIteration:
            return
        except (OSError, RuntimeError, ValueError):
            broken += 1
            continue
        event = _event(record["data"], file)
        if event is not None:
            yield event


def _records(stream: BinaryIO) -> Any:  # noqa: ANN401 - the library's iterator
    try:
        from evtx import PyEvtxParser
    except ImportError as error:
        raise ParseError("event logs need the Python package evtx: pip install evtx") from error
    try:
        return PyEvtxParser(stream, number_of_threads=1).records()
    except (OSError, RuntimeError, ValueError) as error:
        raise ParseError(f"no event log: {error}") from error


def _event(text: str, file: str) -> Event | None:
    """Read a record if it is one that says anything; most of a log's do not."""
    provider, number = _PROVIDER.search(text, 0, _HEAD), _NUMBER.search(text, 0, _HEAD)
    if provider is None or number is None or not meaning.wanted(provider[1], int(number[1])):
        return None
    return of_xml(text, file, None)


PARSER = Parser(
    name="event log (EVTX)",
    parse=parse,
    magic=lambda content: content.startswith(MAGIC),
)
