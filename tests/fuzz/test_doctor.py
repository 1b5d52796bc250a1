"""Hostile evidence: of every parser and every reader only the errors that are promised come out.

Real inputs are cut off, mixed, blown up and overwritten, and given to everybody: to the parser
they are for, to all the others, and to the readers of folders and archives. The number of rounds
can be raised: ``THROUGHWAY_FUZZ_ROUNDS=200 pytest tests/fuzz/test_doctor.py``.
"""

import io
import os
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.measured import examined_within, seconds
from throughway.doctor.examination import examine_bundle
from throughway.doctor.parser import Parser
from throughway.doctor.parsers import PARSERS
from throughway.doctor.report import as_data
from throughway.doctor.report_html import as_html
from throughway.doctor.report_markdown import as_markdown
from throughway.doctor.report_terminal import plain
from throughway.doctor.sources.bundle import Bundle
from throughway.doctor.sources.decoding import decode
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence

EVIDENCE = Path(__file__).parent.parent / "evidence"
ROUNDS = int(os.environ.get("THROUGHWAY_FUZZ_ROUNDS", "2"))
SEED = int(os.environ.get("THROUGHWAY_FUZZ_SEED", "4"))
FILES = sorted(path for path in EVIDENCE.rglob("*") if path.is_file() and path.name[0] != ".")
SMALL = [path for path in FILES if path.stat().st_size < 64 * 1024]
SIZE = 64 * 1024
SECONDS = 0.2
"""For SIZE bytes of the shortest lines; what is not linear takes many times as long."""
MEBIBYTES = 100
PIECES = (
    *(" ", "\t", "\n", ":", " : ", "-", "=", "|", ",", ".", "0", "a", "a b ", "1.", "::", "0x"),
    *("{", "[", "(", '"', "'", "<", ">", "\\", "<a>", "{a}", '{"a":', "[{", "a : b\n", "a:b\n"),
    *("----\n", "x  y  z\n", " . . :", '"a","b"\n', "CN=a,", "S-1-5-", "fe80::", "a" * 80 + "\n"),
    *(" " * 80 + "x", "\n\n", "\u3000", "\u00e9", "<Event>", "#< CLIXML\n<Objs", "1/2/2024 "),
    *("==== Certificate 0 ====\n", "Rule Name: x\n---\n", "Status : x\n", "Role:\n", "%", "* "),
    *(":\n", "=\n", " : \n", " " * 2046 + "x\n", "a" * 2047 + "\n"),
)

Mutation = Callable[[random.Random, bytes], bytes]


def cut_off(source: random.Random, data: bytes) -> bytes:
    return data[: source.randrange(len(data) + 1)]


def beginning_lost(source: random.Random, data: bytes) -> bytes:
    return data[source.randrange(len(data) + 1) :]


def overwritten(source: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randrange(1, 20)):
        if changed:
            changed[source.randrange(len(changed))] = source.randrange(256)
    return bytes(changed)


def inserted(source: random.Random, data: bytes) -> bytes:
    at = source.randrange(len(data) + 1)
    piece = source.choice(PIECES).encode() * source.randrange(1, 200)
    return data[:at] + piece + data[at:]


