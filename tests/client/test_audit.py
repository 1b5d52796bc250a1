"""The client's view of its authentications."""

import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.ipsec_world import Deployment, Recorder
from throughway.client import audit as module
from throughway.client.audit import ClientAudit, client_audit
from throughway.health.tracker import Tracker
from throughway.model.audit import AuditEvent, AuditRecord, Outcome
from throughway.model.config import AuditConfig
from throughway.model.errors import IPsecError, Stage, TransportError
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.audit import AuditLog
from throughway.pki.authority import Profile

INFRASTRUCTURE = TunnelStatus(
    name="infrastructure", state=TunnelState.UP, local_address="2001:db8::5", prefixes=("a",)
)
INTRANET = TunnelStatus(name="intranet", state=TunnelState.UP, account="alice@R")


@pytest.fixture
def records() -> list[AuditRecord]:
    return []


@pytest.fixture
def audit(tmp_path: Path, records: list[AuditRecord]) -> ClientAudit:
    return ClientAudit(Deployment.create(tmp_path).client(), Recorder(records))


def test_what_is_up_and_down_is_told_with_the_own_certificate(
    tmp_path: Path, records: list[AuditRecord]
) -> None:
    deployment = Deployment.create(tmp_path)
    own = deployment.credential("client1", Profile.COMPUTER, "client1.corp.example.com")
    audit = ClientAudit(deployment.client(), Recorder(records))
    audit.start()
    audit.tunnel_up(INFRASTRUCTURE, "iphttps")
    audit.tunnel_up(INTRANET, "iphttps")
    audit.tunnel_down(INTRANET)
    assert [(r.windows, r.account, r.user) for r in records] == [
        (4651, "CLIENT1$", ""),
        (4651, "", "alice@R"),
        (4655, "", "alice@R"),
    ]
    seen = records[0].certificate
    assert seen is not None
    assert seen.thumbprint == sha256(own.certificate.public_bytes(Encoding.DER)).hexdigest()
    assert {r.computer for r in records} == {"client1.corp.example.com"}


@pytest.mark.parametrize(
    ("problem", "windows"),
    [
        ("ipsec-auth-failure-unspecified", 4652),
        ("ipsec-negotiation-timeout", 4653),
        ("ipsec-policy-mismatch", 4654),
        ("ipsec-user-refused", 4984),
    ],
)
def test_failures_have_the_number_of_their_mode(
    audit: ClientAudit, records: list[AuditRecord], problem: str, windows: int
) -> None:
    audit.user(AuditEvent.USER_LOGON, "alice@R")
    audit.tunnel_failed("intranet", IPsecError("no", problem=problem), "iphttps")
    assert (records[1].windows, records[1].user, records[1].reason) == (windows, "alice@R", "no")


def test_a_failure_that_repeats_itself_is_counted(
    audit: ClientAudit, records: list[AuditRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(words: str) -> None:
        audit.tunnel_failed("infrastructure", IPsecError(words, problem="x"), "")
        audit.link_failed(TransportError(Stage.CONNECT, words))

    for words in ("one", "one", "one", "other", "one"):
        fail(words)
    assert [r.reason for r in records[::2]] == ["one", "other", "one"]
    assert [r.reason for r in records[1::2]] == ["one", "other", "one"]
    records.clear()
    fail("one")
    monkeypatch.setattr(module, "REPEATED", 0.0)
    fail("one")
    assert [r.count for r in records] == [1, 1]
    audit.tunnel_up(INFRASTRUCTURE, "iphttps")
    audit.link_up("https://da.example.com")
    records.clear()
    fail("one")
    assert [r.count for r in records] == [0, 0]


def test_a_link_that_was_up_is_closed_not_refused(
    audit: ClientAudit, records: list[AuditRecord]
) -> None:
    lost = TransportError(Stage.LINK, "reset", problem="iphttps-connection-reset")
    audit.link_up("https://da.example.com")
    audit.link_failed(lost)
    audit.link_failed(lost)
    assert [(r.event, r.outcome, r.reason) for r in records] == [
        (AuditEvent.IPHTTPS_OPENED, Outcome.ADMITTED, ""),
        (AuditEvent.IPHTTPS_CLOSED, Outcome.ENDED, "reset"),
        (AuditEvent.IPHTTPS_REFUSED, Outcome.REFUSED, "reset"),
    ]


def test_nobody_refuses_where_there_is_no_network(
    audit: ClientAudit, records: list[AuditRecord]
) -> None:
    audit.link_failed(TransportError(Stage.RESOLVE, "no server"), connected=False)
    assert records == []


def test_users_come_and_go(audit: ClientAudit, records: list[AuditRecord]) -> None:
    audit.user(AuditEvent.USER_LOGON_FAILED, "alice@R", "the ticket is bob's")
    audit.user(AuditEvent.USER_LOGON, "alice@R")
    audit.user(AuditEvent.USER_LOGOFF, "alice@R")
    assert [(r.windows, r.user) for r in records] == [
        *((4625, "alice@R"), (4624, "alice@R")),
        (4634, "alice@R"),
    ]


def test_a_file_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    tracker = Tracker(lambda: 0.0)

    async def scenario() -> None:
        (tmp_path / "file").touch()
        where = AuditConfig(file=tmp_path / "file" / "events", journal=False)
        audit = client_audit(replace(deployment.client(), audit=where), tracker)
        assert isinstance(audit._log, AuditLog)
        audit.user(AuditEvent.USER_LOGON, "alice@R")
        await audit.close()

    asyncio.run(scenario())
    assert {condition.code for condition in tracker.current()} == {"audit-not-written"}
