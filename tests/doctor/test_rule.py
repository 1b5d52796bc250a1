"""What a rule's parameters mean."""

from throughway.catalogue.host import BUG
from throughway.doctor.rule import Need, Rule, Want
from throughway.model.evidence import Platform, Role, Source
from throughway.model.facts.base import Host
from throughway.model.facts.network import PingResult, PortTest


def check(
    one: PingResult,
    maybe: PortTest | None,
    either: PingResult | PortTest,
    every: tuple[PingResult | PortTest, ...],
) -> None:
    """Find nothing."""


def test_parameters_are_needs() -> None:
    assert Rule((BUG,), check).needs() == (
        Need("one", Want.EACH, (PingResult,)),
        Need("maybe", Want.FIRST, (PortTest,)),
        Need("either", Want.EACH, (PingResult, PortTest)),
        Need("every", Want.ALL, (PingResult, PortTest)),
    )


def host(role: Role | None, platform: Platform = Platform.WINDOWS) -> Host:
    return Host(source=Source(""), name="", role=role, platform=platform)


def test_for_whom_a_rule_is() -> None:
    hosts = [host(role) for role in (Role.CLIENT, Role.SERVER, None)]
    assert [Rule((BUG,), check).is_for(h) for h in hosts] == [True, True, True]
    assert [Rule((BUG,), check, Role.CLIENT).is_for(h) for h in hosts] == [True, False, True]
    assert [Rule((BUG,), check, Role.SERVER).is_for(h) for h in hosts] == [False, True, False]


def test_a_rule_is_for_one_platform() -> None:
    linux = host(Role.CLIENT, Platform.LINUX)
    assert not Rule((BUG,), check).is_for(linux)
    assert Rule((BUG,), check, platform=Platform.LINUX).is_for(linux)
    assert not Rule((BUG,), check, platform=Platform.LINUX).is_for(host(Role.CLIENT))
