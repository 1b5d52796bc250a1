"""A tunnel that is down is told, when nothing else tells why."""

import pytest

from throughway.catalogue.internet import INTERNET_DOWN
from throughway.catalogue.ipsec import INFRASTRUCTURE_TUNNEL_DOWN
from throughway.catalogue.teredo import UDP_BLOCKED
from throughway.client.resources import Standing
from throughway.client.unexplained import FAILED_TIME, Unexplained
from throughway.health.tracker import Tracker
from throughway.model.errors import Stage, TransportError

INSIDE = Standing(outside=False, infrastructure=False, intranet=False, user=True, way=("", 0))
NOTHING = Standing(outside=True, infrastructure=False, intranet=False, user=True, way=("", 0))
COMPUTER = Standing(outside=True, infrastructure=True, intranet=False, user=False, way=("", 0))
HALF = Standing(outside=True, infrastructure=True, intranet=False, user=True, way=("", 0))
WHOLE = Standing(outside=True, infrastructure=True, intranet=True, user=True, way=("", 0))


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.tracker = Tracker(lambda: self.now)
        self.unexplained = Unexplained(self.tracker, lambda: self.now)
        self.failures: tuple[TransportError, ...] = ()

    def told(self, standing: Standing) -> list[str]:
        """Return what is told when it has been so for long."""
        self.unexplained.judge(standing, "the gateway is silent", self.failures)
        self.now += INFRASTRUCTURE_TUNNEL_DOWN.visible_after
        self.unexplained.judge(standing, "the gateway is silent", self.failures)
        return [condition.code for condition in self.tracker.current()]


@pytest.mark.parametrize(
    ("standing", "codes"),
    [
        (INSIDE, []),
        (NOTHING, ["ipsec-infrastructure-tunnel-down"]),
        (COMPUTER, []),
        (HALF, ["ipsec-intranet-tunnel-down"]),
        (WHOLE, []),
    ],
)
def test_what_should_be_up_and_is_not(standing: Standing, codes: list[str]) -> None:
    world = World()
    assert world.told(standing) == codes
    assert world.told(WHOLE) == []


def test_it_is_given_time() -> None:
    world = World()
    world.unexplained.judge(NOTHING, "", ())
    world.now += INFRASTRUCTURE_TUNNEL_DOWN.visible_after - 1
    assert world.tracker.current() == ()


def test_who_says_more_is_not_talked_over() -> None:
    world = World()
    assert world.told(NOTHING) == ["ipsec-infrastructure-tunnel-down"]
    world.tracker.set(INTERNET_DOWN, "no address")
    assert world.told(NOTHING) == ["internet-down"]
    world.tracker.clear(INTERNET_DOWN)
    world.tracker.set(UDP_BLOCKED, "no answer")
    assert world.told(NOTHING) == ["teredo-udp-blocked"]
    world.tracker.clear(UDP_BLOCKED)
    assert world.told(NOTHING) == ["ipsec-infrastructure-tunnel-down"]


def failed(problem: str) -> TransportError:
    return TransportError(Stage.LINK, f"because of {problem}", problem=problem)


def test_where_no_transport_works_it_is_told_why() -> None:
    world = World()
    world.failures = (
        failed("sixtofour-no-public-address"),
        failed("teredo-udp-blocked"),
        failed("teredo-unheard-of"),
    )
    world.unexplained.judge(NOTHING, "", world.failures)
    assert world.tracker.current() == (), "there may be no network just now"
    world.now += FAILED_TIME
    world.unexplained.judge(NOTHING, "", world.failures)
    (told,) = world.tracker.current()
    assert (told.code, told.detail) == ("teredo-udp-blocked", "because of teredo-udp-blocked")
    world.failures = (failed("sixtofour-relay-unreachable"),)
    assert world.told(NOTHING) == ["sixtofour-relay-unreachable"]
    assert world.told(HALF) == ["ipsec-intranet-tunnel-down"]
    world.failures = (failed("sixtofour-no-public-address"),)
    assert world.told(NOTHING) == ["ipsec-infrastructure-tunnel-down"]


def test_a_transport_that_does_not_work_matters_to_nobody_while_more_is_told() -> None:
    world = World()
    world.failures = (failed("teredo-udp-blocked"),)
    assert world.told(NOTHING) == ["teredo-udp-blocked"]
    world.tracker.set(INTERNET_DOWN, "no address")
    assert world.told(NOTHING) == ["internet-down"]
    world.tracker.clear(INTERNET_DOWN)
    assert world.told(WHOLE) == []


def test_what_somebody_else_tells_as_well_is_told_once() -> None:
    world = World()
    world.failures = (failed("internet-down"),)
    world.told(NOTHING)
    assert world.told(NOTHING) == ["internet-down"]
    world.tracker.set(INTERNET_DOWN, "no address")
    assert world.told(NOTHING) == ["internet-down"]
    world.tracker.clear(INTERNET_DOWN, key="")
    world.told(NOTHING)
    assert world.told(NOTHING) == ["internet-down"]
