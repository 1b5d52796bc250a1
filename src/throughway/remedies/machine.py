"""What remedies touch: kernel settings, our own commands, the clock. Tests put another in place."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from throughway.model.errors import ControlError

SETTINGS = Path("/proc/sys")
RUN_TIME = 120.0
"""Seconds for one of our commands; a daemon gives a command sixty."""


class Machine(Protocol):
    """The machine that is mended."""

    def get(self, name: str) -> str | None:
        """Return a kernel setting, None where there is none of that name."""

    def set(self, name: str, value: str) -> None:
        """Change a kernel setting; OSError when the kernel refuses."""

    def interfaces(self) -> tuple[str, ...]:
        """Return who has IPv6 settings, ``all`` and ``default`` among them."""

    def run(self, command: tuple[str, ...]) -> str:
        """Run a command of ours and return what it says; ControlError when it fails."""

    def now(self) -> float:
        """Return seconds of a clock that only goes on."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True)
class ThisMachine:
    """The one we run on; ``environment`` tells our commands where the daemons are."""

    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Path = SETTINGS

    def get(self, name: str) -> str | None:
        """Read it; a dot parts the words of a name, a slash in a word stands for its dot."""
        try:
            return self._file(name).read_text().strip()
        except OSError:
            return None

    def set(self, name: str, value: str) -> None:
        """Write it."""
        self._file(name).write_text(value)

    def interfaces(self) -> tuple[str, ...]:
        """List them."""
        try:
            return tuple(sorted(each.name for each in self._file("net.ipv6.conf").iterdir()))
        except OSError:
            return ()

    def run(self, command: tuple[str, ...]) -> str:
        """Run it with the interpreter that we run in: it may be in no PATH."""
        program, *arguments = command
        assert program == "throughway", command
        try:
            answer = subprocess.run(
                [sys.executable, "-P", "-m", "throughway.cli.main", *arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=RUN_TIME,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ControlError(f"{' '.join(command)}: {error}") from error
        if answer.returncode:
            said = answer.stderr.strip().splitlines() or answer.stdout.strip().splitlines()
            why = said[0].removeprefix("throughway: ") if said else f"exit {answer.returncode}"
            raise ControlError(f"{' '.join(command)}: {why}")
        return answer.stdout.strip()

    def now(self) -> float:
        """Ask the kernel."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let others run."""
        time.sleep(seconds)

    def _file(self, name: str) -> Path:
        return self.settings.joinpath(*path_of(name))


def path_of(name: str) -> Iterator[str]:
    """Yield the words of a setting's name as sysctl(8) reads them."""
    for word in name.split("."):
        yield word.replace("/", ".")


def setting(interface: str, key: str) -> str:
    """Name an IPv6 setting of an interface, whose own name may have dots."""
    return f"net.ipv6.conf.{interface.replace('.', '/')}.{key}"
