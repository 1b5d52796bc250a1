"""What a client tries of the intranet, and what it makes of the answers."""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from tests.pki.test_bundle import POLICY
from throughway.client.resources import Resources, Standing
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy, ProbeKind, ResourceProbe
from throughway.net import reach
from throughway.net.resolver import TRY_AGAIN
from throughway.wire.dns import Service

DC, SITE, V4 = "2001:db8:c0:1::10", "2001:db8:c0:2::80", "10.0.2.80"
WEB = ResourceProbe(kind=ProbeKind.HTTP, target="http://app1.corp.example.com/", name="site")
FILE = ResourceProbe(kind=ProbeKind.FILE, target="files.corp.example.com:1445")
PING = ResourceProbe(kind=ProbeKind.PING, target=SITE)
DNS = ResourceProbe(kind=ProbeKind.DNS, target="app1.corp.example.com")
WHOLE = Standing(
    outside=True, infrastructure=True, intranet=True, user=True, way=("2001:db8::1", 1)
)


class Intranet:
    """Names and hosts inside, and what was asked of them."""

    def __init__(self) -> None:
        self.names = {
            "app1.corp.example.com": (SITE, V4),
            "files.corp.example.com": (SITE,),
            "dc1.corp.example.com": (DC,),
        }
        self.answers: str | TransportError = "answers"
        self.clock: float | TransportError = 0.0
        self.ldap = False
        self.standing = WHOLE
        self.asked: list[str] = []
        self.on_asked: Callable[[], None] = lambda: None
        self.queries = 0
        self.stub = "127.0.0.2"
        self.used = True
        self.silent: set[str] = set()
        self.unknown: set[str] = set()
        """Names that the servers say are not there."""
        self.heard_at: dict[str, float] = {}

    def in_use(self) -> bool:
        return self.used

    def heard(self, server: str) -> float:
        return self.heard_at.get(server, float("-inf"))

    async def lookup(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        if host not in self.names:
            raise TransportError(Stage.RESOLVE, f"{host}: the name does not exist")
        if not self.names[host]:
            raise TransportError(Stage.RESOLVE, "silence", windows_code=TRY_AGAIN)
        return self.names[host]

    async def services(self, name: str) -> tuple[Service, ...]:
        assert name == "_ldap._tcp.dc._msdcs.corp.example.com"
        return (Service(0, 100, 389, "dc1.corp.example.com"),)

    async def host(self, what: str, *_: object) -> str:
        self.asked.append(what)
        self.on_asked()
        if isinstance(self.answers, TransportError):
            raise self.answers
        return self.answers

    async def dns(self, server: str, zone: str) -> bool:
        self.asked.append(f"{server} {zone}")
        if server in self.silent:
            raise TransportError(Stage.CONNECT, "no answer")
        return zone not in self.unknown

    async def resolver(self, address: str) -> None:
        if address in self.silent:
            raise TransportError(Stage.CONNECT, "no answer")

    async def kdc(self, address: str, realm: str) -> float:
        assert (address, realm) == (DC, "CORP.EXAMPLE.COM")
        self.asked.append(address)
        if isinstance(self.clock, TransportError):
            raise self.clock
        return self.clock

    async def listens(self, address: str, port: int) -> bool:
        assert (address, port) == (DC, 389)
        return self.ldap


@pytest.fixture
def intranet(monkeypatch: pytest.MonkeyPatch) -> Intranet:
    inside = Intranet()
    for name in ("web", "file_server", "ping"):
        monkeypatch.setattr(reach, name, inside.host)
    for name in ("dns", "resolver", "kdc"):
        monkeypatch.setattr(reach, name, getattr(inside, name))
    monkeypatch.setattr(reach, "takes_connections", inside.listens)
    return inside


def made(intranet: Intranet, *probes: ResourceProbe, policy: Policy = POLICY) -> Resources:
    asked = replace(policy, probes=probes)
    return Resources(asked, intranet, lambda: intranet.standing, random.Random(1))


def look(check: Check) -> str | list[tuple[str, str]]:
    """Return what a look says, or the codes and details of what it has found."""

    async def scenario() -> Iterable[Found] | str:
        return await check.look()

    answer = asyncio.run(scenario())
    if isinstance(answer, str):
        return answer
    return [(found.problem.code, found.detail) for found in answer]


def codes(answer: str | list[tuple[str, str]]) -> list[str]:
    assert not isinstance(answer, str), answer
    return [code for code, _ in answer]


def check_of(intranet: Intranet, probe: ResourceProbe) -> Check:
    _, check = made(intranet, probe).checks()
    return check


@pytest.mark.parametrize(
    ("probe", "host"),
    [(WEB, WEB.target), (FILE, "files.corp.example.com"), (PING, SITE)],
)
def test_a_resource_that_answers(intranet: Intranet, probe: ResourceProbe, host: str) -> None:
    check = check_of(intranet, probe)
    assert (check.name, check.title, check.interval) == ("resource-1", probe.title, 60.0)
    assert check.wanted() == ""
    assert look(check) == "answers"
    assert intranet.asked[-1] == host


def test_a_resource_that_does_not_answer(intranet: Intranet) -> None:
    intranet.answers = TransportError(Stage.CONNECT, "refused")
    assert look(check_of(intranet, WEB)) == [("resource-unreachable", "site: refused")]


def test_names_that_are_asked_for(intranet: Intranet) -> None:
    assert look(check_of(intranet, DNS)) == f"has {SITE}, {V4}"
    del intranet.names["app1.corp.example.com"]
    assert codes(look(check_of(intranet, DNS))) == ["resource-unreachable"]
    intranet.names["app1.corp.example.com"] = ()
    assert codes(look(check_of(intranet, DNS))) == ["nrpt-dns-server-unreachable"]


def test_of_servers_that_are_silent_only_one_tells(intranet: Intranet) -> None:
    intranet.names["app1.corp.example.com"] = ()
    with pytest.raises(CannotTell, match="no DNS server could be asked"):
        look(check_of(intranet, WEB))


def test_a_host_without_ipv6_is_not_reached(intranet: Intranet) -> None:
    intranet.names["app1.corp.example.com"] = (V4,)
    words = "site: app1.corp.example.com has no IPv6 address"
    assert look(check_of(intranet, WEB)) == [("resource-unreachable", words)]


def test_nothing_is_asked_that_no_tunnel_would_carry(intranet: Intranet) -> None:
    intranet.names["app1.corp.example.com"] = ("2001:db8:ffff::1",)
    with pytest.raises(CannotTell, match="lies behind neither tunnel"):
        look(check_of(intranet, WEB))
    assert intranet.asked == ["app1.corp.example.com"]


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (replace(WHOLE, outside=False), "inside the intranet: not needed"),
        (replace(WHOLE, infrastructure=False), "waiting for the infrastructure tunnel"),
        (replace(WHOLE, intranet=False), "waiting for the intranet tunnel"),
        (replace(WHOLE, intranet=False, user=False), "nobody is logged on"),
    ],
)
def test_what_is_waited_for(intranet: Intranet, standing: Standing, why: str) -> None:
    _, by_address, by_name = made(intranet, PING, WEB).checks()
    intranet.standing = standing
    assert by_address.wanted() == why
    if standing.infrastructure and standing.outside:
        # Which tunnel a name needs is found out by the first look.
        assert by_name.wanted() == ""
        with pytest.raises(CannotTell, match=why):
            look(by_name)
        assert intranet.asked == ["app1.corp.example.com"]
    assert by_name.wanted() == why


