"""Event trace logs of ``netsh trace``, ``pktmon`` and ``logman``: only recognised.

They hold events in the form of whoever wrote them; etl2pcapng makes a capture of the packets.
The file begins with the header of a buffer, whose size stands first; behind it is the system
trace header with its kind (32 or 64 bits) and the flags 0xC0.
"""

import struct
from collections.abc import Iterator

from throughway.doctor.parser import Parser
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import TraceFile

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
    """Yield one :class:`TraceFile`; the size is that of what was read of it."""
    if evidence.content:
        yield TraceFile(source=Source(evidence.file), size=len(evidence.content))


PARSER = Parser(name="ETL trace", parse=parse, magic=is_trace)
