"""The KDC proxy's process, and computers that come in by tickets got through it."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.directory_world import TICKETS, Proof, broken, with_hosts
from tests.gateway.test_access import config_of, tickets
from tests.ipsec_world import (
    CLIENT,
    GATEWAY_IDENTITY,
    REALM,
    SERVER,
    SERVICE,
    Site,
    shared_domain,
    shared_world,
    until,
    until_true,
)
from tests.pki_world import NOW, ROOT, write_credential
from tests.ports import free_port
from throughway.gateway import kdc
from throughway.gateway.kdc import PROBLEM, KDCProxyProcess
from throughway.health.tracker import Tracker
from throughway.model.audit import AuditEvent
from throughway.model.config import ClientConfig, KDCProxyConfig, UsersConfig
from throughway.model.errors import IPsecError, ThroughwayError
from throughway.model.findings import Component
from throughway.net import computer_token
from throughway.net.process import write_private
from throughway.pki.authority import Profile, issue
from throughway.pki.pem import build_certificate_pem

OUTSIDE = "2001:db8:f1::1"
"""The gateway's address that clients reach without a tunnel."""
PORT = 8443
URL = f"https://{GATEWAY_IDENTITY}:{PORT}/KdcProxy"


class TicketSite(Site):
    """A gateway that knows no account's secret, with a KDC proxy."""

    def __init__(self, folder: Path) -> None:
        users = UsersConfig(realm=REALM, keytab=shared_domain().keytab, service=SERVICE)
        super().__init__(folder, users)
        known = self.deployment.computers(1, 2)
        computers = tuple(replace(computer, nt_hash=None) for computer in known)
        self.world.gateway.run(self.gateway.reload(computers))
        config = config_of(folder, servers=(SERVER,))
        self.tracker = Tracker(lambda: 0.0, (Component.AUTHORISER,))
        self.accounts = ["CLIENT1$", "CLIENT2$"]
        self.proxy = KDCProxyProcess(
            replace(
                config,
                users=users,
                kdc_proxy=KDCProxyConfig(listen=(OUTSIDE, PORT)),
                iphttps=replace(
                    config.iphttps,
                    certificate=folder / "gateway.crt",
                    key=folder / "gateway.key",
                ),
            ),
            self.tracker,
            lambda: self.accounts,
        )
        self.world.gateway.run(self.proxy.start())

    def by_ticket(self, **changes: object) -> ClientConfig:
        """Return a client that has a keytab and no password."""
        given = {"keytab": shared_domain().directory / "client1.keytab"} | changes
        return replace(
            self.deployment.client(),
            password_file=None,
            kdc_proxy=URL,
            **given,  # type: ignore[arg-type]
        )

    def close(self) -> None:
        self.stop_client()
        self.world.gateway.run(self.proxy.stop())
        super().close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TicketSite]:
    command = with_hosts(tmp_path, OUTSIDE, GATEWAY_IDENTITY)
    monkeypatch.setattr(computer_token, "COMMAND", (*command, "throughway.net.computer_token"))
    (tmp_path / "site").mkdir()
    # The controller's first answer takes a second and more, where all cores are busy.
    monkeypatch.setenv("KRB5_CONFIG", str(shared_domain().krb5_conf))
    tickets(tmp_path, "alice")
    site = TicketSite(tmp_path / "site")
    wait_listening(site)
    yield site
    site.close()


def wait_listening(site: TicketSite) -> None:
    def listening() -> bool:
        return f":{PORT}" in site.world.gateway.command("ss", "-Hltn")

    site.world.gateway.run(until(listening))


def ccache(site: TicketSite) -> Path:
    return site.deployment.client().runtime_directory / "computer.ccache"


@pytest.mark.lab
def test_a_computer_comes_in_by_its_keytab_alone(site: TicketSite) -> None:
    site.start_client(site.by_ticket())
    site.up()
    assert site.world.reach(SERVER) == CLIENT
    assert ccache(site).stat().st_mode & 0o777 == 0o600
    # The ticket is kept: it comes again with nobody to ask.
    site.world.gateway.run(site.proxy.stop())
    site.up(renew=True)
    assert site.world.reach(SERVER) == CLIENT


@pytest.mark.lab
def test_a_password_serves_as_well(site: TicketSite) -> None:
    file = site.deployment.directory / "account.password"
    write_private(file, "Passw0rd.CLIENT1\n")
    site.start_client(replace(site.by_ticket(keytab=None), password_file=file))
    site.up()
    assert site.world.reach(SERVER) == CLIENT


@pytest.mark.lab
def test_the_ticket_of_another_computer_is_refused(site: TicketSite) -> None:
    """It has stolen client1's certificate, and has an account of its own."""
    stolen = site.by_ticket(account="CLIENT2$", keytab=shared_domain().directory / "client2.keytab")
    at_gateway, _at_client = site.refusal(stolen)
    assert at_gateway == "ipsec-account-certificate-mismatch"


@pytest.mark.lab
def test_who_proves_an_account_by_a_ticket(site: TicketSite) -> None:
    found = {name: proven(site, proof) for name, proof in TICKETS.items()}
    assert found == {name: (p.at_client, p.at_gateway) for name, p in TICKETS.items()}


