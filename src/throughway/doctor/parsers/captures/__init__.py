"""Network captures and traces."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
