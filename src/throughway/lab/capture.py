"""Captures of a host's traffic by tcpdump: complete from the first to the last packet."""

import re
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

from throughway.lab import processes
from throughway.lab.namespaces import Namespaces
from throughway.model.errors import LabError

STOP_TIMEOUT = 60.0
"""Seconds tcpdump has to write its last packets."""

SOUNDINGS = 3
"""Times that tcpdump is asked at the start how far it is behind."""

SNAPSHOT_LENGTH = "65535"

BUFFER = "16384"
"""KiB that the kernel keeps until tcpdump has its turn: it takes a whole snapshot for each packet,
so these are 250; its default of 2 MiB has room for a burst of 16."""

_COUNTS = re.compile(
    rb"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel"
)
"""What tcpdump says when it gets SIGUSR1."""


class Capture:
    """A capture, running while the ``with`` block runs; read it afterwards.

    ``path`` becomes a pcap file. tcpdump listens when the block is entered, and has written
    everything when it is left.
    """

    def __init__(
        self, namespaces: Namespaces, interface: str, path: Path, filter_: str = ""
    ) -> None:
        self._namespaces = namespaces
        self._command = ["tcpdump", "--immediate-mode", "-U", "-n", "-s", SNAPSHOT_LENGTH]
        self._command += ["-B", BUFFER, "-i", interface, "-w", "-", *filter_.split()]
        self._process: processes.HostProcess | None = None
        self._never = 0
        """Packets that count as received and are never captured: they came before the filter."""
        self.path = path

    def __enter__(self) -> "Capture":
        with self.path.open("wb") as file:
            self._process = processes.popen(
                self._namespaces, self._command, stdout=file, stderr=subprocess.PIPE
            )
        assert self._process.stderr
        said = b""
        # "listening on" comes when the socket is bound and the filter set.
        while b"listening on" not in said:
            line = self._process.stderr.readline()
            said += line
            if not line:
                self._reap()
                raise LabError(f"tcpdump did not start: {said.decode().strip()}")
        # What is only not read yet is so for a moment; what came before the filter is so always.
        self._never = min(self._behind() for _ in range(SOUNDINGS))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process
        self._read_all()
        self._process.terminate()
        self._reap()

    def lines(self, filter_: str = "") -> list[str]:
        """Return a line for every packet that matches, as tcpdump writes it, without time."""
        return self._read(["tcpdump", "-n", "-t", "-r", str(self.path), *filter_.split()])

    def _read(self, command: list[str]) -> list[str]:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise LabError(f"tcpdump cannot read the capture: {answer.stderr.strip()}")
        return answer.stdout.splitlines()

    def timed(self, filter_: str = "") -> list[tuple[float, str]]:
        """Return the packets that match with their times, in seconds since 1970."""
        command = ["tcpdump", "-n", "-tt", "-r", str(self.path), *filter_.split()]
        split = (line.partition(" ") for line in self._read(command) if not line[:1].isspace())
        return [(float(at), line) for at, _, line in split]

    def count(self, filter_: str = "") -> int:
        """Return how many packets match."""
        return sum(1 for line in self.lines(filter_) if not line[:1].isspace())

    def _read_all(self) -> None:
        """Wait until tcpdump has read what the kernel keeps for it: when it ends it does not."""
        until = time.monotonic() + STOP_TIMEOUT
        while (behind := self._behind()) > self._never:
            if time.monotonic() > until:
                raise LabError(f"tcpdump has not read {behind - self._never} packets")

    def _behind(self) -> int:
        """Ask tcpdump how many packets it was given and has not captured; none when it ended."""
        assert self._process
        assert self._process.stderr
        self._process.send_signal(signal.SIGUSR1)
        while line := self._process.stderr.readline():
            if match := _COUNTS.search(line):
                captured, received, dropped = map(int, match.groups())
                return received - dropped - captured
        return 0

    def _reap(self) -> None:
        assert self._process
        assert self._process.stderr
        self._process.wait(STOP_TIMEOUT)
        self._process.stderr.close()
