"""Outputs pasted one below the other, without their prompts, say what they say alone."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from throughway.doctor.engine import Diagnosed
from throughway.doctor.examination import examine, examine_bundle
from throughway.doctor.hosts import tell_apart
from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parts import MAXIMUM_TEXT, parts
from throughway.doctor.reading import read_all
from throughway.doctor.sources.bundle import Bundle, read, read_text
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.transition import TeredoState
from throughway.model.findings import Severity

EVIDENCE = Path(__file__).parent.parent / "evidence"
SEVERAL = "netsh advfirewall monitor show consec"
"""The one command that prints outputs of others."""
SEPARATORS = {
    "a blank line": "\n\n",
    "blank lines": "\n\n\n\n",
    "titles": "\n\n=== {} ===\n\n",
    "titles without blank lines": "\n=== {} ===\n",
    "titles between dashes": "\n--- {} ---\n",
    "Markdown": "\n\n## {}\n\n",
    "boxes": f"\n\n{'*' * 30}\n*** {{}} ***\n{'*' * 30}\n\n",
    "rulers": f"\n\n{'=' * 70}\n",
}
CLOSE = {"nothing": "\n", "a ruler": f"\n{'-' * 40}\n"}
"""Where only the form tells; a line above dashes looks like a heading."""
TITLES = ("Network", "State now", "1. Tunnel", "Output 3", "DNS", "output", "Firewall")


class Output(NamedTuple):
    """One output alone, and what it says."""

    text: str
    facts: tuple[object, ...]


def plain(value: object, by: int = 0) -> object:
    """Return a fact as it can be compared, its lines further down."""
    if isinstance(value, Source):
        return value.text, value.line + by if value.line and value.text else None
    if is_dataclass(value):
        inner = (plain(getattr(value, field.name), by) for field in fields(value))
        return type(value).__name__, *inner
    if isinstance(value, tuple):
        return tuple(plain(item, by) for item in value)
    return repr(value)


@cache
def outputs() -> dict[str, list[Output]]:
    """Return whole outputs that are known by their form, for each machine."""
    known: dict[str, list[Output]] = defaultdict(list)
    for case in sorted((EVIDENCE / "cases").glob("healthy-*")):
        for item in read([case / "evidence"]).evidence:
            alone = Evidence("-", item.text.strip("\n"))
            found = read_all([alone], PARSERS)
            same = item.text and find(item, PARSERS)[:1] == find(alone, PARSERS)[:1]
            if same and found.facts and not found.unreadable:
                facts = tuple(fact for part in found.read for fact in part.facts)
                known[case.name].append(Output(alone.text, facts))
    return known


def pasted(
    separator: str, source: random.Random, *, every: bool = False
) -> Iterator[tuple[str, Counter[object]]]:
    """Yield texts of several outputs and what they say."""
    for machine in outputs().values():
        some = len(machine) if every else min(len(machine), source.randint(2, 12))
        chosen = source.sample(machine, some)
        text, said = "", Counter[object]()
        for output in chosen:
            text += separator.format(source.choice(TITLES))
            text = text if text.strip() or "{}" in separator else ""
            said.update(plain(fact, text.count("\n")) for fact in output.facts)
            text += output.text
        yield text, said


def says(text: str) -> Counter[object]:
    found = read_all(read_text(text).evidence, PARSERS)
    return Counter(plain(fact) for part in found.read for fact in part.facts)


def test_there_is_enough_to_paste() -> None:
    assert len(outputs()) > 8
    assert sum(map(len, outputs().values())) > 60


@pytest.mark.parametrize("separator", SEPARATORS)
def test_what_is_pasted_says_the_same_at_the_same_lines(separator: str) -> None:
    source = random.Random(separator)
    for _ in range(4):
        for text, said in pasted(SEPARATORS[separator], source):
            assert says(text) == said


@pytest.mark.parametrize("separator", CLOSE)
def test_what_is_pasted_closely_says_nearly_the_same(separator: str) -> None:
    source = random.Random(separator)
    texts = [pair for _ in range(4) for pair in pasted(CLOSE[separator], source)]
    other = sum(says(text) != said for text, said in texts)
    assert other <= 0.1 * len(texts)


@pytest.mark.parametrize("separator", [*SEPARATORS.values(), *CLOSE.values()])
def test_machines_that_are_well_stay_so(separator: str) -> None:
    source = random.Random(separator)
    for text, _ in pasted(separator, source, every=True):
        found = examine_bundle(read_text(text)).diagnosis.findings
        problems = [item.finding.problem for item in found]
        assert [p.code for p in problems if p.severity is not Severity.INFO] == []


FAULTY = [
    case
    for case in sorted((EVIDENCE / "cases").glob("*"))
    if len(list((case / "evidence").glob("*.txt"))) > 2 and not case.name.startswith("form-")
]


@pytest.mark.parametrize("case", FAULTY, ids=lambda case: case.name)
def test_a_case_in_one_file_is_the_same_case(case: Path) -> None:
    """What was found in separate files is found in one, first the same.

    Without what is known by its command alone: nothing tells it apart where the command is lost.
    """
    items = [item for item in read([case / "evidence"]).evidence if item.text]
    items = [i for i in items if find(Evidence("-", i.text), PARSERS)[:1] == find(i, PARSERS)[:1]]
    assert len(items) > 1
    apart = examine_bundle(Bundle(items)).diagnosis.findings
    text = "\n\n\n".join(item.text.strip("\n") for item in items)
    together = examine_bundle(read_text(text)).diagnosis.findings
    assert [d.finding.problem.code for d in together][:1] == [
        d.finding.problem.code for d in apart
    ][:1]


def test_what_is_one_output_stays_whole() -> None:
    items = [item for item in read([EVIDENCE]).evidence if item.text and item.command != SEVERAL]
    cut = [(i.file, i.first_line) for i in items if parts(i, PARSERS) != [i]]
    assert len(items) > 1000
    assert cut == []


def kinds(text: str, command: str = "") -> list[tuple[int, str, str]]:
    """Return line, command and kind of each part."""
    found = parts(Evidence("-", text, command=command), PARSERS)
    return [(p.first_line, p.command, next((k.name for k in find(p, PARSERS)), "")) for p in found]


TEREDO = "Teredo Parameters\n----------------------------\nType : client\nState : dormant\n"
PROXY = "Current WinHTTP proxy settings:\n\n    Direct access (no proxy server).\n"
SOMETHING = "Whatever this is:\n  it is known to nobody\n"


def test_a_title_names_what_its_form_does_not() -> None:
    text = f"# ours\n{PROXY}\n=== teredo ===\n{TEREDO}\n=== ping ===\n{SOMETHING}"
    assert [kind for _, _, kind in kinds(text)] == [
        "netsh winhttp show proxy",
        "netsh interface teredo show state",
        "ping HOST",
    ]


def test_what_was_typed_is_forgotten_where_others_were_pasted_behind_it() -> None:
    command = "netsh interface teredo show state"
    found = kinds(f"{TEREDO}\n{PROXY}", command)
    assert found == [(1, command, command), (6, "", "netsh winhttp show proxy")]


def test_titles_are_no_part_of_an_output() -> None:
    text = f"=== Proxy ===\n\n{PROXY}\n=== Teredo ===\n\n{TEREDO}"
    found = parts(Evidence("-", text), PARSERS)
    assert [part.text.strip() for part in found] == [PROXY.strip(), TEREDO.strip()]
    assert [part.first_line for part in found] == [3, 9]


def test_lines_are_counted_where_each_other_one_is_blank() -> None:
    text = f"{PROXY}\n{TEREDO}"
    found = parts(Evidence("-", text, first_line=2, step=2), PARSERS)
    assert [part.first_line for part in found] == [2, 10]


def test_what_is_too_long_to_be_pasted_stays_whole() -> None:
    text = f"{PROXY}\n{TEREDO}\n" + "a\n" * (MAXIMUM_TEXT // 2)
    assert len(parts(Evidence("-", text), PARSERS)) == 1


@pytest.mark.parametrize("text", ["", "\n\n", "a", "=== a ===", "---\n---\n", "## a\n\n## b\n"])
def test_nothing_is_nothing(text: str) -> None:
    evidence = Evidence("-", text)
    assert parts(evidence, PARSERS) == [evidence]


def test_a_later_state_stands_for_an_earlier_one_of_the_same_machine() -> None:
    failed = TEREDO.replace("dormant", "offline\nError : client is in a managed network")
    well = TEREDO.replace("dormant", "qualified")
    assert [d.finding.problem.code for d in diagnosed(failed)] == ["teredo-managed-network"]
    assert [d.finding.problem.code for d in diagnosed(f"{failed}\n{well}")] == []
    assert [d.finding.problem.code for d in diagnosed(f"{well}\n{failed}")] == [
        "teredo-managed-network"
    ]


def test_a_state_of_the_server_does_not_stand_for_the_clients() -> None:
    failed = TEREDO.replace("dormant", "offline\nError : client is in a managed network")
    server = TEREDO.replace("client", "server").replace("dormant", "online")
    read = read_all(read_text(f"{failed}\n{server}").evidence, PARSERS).read
    states = [fact for _, facts in tell_apart(read) for fact in facts]
    assert [state.type for state in states if isinstance(state, TeredoState)] == [
        "client",
        "server",
    ]


def diagnosed(text: str) -> tuple[Diagnosed, ...]:
    return examine_bundle(read_text(text)).diagnosis.findings


ONLY_THE_COMMAND_SAYS = {
    "dns64-gives-only-ipv4": "which records were asked for",
    "error-line-alone": "that an error alone is that of IP-HTTPS",
    "two-codes-of-one-fault": "that an error alone is that of IP-HTTPS",
    "form-p3-no-rules": "which rules were asked for",
    "form-p3-no-rules-de": "which rules were asked for",
    "form-p3-no-sa-cert-expired": "that a lone date is today's",
    "form-tunnels-infra-only": "what did not answer",
    "form-url-too-long": "of what there is more",
    "form-url-too-long-de": "of what there is more",
    "form-url-too-long-zh": "of what there is more",
}
"""Cases whose cause nobody could tell from the outputs alone."""


def pasteable() -> list[Path]:
    """Return the cases that are all text."""
    cases = sorted((EVIDENCE / "cases").iterdir())
    return [c for c in cases if all(item.text for item in read([c / "evidence"]).evidence)]


@pytest.mark.parametrize("case", pasteable(), ids=lambda case: case.name)
def test_a_case_in_one_text_without_prompts_keeps_its_cause(case: Path) -> None:
    known = examine([case / "evidence"]).diagnosis.findings[:1]
    outputs = [item.text.strip("\n") for item in read([case / "evidence"]).evidence]
    found = examine_bundle(read_text("\n\n".join(outputs))).diagnosis.findings[:1]
    causes = [[d.finding.problem.code for d in each] for each in (known, found)]
    if case.name in ONLY_THE_COMMAND_SAYS:
        assert causes[0] != causes[1], "it can be told: take it off the list"
    else:
        assert causes[0] == causes[1]
