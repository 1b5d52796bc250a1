"""The kinds of steps that remedies are made of: each can say itself, do itself, and be undone.

What a step changes is kept before it is done, as JSON: undoing needs nothing else, so that it works
after a crash and with a later version.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from throughway.control.codec import JSON
from throughway.remedies import leftovers
from throughway.remedies.machine import Machine, setting

SYSCTL, LEFTOVERS, NOTHING = "sysctl", "leftovers", "nothing"
"""Kinds of what is kept."""


@dataclass(frozen=True, slots=True)
class Case:
    """Where a remedy is applied."""

    machine: Machine
    interfaces: tuple[str, ...] = ()
    """The devices of our own daemon."""
    client_state: Path = Path("/var/lib/throughway/client")


@dataclass(frozen=True, slots=True)
class Kept:
    """What undoing needs."""

    kind: str
    data: JSON = None


class Step(Protocol):
    """One step."""

    @property
    def words(self) -> str:
        """What it does, in words."""

    def commands(self, case: Case) -> tuple[str, ...]:
        """Return the exact commands that do the same by hand; none: there is nothing to do."""

    def keep(self, case: Case) -> Kept:
        """Return what undoing needs, before it is done."""

    def do(self, case: Case) -> None:
        """Do it; ThroughwayError or OSError when that cannot be."""


Wanted = Callable[[Case], Iterable[tuple[str, str]]]
"""Yields settings with their values, in the order in which they are made."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Kernel settings are made what they should be, now: files under /etc are left alone."""

    words: str
    wanted: Wanted

    def commands(self, case: Case) -> tuple[str, ...]:
        """Return one for each setting that is not as it should be."""
        return tuple(f"sysctl -w {name}={value}" for name, value in self._missing(case))

    def keep(self, case: Case) -> Kept:
        """Keep the old values, of each interface where one for all of them is changed."""
        old: dict[str, JSON] = {}
        for name, _value in self._missing(case):
            for each in _reach(name, case.machine):
                if (value := case.machine.get(each)) is not None:
                    old.setdefault(each, value)
        made: dict[str, JSON] = dict(self._missing(case))
        return Kept(SYSCTL, {"old": old, "made": made})

    def do(self, case: Case) -> None:
        """Make them."""
        for name, value in self._missing(case):
            case.machine.set(name, value)

    def _missing(self, case: Case) -> list[tuple[str, str]]:
        wanted = self.wanted(case)
        return [(n, v) for n, v in wanted if case.machine.get(n) not in {None, v}]


@dataclass(frozen=True, slots=True)
class Run:
    """A command of ours, whose effects are not to be undone: a part started again stays so."""

    words: str
    command: tuple[str, ...]

    def commands(self, case: Case) -> tuple[str, ...]:
        """Return it."""
        del case
        return (" ".join(self.command),)

    def keep(self, case: Case) -> Kept:
        """Keep nothing."""
        del case
        return Kept(NOTHING)

    def do(self, case: Case) -> None:
        """Run it."""
        case.machine.run(self.command)


@dataclass(frozen=True, slots=True)
class Reset:
    """What a client that was killed has left is taken away."""

    words: str
    command: tuple[str, ...] = ("throughway", "client", "reset")

    def commands(self, case: Case) -> tuple[str, ...]:
        """Return it."""
        del case
        return (" ".join(self.command),)

    def keep(self, case: Case) -> Kept:
        """Keep resolver settings and rules as they are."""
        return Kept(LEFTOVERS, leftovers.keep(case.client_state))

    def do(self, case: Case) -> None:
        """Run it."""
        case.machine.run(self.command)


def undo(kept: Kept, case: Case) -> str:
    """Undo a step; return in words what was done, "" when there was nothing to undo."""
    if kept.kind == SYSCTL and isinstance(kept.data, dict):
        return _undo_settings(_texts(kept.data["old"]), _texts(kept.data["made"]), case.machine)
    if kept.kind == LEFTOVERS:
        return leftovers.put_back(kept.data, case.client_state)
    return ""


def _undo_settings(old: Mapping[str, str], made: Mapping[str, str], machine: Machine) -> str:
    """Put old values back, but where somebody else has changed them since."""
    theirs = [name for name, value in made.items() if machine.get(name) not in {None, value}]
    if theirs:
        return f"left as it is, somebody else has changed it since: {', '.join(theirs)}"
    # One for all comes before those of single interfaces, which it changes.
    for name in sorted(old, key=lambda name: ".all." not in name):
        if machine.get(name) not in {None, old[name]}:
            machine.set(name, old[name])
    return ", ".join(f"{name}={old[name]}" for name in made if name in old)


def _reach(name: str, machine: Machine) -> Iterable[str]:
    """Return the settings that change with one."""
    yield name
    prefix, all_of, key = name.rpartition(".all.")
    if all_of and prefix == "net.ipv6.conf":
        yield from (setting(interface, key) for interface in machine.interfaces())


def _texts(data: JSON) -> dict[str, str]:
    return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}
