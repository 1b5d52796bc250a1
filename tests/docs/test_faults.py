"""docs/operate/faults.md is what was seen of the faults that there are."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import fault_page, fault_results, matrix
from bench.busy import LIMIT, Answered
from bench.fault_results import Results
from bench.flapping import FLAPPING, MAX_LINES, Flapped
from throughway.health.checking import HISTORY_LENGTH
from throughway.lab.faults import FAULTS
from throughway.lab.faults.pairs import PAIRS
from throughway.lab.trial import Said, Seen, Together

NAME = "port-443-blocked"
FAULT = FAULTS[NAME]
GATEWAYS = FAULTS["route-unpublished"]
PAIR = PAIRS[0]


def as_wanted(name: str = NAME) -> Seen:
    fault = FAULTS[name]
    ends = [Said(code=code, after=2.0, doctor=(code,)) for code in (fault.client, fault.gateway)]
    found = [one if one.code else Said(doctor=()) for one in ends]
    return Seen(fault=name, client=found[0], gateway=found[1], recovered=3.0, took=20.0)


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_every_fault_and_every_pair_has_a_row() -> None:
    text = fault_page.build(Results())
    first = [row.split(" | ")[0].removeprefix("| ") for row in rows(text)]
    assert [one for one in first if one in FAULTS] == list(FAULTS)
    assert [one for one in first if " + " in one] == [pair.name for pair in PAIRS]


def test_the_page_is_made_from_the_results_of_the_faults_that_there_are() -> None:
    assert fault_page.PAGE.read_text() == fault_page.build(fault_results.load())


def test_what_is_as_wanted_is_told_without_brackets() -> None:
    row = fault_page.line(FAULT, as_wanted())
    assert row == (
        f"| {NAME} | {FAULT.title} | home | `iphttps-port-blocked`, 2 s | well |  |  | 3 s |  |"
    )


def test_what_is_not_as_wanted_stands_beside_what_was() -> None:
    row = fault_page.line(
        FAULT,
        Seen(
            fault=NAME,
            client=Said(code="clock-skew", doctor=("internet-down",)),
            gateway=Said(doctor=("clock-skew",)),
            recovered=-1.0,
            leaked=("a packet",),
        ),
    )
    assert "`clock-skew` (iphttps-port-blocked)" in row
    assert "client: `internet-down` (iphttps-port-blocked); gateway: `clock-skew` (well)" in row
    assert row.endswith("| not in time | **yes** |")


def test_what_follows_is_told_without_brackets() -> None:
    root = GATEWAYS.gateway
    seen = Seen(
        fault=GATEWAYS.name,
        client=Said(code="ipsec-negotiation-timeout", doctor=("nrpt-dns-server-unreachable",)),
        gateway=Said(code=root, after=3.0, doctor=(root,)),
        recovered=3.0,
        mended=7.0,
    )
    assert seen.as_wanted(GATEWAYS)
    row = fault_page.line(GATEWAYS, seen)
    assert "(" not in row
    assert "| client: `nrpt-dns-server-unreachable` | 7 s | 3 s |" in row


def test_results_come_back_as_they_were_kept(tmp_path: Path) -> None:
    results = Results(
        faults={NAME: as_wanted()},
        pairs={PAIR.name: Together(pair=PAIR.name, shown=("a",), found=None, after=1.0)},
        flapped={FLAPPING[0]: Flapped(times=15, lines=100, recovered=2.0)},
        busy={"client": Answered(idle=0.5, middle=1.0, slowest=float("inf"), rate=80.0)},
    )
    fault_results.save(results, tmp_path)
    assert fault_results.load(tmp_path) == results


def test_what_is_no_fault_any_more_is_forgotten(tmp_path: Path) -> None:
    fault_results.save(Results(faults={NAME: as_wanted()}), tmp_path)
    file = tmp_path / "faults.jsonl"
    gone = json.dumps({**json.loads(file.read_text()), "name": "no-such-fault"})
    file.write_text(f"{file.read_text()}{gone}\n")
    assert list(fault_results.load(tmp_path).faults) == [NAME]


def test_what_flaps_is_bounded() -> None:
    well = Flapped(times=10, lines=int(10 * MAX_LINES), history=HISTORY_LENGTH, recovered=1.0)
    assert well.bounded
    assert not replace(well, lines=well.lines + 1).bounded
    assert not replace(well, history=well.history + 1).bounded
    assert not replace(well, recovered=-1.0).bounded
    assert not replace(well, error="no lab").bounded


def test_who_is_asked_answers_in_time() -> None:
    assert Answered(idle=0.5, middle=1.0, slowest=LIMIT, rate=80.0).bounded
    silent = Answered(idle=0.5, middle=1.0, slowest=float("inf"), rate=80.0)
    assert not silent.bounded
    assert "not answered" in fault_page.busy_line("client", silent)


def test_what_is_tried() -> None:
    results = Results(faults={NAME: as_wanted()})
    everything = matrix.wanted(matrix.parse([]), results)
    assert [work.name for work in everything] == [*FAULTS, *(pair.name for pair in PAIRS)]
    left = matrix.wanted(matrix.parse(["--left"]), results)
    assert [work.name for work in left] == [work.name for work in everything if work != FAULT]
    assert matrix.wanted(matrix.parse([NAME]), results) == [FAULT]
    assert matrix.wanted(matrix.parse(["--pairs"]), results) == list(PAIRS)
    assert matrix.wanted(matrix.parse(["--load"]), results) == []
    with pytest.raises(SystemExit):
        matrix.parse(["no-such-fault"])


def test_workers_stay_where_their_client_is_and_begin_with_what_takes_longest(
    tmp_path: Path,
) -> None:
    results = Results(faults={NAME: as_wanted()})
    said: list[str] = []
    names = (NAME, "proxy-gone", "captive-portal", "cable-pulled")
    queue = matrix.Queue(results, [FAULTS[name] for name in names], said.append, folder=tmp_path)
    order = []
    place = "office"
    while work := queue.take(place):
        place = work.place
        order.append(work.name)
    assert order == ["proxy-gone", "cable-pulled", NAME, "captive-portal"]
    queue.keep(FAULT, as_wanted())
    assert said[0].startswith("[1/4] as wanted | port-443-blocked |")
    assert list(fault_results.load(tmp_path).faults) == [NAME]
    queue.stopped = True
    queue.work.append(FAULT)
    assert queue.take("home") is None, "somebody has interrupted it"
