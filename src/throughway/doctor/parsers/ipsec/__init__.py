"""Security associations and the audit policy."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
