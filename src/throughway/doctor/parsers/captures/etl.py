"""Event trace logs of ``netsh trace``, ``pktmon`` and ``logman``: to be converted first.

They hold events in the form of whoever wrote them; etl2pcapng makes a capture of the packets.
The file begins with the header of a buffer, whose size stands first; behind it is the system
trace header with its kind (32 or 64 bits) and the flags 0xC0.
"""

import struct
from collections.abc import Iterator

from throughway.doctor.parser import Parser
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact

_BUFFER_HEADER_LENGTH = 72
_SYSTEM_HEADERS = frozenset({1, 2})
_FLAGS = 0xC0
_SMALLEST_BUFFER, _LARGEST_BUFFER = 1024, 16 * 1024 * 1024


def is_trace(content: bytes) -> bool:
    """Whether it begins like an ETL file."""
    if len(content) < _BUFFER_HEADER_LENGTH + 4:
        return False
    (size,) = struct.unpack_from("<I", content)
    _, kind, flags = struct.unpack_from("<HBB", content, _BUFFER_HEADER_LENGTH)
    right_size = _SMALLEST_BUFFER <= size <= _LARGEST_BUFFER and size % _SMALLEST_BUFFER == 0
    return right_size and kind in _SYSTEM_HEADERS and flags == _FLAGS


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Say how to make a capture of it."""
    if not evidence.content:
        return
    yield from ()
    file = evidence.file.rpartition("/")[2]
    stem = file.rpartition(".")[0] or file
    raise ParseError(
        "a trace of Windows events; its packets can be read when it is converted: "
        f"etl2pcapng {file} {stem}.pcapng, or on Windows 10 2004 and later "
        f"pktmon etl2pcap {file} --out {stem}.pcapng"
    )


PARSER = Parser(name="ETL trace", parse=parse, magic=is_trace)