def proven(site: TicketSite, proof: Proof) -> tuple[str, str]:
    """Let a computer try; return what both ends say."""
    ccache(site).unlink(missing_ok=True)
    file = site.deployment.directory / "account.password"
    write_private(file, f"{proof.password}\n")
    keytab = shared_domain().directory / f"{proof.keytab}.keytab" if proof.keytab else None
    config = site.by_ticket(account=proof.account, keytab=keytab)
    config = config if keytab else replace(config, password_file=file)
    site.forget_told()
    broken_for = broken("CLIENT1$", proof.fault) if proof.fault else contextlib.nullcontext()
    with broken_for:
        site.start_client(config)
        try:
            site.try_up()
        except ThroughwayError as error:
            said = getattr(error, "problem", "")
        else:
            assert site.recorded(AuditEvent.MAIN_MODE_ESTABLISHED)
            site.stop_client()
            return "", ""
        site.stop_client()
    if not proof.at_gateway:
        assert site.records == []
        return said, ""
    event, problem = site.refused_as()
    assert event is AuditEvent.EXTENDED_MODE_FAILED
    return said, problem


def without_the_account(site: TicketSite) -> ClientConfig:
    site.accounts = ["CLIENT2$"]
    site.world.gateway.run(site.proxy.stop())
    site.world.gateway.run(site.proxy.start())
    wait_listening(site)
    return site.by_ticket()


def with_another_password(site: TicketSite) -> ClientConfig:
    file = site.deployment.directory / "wrong.password"
    write_private(file, "wrong\n")
    return replace(site.by_ticket(keytab=None), password_file=file)


def with_an_untrusted_gateway(site: TicketSite) -> ClientConfig:
    # Its own root and no other one counts for the proxy's certificate.
    return replace(site.by_ticket(), iphttps_ca=site.deployment.write("none.pem", b""))


@pytest.mark.lab
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (without_the_account, "kerberos-unreachable"),
        (with_another_password, "kerberos-password-wrong"),
        (with_an_untrusted_gateway, "kerberos-unreachable"),
    ],
)
def test_what_keeps_a_computer_from_its_ticket(
    site: TicketSite, make: Callable[[TicketSite], ClientConfig], problem: str
) -> None:
    site.start_client(make(site))
    with pytest.raises(ThroughwayError) as caught:
        site.up()
    assert not isinstance(caught.value, IPsecError)
    assert getattr(caught.value, "problem", "") == problem


@pytest.mark.lab
def test_the_process_is_nobody_and_comes_back(site: TicketSite) -> None:
    def process() -> int:
        found = site.world.gateway.command("ss", "-Hltnp", f"sport = :{PORT}")
        return int(found.partition("pid=")[2].partition(",")[0] or 0)

    def status(pid: int) -> str:
        return Path(f"/proc/{pid}/status").read_text()

    first = process()
    site.world.gateway.run(until(lambda: "CapEff:\t0000000000000000" in status(first)))
    uids = next(line for line in status(first).splitlines() if line.startswith("Uid:"))
    assert "\t0" not in uids
    os.kill(first, 9)
    site.world.gateway.run(until(lambda: process() not in (0, first)))
    site.world.gateway.run(until(lambda: not site.tracker.current()))


def test_a_renewed_certificate_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway renews it at two thirds of its life; the old one must not be shown to its end."""
    monkeypatch.setattr(kdc, "TELL_INTERVAL", 0.05)
    address = ("127.0.0.1", free_port())

    def write() -> str:
        made = issue(ROOT, Profile.GATEWAY, ["da.example.com"], now=NOW)
        write_credential(tmp_path, "gateway", made)
        return build_certificate_pem(made.certificate).decode()

    def shown() -> str:
        try:
            return ssl.get_server_certificate(address, timeout=5)
        except OSError:
            return ""

    async def until_shown(certificate: str) -> None:
        async def holds() -> bool:
            return await asyncio.to_thread(shown) == certificate

        await until_true(holds)

    config = config_of(tmp_path, servers=("127.0.0.1",))
    files = {"certificate": tmp_path / "gateway.crt", "key": tmp_path / "gateway.key"}
    config = replace(
        config,
        users=UsersConfig(realm=REALM, keytab=tmp_path / "keytab", service=SERVICE),
        kdc_proxy=KDCProxyConfig(listen=address),
        iphttps=replace(config.iphttps, **files),  # type: ignore[arg-type]
    )
    tracker = Tracker(lambda: 0.0, (Component.AUTHORISER,))

    async def scenario() -> None:
        proxy, first = KDCProxyProcess(config, tracker, list), write()
        await proxy.start()
        try:
            await until_shown(first)
            second = write()
            await until_shown(second)
            assert not tracker.current()
        finally:
            await proxy.stop()

    asyncio.run(scenario())


@pytest.mark.lab
def test_an_address_that_cannot_be_had_is_a_problem(tmp_path: Path) -> None:
    config = replace(config_of(tmp_path), kdc_proxy=KDCProxyConfig(listen=("2001:db8:dead::1", 1)))
    tracker = Tracker(lambda: 0.0, (Component.AUTHORISER,))
    proxy = KDCProxyProcess(config, tracker, list)
    gateway = shared_world().gateway
    gateway.run(proxy.start())
    gateway.run(until(lambda: bool(tracker.current())))
    gateway.run(proxy.stop())
    [condition] = tracker.current()
    assert condition.code == PROBLEM
    assert "cannot listen on 2001:db8:dead::1 port 1" in condition.detail
