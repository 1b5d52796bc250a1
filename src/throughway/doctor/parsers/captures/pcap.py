"""Captures in the formats pcap and pcapng, of any size, read as a stream.

They come from Wireshark, tcpdump, ``pktmon etl2pcap`` or etl2pcapng, which makes them of the
traces of ``netsh trace start capture=yes``. There is no text; what is quoted is the packet's number
as Wireshark shows it.
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from throughway.doctor.parser import Parser
from throughway.doctor.parsers.captures.exchanges import Exchanges
from throughway.doctor.parsers.captures.notices import Notices
from throughway.doctor.parsers.captures.streams import Streams
from throughway.model.errors import ParseError, WireError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import Capture
from throughway.proto.flows.fragments import FragmentsReceived
from throughway.proto.flows.tcp import TCPFlow
from throughway.proto.flows.tracker import ErrorReceived, ESPReceived, Tracker
from throughway.wire.link import HEADER_LENGTHS, refusal
from throughway.wire.pcap import Reader, is_capture
from throughway.wire.quiet import QuietFlows

CHUNK = 1 << 20
"""Bytes that are read at a time."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the capture as a whole, then what happened in it, each thing once."""
    quiet = QuietFlows()
    reader, tracker = Reader(quiet), Tracker(quiet)
    exchanges, streams = Exchanges(evidence.file), Streams(evidence.file)
    notices = Notices(evidence.file)
    opened = evidence.open() if evidence.open else io.BytesIO(evidence.content)
    broken = ""
    with opened as file:
        try:
            _follow(file, reader, tracker, exchanges, streams, notices)
        except WireError as error:
            broken = str(error)
    if reader.format is None and not (broken or reader.incomplete):
        return
    streams.ended = reader.last_timestamp
    tracker.finish()
    _drain(tracker, exchanges, streams, notices)
    if not reader.count and (broken or reader.incomplete):
        raise ParseError(broken or "the capture ends within its first packet")
    yield replace(_whole(reader, evidence.file), truncated=bool(broken or reader.incomplete))
    yield from streams.facts()
    yield from exchanges.facts()
    yield from notices.facts()
    _refuse_links(reader)


def _follow(
    file: BinaryIO,
    reader: Reader,
    tracker: Tracker,
    exchanges: Exchanges,
    streams: Streams,
    notices: Notices,
) -> None:
    while chunk := file.read(CHUNK):
        reader.receive_data(chunk)
        for packet in reader.packets():
            tracker.receive_packet(packet, reader.count)
            _drain(tracker, exchanges, streams, notices)


def _drain(tracker: Tracker, exchanges: Exchanges, streams: Streams, notices: Notices) -> None:
    while (event := tracker.next_event()) is not None:
        if isinstance(event, TCPFlow):
            streams.add(event)
        elif isinstance(event, ErrorReceived | ESPReceived | FragmentsReceived):
            notices.add(event)
        else:
            exchanges.add(event)


def _whole(reader: Reader, file: str) -> Capture:
    return Capture(
        source=Source(file),
        packets=reader.count,
        began=reader.first_timestamp,
        ended=reader.last_timestamp,
    )


def _refuse_links(reader: Reader) -> None:
    """Say so when nothing could be read because of the kind of link."""
    kinds = {interface.link_type for interface in reader.interfaces}
    if kinds and not any(kind in HEADER_LENGTHS for kind in kinds):
        raise ParseError("; ".join(sorted(map(refusal, kinds))))


PARSER = Parser(name="network capture", parse=parse, magic=is_capture)