def test_what_fails_on_the_move_is_not_believed(intranet: Intranet) -> None:
    def moved() -> None:
        intranet.standing = replace(WHOLE, way=("2001:db8::2", 2))

    intranet.answers, intranet.on_asked = TransportError(Stage.CONNECT, "no answer"), moved
    with pytest.raises(CannotTell, match="has changed meanwhile"):
        look(check_of(intranet, WEB))


def test_it_rests_after_each_look(intranet: Intranet) -> None:
    resources = made(intranet, WEB)
    _, check = resources.checks()
    assert resources.rest(check.name) == 0.0
    look(check)
    assert 0.0 < resources.rest(check.name) <= 10.0


def test_a_domain_controller_that_answers(intranet: Intranet) -> None:
    (check,) = made(intranet).checks()
    assert check.name == "domain-controller"
    words = "dc1.corp.example.com answers; its clock is 0 s from this computer's"
    assert look(check) == words
    assert made(intranet, policy=replace(POLICY, kerberos_realm="")).checks() == ()


@pytest.mark.parametrize(("ahead", "side"), [(600.0, "behind"), (-600.0, "ahead of")])
def test_clocks_that_differ(intranet: Intranet, ahead: float, side: str) -> None:
    intranet.clock = ahead
    (check,) = made(intranet).checks()
    words = f"this computer's clock is 600 s {side} dc1.corp.example.com's"
    assert look(check) == [("clock-skew", words)]


@pytest.mark.parametrize(
    ("ldap", "code"), [(True, "kerberos-unreachable"), (False, "dc-unreachable")]
)
def test_a_controller_that_is_silent(intranet: Intranet, ldap: bool, code: str) -> None:
    intranet.clock, intranet.ldap = TransportError(Stage.CONNECT, "no answer on port 88"), ldap
    (check,) = made(intranet).checks()
    assert look(check) == [(code, "dc1.corp.example.com: no answer on port 88")]


def test_a_controller_that_the_tunnel_does_not_lead_to(intranet: Intranet) -> None:
    intranet.names["dc1.corp.example.com"] = (SITE,)
    (check,) = made(intranet).checks()
    words = f"dc1.corp.example.com: {SITE} lies not behind the infrastructure tunnel"
    assert look(check) == [("dc-unreachable", words)]
    assert DC not in intranet.asked
