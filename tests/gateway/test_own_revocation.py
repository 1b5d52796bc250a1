"""A gateway says itself that its certificate was revoked, and asks nobody where it must not."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
from cryptography.x509.ocsp import OCSPCertStatus

from tests.net.iphttps_world import wait_for
from tests.patience import PATIENCE
from tests.pki_world import write, write_gateway
from tests.revocation_world import CRL, HOST, NOW, OCSP, ROOT, Places, Web, certify
from throughway.gateway import settings
from throughway.gateway.own_revocation import OwnRevocation, read_shown
from throughway.gateway.revocation import DIRECTORY, OWN_DIRECTORY
from throughway.health.tracker import Tracker
from throughway.model.config import GatewayConfig
from throughway.model.findings import Component, Severity
from throughway.net.revocation_cache import RevocationCache
from throughway.pki.authority import Credential
from throughway.pki.judgement import serial_of
from throughway.pki.pem import build_certificate_pem, build_key_pem
from throughway.pki.revocation import questions

CODE = "gateway-cert-revoked"


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


class World:
    """A gateway's files, its authority on the web, and what was told."""

    def __init__(self, web: Web, folder: Path) -> None:
        self.web, self.folder = web, folder
        self.file = write_gateway(folder, [("[users]", 'revocation = "weak"\n\n[users]')])
        write(folder / "root.crt", build_certificate_pem(ROOT.certificate))
        self.issuing = certify("Corp Issuing", ROOT, self.places("/root.crl"), ca=True)
        web.pages["/root.crl"] = CRL().build(ROOT)
        self.number = 0
        self.publish()
        self.leaf = self.renew()
        self.tracker = Tracker(time.time, (Component.CERTIFICATES,))
        self.own = OwnRevocation(folder / "state", self.tracker)
        self.cache = RevocationCache(folder / "state" / OWN_DIRECTORY)

    def places(self, path: str) -> Places:
        return Places((self.web.url(path),))

    def renew(self, stem: str = "gateway", places: Places | None = None) -> Credential:
        """Put a new certificate in the file's place."""
        made = certify(HOST, self.issuing, places or self.places("/ca.crl"))
        chain = (made.certificate, self.issuing.certificate)
        write(self.folder / f"{stem}.crt", b"".join(map(build_certificate_pem, chain)))
        write(self.folder / f"{stem}.key", build_key_pem(made.key), 0o600)
        return made

    def publish(self, *revoked: Credential) -> None:
        self.number += 1
        entries = [(each.certificate.serial_number, None) for each in revoked]
        self.web.pages["/ca.crl"] = CRL(revoked=entries, number=self.number).build(self.issuing)

    def config(self, *changes: tuple[str, str]) -> GatewayConfig:
        text = self.file.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        self.file.write_text(text)
        return settings.load(self.file)

    def details(self) -> list[str]:
        told = self.tracker.current()
        assert {(each.code, each.severity) for each in told} <= {(CODE, Severity.CRITICAL)}
        return [each.detail for each in told]

    def live(self, scenario: Callable[[], Coroutine[object, object, None]]) -> None:
        """Let it watch as long as the scenario takes."""

        async def whole() -> None:
            async with asyncio.timeout(PATIENCE):
                watching = asyncio.create_task(self.own.run())
                try:
                    await scenario()
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
            assert self.own._lists is None

        asyncio.run(whole())


@pytest.fixture
def world(web: Web, tmp_path: Path) -> World:
    return World(web, tmp_path)


def test_it_is_told_until_another_one_is_in_use(world: World) -> None:
    world.publish(world.leaf)
    old = serial_of(world.leaf.certificate)

    async def scenario() -> None:
        world.own.configure(world.config())
        await wait_for(world.details)
        (detail,) = world.details()
        begin = f"{world.folder}/gateway.crt (IP-HTTPS, IPsec): "
        assert detail.startswith(begin + f"the certificate of {HOST}, serial {old}: revoked on ")
        assert detail.endswith(f"({world.web.url('/ca.crl')})")
        assert f"{NOW:%Y-}" in detail
        world.renew()
        await world.own._look()
        assert world.details() == [detail]  # it is on the disk, and not in use
        world.own.configure(world.config())
        await wait_for(lambda: not world.details())
        await wait_for(lambda: len(world.cache.entries()) == 2)

    world.live(scenario)
    assert not (world.folder / "state" / DIRECTORY).exists(), "charon is given what is there"


def test_a_list_that_is_renewed_counts_at_once(world: World) -> None:
    async def scenario() -> None:
        world.own.configure(world.config())
        await wait_for(lambda: len(world.cache.entries()) == 2)
        lists = world.own._lists
        assert lists is not None
        world.publish(world.leaf)
        assert world.details() == []
        lists.refresh()
        await wait_for(world.details)

    world.live(scenario)


def test_each_file_is_told_of(world: World) -> None:
    other = world.renew("ipsec")
    world.publish(world.leaf, other)
    both, apart = (
        f'identity = "da.example.com"\ncertificate = "{stem}.crt"\nkey = "{stem}.key"'
        for stem in ("gateway", "ipsec")
    )

    async def scenario() -> None:
        world.own.configure(world.config((both, apart)))
        await wait_for(lambda: len(world.details()) == 2)
        named = {detail.split(":")[0].rpartition("/")[2] for detail in world.details()}
        assert named == {"gateway.crt (IP-HTTPS)", "ipsec.crt (IPsec)"}
        # Now both uses have the first file: it stays, and of the other nothing is said any more.
        world.own.configure(world.config((apart, both)))
        await wait_for(lambda: "gateway.crt (IP-HTTPS, IPsec): " in world.details()[0])
        assert len(world.details()) == 1

    world.live(scenario)


