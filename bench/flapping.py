"""Faults that come and go every few seconds: what they leave in logs, in the audit, in history."""

import contextlib
import time
from dataclasses import dataclass

from throughway.health.checking import HISTORY_LENGTH
from throughway.lab.deployment import CLIENT, GATEWAY, Daemon
from throughway.lab.faults import FAULTS, Fault
from throughway.lab.lab import Lab
from throughway.lab.observe import status_of
from throughway.lab.trial import Trial
from throughway.model.errors import LabError

FLAPPING = ("port-443-reset", "forwarding-disabled", "location-server-down")
"""One on the client's way, one of the gateway's settings, one of the intranet."""
SECONDS = 60.0
PERIOD = 4.0
"""Seconds from one injection to the next one; half of it the fault is there."""
LOG = "/var/log/throughway/{name}-log.jsonl"
AUDIT = "/var/log/throughway/{name}-events.jsonl"
GATEWAY_HOST = "edge1"
MAX_LINES = 20.0
"""Lines of log that one coming and going may make at one end: what begins and ends is said, with
what follows from it for a link, two tunnels and a resolver. Of one kind thirty pass in a minute."""
MAX_EVENTS = 12.0
"""Lines of the audit that one coming and going may make: who comes and goes is never left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapped:
    """What came of a fault that flapped."""

    times: int = 0
    """How often it came."""
    lines: int = 0
    """Of the log of the end that wrote more."""
    events: int = 0
    """Of the audit, likewise."""
    history: int = 0
    """Changes that the check which remembers most of them remembers."""
    recovered: float = -1.0
    """Seconds from its last end until all was seen to be well, no sooner than the minute was over;
    -1: never."""
    error: str = ""

    @property
    def bounded(self) -> bool:
        """Whether nothing was flooded, and all became well."""
        return (
            not self.error
            and self.recovered >= 0
            and self.lines <= self.times * MAX_LINES
            and self.events <= self.times * MAX_EVENTS
            and self.history <= HISTORY_LENGTH
        )


def flap(lab: Lab, host: str, fault: Fault, seconds: float = SECONDS) -> Flapped:
    """Let a fault come and go for a minute, and count what is left of it."""
    trial = Trial(lab, host)
    times, recovered, error = 0, -1.0, ""
    try:
        trial.prepare(fault)
        before = _counts(lab, host)
        until = over = time.monotonic() + seconds
        try:
            while (begun := time.monotonic()) < until:
                lab.inject(fault.name, host)
                times += 1
                time.sleep(max(0.0, begun + PERIOD / 2 - time.monotonic()))
                lab.clear(fault.name)
                over = time.monotonic()
                time.sleep(max(0.0, begun + PERIOD - time.monotonic()))
        finally:
            with contextlib.suppress(LabError):
                lab.clear(fault.name)
        trial.wait_well(fault)
        recovered = round(time.monotonic() - over, 1)
        after = _counts(lab, host)
        lines, events = (
            max(b - a for a, b in zip(*two, strict=True)) for two in zip(before, after, strict=True)
        )
    except LabError as failed:
        return Flapped(times=times, error=str(failed))
    return Flapped(
        times=times,
        lines=lines,
        events=events,
        history=max(_histories(lab, host), default=0),
        recovered=recovered,
        error=error,
    )


def _counts(lab: Lab, host: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the lines of both logs, and those of both audits: the client's, the gateway's."""
    ends = ((host, CLIENT), (GATEWAY_HOST, GATEWAY))
    logs = [_lines(lab, one, LOG.format(name=daemon.name)) for one, daemon in ends]
    audits = [_lines(lab, one, AUDIT.format(name=daemon.name)) for one, daemon in ends]
    return (logs[0], logs[1]), (audits[0], audits[1])


def _lines(lab: Lab, host: str, path: str) -> int:
    """Count the lines of a file and of those that were begun before it."""
    command = ["sh", "-c", 'cat "$1" "$1".? 2>/dev/null | wc -l', "sh", path]
    return int(lab.run(host, command, check=True).stdout)


def _histories(lab: Lab, host: str) -> list[int]:
    ends: tuple[tuple[str, Daemon], ...] = ((host, CLIENT), (GATEWAY_HOST, GATEWAY))
    checks = [c for one, daemon in ends for c in status_of(lab, one, daemon).get("checks", ())]
    return [len(check["history"]) for check in checks]


def every() -> list[Fault]:
    """Return what is to flap."""
    return [FAULTS[name] for name in FLAPPING]
