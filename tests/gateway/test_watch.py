"""The dates of certificates, at the edges."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.ipsec_world import Deployment
from tests.patience import PATIENCE
from throughway.gateway import watch
from throughway.gateway.watch import CertificateWatch, read_certificate
from throughway.health.tracker import Tracker
from throughway.model.config import EnrolmentConfig, GatewayConfig, IPHTTPSServerConfig
from throughway.model.errors import ConfigError, ThroughwayError, TrustError
from throughway.net.renewal import Pair
from throughway.pki.authority import Profile, create_root
from throughway.pki.pem import build_certificate_pem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 365


def test_a_file_is_read(tmp_path: Path) -> None:
    certificate = create_root("Example Root", NOW, DAYS).certificate
    file = tmp_path / "root.crt"
    file.write_bytes(build_certificate_pem(certificate))
    assert read_certificate(file) == certificate


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.crt.*cannot be read"):
        read_certificate(tmp_path / "absent.crt")


def test_garbage_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "garbage.crt"
    file.write_bytes(b"\x00garbage")
    with pytest.raises(ThroughwayError):
        read_certificate(file)


class World:
    """A gateway's files, an authority that answers or not, and what was told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, age_days: int) -> None:
        self.folder = folder
        self.deployment = Deployment.create(folder)
        self.deployment.credential("gateway", Profile.GATEWAY, "da.example.com", age_days=age_days)
        (folder / "gateway.key").chmod(0o600)
        self.tracker = Tracker(lambda: 0.0)
        self.asked: list[str] = []
        self.renewed = asyncio.Event()
        self.failure: TrustError | None = None
        monkeypatch.setattr(watch, "renew", self.renew)

    def config(self, *, url: str = "https://x:8443") -> GatewayConfig:
        ipsec = self.deployment.server()
        return GatewayConfig(
            file=self.folder / "gateway.toml",
            iphttps=IPHTTPSServerConfig(
                url="https://da.example.com:443/IPHTTPS",
                listen=(("127.0.0.1", 443),),
                certificate=ipsec.certificate,
                key=ipsec.key,
                prefix="2001:db8:da:1000::/64",
            ),
            ipsec=ipsec,
            enrolment=EnrolmentConfig(url=url) if url else None,
        )

    async def renew(self, pair: Pair, url: str, *_: object, by_proof: bool) -> x509.Certificate:
        assert by_proof
        self.asked.append(f"{pair.certificate.name} {url}")
        if self.failure is not None:
            raise self.failure
        made = self.deployment.credential("gateway", Profile.GATEWAY, "da.example.com")
        return made.certificate

    async def on_renewed(self) -> None:
        self.renewed.set()

    def codes(self) -> set[str]:
        return {condition.code for condition in self.tracker.current()}

    def look(self, config: GatewayConfig) -> float:
        keeper = CertificateWatch(self.tracker, self.on_renewed)
        return asyncio.run(keeper._look(config))


def test_its_own_certificate_is_renewed_once_for_both_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, age_days=25)
    pause = world.look(world.config())
    assert world.asked == ["gateway.crt https://x:8443"]
    assert world.renewed.is_set()
    assert pause <= watch.LOOK_INTERVAL
    world.look(world.config())
    assert len(world.asked) == 1
    assert world.codes() == set()


@pytest.mark.parametrize(("age_days", "url"), [(0, "https://x:8443"), (25, "")])
def test_young_ones_and_those_of_no_authority_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_days: int, url: str
) -> None:
    world = World(tmp_path, monkeypatch, age_days)
    world.look(world.config(url=url))
    assert world.asked == []


def test_a_certificate_of_somebody_else_is_only_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, age_days=25)
    world.deployment.credential(
        "gateway",
        Profile.GATEWAY,
        "da.example.com",
        root=create_root("Public", datetime.now(UTC) - timedelta(days=300)),
        age_days=29,
    )
    world.look(world.config())
    assert world.asked == []
    assert world.codes() == {"iphttps-cert-ends-this-week", "ipsec-cert-ends-this-week"}


def test_a_renewal_that_fails_is_told_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, age_days=25)
    world.failure = TrustError("no")
    assert world.look(world.config()) == watch.RETRY_INTERVAL
    assert "certificate-not-renewed" in world.codes()
    world.failure = None
    world.look(world.config())
    assert "certificate-not-renewed" not in world.codes()
    assert world.renewed.is_set()


def test_what_is_renewed_comes_into_force_whatever_stands_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are new, and nobody renews them again: one reload that fails must not be all."""
    world = World(tmp_path, monkeypatch, age_days=25)
    keeper = CertificateWatch(world.tracker, world.on_renewed)

    async def refused() -> None:
        raise ConfigError("gateway.toml", "ipsec", "is being edited just now")

    async def scenario() -> None:
        keeper._on_renewed = refused
        assert await keeper._look(world.config()) == watch.RETRY_INTERVAL
        assert "certificate-not-renewed" in world.codes()
        keeper._on_renewed = world.on_renewed
        await keeper._look(world.config())

    asyncio.run(scenario())
    assert world.renewed.is_set()
    assert world.codes() == set()
    assert len(world.asked) == 1


def test_one_that_is_refused_keeps_no_other_from_coming_into_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, age_days=25)
    world.deployment.credential("rsa", Profile.GATEWAY, "da.example.com", age_days=25)
    (tmp_path / "rsa.key").chmod(0o600)
    config = world.config()
    files = (tmp_path / "rsa.crt", tmp_path / "rsa.key")
    iphttps = replace(config.iphttps, rsa_certificate=files[0], rsa_key=files[1])
    config = replace(config, iphttps=iphttps)

    async def renew(pair: Pair, url: str, *rest: object, by_proof: bool) -> x509.Certificate:
        if pair.certificate.name == "rsa.crt":
            raise TrustError("its name is another one's")
        return await world.renew(pair, url, *rest, by_proof=by_proof)

    monkeypatch.setattr(watch, "renew", renew)
    assert world.look(config) == watch.RETRY_INTERVAL
    assert "certificate-not-renewed" in world.codes()
    assert world.renewed.is_set()


def test_a_change_of_configuration_is_looked_at_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, age_days=25)

    async def scenario() -> None:
        keeper = CertificateWatch(world.tracker, world.on_renewed)
        task = asyncio.create_task(keeper.run())
        await asyncio.sleep(0)
        keeper.configure(world.config())
        async with asyncio.timeout(PATIENCE):
            await world.renewed.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_they_are_renewed_when_somebody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, age_days=1)
    keeper = CertificateWatch(world.tracker, world.on_renewed)
    with pytest.raises(ConfigError, match="enrolment"):
        asyncio.run(keeper.renew_now())
    keeper.configure(world.config(url=""))
    with pytest.raises(ConfigError, match="enrolment"):
        asyncio.run(keeper.renew_now())
    keeper.configure(world.config())
    assert "gateway.crt" in asyncio.run(keeper.renew_now())
    assert world.asked == ["gateway.crt https://x:8443"]
    assert world.renewed.is_set()
    world.failure = TrustError("no")
    with pytest.raises(TrustError, match="no"):
        asyncio.run(keeper.renew_now())
