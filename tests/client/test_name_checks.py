"""What a client looks at of its names."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.client.test_resources import WHOLE, Intranet
from tests.pki.test_bundle import POLICY
from throughway.client import name_checks as module
from throughway.client.name_checks import DNS_CHECK, RESOLVER_CHECK, NameChecks
from throughway.health.checking import CannotTell, Found
from throughway.model.policy import NRPTRule
from throughway.net import reach

ONE, TWO = "2001:db8:c0:1::10", "2001:db8:c0:1::11"
RULES = (
    NRPTRule(namespace=".corp.example.com", servers=(ONE, TWO)),
    NRPTRule(namespace="nls.corp.example.com"),
)


class World:
    """The checks, and what they have said of servers that answer again."""

    def __init__(self, intranet: Intranet) -> None:
        self.intranet, self.restored = intranet, 0
        self.policy = replace(POLICY, nrpt=RULES)
        self.made = NameChecks(
            intranet, lambda: self.policy, lambda: intranet.standing, self._restored
        )

    def _restored(self) -> None:
        self.restored += 1

    def wanted(self, name: str) -> str:
        return next(check for check in self.made.checks() if check.name == name).wanted()

    def look(self, name: str) -> str | list[str]:
        """Return what is well, or the codes that were found."""
        check = next(check for check in self.made.checks() if check.name == name)

        async def scenario() -> Iterable[Found] | str:
            return await check.look()

        answer = asyncio.run(scenario())
        return answer if isinstance(answer, str) else [found.problem.code for found in answer]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    intranet = Intranet()
    monkeypatch.setattr(reach, "dns", intranet.dns)
    monkeypatch.setattr(reach, "resolver", intranet.resolver)
    return World(intranet)


def test_servers_are_asked_for_what_they_know(world: World) -> None:
    assert world.look(DNS_CHECK) == f"{ONE}, {TWO}: answered"
    assert world.intranet.asked == [f"{ONE} corp.example.com", f"{TWO} corp.example.com"]


def test_one_server_of_a_rule_is_enough(world: World) -> None:
    world.intranet.silent = {ONE}
    assert world.look(DNS_CHECK) == f"{ONE}, {TWO}: answered"
    world.intranet.silent = {ONE, TWO}
    world.intranet.queries += 1
    assert world.look(DNS_CHECK) == ["nrpt-dns-server-unreachable"]
    assert world.restored == 0
    # Who was silent is asked again, whether anybody wants to know or not.
    assert world.look(DNS_CHECK) == ["nrpt-dns-server-unreachable"]
    world.intranet.silent = {TWO}
    assert world.look(DNS_CHECK) == f"{ONE}, {TWO}: answered"
    assert world.restored == 1


def test_servers_that_know_nothing_of_what_they_are_asked_for(world: World) -> None:
    world.intranet.unknown = {"corp.example.com"}
    # Some say so of every name without records of its own: they know the domain all the same.
    assert world.look(DNS_CHECK) == f"{ONE}, {TWO}: answered"
    world.intranet.unknown.add("_kerberos._tcp.corp.example.com")
    world.intranet.queries += 1
    assert world.look(DNS_CHECK) == ["nrpt-dns-server-unreachable"]
    # Without a domain nothing must be there.
    world.policy = replace(world.policy, kerberos_realm="")
    assert world.look(DNS_CHECK) == f"{ONE}, {TWO}: answered"


def test_who_has_answered_lately_is_not_asked(world: World) -> None:
    world.intranet.heard_at[TWO] = time.monotonic() + 3600
    assert world.look(DNS_CHECK) == f"{ONE}, {TWO}: answers come in"
    assert world.intranet.asked == []


def test_a_computer_on_which_nobody_asks_makes_few_packets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.look(DNS_CHECK)
    asked = len(world.intranet.asked)
    assert world.look(DNS_CHECK) == f"{ONE}, {TWO}: answered, and was not asked since"
    assert len(world.intranet.asked) == asked
    world.intranet.queries += 1
    world.look(DNS_CHECK)
    assert len(world.intranet.asked) == 2 * asked
    monkeypatch.setattr(module, "IDLE_INTERVAL", 0.0)
    world.look(DNS_CHECK)
    assert len(world.intranet.asked) == 3 * asked


def test_servers_are_asked_through_the_tunnel_alone(world: World) -> None:
    assert world.wanted(DNS_CHECK) == ""
    world.intranet.standing = replace(WHOLE, infrastructure=False)
    assert world.wanted(DNS_CHECK) == "waiting for the infrastructure tunnel"
    world.intranet.standing = replace(WHOLE, outside=False)
    assert "not needed" in world.wanted(DNS_CHECK)
    world.intranet.standing = WHOLE
    world.policy = replace(POLICY, nrpt=RULES[1:])
    assert world.wanted(DNS_CHECK) == "the policy names none"


def test_nothing_bad_is_believed_of_a_way_that_has_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def moves(server: str, zone: str) -> None:
        world.intranet.standing = replace(WHOLE, way=("2001:db8::2", 2))

    monkeypatch.setattr(reach, "dns", moves)
    with pytest.raises(CannotTell, match="has changed"):
        world.look(DNS_CHECK)


def test_the_own_resolver(world: World) -> None:
    assert world.look(RESOLVER_CHECK) == "answers at 127.0.0.2"
    world.intranet.silent = {"127.0.0.2"}
    assert world.look(RESOLVER_CHECK) == ["stub-resolver-down"]
    world.intranet.used = False
    assert world.look(RESOLVER_CHECK) == ["nrpt-not-effective"]
