"""Where a gateway's lists fail, it says so, as hard as it checks."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.x509.ocsp import OCSPCertStatus
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import revocation_world
from tests.ipsec_faults import (
    FAULTS,
    GATEWAY_FAULTS,
    REFUSED_BY_CLIENT,
    STRONG,
    UNSPECIFIED,
    WEAK,
    Fault,
    Modify,
    place,
    publish,
    root_of,
)
from tests.ipsec_world import GATEWAY_IDENTITY, Site, shared_world, until, until_true
from tests.revocation_world import CRL, ISSUING, OCSP, OTHER, Places, Web, ask, certify, long_crl
from throughway.client import ipsec as client_ipsec
from throughway.client.ipsec import INFRASTRUCTURE, ClientIPsec
from throughway.gateway import ipsec as gateway_ipsec
from throughway.gateway.revocation import DIRECTORY, make_lists
from throughway.health.tracker import Tracker
from throughway.model.audit import AuditEvent
from throughway.model.config import ClientConfig
from throughway.model.errors import IPsecError
from throughway.model.findings import Component, Severity
from throughway.model.revocation import Revocation, RevocationPolicy
from throughway.model.status import TunnelState
from throughway.net.charon import Charon
from throughway.net.revocation_cache import Kept, RevocationCache
from throughway.net.revocation_lists import RevocationLists, Want
from throughway.net.vici import Section, Session
from throughway.pki.authority import Credential, Profile
from throughway.pki.pem import build_certificate_pem, build_key_pem
from throughway.pki.revocation import questions


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


@pytest.mark.parametrize(
    ("policy", "code", "severity"),
    [
        (Revocation.STRONG, "ipsec-crl-unreachable", Severity.CRITICAL),
        (Revocation.WEAK, "ipsec-crl-not-renewed", Severity.WARNING),
    ],
)
def test_a_point_that_fails_is_named(
    web: Web, tmp_path: Path, policy: Revocation, code: str, severity: Severity
) -> None:
    tracker = Tracker(time.time, (Component.IPSEC, Component.CERTIFICATES))
    want = Want(web.url("/ca.crl"), issuers=(ISSUING.certificate,))

    async def scenario() -> None:
        lists = make_lists(tmp_path, tracker, lambda: policy)
        web.pages["/ca.crl"] = CRL().build(OTHER)
        await lists.get(want)
        [told] = tracker.current()
        assert (told.code, told.severity) == (code, severity)
        assert told.detail == f"{want.url}: the CRL is not signed with the key of Corp Issuing"
        lists.network_changed()
        web.pages["/ca.crl"] = CRL().build(ISSUING)
        await lists.get(want)
        await lists.stop()

    asyncio.run(scenario())
    assert tracker.current() == ()
    assert len(list((tmp_path / DIRECTORY).iterdir())) == 1


class Charons:
    """Gateways that check none, weakly or strongly, with lists from a web server of theirs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roots = {name: root_of(name) for name in FAULTS}
        self.web: Web = shared_world().gateway.call(Web)
        self.sites: dict[Revocation, Site] = {}
        self.judged_web: Web = shared_world().client.call(Web)
        self.judged: Site | None = None
        self.left_behind = self.number = 0

    def site(self, policy: Revocation) -> Site:
        """Return the gateway of a policy; there is room for one at a time."""
        if policy not in self.sites:
            self.close_sites()
            directory = self.folder / policy
            directory.mkdir()
            tracker = Tracker(time.time)
            trusted = [root for name, root in self.roots.items() if FAULTS[name].trusted]
            lists = make_lists(directory / "state", tracker, lambda: policy)
            self.sites[policy] = Site(directory, revocation=policy, roots=trusted, lists=lists)
        return self.sites[policy]

    def judged_site(self) -> Site:
        """Return a gateway whose certificate is judged.

        A client that refuses it leaves half an IKE_SA behind, and charon serves no address with
        five of them: then another one is begun.
        """
        if self.judged is None or self.left_behind >= 4:
            self.close_sites()
            self.number += 1
            folder = self.folder / f"judged-{self.number}"
            folder.mkdir()
            self.judged, self.left_behind = Site(folder), 0
        return self.judged

    def close_sites(self) -> None:
        if self.judged is not None:
            self.judged.close()
            self.judged = None
        for site in self.sites.values():
            site.close()
        self.sites.clear()

    def close(self) -> None:
        self.close_sites()
        shared_world().gateway.call(self.web.close)
        shared_world().client.call(self.judged_web.close)


