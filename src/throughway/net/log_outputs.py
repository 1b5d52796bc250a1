"""Where a daemon's log goes: journald with fields, where that has our output; else a file.

The file is written at once and not by a thread: lines are few (floods are cut before), and the
last one before an end matters most.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from throughway.model.config import LogConfig, LogLevel
from throughway.net.audit_file import AuditFile
from throughway.net.journal import Journal

ROTATE_SIZE = 4 * 1024 * 1024
"""Bytes after which a new file is begun."""
KEEP_FILES = 5
"""Rotated files: 24 MiB in all."""
STDERR = 2
RETRY = 5.0
"""Seconds after which a file that could not be written is tried again."""
PRIORITIES = {LogLevel.DEBUG: 7, LogLevel.INFO: 6, LogLevel.WARNING: 4, LogLevel.ERROR: 3}
"""Of syslog (RFC 5424, 6.2.1)."""
PREFIX = "THROUGHWAY_"
"""Of our fields in the journal."""
_ALWAYS = ("level", "component", "event")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a log."""

    at: float
    """Seconds since 1970-01-01 UTC."""
    level: LogLevel
    event: str
    component: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def entry_of(event: Mapping[str, Any], at: float) -> LogEntry:
    """Return an event as an entry."""
    fields = {k: v for k, v in event.items() if k not in (*_ALWAYS, "timestamp", "at", "time")}
    level, component = LogLevel(event["level"]), str(event.get("component", ""))
    return LogEntry(at, level, str(event["event"]), component, fields)


def encode(entry: LogEntry) -> bytes:
    """Return the entry as a line of JSON."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry.at))
    values = {
        "at": entry.at,
        "time": f"{stamp}.{int(entry.at * 1000) % 1000:03}Z",
        "level": entry.level,
        "component": entry.component,
        "event": entry.event,
    }
    return json.dumps(values | dict(entry.fields)).encode("ascii") + b"\n"


def decode(line: bytes) -> LogEntry:
    """Read such a line; ValueError when it is none."""
    try:
        values = json.loads(line)
        return entry_of(values, float(values["at"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no line of a log: {error!r}") from None


def sentence(entry: LogEntry) -> str:
    """Say an entry in one line for people."""
    fields = dict(entry.fields)
    words = entry.event
    if "of" in fields and "count" in fields:
        count, of = fields.pop("count"), fields.pop("of")
        words = f"{count} more of these in {fields.pop('seconds', '?')} s: {of}"
    return " ".join([words, *(f"{key}={_shown(value)}" for key, value in fields.items())])


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


def journal_fields(entry: LogEntry, name: str) -> dict[str, str]:
    """Return an entry as the journal's fields: ``journalctl THROUGHWAY_CODE=clock-skew``."""
    values = {"event": entry.event, "component": entry.component, **entry.fields}
    return {
        "MESSAGE": sentence(entry),
        "PRIORITY": str(PRIORITIES[entry.level]),
        "SYSLOG_IDENTIFIER": f"throughway-{name}",
        **{f"{PREFIX}{key.upper()}": str(value) for key, value in values.items()},
    }


def is_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Whether a descriptor leads to journald, as systemd says of what it starts."""
    try:
        there = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


class LogOutput:
    """Takes events; True when standard error is spared, since it would lead to the same place."""

    def __init__(
        self,
        name: str,
        journal: Journal | None,
        file: AuditFile | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._journal, self._file, self._clock = name, journal, file, clock
        self._retry_at = 0.0

    def __call__(self, event: Mapping[str, Any]) -> bool:
        """Write an event; what neither journal nor file takes, standard error has."""
        entry = entry_of(event, round(self._clock(), 3))
        if self._journal is not None:
            return self._journal.send(journal_fields(entry, self._name))
        if self._file is not None and entry.at >= self._retry_at:
            try:
                self._file.append(encode(entry), entry.at)
            except OSError:  # the disk's state has a check of its own
                self._retry_at = entry.at + RETRY
        return False


def log_outputs(config: LogConfig, name: str) -> LogOutput:
    """Make the output that a configuration asks for; ``name`` is client, gateway or authority."""
    if config.journal and is_journal(STDERR, os.environ):
        return LogOutput(name, Journal(), None)
    if config.file is None:
        return LogOutput(name, None, None)
    limits = {"rotate_size": ROTATE_SIZE, "keep_files": KEEP_FILES, "keep_days": config.keep_days}
    return LogOutput(name, None, AuditFile(config.file, **limits))
