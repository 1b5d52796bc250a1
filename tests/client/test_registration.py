"""When a name is registered, and again; the update itself is tests/net/test_registration.py's."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.iphttps_world import wait_for
from throughway.client import registration as module
from throughway.client.registration import Registrar, inside_address, intranet_servers
from throughway.model.config import ClientConfig
from throughway.model.errors import ThroughwayError, TrustError
from throughway.model.policy import NRPTRule, Policy, TunnelPolicy
from throughway.net.registration import Registration

DNS = "2001:db8:c0:1::10"
CONFIG = ClientConfig(
    file=Path("client.toml"),
    certificate=Path("computer.crt"),
    key=Path("computer.key"),
    account="CLIENT1$",
    identity="client1.corp.example.com",
    password_file=Path("/etc/throughway/account.password"),
)
POLICY = Policy(
    deployment="corp.example.com",
    version=1,
    issued_at=1,
    expires_at=2,
    iphttps_url="https://da.example.com:443/IPHTTPS",
    gateway_identity="da.example.com",
    infrastructure=TunnelPolicy(endpoint="2002:836b:2::836b:2", prefixes=("2001:db8:c0:1::/64",)),
    intranet=TunnelPolicy(endpoint="2002:836b:3::836b:3", prefixes=("2001:db8:c0::/48",)),
    nrpt=(
        NRPTRule(namespace=".corp.example.com", servers=(DNS,)),
        NRPTRule(namespace=".lab.example.com", servers=(DNS, "2001:db8:c0:1::11")),
        NRPTRule(namespace="nls.corp.example.com"),
    ),
    nls_urls=("https://nls.corp.example.com/",),
    trust_anchors=(),
    kerberos_realm="CORP.EXAMPLE.COM",
    kerberos_service="host@da.example.com",
)


class Domain:
    """Takes updates, or refuses them."""

    def __init__(self) -> None:
        self.updates: list[Registration] = []
        self.refuses = 0
        self.results: list[str] = []

    async def update(self, registration: Registration) -> None:
        self.updates.append(registration)
        if self.refuses:
            self.refuses -= 1
            raise TrustError("refused", problem="client-name-not-registered")

    def heard(self, registration: Registration, error: ThroughwayError | None) -> None:
        self.results.append(str(error) if error else ", ".join(registration.addresses))


def run(
    scenario: Callable[[Registrar, Domain], Awaitable[None]], policy: Policy = POLICY
) -> Domain:
    domain = Domain()

    async def main() -> None:
        registrar = Registrar(CONFIG, policy, domain.heard, update=domain.update, settle_time=0.01)
        task = asyncio.create_task(registrar.run())
        try:
            await scenario(registrar, domain)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    return domain


def test_a_name_is_registered_once_for_an_address() -> None:
    async def scenario(registrar: Registrar, domain: Domain) -> None:
        for _ in range(3):
            registrar.want(("2001:db8::1",))
            await wait_for(lambda: bool(domain.results))
        assert registrar.registered == "client1.corp.example.com → 2001:db8::1"
        registrar.want(("2001:db8::2",))
        await wait_for(lambda: len(domain.results) == 2)

    domain = run(scenario)
    assert domain.results == ["2001:db8::1", "2001:db8::2"]
    assert domain.updates[0] == Registration(
        name="client1.corp.example.com",
        addresses=("2001:db8::1",),
        servers=(DNS, "2001:db8:c0:1::11"),
        principal="CLIENT1$@CORP.EXAMPLE.COM",
        password_file="/etc/throughway/account.password",
    )


def test_an_address_that_does_not_stand_is_not_registered() -> None:
    async def scenario(registrar: Registrar, domain: Domain) -> None:
        registrar.want(("2001:db8::1",))
        await asyncio.sleep(0)
        registrar.want(("2001:db8::2",))
        await wait_for(lambda: bool(domain.results))

    assert run(scenario).results == ["2001:db8::2"]


def test_a_refusal_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(registrar: Registrar, domain: Domain) -> None:
        domain.refuses = 2
        registrar.want(("2001:db8::1",))
        await wait_for(lambda: len(domain.results) == 3)
        assert registrar.registered

    monkeypatch.setattr(module, "FIRST_RETRY", 0.01)
    assert run(scenario).results == ["refused", "refused", "2001:db8::1"]


def test_what_failed_while_the_computer_was_carried_away_is_not_told() -> None:
    async def scenario(registrar: Registrar, domain: Domain) -> None:
        begun, carried = asyncio.Event(), asyncio.Event()
        update = domain.update

        async def lost(registration: Registration) -> None:
            begun.set()
            await carried.wait()
            await update(registration)

        domain.refuses = 1
        registrar._update = lost
        registrar.want(("2001:db8::1",))
        await begun.wait()
        registrar.want(("2001:db8::2",))
        carried.set()
        await wait_for(lambda: bool(domain.results))
        assert registrar.registered

    domain = run(scenario)
    assert [one.addresses for one in domain.updates] == [("2001:db8::1",), ("2001:db8::2",)]
    assert domain.results == ["2001:db8::2"]


def test_resting_and_coming_back_to_the_same_address_asks_nothing() -> None:
    async def scenario(registrar: Registrar, domain: Domain) -> None:
        registrar.want(("2001:db8::1",))
        await wait_for(lambda: bool(domain.results))
        registrar.rest()
        await asyncio.sleep(0.02)
        registrar.want(("2001:db8::1",))
        registrar.update_policy(replace(POLICY, version=2))
        await asyncio.sleep(0.05)

    assert len(run(scenario).updates) == 1


def test_nothing_is_registered_where_the_policy_does_not_want_it() -> None:
    async def scenario(registrar: Registrar, domain: Domain) -> None:
        registrar.want(("2001:db8::1",))
        registrar.want(())
        await asyncio.sleep(0.05)
        assert registrar.registered == ""

    assert not run(scenario, replace(POLICY, register_names=False)).updates
    assert not run(scenario, replace(POLICY, kerberos_realm="")).updates
    assert not run(scenario, replace(POLICY, nrpt=())).updates


def test_whom_to_ask_and_where_we_are() -> None:
    assert intranet_servers(POLICY) == (DNS, "2001:db8:c0:1::11")
    loopback = replace(
        POLICY,
        nrpt=(NRPTRule(namespace=".", servers=("::1",)),),
        intranet=replace(POLICY.intranet, prefixes=("::1/128",)),
    )
    assert inside_address(loopback) == ("::1",)
    assert inside_address(POLICY) == ()
