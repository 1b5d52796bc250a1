"""What a rule's parameters mean."""

from throughway.catalogue.host import BUG
from throughway.doctor.rule import Need, Rule, Want
from throughway.model.evidence import Role
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


def test_for_whom_a_rule_is() -> None:
    roles = (Role.CLIENT, Role.SERVER, None)
    assert [Rule((BUG,), check).is_for(role) for role in roles] == [True, True, True]
    assert [Rule((BUG,), check, Role.CLIENT).is_for(r) for r in roles] == [True, False, True]
    assert [Rule((BUG,), check, Role.SERVER).is_for(r) for r in roles] == [False, True, False]
