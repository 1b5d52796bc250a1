"""Event logs and the logs of the connectivity assistants."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
