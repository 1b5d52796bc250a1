"""No input takes more than a second a MiB: hostile texts made of what each parser knows.

The sizes are such that what is not linear takes many times the limit. Seconds are those of a
machine of a known pace (``tests.measured``), since this one may be slow or do other things.
"""

import contextlib
import io
import itertools
import re
import resource
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.measured import examined_within, seconds
from tests.packets import ethernet, ip, tcp
from throughway.doctor.examination import examine_bundle
from throughway.doctor.parser import Parser, find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.sources.bundle import Bundle, read
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence

EVIDENCE = Path(__file__).parent.parent / "evidence"
KIB = 1024
SIZE = 96 * KIB
"""Of each text for a parser; the slow ones that were found took a minute for it."""
WHOLE = 512 * KIB
"""Of each text for the whole way."""
FLOOR = 0.6
"""Seconds that small inputs may take whatever their size is: caches, collection of garbage."""
MEBIBYTES = 100
LINES = 5
"""Lines of each sample that are repeated; the whole of it is as well."""
VALUE = re.compile(r"(\s*\S.{0,60}?[:=]\s*)(\S.*)$")
ROUTES = "get-netroute"
CLIXML = '#< CLIXML\r\n<Objs xmlns="http://schemas.microsoft.com/powershell/2004/04">'
ROUTE = '<Obj><MS><S N="DestinationPrefix">::/0</S><S N="NextHop">::</S></MS></Obj>'
EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>4653</EventID></System>"
)
ENTITIES = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">%s]>' % "".join(  # noqa: UP031 - XML has braces
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in itertools.pairwise("abcdefghij")
)


