"""The registry: reg query, exports, Registry.pol."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
