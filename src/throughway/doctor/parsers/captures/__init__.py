"""Network captures and traces."""

from throughway.doctor.parser import Parser
from throughway.doctor.parsers.captures import etl, pcap

PARSERS: tuple[Parser, ...] = (pcap.PARSER, etl.PARSER)
