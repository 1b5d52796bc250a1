"""The DirectAccess server: its configuration and Operations Status."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
