"""Profiles and connection security rules of the Windows firewall."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