def revoked_authority(world: World) -> str:
    serial = world.issuing.certificate.serial_number
    world.web.pages["/root.crl"] = CRL(revoked=[(serial, None)]).build(ROOT)
    return "the certificate of Corp Issuing"


def revoked_by_delta(world: World) -> str:
    base = CRL(number=1, deltas=[world.web.url("/delta.crl")])
    entries = [(world.leaf.certificate.serial_number, None)]
    world.web.pages["/ca.crl"] = base.build(world.issuing)
    world.web.pages["/delta.crl"] = CRL(number=2, base=1, revoked=entries).build(world.issuing)
    return "revoked on"


def revoked_by_responder(world: World) -> str:
    leaf = world.renew(places=Places((), (), (world.web.url("/"),)))
    asked = questions((leaf.certificate, world.issuing.certificate))
    ((_, url),) = asked[0].answer_urls()
    answer = OCSP(status=OCSPCertStatus.REVOKED).build(leaf.certificate, world.issuing)
    world.web.pages[url.removeprefix(world.web.url(""))] = answer
    return world.web.url("/")


@pytest.mark.parametrize("fault", [revoked_authority, revoked_by_delta, revoked_by_responder])
def test_whatever_says_so(world: World, fault: Callable[[World], str]) -> None:
    words = fault(world)

    async def scenario() -> None:
        world.own.configure(world.config())
        await wait_for(world.details)

    world.live(scenario)
    assert words in world.details()[0]


def test_a_place_that_fails_is_no_problem_and_makes_nothing_good(world: World) -> None:
    async def scenario() -> None:
        world.web.pages["/ca.crl"] = 404
        world.own.configure(world.config())
        await wait_for(lambda: world.own._lists)
        lists, url = world.own._lists, world.web.url("/ca.crl")
        assert lists is not None
        await wait_for(lambda: lists.trouble(url))
        await world.own._look()
        assert world.details() == []
        world.publish(world.leaf)
        lists.network_changed()
        await wait_for(world.details)
        world.web.pages["/ca.crl"] = 404
        lists.cache.flush()
        lists.network_changed()
        await wait_for(lambda: lists.trouble(url))
        await world.own._look()
        assert len(world.details()) == 1
        world.publish()  # it was on hold
        lists.refresh()
        await wait_for(lambda: not world.details())

    world.live(scenario)


def test_what_only_an_earlier_certificate_named_is_not_kept(world: World) -> None:
    """It would go out of date, and `pki cache list` would say so for ever."""
    revoked_by_delta(world)
    paths = ["/ca.crl", "/delta.crl", "/root.crl"]

    def kept() -> list[str]:
        start = len(world.web.url(""))
        return sorted(each.url[start:] for each in world.cache.entries())

    async def scenario() -> None:
        world.own.configure(world.config())
        await wait_for(lambda: kept() == paths)
        world.own.configure(world.config())
        await world.own._look()
        assert kept() == paths
        world.renew(places=world.places("/other.crl"))
        world.web.pages["/other.crl"] = CRL().build(world.issuing)
        world.own.configure(world.config())
        await wait_for(lambda: kept() == ["/other.crl", "/root.crl"])

    world.live(scenario)


def test_who_switched_revocation_off_asks_nobody(world: World) -> None:
    world.publish(world.leaf)

    async def scenario() -> None:
        world.own.configure(world.config(('"weak"', '"none"')))
        await world.own._look()
        assert (world.own._lists, world.web.asked) == (None, [])
        world.own.configure(world.config(('"none"', '"strong"')))
        await wait_for(world.details)
        world.own.configure(world.config(('"strong"', '"none"')))
        await wait_for(lambda: not world.details())
        assert world.own._lists is None

    world.live(scenario)


def test_a_certificate_without_a_place_is_not_asked_about(world: World) -> None:
    world.renew(places=Places())
    world.web.pages["/root.crl"] = 404

    async def scenario() -> None:
        world.own.configure(world.config())
        await wait_for(lambda: world.web.asked)

    world.live(scenario)
    assert set(world.web.asked) == {"/root.crl"}
    assert world.details() == []


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_a_file_that_cannot_be_read_ends_nothing(world: World, content: bytes | None) -> None:
    config = world.config()
    file = world.folder / "gateway.crt"
    good = file.read_bytes()
    world.publish(world.leaf)

    async def scenario() -> None:
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        world.own.configure(config)
        await world.own._look()
        assert (world.own._lists, world.details()) == (None, [])
        file.write_bytes(good)
        await world.own._look()
        await wait_for(world.details)

    world.live(scenario)


def test_a_chain_goes_as_far_as_authorities_are_known(world: World) -> None:
    config = world.config()
    (shown,) = read_shown(config)
    assert len(shown.chain) == 3
    (world.folder / "root.crt").write_bytes(build_certificate_pem(world.leaf.certificate))
    (shown,) = read_shown(config)
    assert len(shown.chain) == 1, "what is trusted itself has nobody above"
    stranger = certify("Some Other Authority", None, ca=True)
    (world.folder / "root.crt").write_bytes(build_certificate_pem(stranger.certificate))
    (shown,) = read_shown(config)
    assert len(shown.chain) == 2
