"""How soon both ends answer for their status while the data path carries all that it can."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from throughway.lab.deployment import CLIENT, GATEWAY
from throughway.lab.faults import Fault
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE
from throughway.lab.processes import wait_until
from throughway.lab.trial import Trial

SERVER, PAGE = "app1", "/var/www/app1.corp.example.com/big"
URL = "http://app1.corp.example.com/big"
STREAMS = 4
BYTES = 1 << 30
"""Of the page that is fetched again and again; none of them is on a disk."""
LOAD = f"while :; do curl -s -o /dev/null {URL} || sleep 0.1; done"
CARRIED = 1 << 22
"""Bytes after which the load is under way."""
CALLS = 10
LIMIT = 10.0
"""Seconds in which a status is to be answered, whatever the data path does; the command itself
takes most of what it takes."""
AT_HOME = Fault(name="none", title="nothing is broken", steps=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How soon ``throughway … status --json`` was answered, in seconds."""

    idle: float
    """The middle one of the calls, with nothing else to do."""
    middle: float
    """The same under load."""
    slowest: float
    """Under load; infinite when one was not answered."""
    rate: float
    """Megabits a second that were carried meanwhile."""

    @property
    def bounded(self) -> bool:
        """Whether every call was answered in time."""
        return self.slowest <= LIMIT


@contextlib.contextmanager
def saturated(lab: Lab, host: str, streams: int = STREAMS) -> Iterator[None]:
    """Fetch as fast as the tunnel carries it; it is under way when the block is entered."""
    lab.run(SERVER, ["truncate", "-s", str(BYTES), PAGE], check=True)
    null = subprocess.DEVNULL
    before = sent(lab)
    loads = [
        lab.popen(host, ["setsid", "-w", "sh", "-c", LOAD], stdout=null, stderr=null)
        for _ in range(streams)
    ]
    try:
        wait_until(lambda: sent(lab) > before + CARRIED, PATIENCE, "the load")
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()
        lab.run(host, ["pkill", "-KILL", "-f", URL])
        lab.run(SERVER, ["rm", "-f", PAGE], check=True)


def sent(lab: Lab) -> int:
    """Return how many bytes the server has sent."""
    rows = lab.run(SERVER, ["cat", "/proc/net/dev"], check=True).stdout.splitlines()[2:]
    return sum(int(row.partition(":")[2].split()[8]) for row in rows)


def measure(lab: Lab, host: str) -> dict[str, Answered]:
    """Ask both ends without and with a load."""
    Trial(lab, host).prepare(AT_HOME)
    ends = {CLIENT.name: host, GATEWAY.name: "edge1"}
    idle = {name: _times(lab, where, name) for name, where in ends.items()}
    with saturated(lab, host):
        begun, before = time.monotonic(), sent(lab)
        busy = {name: _times(lab, where, name) for name, where in ends.items()}
        rate = (sent(lab) - before) * 8 / (time.monotonic() - begun) / 1e6
    return {
        name: Answered(
            idle=round(median(idle[name]), 2),
            middle=round(median(busy[name]), 2),
            slowest=round(max(busy[name]), 2),
            rate=round(rate),
        )
        for name in ends
    }


def _times(lab: Lab, host: str, name: str) -> list[float]:
    return [_time(lab, host, name) for _ in range(CALLS)]


def _time(lab: Lab, host: str, name: str) -> float:
    begun = time.monotonic()
    answer = lab.run(host, ["throughway", name, "status", "--json"])
    # 3: it did not answer.
    return time.monotonic() - begun if answer.returncode in (0, 1) else float("inf")
