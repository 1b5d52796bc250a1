"""What the gateway's parts tell, as audit records; with a real charon, who was refused and why."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.ipsec_world import CLIENT, Recorder, Site, until
from throughway.gateway import audit as module
from throughway.gateway.audit import GatewayAudit
from throughway.gateway.refusals import MISMATCH, UNHEALTHY, Refused, Seen
from throughway.model.audit import AuditEvent, AuditRecord
from throughway.model.config import Computer
from throughway.model.errors import IPsecError
from throughway.model.status import SessionStatus
from throughway.net.sas import IKESA, ChildChanged, ChildSA, IKEChanged, LineLogged
from throughway.pki.authority import Profile, certify_health, create_root, issue
from throughway.pki.judgement import seen
from throughway.proto.flood import PER_SOURCE

COMPUTER = Computer(account="CLIENT1$", identity="client1.corp.example.com", nt_hash=Path("x"))
ACCOUNT_REFUSED = "ipsec-computer-account-refused"
NOW = datetime.now(UTC)
ROOT = create_root("Test Root", NOW - timedelta(days=365))
CERTIFICATE = issue(ROOT, Profile.COMPUTER, [COMPUTER.identity], now=NOW).certificate
EXPIRED = issue(
    ROOT, Profile.COMPUTER, [COMPUTER.identity], now=NOW - timedelta(days=60), days=30
).certificate
OTHER = issue(ROOT, Profile.COMPUTER, ["client2.corp.example.com"], now=NOW).certificate
SESSION = SessionStatus(
    id=1, peer="198.51.100.7:50123", since=0, addresses=("2001:db8:da::5",), certificate="CN=x"
)


def sa(number: int = 3, tunnel: str = "infrastructure", user: str = "") -> IKESA:
    return IKESA(
        name=f"{tunnel}-client1",
        unique_id=number,
        state="ESTABLISHED",
        local_address="2001:db8:e::1",
        remote_address="2001:db8:da::5",
        remote_port=4500,
        local_identity="da.example.com",
        remote_identity="CLIENT1$",
        remote_eap_identity=user,
        children=(ChildSA(name=tunnel, state="INSTALLED", local_ts=("a",), remote_ts=("b",)),),
    )


def refusal(problem: str, reason: str = "because", **seen: object) -> Refused:
    values = {
        "unique_id": 4,
        "connection": "infrastructure-client1",
        "address": "2001:db8:da::5",
        "identity": COMPUTER.identity,
        "certificate": "CN=client1.corp.example.com",
    }
    return Refused(reason, problem, "peer", Seen(**(values | seen)))  # type: ignore[arg-type]


class Scene:
    """An audit with a charon that has shown certificates."""

    def __init__(self, *shown: object) -> None:
        self.records: list[AuditRecord] = []
        self.forgotten = 0
        self._shown: list[bytes] = []
        self.show(*shown)

        async def asked() -> tuple[bytes, ...]:
            return (*self._shown, b"no certificate")

        async def forget() -> None:
            self.forgotten += 1

        async def sessions() -> tuple[SessionStatus, ...]:
            return (SESSION,)

        def computer_of(name: str) -> Computer | None:
            return COMPUTER if name.endswith("-client1") else None

        self.audit = GatewayAudit(
            Recorder(self.records),
            prefix="2001:db8:da::/64",
            computer_of=computer_of,
            shown=asked,
            forget=forget,
            sessions=sessions,
        )

    def show(self, *shown: object) -> None:
        """Let charon remember these certificates, too."""
        self._shown += [c.public_bytes(Encoding.DER) for c in shown]  # type: ignore[attr-defined]

    def play(self, *steps: Callable[[GatewayAudit], object]) -> list[AuditRecord]:
        async def scenario() -> None:
            self.audit.start()
            for step in steps:
                step(self.audit)
            await until(self.audit._drafts.empty)
            await self.audit.close()

        asyncio.run(scenario())
        return self.records


def test_a_computer_and_its_user_come_and_go() -> None:
    computer, user = sa(), sa(5, "intranet", "alice@CORP.EXAMPLE.COM")
    records = Scene(CERTIFICATE, OTHER).play(
        lambda audit: audit.ipsec_event(IKEChanged(True, computer)),
        lambda audit: audit.ipsec_event(ChildChanged(True, computer)),
        lambda audit: audit.ipsec_event(IKEChanged(True, user)),
        lambda audit: audit.ipsec_event(ChildChanged(False, computer)),
        lambda audit: audit.ipsec_event(IKEChanged(False, user)),
    )
    assert [(r.windows, r.tunnel, r.account, r.user) for r in records] == [
        (4651, "infrastructure", "CLIENT1$", ""),
        (5451, "infrastructure", "CLIENT1$", ""),
        (4651, "intranet", "", "alice@CORP.EXAMPLE.COM"),
        (4624, "intranet", "", "alice@CORP.EXAMPLE.COM"),
        (5452, "infrastructure", "CLIENT1$", ""),
        (4655, "intranet", "", "alice@CORP.EXAMPLE.COM"),
        (4634, "intranet", "", "alice@CORP.EXAMPLE.COM"),
    ]
    for record in records:
        assert record.computer == COMPUTER.identity
        assert record.certificate == seen(CERTIFICATE)
        assert (record.transport, record.outer_address, record.outer_port) == (
            *("iphttps", "198.51.100.7"),
            50123,
        )


@pytest.mark.parametrize(
    ("refused", "windows"),
    [
        (refusal("ipsec-policy-mismatch", certificate="", identity=""), 4653),
        (refusal("ipsec-cert-expired"), 4652),
        (refusal("ipsec-computer-account-refused", rounds=1), 4984),
        (refusal("ipsec-smart-card-required"), 4984),
    ],
)
def test_a_refusal_has_the_number_of_its_mode(refused: Refused, windows: int) -> None:
    (record,) = Scene(CERTIFICATE).play(lambda audit: audit.refused(refused))
    assert (record.windows, record.problem, record.reason) == (windows, refused.problem, "because")


def test_a_certificate_that_nobody_can_read_does_not_silence_the_audit() -> None:
    scene = Scene(CERTIFICATE)
    bad = bytearray(CERTIFICATE.public_bytes(Encoding.DER))
    bad[bad.index(b"\xa0\x03\x02\x01\x02") + 4] = 9  # a version that there is not
    scene._shown.insert(0, bytes(bad))
    refused = refusal("ipsec-computer-account-refused", rounds=1)
    records = scene.play(lambda audit: audit.refused(refused), lambda audit: audit.refused(refused))
    assert [record.certificate for record in records] == [seen(CERTIFICATE)] * 2


def test_what_is_being_asked_for_when_the_gateway_ends_is_recorded() -> None:
    scene = Scene(CERTIFICATE)

    async def scenario() -> None:
        asked = asyncio.Event()

        async def silent() -> tuple[bytes, ...]:
            asked.set()
            await asyncio.Event().wait()
            return ()

        scene.audit._shown = silent
        scene.audit.start()
        scene.audit.refused(refusal("ipsec-cert-expired"))
        await asked.wait()
        await scene.audit.close()

    asyncio.run(scenario())
    assert [(r.windows, r.problem) for r in scene.records] == [(4652, "ipsec-cert-expired")]


def test_a_refused_user_is_a_failed_logon_too() -> None:
    refused = refusal("ipsec-user-refused", rounds=1, user="alice@R", connection="intranet-client1")
    records = Scene(CERTIFICATE).play(lambda audit: audit.refused(refused))
    assert [(r.windows, r.user, r.account) for r in records] == [
        (4984, "alice@R", ""),
        (4625, "alice@R", ""),
    ]


def test_an_expired_certificate_is_told_from_its_successor() -> None:
    scene = Scene(CERTIFICATE, EXPIRED)
    (record,) = scene.play(lambda audit: audit.refused(refusal("ipsec-cert-expired")))
    assert record.certificate == seen(EXPIRED)
    assert scene.forgotten == 1


def test_of_two_that_could_be_meant_the_doubt_is_told_and_no_reason_is_given() -> None:
    younger = issue(ROOT, Profile.COMPUTER, [COMPUTER.identity], now=NOW).certificate
    scene = Scene(CERTIFICATE, younger)
    (record,) = scene.play(lambda audit: audit.refused(refusal("x", rounds=1)))
    assert record.certificate is not None
    assert record.certificate.others == 1
    for certificate in (CERTIFICATE, younger):
        assert scene.audit.reasons_of(seen(certificate).thumbprint) == ()


def test_a_health_certificate_leaves_no_doubt_whose_computer_it_is() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    names, life = [COMPUTER.identity], timedelta(hours=1)
    healthy = certify_health(ROOT, names, key, now=NOW, life=life)
    for problem, shown in (("x", healthy), (UNHEALTHY, CERTIFICATE)):
        scene = Scene(CERTIFICATE, healthy)
        refused = refusal(problem, connection="intranet-client1", rounds=1)
        (record,) = scene.play(lambda audit, refused=refused: audit.refused(refused))  # type: ignore[misc]
        assert record.certificate == seen(shown)
        assert scene.forgotten == 0
        assert scene.audit.reasons_of(seen(shown).thumbprint) != ()


def test_an_impostors_certificate_is_not_taken_for_the_true_one() -> None:
    scene = Scene(CERTIFICATE)
    (record,) = scene.play(lambda audit: audit.refused(refusal("ipsec-cert-wrong-chain")))
    assert record.certificate is not None
    assert record.certificate.thumbprint == ""
    assert scene.audit.reasons_of(seen(CERTIFICATE).thumbprint) == ()


def test_only_its_own_refusal_is_remembered_for_a_certificate_until_it_comes_in() -> None:
    scene = Scene(CERTIFICATE, OTHER)
    mine = seen(CERTIFICATE).thumbprint
    scene.play(lambda audit: audit.refused(refusal("x", "why not", rounds=1)))
    (told,) = scene.audit.reasons_of(mine)
    assert (told.tunnel, told.problem, told.reason) == ("infrastructure", "x", "why not")
    assert scene.audit.reasons_of(seen(OTHER).thumbprint) == ()
    scene.play(lambda audit: audit.ipsec_event(IKEChanged(True, sa())))
    assert scene.audit.reasons_of(mine) == ()


@pytest.mark.parametrize(
    "then",
    [
        lambda audit: audit.ipsec_event(IKEChanged(True, sa())),
        lambda audit: audit.refused(refusal(MISMATCH, "came with CLIENT2$", rounds=1)),
    ],
    ids=["it came in", "the account is another one's"],
)
@pytest.mark.parametrize("doubt", [False, True])
def test_what_was_said_of_the_computer_as_a_whole_is_over(
    then: Callable[[GatewayAudit], object], doubt: bool
) -> None:
    """A thief who comes with another account hears nothing, not even why the owner was refused."""
    scene = Scene(CERTIFICATE)
    mine = seen(CERTIFICATE).thumbprint
    early = refusal(ACCOUNT_REFUSED, "no matching peer config found", connection="")
    scene.play(
        lambda audit: audit.refused(early),
        lambda audit: audit.refused(refusal(ACCOUNT_REFUSED, "the password", rounds=1)),
    )
    assert {reason.tunnel for reason in scene.audit.reasons_of(mine)} == {"", "infrastructure"}
    if doubt:
        younger = issue(ROOT, Profile.COMPUTER, [COMPUTER.identity], now=NOW).certificate
        scene.show(younger)
    scene.play(then)
    assert scene.audit.reasons_of(mine) == ()


def test_a_new_key_is_no_end() -> None:
    records = Scene(CERTIFICATE).play(
        lambda audit: audit.ipsec_event(IKEChanged(True, sa(3))),
        lambda audit: audit.ipsec_event(IKEChanged(False, sa(9))),
    )
    assert [r.windows for r in records] == [4651, 4655]


def test_the_end_of_a_tunnel_that_was_cut_says_why() -> None:
    reason, problem = "the intranet tunnel was ended: alice is disabled", "ipsec-user-refused"
    records = Scene(CERTIFICATE).play(
        lambda audit: audit.ipsec_event(IKEChanged(True, sa(3))),
        lambda audit: audit.ipsec_event(IKEChanged(True, sa(5, "intranet", "alice@R"))),
        lambda audit: audit.cut(reason, problem, "alice@R (2001:db8:da::5)"),
        lambda audit: audit.ipsec_event(IKEChanged(False, sa(5, "intranet"))),
        lambda audit: audit.ipsec_event(IKEChanged(False, sa(3))),
    )
    assert [(r.windows, r.problem, r.reason) for r in records[3:]] == [
        (4655, problem, reason),
        (4634, problem, reason),
        (4655, "", ""),
    ]


def test_a_dead_charon_ends_every_tunnel() -> None:
    records = Scene(CERTIFICATE).play(
        lambda audit: audit.ipsec_event(IKEChanged(True, sa(3))),
        lambda audit: audit.charon_ended("charon was killed"),
    )
    assert (records[1].windows, records[1].reason) == (4655, "charon was killed")


def test_prefixes_that_do_not_agree_are_quick_modes_failure_once() -> None:
    line = LineLogged("IKE", 3, "infrastructure-client1", "no acceptable traffic selectors found")
    records = Scene(CERTIFICATE).play(
        lambda audit: audit.ipsec_event(IKEChanged(True, sa(3))),
        lambda audit: audit.ipsec_event(line),
        lambda audit: audit.ipsec_event(line),
    )
    assert [r.windows for r in records] == [4651, 4654]
    assert records[1].problem == "ipsec-policy-mismatch"


def test_sessions_over_iphttps_are_told() -> None:
    records = Scene().play(
        lambda audit: audit.session_opened(SESSION),
        lambda audit: audit.session_closed(SESSION, "the client went"),
        lambda audit: audit.session_refused(
            "198.51.100.8:1", "iphttps-client-cert-required", "none"
        ),
    )
    assert [(str(r.event), r.outer_address, r.reason or r.detail) for r in records] == [
        ("iphttps-opened", "198.51.100.7", ""),
        ("iphttps-closed", "198.51.100.7", "the client went"),
        ("iphttps-refused", "198.51.100.8", "none"),
    ]


def test_a_network_of_ipv6_is_one_source() -> None:
    """Else one host could fill what all together may, and hide who comes from elsewhere."""

    def flood(audit: GatewayAudit) -> None:
        for number in range(400):
            peer = f"[2001:db8:bad::{number:x}]:1"
            audit.session_refused(peer, "iphttps-client-cert-required", "none")
        audit.session_refused("192.0.2.9:1", "iphttps-client-cert-required", "none")

    *refused, left_out = Scene().play(flood)
    assert [r.outer_address for r in refused].count("192.0.2.9") == 1
    assert len(refused) == PER_SOURCE + 1
    assert (left_out.outer_address, left_out.count) == ("2001:db8:bad::/64", 400 - PER_SOURCE)


def test_a_flood_is_counted() -> None:
    def flood(audit: GatewayAudit) -> None:
        for _ in range(100):
            audit.session_refused("198.51.100.8:1", "iphttps-client-cert-required", "none")

    *refused, left_out = Scene().play(flood)
    assert len(refused) == PER_SOURCE
    assert (left_out.event, left_out.count) == (AuditEvent.LEFT_OUT, 100 - PER_SOURCE)
    assert left_out.outer_address == "198.51.100.8"


def test_more_than_can_wait_is_recorded_without_particulars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)

    def rush(audit: GatewayAudit) -> None:
        for number in range(5):
            audit.ipsec_event(IKEChanged(True, sa(number)))

    records = Scene(CERTIFICATE).play(rush)
    assert len(records) == 5
    assert sum(bool(r.outer_address) for r in records) == 2


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.mark.lab
def test_with_a_real_charon_every_outcome_has_its_number_and_certificate(site: Site) -> None:
    deployment = site.deployment
    first = deployment.credential("client1", Profile.COMPUTER, COMPUTER.identity)
    site.start_client()
    site.up()
    admitted = site.recorded(AuditEvent.MAIN_MODE_ESTABLISHED)
    assert admitted.certificate == seen(first.certificate)
    assert (admitted.outer_address, admitted.outer_port) == (CLIENT, 4500)
    assert (admitted.transport, admitted.account) == ("native", "CLIENT1$")
    assert " === " in site.recorded(AuditEvent.QUICK_MODE_ESTABLISHED).detail
    site.stop_client()
    site.recorded(AuditEvent.MAIN_MODE_ENDED)

    old = deployment.credential("client1", Profile.COMPUTER, COMPUTER.identity, age_days=60)
    assert site.refusal()[0] == "ipsec-cert-expired"
    expired = site.recorded(AuditEvent.MAIN_MODE_FAILED)
    assert expired.certificate == seen(old.certificate)
    assert "valid from" in expired.reason

    stranger = create_root("Other Root", NOW - timedelta(days=9))
    deployment.credential("client1", Profile.COMPUTER, COMPUTER.identity, root=stranger)
    assert site.refusal()[0] == "ipsec-cert-wrong-chain"
    untrusted = site.recorded(AuditEvent.MAIN_MODE_FAILED)
    assert untrusted.certificate is not None
    assert untrusted.certificate.thumbprint == ""

    good = deployment.credential("client1", Profile.COMPUTER, COMPUTER.identity)
    assert site.refusal(deployment.client(password="client2"))[0] == ACCOUNT_REFUSED
    wrong = site.recorded(AuditEvent.EXTENDED_MODE_FAILED)
    assert (wrong.account, wrong.problem) == ("CLIENT1$", ACCOUNT_REFUSED)
    thumbprint = seen(good.certificate).thumbprint
    assert wrong.certificate is not None
    if not wrong.certificate.others:
        assert wrong.certificate.thumbprint == thumbprint


@pytest.mark.lab
def test_with_a_real_charon_other_prefixes_fail_in_quick_mode(site: Site) -> None:
    policy = site.deployment.policy()
    elsewhere = replace(policy.infrastructure, prefixes=("2001:db8:99::/64",))
    client = site.start_client()
    site.world.client.run(client.update_policy(replace(policy, infrastructure=elsewhere)))
    with pytest.raises(IPsecError):
        site.up()
    assert "unacceptable" in site.recorded(AuditEvent.QUICK_MODE_FAILED).reason
