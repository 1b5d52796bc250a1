"""What speaks against where a client believes to be."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.pki.test_bundle import POLICY
from throughway.client import location_checks as module
from throughway.client.location_checks import LocationChecks
from throughway.health.checking import CannotTell, Found
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.status import Location
from throughway.net.resolver import TRY_AGAIN
from throughway.wire.dns import Service

NLS = "https://nls.corp.example.com/"
HOST = "nls.corp.example.com"
INSIDE_ADDRESS = "2001:db8:c0:2::7"
SILENT = TransportError(Stage.CONNECT, "no answer")
ABSENT = TransportError(Stage.RESOLVE, "the name does not exist")
EXPIRED = TransportError(Stage.TLS, "expired", problem="iphttps-cert-expired")


class World:
    """A client somewhere, and what the DNS around it knows."""

    def __init__(self) -> None:
        self.location = Location.OUTSIDE
        self.own: tuple[str, ...] = ()
        self.probes = 0
        self.gateway: tuple[str, ...] | TransportError = ("131.107.0.2",)
        self.controllers: TransportError | None = None
        self.made = LocationChecks(
            lambda: self.location,
            lambda: replace(POLICY, nls_urls=(NLS,)),
            self,
            self.resolve,
            lambda: self.own,
            self._probe_again,
        )

    def _probe_again(self) -> None:
        self.probes += 1

    async def resolve(self, host: str) -> tuple[str, ...]:
        assert host != HOST
        if isinstance(self.gateway, TransportError):
            raise self.gateway
        return self.gateway

    async def services(self, name: str) -> tuple[Service, ...]:
        assert name == "_ldap._tcp.dc._msdcs.corp.example.com"
        if self.controllers is not None:
            raise self.controllers
        return (Service(0, 100, 389, "dc1.corp.example.com"),)

    def met(self, error: ThroughwayError | None, *addresses: str) -> None:
        """Let a probe have ended so."""
        self.made.resolved(HOST, addresses)
        self.made.probed(NLS, error)

    def codes(self) -> list[str]:
        check = self.made.check()
        assert check.wanted() == ""

        async def scenario() -> Iterable[Found] | str:
            return await check.look()

        answer = asyncio.run(scenario())
        return [] if isinstance(answer, str) else [found.problem.code for found in answer]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(module, "inside_address", lambda policy: ())
    return World()


@pytest.fixture
def within(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same with an address of the intranet."""
    monkeypatch.setattr(module, "inside_address", lambda policy: (INSIDE_ADDRESS,))
    return world


def test_outside_nothing_is_known_of_the_location_server(world: World) -> None:
    assert world.codes() == []
    world.met(ABSENT)
    assert world.codes() == []
    world.met(SILENT, "20.0.0.1")  # some wildcard of the Internet's DNS
    assert world.codes() == []


def test_inside_by_address_and_no_location_server_answers(within: World) -> None:
    within.met(SILENT, "10.0.1.20")
    assert within.codes() == ["nls-unreachable-inside"]
    within.met(ABSENT)
    assert within.codes() == ["outside-detected-wrongly"]
    within.met(EXPIRED, "10.0.1.20")
    assert within.codes() == []  # of that the probe tells
    within.met(None, "10.0.1.20")
    assert within.codes() == []


def test_in_doubt_the_servers_are_probed_again_but_not_without_end(within: World) -> None:
    assert within.probes == 0
    for _ in range(10):
        within.met(SILENT, "10.0.1.20")
        within.codes()
    assert within.probes == 1


def test_a_server_whose_certificate_proves_nothing_is_probed_again_soon(world: World) -> None:
    """This computer may well be inside, and is it again as soon as the certificate is another."""
    for _ in range(10):
        world.met(EXPIRED, "10.0.1.20")
        assert world.codes() == []
    assert world.probes == 1


def test_an_address_of_a_tunnel_is_none_of_the_intranet(within: World) -> None:
    within.own = (INSIDE_ADDRESS,)
    within.met(ABSENT)
    assert within.codes() == []


def test_a_network_whose_dns_knows_the_location_server(world: World) -> None:
    world.met(SILENT, "10.0.1.20")
    assert world.codes() == ["nls-unreachable-inside"]
    world.made.network_changed()
    assert world.codes() == []


def test_a_portal_leads_every_name_to_itself(world: World) -> None:
    world.gateway = ("192.168.137.1",)
    world.met(SILENT, "192.168.137.1")
    assert world.codes() == []
    world.gateway = ABSENT
    with pytest.raises(CannotTell):
        world.codes()


def test_inside_the_domain_is_known(world: World) -> None:
    world.location = Location.INSIDE
    world.met(None, "10.0.1.20")
    assert world.codes() == []
    world.controllers = TransportError(Stage.RESOLVE, "silence", windows_code=TRY_AGAIN)
    with pytest.raises(CannotTell):
        world.codes()


def test_a_location_server_without_its_domain_is_elsewhere(world: World) -> None:
    world.location = Location.INSIDE
    world.controllers = ABSENT
    world.met(None, "10.0.1.20")
    assert world.codes() == ["inside-detected-wrongly"]
    world.met(None, "131.107.0.1")
    assert world.codes() == ["nls-reachable-outside"]


def test_before_the_first_probe_nothing_is_said(world: World) -> None:
    world.location = Location.UNKNOWN
    with pytest.raises(CannotTell):
        world.codes()
