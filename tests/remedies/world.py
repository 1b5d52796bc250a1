"""A machine that is only a table of settings, and daemons that are only what they say."""

from collections.abc import Callable
from dataclasses import dataclass, field

from throughway.catalogue import find
from throughway.model.errors import ControlError
from throughway.remedies.remedy import Host
from throughway.remedies.seen import Daemon, Held, Seen

FORWARDING = "iphttps-forwarding-disabled"
CHARON = "ipsec-daemon-down"


@dataclass
class FakeMachine:
    """Keeps what was done to it, in order."""

    settings: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    failing: set[str] = field(default_factory=set)
    """Commands, or settings, that fail."""
    on_run: Callable[[str], None] = lambda command: None
    done: list[str] = field(default_factory=list)
    time: float = 0.0

    def get(self, name: str) -> str | None:
        return self.settings.get(name)

    def set(self, name: str, value: str) -> None:
        self.done.append(f"{name}={value}")
        if name in self.failing:
            raise PermissionError(1, "Operation not permitted", name)
        self.settings[name] = value

    def interfaces(self) -> tuple[str, ...]:
        return self.names

    def run(self, command: tuple[str, ...]) -> str:
        line = " ".join(command)
        self.done.append(line)
        if line in self.failing:
            raise ControlError(f"{line}: no")
        self.on_run(line)
        return "done"

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def held(code: str, host: Host = Host.GATEWAY, detail: str = "") -> Held:
    return Held(find(code), host, detail)


def seen(*every: Held, runs: bool = True, interfaces: tuple[str, ...] = ()) -> Seen:
    why = "" if runs else "it is not running"
    daemons = {
        host: Daemon(host, runs, tuple(h for h in every if h.host is host), interfaces, why)
        for host in Host
    }
    return Seen(tuple(every), daemons)
