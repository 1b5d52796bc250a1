import pytest

from throughway.model.errors import WireError
from throughway.proto.router import (
    MAX_ADVERTISEMENT_INTERVAL,
    SOLICITATION_BURST,
    Link,
    Router,
    SolicitationBudget,
)
from throughway.wire.icmpv6 import RouterAdvertisement, parse_icmpv6
from throughway.wire.ipv6 import ALL_NODES, format_address, parse_address, parse_packet

LINK = Link.of("2001:db8:da:1000::/64")


def advertised(router: Router) -> RouterAdvertisement:
    message = parse_icmpv6(parse_packet(router.advertisement()))
    assert isinstance(message, RouterAdvertisement)
    return message


def test_the_router_is_the_first_address_of_the_link() -> None:
    assert format_address(LINK.address) == "2001:db8:da:1000::1"
    assert LINK.holds(parse_address("2001:db8:da:1000:ffff::"))
    assert not LINK.holds(parse_address("2001:db8:da:1001::1"))


@pytest.mark.parametrize("text", ["2001:db8::/48", "2001:db8::1/64", "10.0.0.0/8", ""])
def test_a_link_is_a_slash_64(text: str) -> None:
    with pytest.raises(WireError):
        Link.of(text)


def test_clients_learn_prefix_mtu_and_routes_but_no_default_route() -> None:
    router = Router(LINK, routes=["2002:836b:2::836b:2/128"], dns=["2001:db8::53"], now=0)
    message = advertised(router)
    assert message.router_lifetime == 0
    assert message.mtu == 1280
    (prefix,) = message.prefixes
    assert (prefix.prefix, prefix.length) == (LINK.prefix, 64)
    assert prefix.autonomous
    assert prefix.on_link
    assert prefix.valid >= prefix.preferred > MAX_ADVERTISEMENT_INTERVAL
    (route,) = message.routes
    assert (format_address(route.prefix), route.length) == ("2002:836b:2::836b:2", 128)
    assert message.dns[0].servers == (parse_address("2001:db8::53"),)


def test_advertisements_pass_the_checks_of_hosts() -> None:
    """RFC 4861, section 6.1.2."""
    packet = parse_packet(Router(LINK, now=0).advertisement())
    assert packet.hop_limit == 255
    assert format_address(packet.source) == "fe80::1"
    assert packet.destination == ALL_NODES


def test_advertisements_are_due_again_and_again() -> None:
    router = Router(LINK, now=0)
    assert router.timer_at() == MAX_ADVERTISEMENT_INTERVAL
    assert router.handle_timer(MAX_ADVERTISEMENT_INTERVAL - 1) is None
    assert router.handle_timer(MAX_ADVERTISEMENT_INTERVAL) == router.advertisement()
    assert router.timer_at() == 2 * MAX_ADVERTISEMENT_INTERVAL


def test_solicitations_are_answered_at_once_but_not_without_end() -> None:
    router, budget = Router(LINK, now=0), SolicitationBudget(filled_at=100)
    answers = [router.answer(budget, 100) for _ in range(SOLICITATION_BURST + 1)]
    assert answers[:-1] == [router.advertisement()] * SOLICITATION_BURST
    assert answers[-1] is None
    assert router.answer(budget, 100.5) is None
    assert router.answer(budget, 101.5) is not None
