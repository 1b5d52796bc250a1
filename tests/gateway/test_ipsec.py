"""The gateway's end: its connections, and with a real charon on both sides who comes in."""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from unittest.mock import AsyncMock, Mock

import pytest

from tests.ipsec_attacks import TOKENS, USER_REFUSED
from tests.ipsec_world import (
    APPLICATION,
    CLIENT,
    ENDPOINTS,
    GATEWAY_IDENTITY,
    INFRASTRUCTURE_PREFIX,
    PASSWORDS,
    REALM,
    SERVER,
    SERVICE,
    Deployment,
    Site,
    shared_domain,
    shared_world,
    until,
)
from tests.patience import PATIENCE
from tests.revocation_world import CRL, ISSUING, certify
from throughway.client import ipsec as client_ipsec
from throughway.client.proof import Token
from throughway.gateway.ipsec import GatewayIPsec, _listening
from throughway.model.audit import AuditEvent
from throughway.model.config import UsersConfig
from throughway.model.errors import ConfigError, IPsecError
from throughway.model.revocation import Revocation
from throughway.model.status import TunnelState
from throughway.net.kerberos import get_ticket, get_ticket_by_keytab, make_token_apart
from throughway.net.sas import IKESA, ChildChanged, parse_sa
from throughway.net.vici import Section
from throughway.pki.authority import Profile, Revoked, build_crl, create_root
from throughway.pki.pem import build_certificate_der, build_crl_pem

if TYPE_CHECKING:
    from throughway.net.charon import Charon

MISMATCH = "ipsec-account-certificate-mismatch"
ALICE = f"alice@{REALM}"


def test_a_reload_takes_stricter_revocation_and_says_what_it_does_not_take(tmp_path: Path) -> None:
    server = Deployment.create(tmp_path).server()
    wanted = replace(
        server, revocation=Revocation.STRONG, infrastructure_endpoint="2001:db8:dead::1"
    )

    async def scenario() -> GatewayIPsec:
        ipsec = GatewayIPsec(server, (), None, directory=tmp_path)
        changed = await ipsec.reload((), config=wanted)
        assert changed == ("ipsec.infrastructure_endpoint",)
        return ipsec

    ipsec = asyncio.run(scenario())
    assert ipsec._config == replace(server, revocation=Revocation.STRONG)


def test_a_thousand_events_are_one_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[None] = []

    async def refresh(_self: GatewayIPsec) -> None:
        asked.append(None)

    monkeypatch.setattr(GatewayIPsec, "refresh", refresh)

    async def scenario() -> None:
        told = asyncio.Event()
        server = Deployment.create(tmp_path).server()
        ipsec = GatewayIPsec(server, (), None, directory=tmp_path, on_change=told.set)
        for _ in range(1000):
            ipsec._event(ChildChanged(up=True, sa=parse_sa("infrastructure-client1", {})))
        await asyncio.wait_for(told.wait(), PATIENCE)

    asyncio.run(scenario())
    assert len(asked) == 1