def lines_mixed(source: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    source.shuffle(lines)
    return b"\n".join(lines)


def lines_repeated(source: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = source.randrange(len(lines))
    return b"\n".join(lines[:at] + [lines[at]] * source.randrange(1, 500) + lines[at:])


def numbers_changed(source: random.Random, data: bytes) -> bytes:
    for old in source.sample(range(10), 3):
        new = source.choice([b"", b"99999999999999999999", b"-", b"0x", b"\xc2\xb2", b"e999"])
        data = data.replace(str(old).encode(), new, source.randrange(1, 9))
    return data


def labels_changed(source: random.Random, data: bytes) -> bytes:
    """As in a language that nobody knows: the words before colons are others."""
    lines = []
    for line in data.split(b"\n"):
        label, colon, value = line.partition(b":")
        letters = bytes(source.choice(b"aeioubdfgklmnprst") for _ in label.strip())
        indent = label[: len(label) - len(label.lstrip())]
        lines.append(indent + letters + colon + value if colon else line)
    return b"\n".join(lines)


def doubled(source: random.Random, data: bytes) -> bytes:
    return data + data[source.randrange(len(data) + 1) :]


def wide(source: random.Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(
        source.choice(["utf-16", "utf-16-le", "utf-16-be", "cp850", "cp936"]), "replace"
    )


MUTATIONS: tuple[Mutation, ...] = (
    cut_off,
    beginning_lost,
    overwritten,
    inserted,
    lines_mixed,
    lines_repeated,
    numbers_changed,
    labels_changed,
    doubled,
    wide,
)


def mutants(path: Path) -> Iterator[bytes]:
    source = random.Random(f"{SEED}/{path.relative_to(EVIDENCE)}")
    data = path.read_bytes()
    for _ in range(ROUNDS):
        mutation, second = source.choice(MUTATIONS), source.choice(MUTATIONS)
        once = mutation(source, data)
        yield once
        yield second(source, once)[:SIZE]


def parsed(parser: Parser, evidence: Evidence) -> int:
    """Let one parser read it; return the number of facts."""
    try:
        return sum(1 for _ in parser.parse(evidence))
    except ParseError:
        return 0


@pytest.mark.parametrize("folder", sorted({path.parent for path in SMALL}), ids=lambda p: p.name)
def test_whole_examinations(folder: Path) -> None:
    """Nothing at all escapes, and every report can be written."""
    for path in (path for path in SMALL if path.parent == folder):
        for data in mutants(path):
            bundle = Bundle()
            bundle.add(path.name, len(data), lambda data=data: io.BytesIO(data))  # type: ignore[misc]
            examination = examine_bundle(bundle)
            assert as_data(examination)["schema"] == 1
            assert as_html(examination)
            assert as_markdown(examination)
            assert list(plain(examination))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_every_parser_takes_what_is_not_for_it(parser: Parser) -> None:
    source = random.Random(f"{SEED}/{parser.name}")
    for path in source.sample(SMALL, min(len(SMALL), 30 * ROUNDS)):
        data = source.choice(MUTATIONS)(source, path.read_bytes())[:SIZE]
        parsed(parser, Evidence(path.name, decode(data) or ""))
        parsed(parser, Evidence(path.name, content=data, open=lambda data=data: io.BytesIO(data)))  # type: ignore[misc]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_no_text_takes_a_parser_long_or_much(parser: Parser) -> None:
    slow = {}
    for piece in PIECES:
        text = (piece * (SIZE // len(piece) + 1))[:SIZE]
        evidence = Evidence("x.txt", text)
        taken = seconds(lambda evidence=evidence: parsed(parser, evidence), SECONDS)  # type: ignore[misc]
        if taken > SECONDS:
            slow[piece] = round(taken, 2)
    assert slow == {}


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_the_whole_way_long_or_much(piece: str) -> None:
    data = (piece * (SIZE // len(piece) + 1))[:SIZE].encode()

    def examined() -> None:
        bundle = Bundle()
        bundle.add("x.txt", len(data), lambda: io.BytesIO(data))
        examine_bundle(bundle)

    assert seconds(examined, 3 * SECONDS) < 3 * SECONDS


def test_memory_is_bounded() -> None:
    longest = sorted(FILES, key=lambda path: path.stat().st_size)[-8:]
    for path in longest:
        data = (path.read_bytes() * 40)[: 1024 * 1024]
        assert examined_within(MEBIBYTES, path.name, data) == ("[]", ""), path


def archives() -> Iterator[tuple[str, bytes]]:
    content = {path.name: path.read_bytes() for path in SMALL[:6]}
    for mode in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", mode) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        yield f"{mode}.zip", buffer.getvalue()
    for kind in ("w", "w:gz", "w:bz2", "w:xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=kind) as tar:
            for name, data in content.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        yield f"{kind[2:]}.tar", buffer.getvalue()


@pytest.mark.parametrize(("name", "data"), list(archives()), ids=lambda value: str(value)[:8])
def test_archives_that_are_broken(name: str, data: bytes) -> None:
    source = random.Random(f"{SEED}/{name}")
    for _ in range(40 * ROUNDS):
        mutation = source.choice([cut_off, overwritten, beginning_lost, inserted, doubled])
        broken = mutation(source, data)
        bundle = Bundle()
        bundle.add(name, len(broken), lambda broken=broken: io.BytesIO(broken))  # type: ignore[misc]
        examine_bundle(bundle)


def test_bytes_of_every_kind_are_decoded_or_are_no_text() -> None:
    source = random.Random(SEED)
    for length in (0, 1, 2, 3, 100, 5000):
        for _ in range(50 * ROUNDS):
            text = decode(source.randbytes(length))
            assert text is None or "\r" not in text