def filled(piece: str, size: int = WHOLE) -> str:
    """Return whole pieces, about as many as fit."""
    return piece * (size // len(piece) + 1)


@cache
def samples() -> dict[Parser, list[Evidence]]:
    """Return the longest piece of evidence for each parser, and one in other words."""
    known: dict[Parser, list[Evidence]] = {}
    for item in sorted(read([EVIDENCE]).evidence, key=lambda item: -len(item.text)):
        for parser in find(item, PARSERS) if item.text else ():
            known.setdefault(parser, []).append(item)
    return {parser: [items[0], items[len(items) // 2]] for parser, items in known.items()}


def hostile(text: str) -> Iterator[str]:
    """Yield texts made of what a sample says."""
    lines = [line for line in dict.fromkeys(text.split("\n")) if line.strip()]
    head = "\n".join(text.split("\n")[:6]) + "\n"
    yield filled(f"{text[:8000]}\n", SIZE)
    for line in lines[:: max(1, len(lines) // LINES)]:
        yield head + filled(f"{line}\n", SIZE)
        yield head + filled(line, SIZE)
        if match := VALUE.match(line):
            yield head + match[1] + filled(match[2], SIZE)
            yield head + filled(match[1], SIZE)


def parsed(parser: Parser, evidence: Evidence) -> None:
    with contextlib.suppress(ParseError):
        for _ in parser.parse(evidence):
            pass


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_what_a_parser_knows_takes_it_no_longer(parser: Parser) -> None:
    for sample in samples().get(parser, ()):
        for text in hostile(sample.text):
            evidence = Evidence(sample.file, text, command=sample.command)
            limit = FLOOR + len(text) / KIB / KIB
            taken = seconds(lambda evidence=evidence: parsed(parser, evidence), limit)  # type: ignore[misc]
            assert taken < limit, text[:300]


def nested(opening: str, closing: str, inner: str = "") -> str:
    times = WHOLE // len(opening + closing)
    return opening * times + inner + closing * times


TEXTS: dict[str, tuple[str, Callable[[], str]]] = {
    "JSON, many objects": (
        f"{ROUTES}.json",
        lambda: "[" + filled('{"DestinationPrefix":"::/0","NextHop":"::"},') + "{}]",
    ),
    "JSON, empty objects": (
        f"{ROUTES}.json",
        lambda: '[{"DestinationPrefix":"::/0"},' + filled("{},") + "{}]",
    ),
    "JSON, one key": (f"{ROUTES}.json", lambda: "[{" + filled('"k":1,') + '"k":1}]'),
    "JSON, names in other words": (
        f"{ROUTES}.json",
        lambda: "[" + filled('{"\\u0041":1},') + "{}]",
    ),
    "JSON, nested": (f"{ROUTES}.json", lambda: nested("[", "]")),
    "JSON, nested values": (f"{ROUTES}.json", lambda: '[{"NextHop":' + nested('{"a":', "}", "1")),
    "JSON, digits": (f"{ROUTES}.json", lambda: '[{"ifIndex":' + filled("9") + "}]"),
    "CliXml, many objects": (f"{ROUTES}.xml", lambda: CLIXML + filled(ROUTE) + "</Objs>"),
    "CliXml, no names": (
        f"{ROUTES}.xml",
        lambda: CLIXML + ROUTE + "<Obj><MS>" + filled("<S/>") + "</MS></Obj></Objs>",
    ),
    "CliXml, nested": (
        f"{ROUTES}.xml",
        lambda: CLIXML + nested("<Obj><MS>", "</MS></Obj>") + "</Objs>",
    ),
    "CliXml, entities": (f"{ROUTES}.xml", lambda: ENTITIES + CLIXML + "<S>&j;</S></Objs>"),
    "CSV, many": (f"{ROUTES}.csv", lambda: '"DestinationPrefix","NextHop"\n' + filled('"a"\n')),
    "CSV, wide": (f"{ROUTES}.csv", lambda: filled('"a",', WHOLE) + "\n" + filled('"a",', WHOLE)),
    "CSV, quotes": (f"{ROUTES}.csv", lambda: '"DestinationPrefix"\n' + filled('"')),
    "events, many": ("events.xml", lambda: filled(EVENT + "</Event>")),
    "events, much data": (
        "events.xml",
        lambda: EVENT + "<EventData>" + filled("<Data Name='a'>b</Data>") + "</EventData></Event>",
    ),
    "events, nested": ("events.xml", lambda: EVENT + nested("<a>", "</a>") + "</Event>"),
    "events, entities": (
        "events.xml",
        lambda: ENTITIES + EVENT + "<EventData><Data>&j;</Data></EventData></Event>",
    ),
    "a page, comments": ("a.html", lambda: "<html><body>" + filled("<!--")),
    "a page, cells": ("a.html", lambda: "<html><body>" + filled("<td>a</td> ")),
    "registry, many": (
        "a.reg",
        lambda: "Windows Registry Editor Version 5.00\n\n" + filled('[HKEY_X\\Y]\n"Name"="a"\n'),
    ),
    "registry, endless": (
        "a.reg",
        lambda: (
            "Windows Registry Editor Version 5.00\n\n[HKEY_X]\n" + '"a"=hex:' + filled("0,\\\n")
        ),
    ),
    "certificates": ("a.pem", lambda: filled("-----BEGIN CERTIFICATE-----\nMIIB\n")),
    "prompts": ("a.txt", lambda: filled("C:\\>netsh interface teredo show state\n", WHOLE // 4)),
    "quotes": ("a.txt", lambda: filled("> > > > > > > a : b\n")),
    "blank lines": ("a.txt", lambda: "Role : client\n" + filled("\n")),
    "outputs of one line": (
        "a.txt",
        lambda: filled("2026-02-01T10:31:12.1234567+01:00\n", KIB * 90),
    ),
    "outputs, few": (
        "a.txt",
        lambda: filled("Windows IP Configuration\n\n   A . . . : b\n" + "a : b\n" * 60, KIB * 300),
    ),
    "outputs, many": (
        "a.txt",
        lambda: filled("Issuer:\n  CN=a\n\nStatus : a\nSub    : b\n\nWinHttp Cache entries\n"),
    ),
    "titles": ("a.txt", lambda: filled("=== a ===\n")),
    "titles, few": ("a.txt", lambda: filled(f"=== a ===\n\n{'word ' * 60}\n\nStatus : a\n")),
    "rulers": ("a.txt", lambda: filled("-" * 30 + "\n")),
    "rulers and blank lines": ("a.txt", lambda: filled("-" * 30 + "\n" * 30)),
    "dashes": ("a.txt", lambda: "a\n" + filled("-")),
    "headings": ("a.txt", lambda: filled("Public Profile:\n------------------\nState  ON\n\n")),
    "documents": ("a.txt", lambda: filled('{\n"a"\n}\n[\n{\n')),
    "documents without end": ("a.txt", lambda: filled("<Objs \n#< CLIXML\n{\n")),
    "one line": ("a.txt", lambda: "Role : client " + filled(": a ")),
}


def examined(name: str, data: bytes, limit: float) -> bool:
    """Examine a file alone; return whether that kept within so many seconds."""

    def examine() -> None:
        bundle = Bundle()
        bundle.add(name, len(data), lambda: io.BytesIO(data))
        examine_bundle(bundle)

    return seconds(examine, limit) < limit


@pytest.mark.parametrize("what", TEXTS)
def test_the_whole_way_is_no_longer(what: str) -> None:
    name, made = TEXTS[what]
    data = made().encode()
    assert examined(name, data, FLOOR + 2 * len(data) / KIB / KIB)


@pytest.mark.parametrize(
    "case",
    [
        "iphttps-certificate-untrusted/evidence/session.txt",
        "two-independent-faults/evidence/nrpt.txt",
        "server-well/evidence/get-remoteaccess.txt",
    ],
)
def test_rules_are_asked_of_many_facts_no_longer(case: str) -> None:
    """Each of these took minutes when it was repeated: rules compared each fact with all."""
    sample = (EVIDENCE / "cases" / case).read_text()
    data = filled(sample, 1024 * KIB).encode()
    assert examined("a.txt", data, FLOOR + 1.5 * len(data) / KIB / KIB)


def test_a_capture_of_attempts_takes_no_longer() -> None:
    frames = [
        ethernet(
            ip(f"10.0.{n >> 8}.{n & 255}", "198.51.100.2", 6, tcp(b"", 2, ports=(1024 + n, 443)))
        )
        for n in range(6000)
    ]
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    data += b"".join(struct.pack("<4I", n, 0, len(f), len(f)) + f for n, f in enumerate(frames))
    assert examined("a.pcap", data, FLOOR + 2 * len(data) / KIB / KIB)


@pytest.mark.parametrize(
    "what",
    ["JSON, many objects", "CliXml, many objects", "events, entities", "prompts", "blank lines"],
)
def test_a_hundred_mebibytes_are_enough(what: str) -> None:
    name, made = TEXTS[what]
    assert examined_within(MEBIBYTES, name, made().encode()) == ("[]", "")


def test_a_bomb_in_an_archive_stays_in_bounds(tmp_path: Path) -> None:
    """Sixteen archives of a GiB each in one of a few MiB."""
    import zipfile

    inner = tmp_path / "inner.zip"
    with (
        zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.txt", "w") as member,
    ):
        for _ in range(32):
            member.write(b"Status : x\n" * 95_325)
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        for number in range(16):
            archive.write(inner, f"{number}.zip")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert examined("bomb.zip", outer.getvalue(), 15)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 250 * KIB