FETCH_TIME = 20
"""Seconds for which charon waits for us, and we for a place: who waited for either is seen."""


@pytest.fixture(scope="module")
def charons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Charons]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("throughway.net.charon.FETCH_TIME", FETCH_TIME)
        patched.setattr("throughway.gateway.revocation.FETCH_TIME", float(FETCH_TIME))
        charons = Charons(tmp_path_factory.mktemp("charons"))
        yield charons
        charons.close()


@pytest.mark.lab
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("policy", Revocation)
def test_what_charon_says_when(
    charons: Charons, policy: Revocation, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, site = FAULTS[name], charons.site(policy)
    config = place(site.deployment, name, charons.roots[name], charons.web)
    # Or it would take the one of an earlier row, which has the same name, for a try.
    site.world.gateway.run(site.gateway.forget_shown())
    modify(monkeypatch, client_ipsec, fault.at_client)
    if fault.at_gateway is not None:
        modify(monkeypatch, gateway_ipsec, fault.at_gateway)
        site.world.gateway.run(site.gateway.reload(site.deployment.computers(1, 2)))
    site.forget_told()
    if policy in fault.admitted:
        come_in(site, config, policy)
        charons.web.let_go()
        return
    gateway, client = eventually(site, config, fault)
    assert (gateway, client) == (fault.gateway, fault.client)
    assert site.refused_as() == (fault.event, fault.gateway)
    if fault.at_gateway is not None:
        monkeypatch.undo()
        site.world.gateway.run(site.gateway.reload(site.deployment.computers(1, 2)))
    charons.web.let_go()


def come_in(site: Site, config: ClientConfig | None, policy: Revocation = WEAK) -> None:
    """Let a client in at once: nobody waits for a distribution point."""
    site.start_client(config)
    begin = time.monotonic()
    if policy is STRONG:
        # The list is there in time for the second attempt.
        with contextlib.suppress(IPsecError):
            site.up()
        site.wait_client(INFRASTRUCTURE, TunnelState.UP)
    else:
        site.up()
    assert time.monotonic() - begin < FETCH_TIME
    assert site.recorded(AuditEvent.MAIN_MODE_ESTABLISHED)
    site.stop_client()


def eventually(site: Site, config: ClientConfig, fault: Fault) -> tuple[str, str]:
    """Try until the gateway has looked for the list, which it hears of at the first attempt."""
    if fault.gateway == "ipsec-cert-revoked" and site.gateway._config.revocation is not STRONG:
        let_in_and_cut(site, config)
    for _ in range(4):
        site.forget_told()
        gateway, client = site.refusal(config)
        reason = site.failures[0][0]
        if fault.words in reason and gateway == fault.gateway:
            return gateway, client
        site.world.gateway.run(settled(site))
    raise AssertionError(f"{gateway}: {reason}")


def let_in_and_cut(site: Site, config: ClientConfig) -> None:
    """Come in before the list is known, and be cut when it is."""
    site.start_client(config)
    # The list may come before the client has looked, or even before round 2 is done.
    with contextlib.suppress(IPsecError):
        site.up()
    failures = site.failures
    site.world.gateway.run(until(lambda: any(f[1] == "ipsec-cert-revoked" for f in failures)))
    site.wait_client(INFRASTRUCTURE, TunnelState.DOWN)
    site.stop_client()


async def settled(site: Site) -> None:
    """Wait until the lists that charon has asked for are given to it, or cannot be had."""
    feed, lists = site.gateway._feed, site.gateway._lists
    assert feed is not None
    assert lists is not None
    asked = (*feed.urls, *feed._responders)
    await until(lambda: all(lists.cache.get(u) or lists.trouble(u) for u in asked))
    await until(lambda: not site.gateway._tasks)


def modify(monkeypatch: pytest.MonkeyPatch, module: ModuleType, by: Modify | None) -> None:
    if by is None:
        return
    honest = module.connection_of

    def modified(*arguments: object, **keywords: object) -> Section:
        connection: Section = honest(*arguments, **keywords)
        by(connection)
        return connection

    monkeypatch.setattr(module, "connection_of", modified)


@pytest.mark.lab
def test_no_distribution_point_stalls_a_logon(charons: Charons) -> None:
    """The list is there in time for the second attempt, and from then on without its place."""
    site = charons.site(STRONG)
    config = place(site.deployment, "good", charons.roots["good"], charons.web)
    begin = time.monotonic()
    site.start_client(config)
    with contextlib.suppress(IPsecError):
        site.up()
    site.wait_client(INFRASTRUCTURE, TunnelState.UP)
    first = time.monotonic() - begin
    charons.web.pages |= dict.fromkeys(charons.web.pages, Web.SILENT)
    charon = site.gateway._charon
    assert charon is not None
    assert charon.pid is not None
    os.kill(charon.pid, signal.SIGKILL)
    site.world.gateway.run(until(lambda: not site.gateway.running))
    site.world.gateway.run(until(lambda: site.gateway.running))
    begin = time.monotonic()
    site.start_client(config)
    with contextlib.suppress(IPsecError):
        site.up()
    site.wait_client(INFRASTRUCTURE, TunnelState.UP)
    assert max(first, time.monotonic() - begin) < FETCH_TIME
    site.stop_client()


@pytest.mark.lab
@pytest.mark.parametrize("name", GATEWAY_FAULTS)
@pytest.mark.parametrize("policy", Revocation)
def test_the_gateway_is_judged_by_the_client(
    charons: Charons,
    tmp_path: Path,
    policy: Revocation,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if GATEWAY_FAULTS[name].published == "silent":
        monkeypatch.setattr(revocation_world, "FETCH_TIME", 1.0)
    fault, site, web = GATEWAY_FAULTS[name], charons.judged_site(), charons.judged_web
    root, path = root_of(name), f"/{policy}-{name.replace(' ', '-')}.crl"
    url = web.url(path) if fault.published else ""
    made = site.deployment.credential(
        "gateway",
        Profile.GATEWAY,
        fault.identity,
        root=root,
        age_days=fault.age_days,
        crl_url=url,
    )
    web.pages[path] = publish(fault.published or "nothing", root, made)
    site.world.gateway.run(site.gateway.reload(site.deployment.computers(1, 2)))
    lists = RevocationLists(RevocationCache(tmp_path / "kept"), ask)
    site.client_options = {"lists": lists}
    checked = RevocationPolicy(ipsec=policy, lists=(url,) if url else ())
    trusted = root if fault.trusted else root_of("Nobody")
    site.policy = replace(site.deployment.policy(root=trusted), revocation=checked)
    site.forget_told()
    if url:
        site.world.client.run(fetched(lists, root, url))
    if policy in fault.admitted:
        come_in(site, None)
    else:
        charons.left_behind += 1
        assert site.refusal() == (UNSPECIFIED, fault.client)
        assert "the client refused the gateway" in site.failures[0][0]
        assert site.refused_as() == (REFUSED_BY_CLIENT, UNSPECIFIED)
        if fault.published == "nothing":
            assert f"{url}: the server answers 404" in site.client_failures[-1][1]
    site.world.client.run(lists.stop())


@pytest.mark.lab
def test_a_gateway_that_turns_out_to_be_revoked_is_left(charons: Charons, tmp_path: Path) -> None:
    charons.close_sites()
    web: Web = shared_world().client.call(Web)
    site = Site(tmp_path)
    try:
        url = web.url("/gateway.crl")
        made = site.deployment.credential("gateway", Profile.GATEWAY, GATEWAY_IDENTITY, crl_url=url)
        site.world.gateway.run(site.gateway.reload(site.deployment.computers(1, 2)))
        lists = RevocationLists(RevocationCache(tmp_path / "kept"), ask)
        site.client_options = {"lists": lists}
        site.start_client()
        site.up()
        web.pages["/gateway.crl"] = publish("listed", site.deployment.root, made)
        lists.network_changed()
        site.world.client.run(fetched(lists, site.deployment.root, url))
        site.wait_client(INFRASTRUCTURE, TunnelState.DOWN)
        site.world.client.run(until(lambda: bool(site.client_failures)))
        assert site.client_failures[0][2] == "ipsec-cert-revoked"
        site.stop_client()
        site.world.client.run(lists.stop())
    finally:
        site.close()
        shared_world().client.call(web.close)


TRIES = 4
"""Where everything is slow, charon may not have the whole list in its four seconds at once."""


@pytest.mark.lab
def test_a_list_of_five_megabytes_is_looked_at(charons: Charons, tmp_path: Path) -> None:
    """One value of vici holds 64 KiB: such a list charon fetches from the gateway."""
    charons.close_sites()
    web: Web = shared_world().gateway.call(Web)
    tracker = Tracker(time.time, (Component.IPSEC, Component.CERTIFICATES))
    lists = make_lists(tmp_path / "state", tracker, lambda: STRONG)
    site = Site(tmp_path, revocation=STRONG, lists=lists)
    try:
        names = ("client1.corp.example.com", "client2.corp.example.com")
        good, bad = (
            site.deployment.credential(
                f"client{number}", Profile.COMPUTER, name, crl_url=web.url("/long.crl")
            ).certificate.serial_number
            for number, name in enumerate(names, 1)
        )
        web.pages["/long.crl"] = long = long_crl(site.deployment.root, 100_000, bad)
        assert len(long) > 5_000_000
        come_up(site)
        web.pages["/long.crl"] = long_crl(site.deployment.root, 100_000, bad, good)
        site.world.gateway.run(site.gateway.reload(site.deployment.computers(1, 2)))
        site.wait_client(INFRASTRUCTURE, TunnelState.DOWN)
        site.stop_client()
        other = {"account": "CLIENT2$", "password": "client2"}
        for config in (None, site.deployment.client(certificate="client2", **other)):
            assert "ipsec-cert-revoked" in (site.refusal(config)[0] for _ in range(TRIES))
    finally:
        site.close()
        shared_world().gateway.call(web.close)


@pytest.mark.lab
def test_a_certificate_with_a_responder_alone_is_asked_for(
    charons: Charons, tmp_path: Path
) -> None:
    charons.close_sites()
    web: Web = shared_world().gateway.call(Web)
    tracker = Tracker(time.time, (Component.IPSEC, Component.CERTIFICATES))
    lists = make_lists(tmp_path / "state", tracker, lambda: STRONG)
    site = Site(tmp_path, revocation=STRONG, lists=lists)
    try:
        answered, silent = (with_responder(site, web, number) for number in (1, 2))
        web.pages[answered.path] = OCSP().build(answered.certificate, site.deployment.root)
        other = {"account": "CLIENT2$", "password": "client2"}
        config = site.deployment.client(certificate="client2", **other)
        assert site.refusal(config)[0] == "ipsec-ocsp-unreachable"
        site.world.gateway.run(settled(site))
        assert site.refusal(config)[0] == "ipsec-ocsp-unreachable"
        assert f"{silent.responder}: the server answers 405" in site.failures[0][0]
        come_up(site)
        revoked = OCSP(status=OCSPCertStatus.REVOKED)
        web.pages[answered.path] = revoked.build(answered.certificate, site.deployment.root)
        site.forget_told()
        site.world.gateway.run(renewed(lists))
        site.wait_client(INFRASTRUCTURE, TunnelState.DOWN)
        words = "the infrastructure tunnel was ended: a certificate of client1.corp.example.com"
        assert site.failures[0][0] == f"{words} was revoked"
        site.stop_client()
        assert site.refusal()[0] == "ipsec-cert-revoked"
    finally:
        site.close()
        shared_world().gateway.call(web.close)


@pytest.mark.lab
@pytest.mark.parametrize("answers", [True, False])
def test_a_gateway_with_a_responder_alone_is_asked_for_by_the_client(
    charons: Charons, tmp_path: Path, answers: bool
) -> None:
    charons.close_sites()
    web: Web = shared_world().client.call(Web)
    site = Site(tmp_path)
    lists = RevocationLists(RevocationCache(tmp_path / "kept"), ask)
    try:
        root = site.deployment.root
        made = certify(GATEWAY_IDENTITY, root, Places(responders=[web.url("/ocsp")]))
        site.deployment.write("gateway.crt", build_certificate_pem(made.certificate))
        site.deployment.write("gateway.key", build_key_pem(made.key))
        site.world.gateway.run(site.gateway.reload(site.deployment.computers(1, 2)))
        ((_, key),) = questions((made.certificate, root.certificate))[0].answer_urls()
        if answers:
            path = key.removeprefix(web.url(""))
            web.pages[path] = OCSP().build(made.certificate, root)
        site.client_options = {"lists": lists}
        site.policy = replace(site.policy, revocation=RevocationPolicy(ipsec=STRONG))
        if answers:
            come_up(site)
            site.stop_client()
        else:
            assert site.refusal() == (UNSPECIFIED, "ipsec-ocsp-unreachable")
            site.world.client.run(until(lambda: bool(lists.trouble(key))))
            assert site.refusal() == (UNSPECIFIED, "ipsec-ocsp-unreachable")
            told = site.client_failures[-1][1]
            assert f"{web.url('/ocsp')}: the server answers 405" in told
        site.world.client.run(lists.stop())
    finally:
        site.close()
        shared_world().client.call(web.close)


@pytest.mark.lab
def test_what_is_flushed_charon_forgets_at_once(charons: Charons, tmp_path: Path) -> None:
    charons.close_sites()
    web: Web = shared_world().gateway.call(Web)
    tracker = Tracker(time.time, (Component.IPSEC, Component.CERTIFICATES))
    lists = make_lists(tmp_path / "state", tracker, lambda: STRONG)
    site = Site(tmp_path, revocation=STRONG, lists=lists)
    near = RevocationLists(RevocationCache(tmp_path / "kept"), ask)
    try:
        url, root = web.url("/ca.crl"), site.deployment.root
        made = site.deployment.credential(
            "client1", Profile.COMPUTER, "client1.corp.example.com", crl_url=url
        )
        data = publish("good", root, made)
        assert isinstance(data, bytes)
        near.cache.put(kept(url), data)
        site.client_options = {"lists": near}
        site.policy = replace(site.policy, revocation=RevocationPolicy(lists=(url,)))
        web.pages["/ca.crl"] = data
        client = come_up(site)
        charon, its = site.gateway._charon, client._charon
        assert charon is not None
        assert its is not None
        assert site.world.gateway.run(lists_in(charon)) == [data]
        assert site.world.client.run(lists_in(its)) == [data]
        web.pages.clear()
        lists.cache.flush()
        near.cache.flush()
        site.world.gateway.run(site.gateway.reload(site.deployment.computers(1, 2)))
        assert site.world.gateway.run(lists_in(charon)) == []
        site.world.client.run(forgotten(client, its))
        site.stop_client()
        site.world.client.run(near.stop())
    finally:
        site.close()
        shared_world().gateway.call(web.close)


def kept(url: str) -> Kept:
    now = time.time()
    return Kept(url=url, kind="crl", fetched_at=now, begins_at=now, ends_at=now + 3600)


async def lists_in(charon: Charon) -> list[bytes]:
    """Return the lists that a charon has."""
    async with Session(charon._settings.socket) as session:
        wanted = {"type": "X509_CRL"}
        found = [each["data"] async for each in session.stream("list-certs", "list-cert", wanted)]
    return list(dict.fromkeys(found))


async def forgotten(client: ClientIPsec, charon: Charon) -> None:
    client.hurry()
    await until_true(partial(_empty, charon))


async def _empty(charon: Charon) -> bool:
    return await lists_in(charon) == []


def come_up(site: Site) -> ClientIPsec:
    """Come in at the first attempt, or where everything is slow at the next."""
    client = site.start_client()
    with contextlib.suppress(IPsecError):
        site.up()
    site.wait_client(INFRASTRUCTURE, TunnelState.UP)
    return client


async def renewed(lists: RevocationLists) -> None:
    lists.refresh()


@dataclass(frozen=True)
class WithResponder:
    certificate: x509.Certificate
    responder: str
    path: str


def with_responder(site: Site, web: Web, number: int) -> WithResponder:
    """Give a computer a certificate that names a responder and no list."""
    responder, root = web.url(f"/ocsp{number}"), site.deployment.root
    made = certify(
        f"client{number}.corp.example.com",
        root,
        Places(responders=[responder]),
        usages=[ExtendedKeyUsageOID.CLIENT_AUTH],
    )
    site.deployment.write(f"client{number}.crt", build_certificate_pem(made.certificate))
    site.deployment.write(f"client{number}.key", build_key_pem(made.key))
    (question,) = questions((made.certificate, root.certificate))
    ((_, key),) = question.answer_urls()
    return WithResponder(made.certificate, responder, key.removeprefix(web.url("")))


async def fetched(lists: RevocationLists, root: Credential, url: str) -> None:
    """Have the list before the first attempt, as a client that has run before."""
    await lists.get(Want(url, issuers=(root.certificate,)))
