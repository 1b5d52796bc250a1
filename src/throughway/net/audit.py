"""Where audit records go: journald and a file; nothing waits for either.

What peers have sent (names, words of refusals) is cut to length and made printable here, once,
so that a record can neither forge another one nor move a terminal.
"""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from throughway.model.audit import AuditEvent, AuditRecord, Outcome, record_of
from throughway.model.config import AuditConfig
from throughway.net.audit_file import AuditFile
from throughway.net.journal import Journal

MAX_VALUE = 300
"""Characters of one value."""
MAX_WAITING = 10_000
"""Records that wait for the disk; more are only counted."""
BATCH = 500
"""Records of one write."""
RETRY = 5.0
"""Seconds after which a file that could not be written is tried again."""

_PRIORITIES = {Outcome.REFUSED: "4", Outcome.NOTED: "4"}
"""Of syslog (RFC 5424, 6.2.1): warning; all others are information."""


def clean(text: str) -> str:
    """Make a value fit for one line of a terminal."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def cleaned(record: AuditRecord) -> AuditRecord:
    """Return the record with every text cleaned."""
    certificate = record.certificate
    if certificate is not None:
        certificate = replace(certificate, **_texts(asdict(certificate)))
    return replace(record, certificate=certificate, **_texts(asdict(record)))


def _texts(values: dict[str, Any]) -> dict[str, Any]:
    return {key: clean(value) for key, value in values.items() if type(value) is str}


def encode(record: AuditRecord) -> bytes:
    """Return the record as a line; what is not known is left out."""
    values = {k: v for k, v in asdict(record).items() if v or k in ("at", "event")}
    if certificate := values.get("certificate"):
        values["certificate"] = {k: v for k, v in certificate.items() if v}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.at))
    values["time"] = f"{stamp}.{int(record.at * 1000) % 1000:03}Z"
    return json.dumps(values).encode("ascii") + b"\n"


def sentence(record: AuditRecord) -> str:
    """Say a record in one line for people."""
    name = f"{record.event} ({record.windows})" if record.windows else str(record.event)
    who = ", ".join(v for v in (record.computer, record.account, record.user) if v)
    port = f" port {record.outer_port}" if record.outer_port else ""
    where = f"{record.outer_address or record.inner_address}{port}"
    words = [name, f"tunnel {record.tunnel}" if record.tunnel else "", who]
    words += [
        f"from {where}" if where else "",
        f"by {record.transport}" if record.transport else "",
    ]
    words += [f"{record.count} times" if record.count else ""]
    said = f": {record.reason or record.detail}" if record.reason or record.detail else ""
    said += f" [{record.problem}]" if record.problem else ""
    return " ".join(word for word in words if word) + said


def journal_fields(record: AuditRecord) -> dict[str, str]:
    """Return a record as the journal's fields: ``journalctl THROUGHWAY_WINDOWS=4652``."""
    fields = {
        "MESSAGE": sentence(record),
        "PRIORITY": _PRIORITIES.get(record.outcome, "6"),
        "SYSLOG_IDENTIFIER": "throughway-audit",
    }
    for key, value in asdict(record).items():
        if key == "certificate":
            shown = {f"certificate_{k}": v for k, v in (value or {}).items()}
        else:
            shown = {key: value}
        fields |= {f"THROUGHWAY_{k.upper()}": str(v) for k, v in shown.items() if v}
    return fields


class AuditLog:
    """Takes records at any pace.

    ``on_trouble(words)`` is called once when the file cannot be written, and with "" when it can
    again; what was lost between is counted, and told in a record of its own.
    """

    def __init__(
        self,
        file: AuditFile | None,
        journal: Journal | None,
        *,
        side: str,
        on_trouble: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._file = file
        self._journal = journal
        self._side = side
        self._on_trouble = on_trouble
        self._waiting: deque[bytes] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._failing = False
        self._retry_at = 0.0
        self.lost = 0
        """Records that did not get into the file, since the last one that did."""
        self.outcomes: Counter[tuple[AuditEvent, Outcome]] = Counter()
        """Of all records since the start."""

    def record(self, record: AuditRecord) -> None:
        """Take a record; returns at once."""
        record = cleaned(record)
        self.outcomes[record.event, record.outcome] += 1
        if self._journal is not None:
            self._journal.send(journal_fields(record))
        if self._file is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.lost += 1
            return
        self._waiting.append(encode(record))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def flush(self) -> None:
        """Wait until everything is written, or known to be lost."""
        while self._writer is not None and not self._writer.done():
            await asyncio.wait((self._writer,))

    async def close(self) -> None:
        """Write what waits, and let go of file and journal."""
        await self.flush()
        if self._file is not None:
            await asyncio.to_thread(self._file.close)
        if self._journal is not None:
            self._journal.close()

    async def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            await self._write_batch(batch)

    async def _write_batch(self, batch: list[bytes]) -> None:
        assert self._file is not None
        now = time.monotonic()
        if self._failing and now < self._retry_at:
            self.lost += len(batch)
            return
        told = [self._lost_record()] if self.lost else []
        try:
            await asyncio.to_thread(self._file.append, b"".join([*told, *batch]))
        except OSError as error:
            self.lost += len(batch)
            self._retry_at = now + RETRY
            if not self._failing:
                self._failing = True
                self._on_trouble(f"{self._file.path}: {error.strerror or error}")
            return
        if told:
            self.lost = 0
        if self._failing:
            self._failing = False
            self._on_trouble("")

    def _lost_record(self) -> bytes:
        words = "the file could not be written"
        event = AuditEvent.RECORDS_LOST
        return encode(
            record_of(event, at=time.time(), side=self._side, count=self.lost, reason=words)
        )


def audit_log(
    config: AuditConfig, side: str, on_trouble: Callable[[str], None] = lambda words: None
) -> AuditLog:
    """Make the log that a configuration asks for."""
    file = None if config.file is None else AuditFile(config.file, keep_days=config.keep_days)
    return AuditLog(file, Journal() if config.journal else None, side=side, on_trouble=on_trouble)
