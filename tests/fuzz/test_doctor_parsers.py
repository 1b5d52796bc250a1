"""Evidence that was cut off, mixed up or mutated: read, or said to be unreadable, no more."""

import contextlib
from dataclasses import replace
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from throughway.doctor.parser import Parser, find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.sources.bundle import read
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence

EVIDENCE = Path(__file__).parent.parent / "evidence"
SEEDS = tuple(item for item in read([EVIDENCE]).evidence if item.text)
MAXIMUM_SEED = 4000
"""Characters of a seed that are mutated; it holds every form of an output."""
WORDS = st.sampled_from(
    (
        *(
            "",
            "\n",
            ":",
            " : ",
            "----\n",
            "    ",
            "\\\\",
            "{",
            "}",
            "[",
            "<",
            '"',
            ",",
            "***",
            "\t",
        ),
        *("2001:db8::1", "192.0.2.1", "0x", "0xffffffffffff", "9" * 40, "-1", "N/A", "é", "\x00"),
    )
)


@st.composite
def mutated(draw: st.DrawFn) -> Evidence:
    seed = draw(st.sampled_from(SEEDS))
    text = seed.text[:MAXIMUM_SEED]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 60)))
        inserted = draw(st.one_of(WORDS, st.just(text[start:end] * 2)))
        text = text[:start] + inserted + text[end:]
    return replace(seed, text=text[: draw(st.integers(0, len(text)))])


def parse(evidence: Evidence, whole: Evidence) -> None:
    for parser in find(whole, PARSERS):
        with contextlib.suppress(ParseError):
            for fact in parser.parse(evidence):
                assert fact.source.file == evidence.file


@given(mutated())
def test_only_a_parse_error_may_escape(evidence: Evidence) -> None:
    parse(evidence, evidence)


@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_lines_in_another_order(seed: Evidence, random: Random) -> None:
    lines = seed.text[:MAXIMUM_SEED].split("\n")
    random.shuffle(lines)
    parse(replace(seed, text="\n".join(lines)), seed)


@given(st.sampled_from(PARSERS), st.text(max_size=300))
def test_any_text(parser: Parser, text: str) -> None:
    with contextlib.suppress(ParseError):
        list(parser.parse(Evidence("a.txt", text)))
