"""Evidence as people copy it: other encodings, quote marks, indentation, narrow consoles.

A copy that keeps every word is read as the original; from one that lost some nothing is made that
the original does not say.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from tests.doctor.test_rules import EVIDENCE, bundles, consequences
from throughway.doctor.examination import Examination, examine_bundle
from throughway.doctor.sources.bundle import Bundle
from throughway.doctor.sources.decoding import decode
from throughway.model.evidence import Source

Copy = Callable[[str], bytes]
Files = tuple[tuple[str, str], ...]


def by_lines(change: Callable[[str], str]) -> Copy:
    return lambda text: "\n".join(map(change, text.split("\n"))).encode()


WHOLE: dict[str, Copy] = {
    "utf-16 with a mark": lambda text: text.encode("utf-16"),
    "utf-16 of the other order": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "line ends written twice": lambda text: text.replace("\n", "\r\r\n").encode(),
    "quoted": by_lines(lambda line: f"> {line}"),
    "quoted without a blank": by_lines(lambda line: f">{line}"),
    "quoted in a quotation": by_lines(lambda line: f"> > {line}"),
    "indented": by_lines(lambda line: f"    {line}"),
    "indented by a tabulator": by_lines(lambda line: f"\t{line}"),
    "padded": by_lines(lambda line: line + "   "),
    "listed in Markdown": lambda text: f"```text\n{text}\n```\n".encode(),
}
LOSSY: dict[str, Copy] = {
    "without indentation": by_lines(str.strip),
    "runs of blanks made one": by_lines(lambda line: re.sub(" {2,}", " ", line)),
    "runs of blanks made a tabulator": by_lines(lambda line: re.sub(" {2,}", "\t", line)),
    "cut off at 79 columns": by_lines(lambda line: line[:79]),
    "broken at 80 columns": by_lines(lambda line: re.sub("(.{80})", "\\1\n", line)),
    "with a blank line after each": lambda text: text.replace("\n", "\n\n").encode(),
}
MORE_GENERAL = {"gpo-deleted": "server-config-not-retrieved", "gpo-not-linked": "-"}
MORE_GENERAL["gpo-not-linked"] = MORE_GENERAL["gpo-deleted"]
"""What is left of a sentence that says more where it was cut off."""


@cache
def originals() -> tuple[Files, ...]:
    """Return every bundle of which all files are texts."""
    folders = [f for code in EVIDENCE.iterdir() for part in code.iterdir() for f in bundles(part)]
    read = (tuple(files_of(folder)) for folder in sorted(folders) if folder.is_dir())
    return tuple(files for files in read if files)


def files_of(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and (text := decode(file.read_bytes())):
            yield file.relative_to(EVIDENCE).as_posix(), text


def examined(files: Files, copy: Copy = str.encode) -> Examination:
    return examine_bundle(bundled(files, copy))


def bundled(files: Files, copy: Copy = str.encode) -> Bundle:
    bundle = Bundle()
    for name, text in files:
        content = copy(text)
        bundle.add(name, len(content), lambda content=content: io.BytesIO(content))  # type: ignore[misc]
    return bundle


def facts(examination: Examination) -> list[tuple[object, ...]]:
    """Return the facts without the places they were read from."""
    return [
        (type(fact), *(placeless(getattr(fact, f.name)) for f in fields(fact)))
        for item in examination.reading.read
        for fact in item.facts
    ]


def placeless(value: object) -> object:
    """Leave out where a value stands: a copy may have more lines before it."""
    if isinstance(value, Source):
        return None
    return tuple(map(placeless, value)) if isinstance(value, tuple) else value


def codes(examination: Examination) -> set[str]:
    found = examination.diagnosis.findings
    return {item.finding.problem.code for item in (*found, *consequences(found))}


@cache
def expected() -> tuple[tuple[Files, list[tuple[object, ...]], set[str]], ...]:
    return tuple((f, facts(e), codes(e)) for f in originals() if (e := examined(f)))


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_copy_is_read_as_the_original(name: str) -> None:
    for files, said, found in expected():
        if bundled(files, WHOLE[name]).evidence == bundled(files).evidence:
            continue  # Nothing that is examined differs.
        copied = examined(files, WHOLE[name])
        assert facts(copied) == said, files[0][0]
        assert codes(copied) == found, files[0][0]


@pytest.mark.parametrize("name", LOSSY)
def test_nothing_is_said_of_a_poor_copy_that_is_not_said_of_the_original(name: str) -> None:
    for files, _, found in expected():
        general = {MORE_GENERAL[code] for code in found & MORE_GENERAL.keys()}
        assert codes(examined(files, LOSSY[name])) - found - general == set(), files[0][0]
