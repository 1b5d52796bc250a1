"""Domain controllers and group policy."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
