"""Records on their way to journal and file: one line each, never in anybody's way."""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from throughway.control.codec import decode_line, from_json
from throughway.model.audit import AuditEvent, AuditRecord, CertificateSeen, Outcome, record_of
from throughway.net import audit
from throughway.net.audit import MAX_VALUE, AuditLog, encode, journal_fields, sentence
from throughway.net.audit_file import AuditFile
from throughway.net.journal import Journal

NASTY = "client1\n2026-11-21 admitted \x1b[2Jmain-mode \N{RIGHT-TO-LEFT OVERRIDE}x"


def refusal(**values: object) -> AuditRecord:
    return record_of(AuditEvent.MAIN_MODE_FAILED, at=1795284967.8157, side="gateway", **values)


def test_numbers_and_outcomes_are_windows_own() -> None:
    numbers = {e: record_of(e, at=0, side="gateway").windows for e in AuditEvent}
    assert numbers[AuditEvent.MAIN_MODE_ESTABLISHED] == 4651
    assert numbers[AuditEvent.MAIN_MODE_FAILED] == 4652
    assert numbers[AuditEvent.MAIN_MODE_FAILED_EARLY] == 4653
    assert numbers[AuditEvent.QUICK_MODE_FAILED] == 4654
    assert numbers[AuditEvent.EXTENDED_MODE_FAILED] == 4984
    assert numbers[AuditEvent.QUICK_MODE_ESTABLISHED] == 5451
    assert numbers[AuditEvent.IPHTTPS_REFUSED] == 0
    refused = {e for e in AuditEvent if record_of(e, at=0, side="x").outcome is Outcome.REFUSED}
    assert {str(e) for e in refused} == {
        *("main-mode-failed", "main-mode-failed-early", "extended-mode-failed"),
        *("quick-mode-failed", "user-logon-failed", "iphttps-refused", "enrolment-refused"),
    }


def test_a_record_is_read_back_as_it_was() -> None:
    record = refusal(
        computer="client1.corp.example.com",
        certificate=CertificateSeen(subject="CN=client1", serial="0A", thumbprint="ab", others=1),
        ike_sa=7,
    )
    line = encode(record)
    assert from_json(AuditRecord, decode_line(line)) == record
    assert json.loads(line)["time"] == "2026-11-21T18:16:07.815Z"
    assert "account" not in json.loads(line)


def test_a_peer_cannot_write_lines_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"

    async def scenario() -> None:
        log = AuditLog(AuditFile(file), None, side="gateway")
        seen = CertificateSeen(subject=NASTY)
        log.record(refusal(computer=NASTY, reason=NASTY * 100, certificate=seen))
        await log.close()

    asyncio.run(scenario())
    (line,) = file.read_bytes().splitlines()
    record = from_json(AuditRecord, decode_line(line))
    assert record.certificate is not None
    for text in (record.computer, record.reason, record.certificate.subject, sentence(record)):
        assert text.isprintable()
    assert len(record.reason) == MAX_VALUE + 1


def test_the_journal_has_every_value_as_a_field() -> None:
    fields = journal_fields(refusal(reason="expired", certificate=CertificateSeen(serial="0A")))
    assert fields["THROUGHWAY_WINDOWS"] == "4652"
    assert fields["THROUGHWAY_CERTIFICATE_SERIAL"] == "0A"
    assert fields["PRIORITY"] == "4"
    assert "THROUGHWAY_USER" not in fields


def test_journal_and_file_get_the_same(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(path))

        async def scenario() -> None:
            log = AuditLog(AuditFile(tmp_path / "events"), Journal(path), side="gateway")
            log.record(refusal(reason="expired"))
            await log.close()

        asyncio.run(scenario())
        assert b"THROUGHWAY_REASON=expired\n" in journald.recv(65536)
    assert b'"reason": "expired"' in (tmp_path / "events").read_bytes()


class FullFile(AuditFile):
    """A file on a disk that is full while it is told so."""

    full = True

    def append(self, lines: bytes, now: float | None = None) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().append(lines, now)


@pytest.fixture
def scene(tmp_path: Path) -> tuple[AuditLog, FullFile, list[str]]:
    troubles: list[str] = []
    file = FullFile(tmp_path / "events")
    return AuditLog(file, None, side="gateway", on_trouble=troubles.append), file, troubles


def test_a_full_disk_is_said_once_and_counted(
    scene: tuple[AuditLog, FullFile, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "RETRY", 0.0)
    log, file, troubles = scene

    async def scenario() -> None:
        for _ in range(3):
            log.record(refusal())
            await log.flush()
        assert (log.lost, len(troubles)) == (3, 1)
        assert "No space left" in troubles[0]
        file.full = False
        log.record(refusal())
        await log.close()

    asyncio.run(scenario())
    assert troubles[1:] == [""]
    lost, last = (json.loads(line) for line in file.path.read_bytes().splitlines())
    assert (lost["event"], lost["count"]) == ("records-lost", 3)
    assert last["event"] == "main-mode-failed"


def test_a_disk_that_hangs_holds_nobody_up(
    scene: tuple[AuditLog, FullFile, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_WAITING", 5)
    log, file, _ = scene
    held: list[Callable[[], None]] = []

    async def scenario() -> None:
        hangs = asyncio.Event()
        held.append(hangs.set)

        async def to_thread(function: Callable[..., None], *arguments: object) -> None:
            await hangs.wait()
            function(*arguments)

        monkeypatch.setattr(asyncio, "to_thread", to_thread)
        file.full = False
        for _ in range(20):
            log.record(refusal())
            await asyncio.sleep(0)
        assert log.lost > 0
        hangs.set()
        await log.flush()
        log.record(refusal())
        await log.close()

    asyncio.run(scenario())
    events = [json.loads(line)["event"] for line in file.path.read_bytes().splitlines()]
    assert "records-lost" in events
