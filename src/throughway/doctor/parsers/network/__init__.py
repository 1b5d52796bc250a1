"""The machine, its adapters, routes, proxies and tests of reachability."""

from throughway.doctor.parser import Parser

PARSERS: tuple[Parser, ...] = ()
