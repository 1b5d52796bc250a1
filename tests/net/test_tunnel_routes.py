"""Tunnels whose routes somebody has taken away."""

import pytest

from throughway.net import netlink
from throughway.net.netlink import Route
from throughway.net.sas import IKESA, ChildSA
from throughway.net.tunnel_routes import MAX_TUNNELS, MISSED_TIME, TunnelRoutes

INSIDE, OTHER = "2001:db8:c0:1::/64", "2001:db8:c0:2::/64"


def tunnel(number: int, *prefixes: str, state: str = "INSTALLED") -> IKESA:
    child = ChildSA(name="infrastructure", state=state, remote_ts=("10.0.0.0/8", *prefixes))
    return IKESA(
        name="infrastructure",
        unique_id=number,
        state="ESTABLISHED",
        local_address="",
        remote_address="",
        local_identity="",
        remote_identity="",
        children=(child,),
    )


class World:
    """A kernel's table, a clock, and what is looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there: tuple[str, ...] = ()
        self.now = 100.0
        self.routes = TunnelRoutes(lambda: self.now)
        monkeypatch.setattr(netlink, "routes", self.table)

    def table(self, _number: int) -> list[Route]:
        """Return the routes of charon's table."""
        return [Route(prefix=prefix) for prefix in self.there]

    def lost(self, *sas: IKESA) -> tuple[int, ...]:
        return self.routes.lost(sas)

    def lost_for_good(self, *sas: IKESA) -> tuple[int, ...]:
        """What is lost when it has been so for long."""
        self.lost(*sas)
        self.now += MISSED_TIME
        return self.lost(*sas)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_routes_that_were_there_and_are_not(world: World) -> None:
    one, two = tunnel(1, INSIDE), tunnel(2, OTHER)
    assert world.lost_for_good(one, two) == (), "charon has not put them yet"
    world.there = (INSIDE, OTHER)
    assert world.lost_for_good(one, two) == ()
    assert not world.routes.missed()
    world.there = (OTHER,)
    assert world.routes.missed()
    assert world.lost(one, two) == (), "it may be ending"
    world.now += MISSED_TIME
    assert world.lost(one, two) == (1,)


def test_routes_that_come_back_in_time(world: World) -> None:
    world.there = (INSIDE,)
    world.lost(tunnel(1, INSIDE))
    world.there = ()
    world.lost(tunnel(1, INSIDE))
    world.there = (INSIDE,)
    world.lost(tunnel(1, INSIDE))
    world.there = ()
    assert world.lost(tunnel(1, INSIDE)) == ()


def test_what_a_tunnel_does_not_have_any_more_is_not_missed(world: World) -> None:
    world.there = (INSIDE, OTHER)
    world.lost(tunnel(1, INSIDE, OTHER))
    world.there = (INSIDE,)
    assert world.lost_for_good(tunnel(1, INSIDE)) == ()
    assert world.lost_for_good(tunnel(1, INSIDE, state="DELETED")) == ()


def test_a_new_tunnel_begins_anew(world: World) -> None:
    world.there = (INSIDE,)
    world.lost(tunnel(1, INSIDE))
    world.there = ()
    assert world.lost_for_good(tunnel(2, INSIDE)) == ()


def test_of_too_many_nothing_is_asked(world: World) -> None:
    many = [tunnel(number, INSIDE) for number in range(MAX_TUNNELS + 1)]
    world.there = (INSIDE,)
    world.lost(*many)
    world.there = ()
    assert world.lost_for_good(*many) == ()