def test_an_authoriser_without_a_port_is_told() -> None:
    taken = AsyncMock(side_effect=OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"))
    with pytest.raises(IPsecError, match="Cannot assign requested address") as caught:
        asyncio.run(_listening(Mock(start=taken)))
    assert caught.value.problem == "authoriser-down"


def test_a_computer_that_is_there_twice_is_a_configuration_error(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    one, two = deployment.computers(1, 2)
    for twice in (replace(two, account="client1$"), replace(two, identity=one.identity)):
        with pytest.raises(ConfigError, match="twice"):
            GatewayIPsec(deployment.server(), (one, twice), None, directory=tmp_path)


class Unsteady:
    """A charon to whom a certificate was shown, and that fails to end its tunnel at first."""

    running = True

    def __init__(self, *shown: bytes) -> None:
        self._shown = shown
        self.failures = 1
        self.looked = 0
        self.ended: list[str] = []

    async def list_certificates(self) -> tuple[bytes, ...]:
        return self._shown

    async def list_sas(self) -> tuple[IKESA, ...]:
        self.looked += 1
        return ()

    async def terminate(self, *, ike: str, wait: bool) -> None:
        assert not wait
        if self.failures:
            self.failures -= 1
            raise IPsecError("charon is gone")
        self.ended.append(ike)


def test_whom_charon_did_not_end_the_next_list_ends(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    (computer,) = deployment.computers(1)
    owner = certify(computer.identity, ISSUING)
    charon = Unsteady(build_certificate_der(owner.certificate))
    revoked = CRL(revoked=[(owner.certificate.serial_number, None)]).build(ISSUING)

    async def scenario() -> None:
        ipsec = GatewayIPsec(deployment.server(), (computer,), None, directory=tmp_path)
        ipsec._charon = cast("Charon", charon)
        await ipsec._cut_revoked(CRL().build(ISSUING))
        assert not charon.looked, "nobody asks for all tunnels because of nobody"
        await ipsec._cut_revoked(revoked)
        assert charon.ended == []
        await ipsec._cut_revoked(revoked)

    asyncio.run(scenario())
    assert charon.ended == ["infrastructure-client1", "intranet-client1"]


def test_a_computer_that_is_held_off_is_back_when_the_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails: list[Exception] = [IPsecError("charon is gone"), ConfigError("x", "", "is missing")]
    tried: list[None] = []

    async def reload(_self: GatewayIPsec, _computers: object) -> tuple[str, ...]:
        tried.append(None)
        if fails:
            raise fails.pop()
        return ()

    monkeypatch.setattr("throughway.gateway.ipsec.HOLD", 0.0)
    monkeypatch.setattr(GatewayIPsec, "reload", reload)
    server = Deployment.create(tmp_path).server()

    async def scenario() -> None:
        await GatewayIPsec(server, (), None, directory=tmp_path)._hold()

    asyncio.run(scenario())
    assert len(tried) == 3


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.mark.lab
def test_a_computer_comes_in_before_anybody_logs_on(site: Site) -> None:
    world = site.world
    site.start_client()
    assert world.reach(SERVER, 0.3) == ""
    site.up()
    assert world.reach(SERVER) == CLIENT
    # The infrastructure tunnel leads to the infrastructure servers only.
    assert world.reach(APPLICATION, 0.3) == ""
    [tunnel] = site.at_gateway("infrastructure")
    assert (tunnel.remote_identity, tunnel.account) == ("client1.corp.example.com", "CLIENT1$")
    assert (tunnel.local_identity, tunnel.remote_address) == (GATEWAY_IDENTITY, CLIENT)
    assert tunnel.prefixes == (INFRASTRUCTURE_PREFIX,)
    assert tunnel.bytes_in > 0
    assert tunnel.bytes_out > 0
    assert site.failures == []
    site.stop_client()
    world.gateway.run(until(lambda: site.gateway.tunnels() == ()))


@pytest.mark.lab
def test_nothing_is_left_when_it_stops(tmp_path: Path) -> None:
    site = Site(tmp_path)
    gateway = shared_world().gateway
    assert ENDPOINTS[1] in gateway.command("ip", "-6", "rule")
    site.close()
    assert ENDPOINTS[1] not in gateway.command("ip", "-6", "rule")
    assert "maxseg" not in gateway.command("nft", "list", "ruleset")
    assert "ipsec0" not in gateway.command("ip", "link")
    assert not list((tmp_path / "run-gateway").glob("*.pid"))


@pytest.mark.lab
def test_a_wrong_account_password_is_refused(site: Site) -> None:
    refused = "ipsec-computer-account-refused"
    assert site.refusal(site.deployment.client(password="client2")) == (refused, refused)
    reason, _, peer = site.failures[0]
    assert "EAP-MS-CHAPv2 verification failed" in reason
    assert peer == f"client1.corp.example.com ({CLIENT})"


@pytest.mark.lab
def test_a_stolen_certificate_does_not_carry_another_account(site: Site) -> None:
    """The thief knows CLIENT2$'s password, and has client1's certificate."""
    config = site.deployment.client(account="CLIENT2$", password="client2")
    problem, _ = site.refusal(config)
    assert problem == MISMATCH
    assert site.failures[0][0].endswith("client1.corp.example.com came with CLIENT2$")
    assert site.at_gateway("infrastructure") == []


IMPOSTOR = """
#define _GNU_SOURCE
#include <dlfcn.h>
/* Every MSCHAPv2 peer says that it is CLIENT2$, whatever it was configured to be. */
void *eap_mschapv2_create_peer(void *server, void *peer)
{
    void *plugin = dlopen("/usr/lib/ipsec/plugins/libstrongswan-eap-mschapv2.so", RTLD_NOW);
    void *(*real)(void *, void *) = dlsym(plugin, "eap_mschapv2_create_peer");
    void *(*identity)(const char *) = dlsym(RTLD_DEFAULT, "identification_create_from_string");
    return real(server, identity("CLIENT2$"));
}
"""


@pytest.mark.lab
def test_a_modified_peer_cannot_say_one_account_and_prove_another(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IDi of round 2 is CLIENT1$, as it must be, but MSCHAPv2 proves CLIENT2$."""
    source, library = tmp_path / "impostor.c", tmp_path / "impostor.so"
    source.write_text(IMPOSTOR)
    subprocess.run(("gcc", "-shared", "-fPIC", "-o", library, source), check=True)
    program = tmp_path / "charon"
    program.write_text(f"#!/bin/sh\nexec env LD_PRELOAD={library} charon-systemd\n")
    program.chmod(0o755)
    honest = client_ipsec.connection_of

    def impostor(*arguments: object, **keywords: object) -> Section:
        connection = honest(*arguments, **keywords)  # type: ignore[arg-type]
        connection["local-2"]["id"] = "CLIENT1$"
        return connection

    monkeypatch.setattr("throughway.net.charon.PROGRAM", str(program))
    # The modified peer works: with its own certificate it comes in.
    site.start_client(
        site.deployment.client(certificate="client2", account="CLIENT2$", password="client2")
    )
    site.up()
    assert [t.account for t in site.at_gateway("infrastructure")] == ["CLIENT2$"]
    monkeypatch.setattr(client_ipsec, "connection_of", impostor)
    site.forget_told()
    said = site.refusal(site.deployment.client(account="CLIENT2$", password="client2"))
    assert said == (MISMATCH, "ipsec-auth-failure-unspecified")
    assert site.refused_as() == (AuditEvent.EXTENDED_MODE_FAILED, MISMATCH)
    assert site.at_gateway("infrastructure") == []


@pytest.mark.lab
def test_the_account_alone_is_not_enough(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = client_ipsec.connection_of

    def one_round(*arguments: object, **keywords: object) -> Section:
        connection = honest(*arguments, **keywords)  # type: ignore[arg-type]
        del connection["local-1"]
        connection["local-2"]["id"] = "client1.corp.example.com"
        return connection

    monkeypatch.setattr(client_ipsec, "connection_of", one_round)
    problem, _ = site.refusal()
    assert problem == "ipsec-policy-mismatch"
    assert site.at_gateway("infrastructure") == []


@pytest.mark.lab
def test_the_certificate_alone_is_not_enough(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = client_ipsec.connection_of

    def one_round(*arguments: object, **keywords: object) -> Section:
        connection = honest(*arguments, **keywords)  # type: ignore[arg-type]
        del connection["local-2"]
        return connection

    monkeypatch.setattr(client_ipsec, "connection_of", one_round)
    problem, _ = site.refusal()
    assert problem == "ipsec-policy-mismatch"


@pytest.mark.lab
def test_certificates_that_prove_nothing(site: Site) -> None:
    deployment, name = site.deployment, "client1.corp.example.com"
    stranger = create_root("Stranger", datetime.now(UTC) - timedelta(days=1))
    deployment.credential("stranger1", Profile.COMPUTER, name, root=stranger)
    problem, _ = site.refusal(deployment.client(certificate="stranger1"))
    assert problem == "ipsec-cert-wrong-chain"
    deployment.credential("expired1", Profile.COMPUTER, name, age_days=60, days=30)
    problem, _ = site.refusal(deployment.client(certificate="expired1"))
    assert problem == "ipsec-cert-expired"


@pytest.mark.lab
def test_a_computer_that_is_not_in_the_list(site: Site) -> None:
    one, _ = site.deployment.computers(1, 2)
    site.start_client(
        site.deployment.client(certificate="client2", account="CLIENT2$", password="client2")
    )
    site.up()
    # It goes at once, and does not come again.
    site.world.gateway.run(site.gateway.reload((one,)))
    site.wait_client("infrastructure", TunnelState.DOWN)
    site.world.gateway.run(until(lambda: bool(site.failures)))
    assert site.failures[0][1] == "ipsec-computer-account-refused"
    site.world.gateway.run(site.gateway.reload(site.deployment.computers(1, 2)))
    site.wait_client("infrastructure", TunnelState.UP)


@pytest.mark.lab
def test_a_reload_drops_no_tunnel_and_brings_new_revocation(site: Site) -> None:
    site.start_client()
    site.up()
    site.at_gateway("infrastructure")
    [before] = site.gateway._sas
    computers = site.deployment.computers(1, 2)
    now = datetime.now(UTC)
    serial = site.deployment.credential(
        "client2", Profile.COMPUTER, "client2.corp.example.com"
    ).certificate.serial_number
    crl = build_crl(
        site.deployment.root,
        [Revoked(serial, now)],
        number=1,
        now=now,
        next_update=now + timedelta(days=1),
    )
    site.world.gateway.run(site.gateway.reload(computers))
    charon = site.gateway._charon
    assert charon is not None
    site.world.gateway.run(charon.load_crl(build_crl_pem(crl)))
    assert len(site.at_gateway("infrastructure")) == 1
    [after] = site.gateway._sas
    assert after.unique_id == before.unique_id
    assert site.world.reach(SERVER) == CLIENT
    problem, _ = site.refusal(
        site.deployment.client(certificate="client2", account="CLIENT2$", password="client2")
    )
    assert problem == "ipsec-cert-revoked"


@pytest.mark.lab
def test_strict_revocation_refuses_without_a_list(tmp_path: Path) -> None:
    site = Site(tmp_path, revocation=Revocation.STRONG)
    try:
        assert site.refusal()[0] == "ipsec-crl-unreachable"
    finally:
        site.close()


@pytest.mark.lab
def test_a_client_that_comes_again_replaces_its_old_tunnel(site: Site) -> None:
    client = site.start_client()
    site.up()
    # It loses its memory: no DELETE reaches the gateway.
    pid = client.charon_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    site.world.client.run(until(lambda: len(site.daemon) == 3))
    site.wait_client("infrastructure", TunnelState.UP)
    assert len(site.at_gateway("infrastructure")) == 1


@pytest.mark.lab
def test_a_charon_of_the_gateway_that_was_killed_is_there_again(site: Site) -> None:
    site.start_client()
    site.up()
    charon = site.gateway._charon
    assert charon is not None
    assert charon.pid is not None
    os.kill(charon.pid, signal.SIGKILL)
    # Seen before anybody comes in again.
    site.world.gateway.run(until(lambda: not site.gateway.running))
    site.world.gateway.run(until(lambda: site.gateway.tunnels() == ()))
    site.world.gateway.run(until(lambda: site.gateway.running))
    # It answers a moment before it has its connections again; a client repeats its attempt.
    with contextlib.suppress(IPsecError):
        site.up(renew=True)
    site.wait_client("infrastructure", TunnelState.UP)
    assert site.world.reach(SERVER) == CLIENT


@pytest.fixture
def user_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """With the authoriser of users, and a client whose infrastructure tunnel is up."""
    domain = shared_domain()
    monkeypatch.setenv("KRB5_CONFIG", str(domain.krb5_conf))
    site = Site(tmp_path, UsersConfig(realm=REALM, keytab=domain.keytab, service=SERVICE))
    site.start_client()
    site.up()
    yield site
    site.close()


class User:
    """Somebody at the client, with a ticket that came through the infrastructure tunnel."""

    def __init__(self, site: Site, name: str, ccache: Path) -> None:
        self.site, self.principal, self.ccache = site, f"{name}@{REALM}", ccache
        self.made: list[bytes] = []
        site.world.client.call(get_ticket, self.principal, PASSWORDS[name], ccache)

    async def token(self) -> bytes:
        self.made.append(await make_token_apart(self.ccache, SERVICE, realm=REALM))
        return self.made[-1]

    def up(self, token: Token | None = None) -> None:
        client = self.site.client
        assert client is not None
        self.site.world.client.run(client.up_intranet(self.principal, token or self.token))

    def try_up(self, token: Token | None = None) -> None:
        """Try once."""
        self.site.try_user(self.principal, token or self.token)

    def refused(self, token: Token) -> str:
        """Try with a token that must be refused; return the gateway's reason."""
        site = self.site
        site.failures.clear()
        with pytest.raises(IPsecError) as caught:
            self.try_up(token)
        assert caught.value.problem == "ipsec-user-refused"
        site.world.gateway.run(until(lambda: bool(site.failures)))
        reason, problem, _ = site.failures[0]
        assert problem == "ipsec-user-refused"
        assert site.at_gateway("intranet") == []
        return reason


@pytest.mark.lab
def test_a_user_with_a_ticket_has_the_intranet(user_site: Site, tmp_path: Path) -> None:
    world = user_site.world
    assert world.reach(APPLICATION, 0.3) == ""
    User(user_site, "alice", tmp_path / "alice").up()
    assert world.reach(APPLICATION) == CLIENT
    assert world.reach(SERVER) == CLIENT
    [tunnel] = user_site.at_gateway("intranet")
    assert (tunnel.remote_identity, tunnel.account) == ("client1.corp.example.com", ALICE)
    assert len(user_site.at_gateway("infrastructure")) == 1
    assert user_site.failures == []


@pytest.mark.lab
def test_tokens_that_prove_nothing_are_refused(user_site: Site, tmp_path: Path) -> None:
    alice = User(user_site, "alice", tmp_path / "alice")
    bob = User(user_site, "bob", tmp_path / "bob")
    alice.up()
    client = user_site.client
    assert client is not None
    user_site.world.client.run(client.down("intranet"))

    async def replayed() -> bytes:
        return alice.made[0]

    async def garbage() -> bytes:
        return b"\x60junk" * 100

    ccaches = {}
    for number in (1, 2):
        ccaches[number] = tmp_path / f"client{number}"
        keytab = shared_domain().directory / f"client{number}.keytab"
        client_host = user_site.world.client
        account = f"CLIENT{number}$@{REALM}"
        client_host.call(get_ticket_by_keytab, account, keytab, f"FILE:{ccaches[number]}")

    async def computers() -> bytes:
        return await make_token_apart(ccaches[1], SERVICE, realm=REALM)

    async def others() -> bytes:
        return await make_token_apart(ccaches[2], SERVICE, realm=REALM)

    computer = User(user_site, "alice", tmp_path / "again")
    tried: dict[str, tuple[User, str, Token]] = {
        "ticket that was used before": (alice, ALICE, replayed),
        "no ticket": (alice, ALICE, garbage),
        "ticket of another user": (bob, bob.principal, alice.token),
        "ticket of the computer": (computer, f"CLIENT1$@{REALM}", computers),
        "ticket of another computer": (computer, f"CLIENT2$@{REALM}", others),
    }
    for name, (user, principal, token) in tried.items():
        user.principal = principal
        user_site.forget_told()
        assert TOKENS[name] in user.refused(token), name
        assert user_site.refused_as() == (AuditEvent.EXTENDED_MODE_FAILED, USER_REFUSED)
    assert set(tried) == {name for name, words in TOKENS.items() if words}
    # And an honest one after all that.
    user_site.forget_told()
    bob.up()
    assert [t.account for t in user_site.at_gateway("intranet")] == [f"bob@{REALM}"]
    assert user_site.recorded(AuditEvent.USER_LOGON).user == f"bob@{REALM}"


@pytest.mark.lab
def test_the_intranet_tunnel_comes_back_with_a_fresh_token(user_site: Site, tmp_path: Path) -> None:
    alice = User(user_site, "alice", tmp_path / "alice")
    alice.up()
    client = user_site.client
    assert client is not None
    assert client.charon_pid is not None
    os.kill(client.charon_pid, signal.SIGKILL)
    user_site.world.client.run(until(lambda: len(set(alice.made)) >= 2))
    user_site.wait_client("intranet", TunnelState.UP)
    assert user_site.world.reach(APPLICATION) == CLIENT
    assert len(user_site.at_gateway("intranet")) == 1
