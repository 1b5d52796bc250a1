"""What the authority writes down of what it gives, refuses and takes back."""

import json
import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.authority_world import CLIENT, create_authority, make_token, now
from throughway.authority import directory as directories
from throughway.authority.audit import AuthorityAudit, by_command, ended, who
from throughway.authority.registrar import read_book
from throughway.cli.events import FILES
from throughway.model.audit import AUTHORITY_EVENTS, AuditEvent
from throughway.pki import judgement
from throughway.pki.authority import Profile
from throughway.pki.tokens import Issuable

SOURCE = "192.0.2.7"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_authority(tmp_path / "pki")
    return tmp_path / "pki"


def written(folder: Path) -> list[dict[str, Any]]:
    path = folder / AUTHORITY_EVENTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_certificates_and_refusals(folder: Path) -> None:
    audit = AuthorityAudit(folder)
    root = directories.read_certificate(folder / "ca.crt")
    audit.issued(root, "by token", source=SOURCE)
    audit.issued(root, "for a one-time code", source=SOURCE, user="alice@CORP")
    shown = root.public_bytes(Encoding.DER)
    audit.refused("renew", "enrolment-request-refused", "was revoked", source=SOURCE, shown=shown)
    audit.refused("enrol", "enrolment-token-used", "used \x1b[2J", source=SOURCE, shown=b"junk")
    audit.close()
    issued, for_user, refused, garbage = written(folder)
    serial = judgement.serial_of(root)
    assert (issued["event"], issued["windows"], issued["side"]) == (
        "certificate-issued",
        4887,
        "authority",
    )
    assert (issued["outer_address"], issued["outcome"]) == (SOURCE, "admitted")
    assert issued["certificate"]["serial"] == serial
    assert issued["detail"] == f"serial {serial}, by token"
    assert (for_user["user"], for_user.get("computer")) == ("alice@CORP", None)
    assert (refused["windows"], refused["outcome"]) == (4888, "refused")
    assert (refused["problem"], refused["detail"]) == ("enrolment-request-refused", "renew")
    assert refused["certificate"]["serial"] == serial
    assert "\x1b" not in garbage["reason"]
    assert "certificate" not in garbage
    assert (folder / AUTHORITY_EVENTS).stat().st_mode & 0o777 == 0o640


def test_whatever_a_stranger_shows_he_is_written_down(folder: Path) -> None:
    """A header brings certificates that no TLS has looked at: none may hide who asks."""
    audit = AuthorityAudit(folder)
    good = directories.read_certificate(folder / "ca.crt").public_bytes(Encoding.DER)
    version = good.index(b"\xa0\x03\x02\x01\x02") + 4
    name = good.rindex(b"\x06\x03\x55\x04\x03\x0c") + 5
    changes = ((version, 9), (name, 0x03), (name, 0x02), (name + 2, 0xFF))
    for number, (at, value) in enumerate(changes):
        shown = bytearray(good)
        shown[at] = value
        audit.refused("renew", "x", "y", source=f"192.0.2.{number}", shown=bytes(shown))
    audit.close()
    assert [told["outer_address"] for told in written(folder)] == [
        f"192.0.2.{number}" for number in range(len(changes))
    ]


def test_a_flood_of_refusals_is_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    audit = AuthorityAudit(folder)
    for _ in range(50):
        audit.refused("enrol", "enrolment-token-unknown", "no token", source=SOURCE)
    assert 0 < len(written(folder)) < 50
    recorded = len(written(folder))
    clock += 100.0
    audit.sweep()
    audit.close()
    last = written(folder)[-1]
    assert (last["event"], last["count"], last["outer_address"]) == (
        "left-out",
        50 - recorded,
        SOURCE,
    )


def test_a_file_that_cannot_be_written_is_told_once_and_counted(folder: Path) -> None:
    said: list[str] = []
    audit = AuthorityAudit(folder, said.append)
    path = folder / AUTHORITY_EVENTS
    path.mkdir()
    token = Issuable(digest="", names=(CLIENT,), profile=Profile.COMPUTER, expires_at="2026-01-01")
    audit.tokens(AuditEvent.TOKEN_MADE, [token, token], "by root")
    assert len(said) == 1
    assert str(path) in said[0]
    path.rmdir()
    audit.tokens(AuditEvent.TOKEN_MADE, [token], "by root")
    audit.close()
    assert said[1:] == [""]
    assert [r["event"] for r in written(folder)] == ["records-lost", "token-made"]
    assert written(folder)[0]["count"] == 2


def test_a_token_that_nobody_used_ends_once(folder: Path) -> None:
    at = now()
    make_token(folder, CLIENT, life=timedelta(minutes=5), at=at)
    make_token(folder, "client2.corp.example.com", life=timedelta(hours=5), at=at)
    tokens = read_book(folder).tokens

    def over(minutes: float, until: float) -> list[str]:
        times: list[datetime] = [at + timedelta(minutes=m) for m in (minutes, until)]
        return [token.names[0] for token in ended(tokens, *times)]

    assert over(0, 4) == []
    assert over(4, 5) == [CLIENT]
    assert over(5, 6) == []


def test_who_has_given_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)

    def login(uid: int) -> str:
        monkeypatch.setattr(Path, "read_text", lambda self: str(uid))
        return who()

    assert login(0xFFFFFFFF) == login(0) == "root"
    assert login(65534) == "root (nobody)"
    assert login(64999) == "root (uid 64999)"


def test_a_command_goes_on_without_the_book(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / AUTHORITY_EVENTS).mkdir()
    with by_command(folder) as audit:
        audit.tokens(AuditEvent.TOKEN_VOIDED, [], "")
        root = directories.read_certificate(folder / "ca.crt")
        audit.issued(root, "by hand")
    assert "audit: " in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_file_belongs_to_the_directory_s_owner(folder: Path) -> None:
    os.chown(folder, 64123, 64123)
    with by_command(folder) as audit:
        audit.issued(directories.read_certificate(folder / "ca.crt"), "by hand")
    assert (folder / AUTHORITY_EVENTS).stat().st_uid == 64123


def test_throughway_events_reads_it() -> None:
    assert Path("/etc/throughway/pki") / AUTHORITY_EVENTS in FILES
