"""Health certificates: who is given one, what it says, and that charon lets nobody in without."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.gateway.test_health import BAD, CLIENT1, LOGIN, NAMES, World, config
from tests.gateway.test_ipsec import User
from tests.health_faults import CERTIFICATES, POLICY, Certificate, statement
from tests.ipsec_world import REALM, SERVER, SERVICE, Deployment, Site, shared_domain, until
from throughway.client.ipsec import HEALTH_CERTIFICATE
from throughway.gateway import health_certificates
from throughway.gateway.gate import OpenGate
from throughway.gateway.health import MISSING, HealthAuthority
from throughway.gateway.health_certificates import (
    REVOKED,
    UNKNOWN,
    check_owner,
    demanded,
    open_health_authority,
)
from throughway.model.config import HealthConfig, UsersConfig
from throughway.model.errors import IPsecError, TrustError
from throughway.model.revocation import Revocation
from throughway.model.statement import (
    SYSTEM_HEALTH,
    HealthMode,
    StatementOfHealth,
)
from throughway.pki.authority import (
    Credential,
    Profile,
    certify,
    certify_health,
    create_root,
    is_health,
    issue,
)
from throughway.pki.pem import build_certificate_pem, build_key_pem


def write_authority(folder: Path, root: Credential) -> Path:
    """Write what ``throughway pki init`` leaves."""
    folder.mkdir()
    (folder / "ca.crt").write_bytes(build_certificate_pem(root.certificate))
    (folder / "ca.key").touch(0o600)
    (folder / "ca.key").write_bytes(build_key_pem(root.key))
    return folder


class Issuing:
    """An authority of health that issues, and one computer with its certificate."""

    def __init__(self, folder: Path, mode: HealthMode = HealthMode.FULL) -> None:
        self.world = World()
        self.world.now = datetime.now(UTC).timestamp()
        self.root = create_root("Health Root", datetime.now(UTC) - timedelta(days=1))
        self.directory = write_authority(folder / "health", self.root)
        policy = replace(POLICY, mode=mode, deferred_until="2100-01-01")
        self.health = HealthConfig(policy=policy, authority=self.directory)
        self.world.authority.reload(replace(config(policy), health=self.health))
        computers = create_root("Root", datetime.now(UTC) - timedelta(days=1))
        self.own = issue(computers, Profile.COMPUTER, list(NAMES), now=datetime.now(UTC))
        self.key = ec.generate_private_key(ec.SECP256R1())

    def state(self, said: StatementOfHealth | None = None) -> str:
        """State health; return the certificate (PEM) that came, or in words why none."""
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        told = replace(said or statement(), key=point.hex())
        der = self.own.certificate.public_bytes(Encoding.DER)
        judged = self.world.authority.state(der, told)
        return judged.certificate or judged.refused


@pytest.fixture
def issuing(tmp_path: Path) -> Issuing:
    return Issuing(tmp_path)


def test_who_is_healthy_gets_a_certificate_of_some_hours(issuing: Issuing) -> None:
    made = x509.load_pem_x509_certificate(issuing.state().encode())
    made.verify_directly_issued_by(issuing.root.certificate)
    assert made.public_key() == issuing.key.public_key()
    until_ = issuing.world.now + POLICY.hours * 3600
    assert abs(made.not_valid_after_utc.timestamp() - until_) < 2
    policies = made.extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert [policy.policy_identifier.dotted_string for policy in policies] == [SYSTEM_HEALTH]
    assert is_health(made)
    assert not is_health(issuing.own.certificate)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == list(NAMES)
    thumbprint = issuing.own.certificate.fingerprint(SHA256()).hex()
    assert issuing.world.authority.also_of(thumbprint) == made.fingerprint(SHA256()).hex()
    assert issuing.world.why_not() == ""


def test_who_is_not_healthy_gets_none(issuing: Issuing) -> None:
    assert issuing.state(BAD) == ""
    assert issuing.world.why_not().startswith(MISSING)


@pytest.mark.parametrize("mode", [HealthMode.OFF, HealthMode.REPORT, HealthMode.DEFERRED])
def test_where_none_is_demanded_none_is_issued(tmp_path: Path, mode: HealthMode) -> None:
    issuing = Issuing(tmp_path, mode)
    assert issuing.state() == ""
    assert issuing.world.why_not() == ""
    assert not demanded(issuing.health, issuing.world.now)
    last = replace(issuing.health.policy, deferred_until="2026-01-01")
    later = demanded(replace(issuing.health, policy=last), issuing.world.now)
    assert later is (mode is HealthMode.DEFERRED)


def test_it_ends_with_the_computer_certificate(issuing: Issuing) -> None:
    issuing.world.now = issuing.own.certificate.not_valid_after_utc.timestamp() - 60
    made = x509.load_pem_x509_certificate(issuing.state().encode())
    assert made.not_valid_after_utc == issuing.own.certificate.not_valid_after_utc


def test_without_a_key_or_an_authority_nobody_is_given_one(issuing: Issuing) -> None:
    der = issuing.own.certificate.public_bytes(Encoding.DER)
    for key in ("", "04" + "00" * 64):
        judged = issuing.world.authority.state(der, replace(statement(), key=key))
        assert (judged.healthy, judged.certificate) == (False, "")
        assert judged.refused == "no health certificate was issued"
    (issuing.directory / "ca.key").unlink()
    assert issuing.state() == "no health certificate was issued"


def test_a_computer_that_was_revoked_since_does_not_come_in(issuing: Issuing) -> None:
    issuing.state()
    issuing.world.revoked = True
    assert issuing.world.why_not().startswith(REVOKED)
    assert issuing.world.why_not(replace(LOGIN, connection="infrastructure-client1")) == ""


def test_a_computer_that_was_given_none_does_not_come_in(issuing: Issuing) -> None:
    issuing.world.authority.register(NAMES, statement())
    assert "was given no health certificate" in issuing.world.why_not()
    assert issuing.world.authority.withheld("stranger.example.com") is None
    withheld = issuing.world.authority.withheld(CLIENT1.identity)
    assert withheld is not None
    assert "has not shown its health certificate" in withheld.reason


def test_an_authority_that_charon_would_not_take_is_refused(tmp_path: Path) -> None:
    root = create_root("Root", datetime.now(UTC))
    assert open_health_authority(write_authority(tmp_path / "good", root)).key is not None
    bare = x509.CertificateBuilder(
        issuer_name=root.certificate.subject,
        subject_name=root.certificate.subject,
        public_key=root.key.public_key(),
        serial_number=1,
        not_valid_before=root.certificate.not_valid_before_utc,
        not_valid_after=root.certificate.not_valid_after_utc,
    ).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    folder = write_authority(tmp_path / "bare", Credential(root.key, bare.sign(root.key, SHA256())))
    with pytest.raises(TrustError, match="neither the certificate policy"):
        open_health_authority(folder)


def test_with_a_health_certificate_no_health_is_stated(issuing: Issuing) -> None:
    given = x509.load_pem_x509_certificate(issuing.state().encode())
    issuing.own = Credential(issuing.own.key, given)
    assert "in the place of the computer certificate" in issuing.state()


@pytest.mark.parametrize(
    ("judged", "told"),
    [("user-certificate-revoked", REVOKED), ("anything", UNKNOWN)],
)
def test_the_computer_certificate_is_looked_up_as_ipsec_has_it(
    issuing: Issuing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: str, told: str
) -> None:
    asked: list[object] = []

    async def check(chain: object, lists: object, policy: Revocation) -> None:
        asked.append((chain, policy))
        raise TrustError("on the list", problem=judged)

    monkeypatch.setattr(health_certificates, "check_revocation", check)
    (tmp_path / "deployment").mkdir()
    deployment = Deployment.create(tmp_path / "deployment")
    own = issue(deployment.root, Profile.COMPUTER, list(NAMES), now=datetime.now(UTC)).certificate
    lists: Any = object()
    server = deployment.server()
    for skipped in (
        check_owner(own, server, None),
        check_owner(own, replace(server, revocation=Revocation.NONE), lists),
    ):
        asyncio.run(skipped)
    assert asked == []
    with pytest.raises(TrustError, match="the computer certificate: on the list") as caught:
        asyncio.run(check_owner(own, server, lists))
    assert caught.value.problem == told
    assert asked == [((own, deployment.root.certificate), server.revocation)]


# With charon on both ends


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, Issuing]]:
    domain = shared_domain()
    monkeypatch.setenv("KRB5_CONFIG", str(domain.krb5_conf))
    issuing = Issuing(tmp_path)
    authority = HealthAuthority(replace(config(POLICY), health=issuing.health))
    issuing.world.authority = authority
    users = UsersConfig(realm=REALM, keytab=domain.keytab, service=SERVICE)
    made = Site(tmp_path, users, gate=authority.guarding(OpenGate()))
    authority.bind(made.gateway, lambda work: made.world.gateway.run(work))
    wanted = replace(made.deployment.server(), health=issuing.health)
    made.world.gateway.run(made.gateway.reload(made.deployment.computers(1, 2), config=wanted))
    made.start_client()
    made.up()
    yield made, issuing
    made.close()


@pytest.mark.lab
def test_charon_wants_the_certificate_of_who_wants_the_intranet(
    site: tuple[Site, Issuing], tmp_path: Path
) -> None:
    world, issuing = site
    own = x509.load_pem_x509_certificate(world.deployment.client().certificate.read_bytes())
    issuing.own = Credential(issuing.own.key, own)
    alice = User(world, "alice", tmp_path / "alice")
    file = world.deployment.client().runtime_directory / HEALTH_CERTIFICATE
    for fault, told in CERTIFICATES.items():
        file.unlink(missing_ok=True)
        issuing.key = ec.generate_private_key(ec.SECP256R1())  # as a client does each time
        given = issuing.state()
        if fault != "none":
            shown = given.encode() if fault == "good" else faulty(issuing, fault)
            file.touch(0o600)
            file.write_bytes(shown + build_key_pem(issuing.key))
        world.forget_told()
        if not told.gateway:
            alice.up()
            wait_recorded(world, told)
            assert len(world.at_gateway("intranet")) == 1
            continue
        with pytest.raises(IPsecError, match="AUTHENTICATION_FAILED"):
            alice.try_up()
        world.world.gateway.run(until(lambda: bool(world.failures)))
        assert (fault, world.failures[0][1]) == (fault, told.gateway)
        wait_recorded(world, told)
        assert world.world.reach(SERVER)  # what mends a computer stays within reach
        assert len(world.at_gateway("infrastructure")) == 1


def wait_recorded(world: Site, told: Certificate) -> None:
    """Wait for the audit, which looks up what was shown before it records."""
    wanted = (told.event, told.gateway)
    world.world.gateway.run(
        until(lambda: any((one.event, one.problem) == wanted for one in world.records))
    )


def faulty(issuing: Issuing, fault: str) -> bytes:
    """Return a certificate (PEM) that is not what charon wants."""
    now, root = datetime.now(UTC), issuing.root
    life = timedelta(hours=4)
    key = issuing.key.public_key()
    match fault:
        case "no policy":
            made = certify(root, Profile.HEALTH, NAMES, key, now=now, life=life)
        case "expired":
            made = certify_health(root, NAMES, key, now=now - timedelta(hours=5), life=life)
        case "another's":
            made = certify_health(root, ["client2.corp.example.com"], key, now=now, life=life)
        case _:
            other = create_root("Health Root", now - timedelta(days=1))
            made = certify_health(other, NAMES, key, now=now, life=life)
    return build_certificate_pem(made)
