"""What was seen of the lab's faults, as it is kept between two runs of the matrix."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bench.busy import Answered
from bench.flapping import FLAPPING, Flapped
from throughway.lab.faults import FAULTS, Fault
from throughway.lab.faults.pairs import PAIRS, Pair
from throughway.lab.trial import Said, Seen, Together

FOLDER = Path(__file__).parent / "results"
T = TypeVar("T")


@dataclass(slots=True)
class Results:
    """All that was seen, by the name of what was tried."""

    faults: dict[str, Seen] = field(default_factory=dict)
    pairs: dict[str, Together] = field(default_factory=dict)
    flapped: dict[str, Flapped] = field(default_factory=dict)
    busy: dict[str, Answered] = field(default_factory=dict)

    def good(self, work: Fault | Pair) -> bool:
        """Whether that was tried and came out as wanted."""
        if isinstance(work, Pair):
            together = self.pairs.get(work.name)
            return together is not None and together.as_wanted(work)
        seen = self.faults.get(work.name)
        return seen is not None and seen.as_wanted(work)

    def took(self, work: Fault | Pair) -> float:
        """Return for how long it was tried the last time; much, when it never was."""
        known = (self.pairs if isinstance(work, Pair) else self.faults).get(work.name)
        return known.took if known is not None else float("inf")


def load(folder: Path = FOLDER) -> Results:
    """Return what was seen before, of what there still is."""
    return Results(
        faults=_read(folder / "faults.jsonl", FAULTS, _seen),
        pairs=_read(folder / "fault-pairs.jsonl", [pair.name for pair in PAIRS], _together),
        flapped=_read(folder / "fault-flapping.jsonl", FLAPPING, lambda one: Flapped(**one)),
        busy=_read(folder / "fault-busy.jsonl", None, lambda one: Answered(**one)),
    )


def save(results: Results, folder: Path = FOLDER) -> None:
    """Keep what was seen, in the order of what there is; a reader sees the old or the new."""
    _write(folder / "faults.jsonl", results.faults, FAULTS)
    _write(folder / "fault-pairs.jsonl", results.pairs, [pair.name for pair in PAIRS])
    _write(folder / "fault-flapping.jsonl", results.flapped, FLAPPING)
    _write(folder / "fault-busy.jsonl", results.busy, results.busy)


def _read(
    file: Path, there: Iterable[str] | None, make: Callable[[dict[str, Any]], T]
) -> dict[str, T]:
    lines = file.read_text().splitlines() if file.exists() else []
    known = set(there) if there is not None else None
    rows = {one.pop("name"): one for one in map(json.loads, lines)}
    return {name: make(one) for name, one in rows.items() if known is None or name in known}


def _write(file: Path, seen: Mapping[str, Any], order: Iterable[str]) -> None:
    if not seen:
        return
    rows = [json.dumps({"name": name, **asdict(seen[name])}) for name in order if name in seen]
    written = file.with_suffix(".new")
    written.write_text("".join(f"{row}\n" for row in rows))
    written.replace(file)


def _seen(values: dict[str, Any]) -> Seen:
    ends = {end: _said(values[end]) for end in ("client", "gateway")}
    return Seen(**(values | ends | {"leaked": tuple(values["leaked"])}))


def _said(values: dict[str, Any]) -> Said:
    doctor = values.get("doctor")
    tuples = {
        "others": tuple(values["others"]),
        "doctor": None if doctor is None else tuple(doctor),
    }
    return Said(**(values | tuples))


def _together(values: dict[str, Any]) -> Together:
    found = values["found"]
    tuples = {"shown": tuple(values["shown"]), "found": None if found is None else tuple(found)}
    return Together(**(values | tuples))
