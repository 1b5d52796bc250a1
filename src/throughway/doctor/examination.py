"""The whole way from paths to a diagnosis."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from throughway.doctor.engine import Diagnosis, diagnose
from throughway.doctor.hosts import tell_apart, with_captures
from throughway.doctor.parsers import PARSERS
from throughway.doctor.reading import Reading, read_all
from throughway.doctor.rules import RULES
from throughway.doctor.sources.bundle import Bundle, read
from throughway.model.facts.base import Fact, Host


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found in a bundle, and all that was met on the way."""

    diagnosis: Diagnosis
    hosts: tuple[Host, ...]
    reading: Reading
    unreadable: tuple[tuple[str, str], ...]
    """Files that could not even be opened, and why."""
    kinds: tuple[frozenset[type[Fact]], ...] = ()
    """Of which kinds the facts of each host are."""

    @property
    def could_tell(self) -> bool:
        """Whether there was anything to judge."""
        return self.reading.facts > 0


def examine(
    paths: Sequence[Path], stdin: BinaryIO | None = None, host: str | None = None
) -> Examination:
    """Read everything that was named and diagnose it; only one host, when one is named."""
    return examine_bundle(read(paths, stdin), host)


def examine_bundle(bundle: Bundle, host: str | None = None) -> Examination:
    """Diagnose what was read."""
    reading = read_all(bundle.evidence, PARSERS)
    machines = with_captures(tell_apart(reading.read))
    if host is not None:
        machines = [(h, facts) for h, facts in machines if host.lower() in _known_as(h)]
    diagnosis = diagnose(machines, RULES, reading.mistakes)
    return Examination(
        diagnosis,
        tuple(host for host, _ in machines),
        reading,
        tuple(bundle.unreadable),
        tuple(frozenset(type(fact) for fact in facts) for _, facts in machines),
    )


def _known_as(host: Host) -> set[str]:
    return {host.name.lower(), (host.role or "").lower()}
