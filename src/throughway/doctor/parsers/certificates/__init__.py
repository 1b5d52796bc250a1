"""Certificates and revocation lists, as certutil prints them and as files."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
