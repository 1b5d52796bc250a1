"""Routes: a way out, and a prefix that is published."""

from throughway.catalogue import internet, iphttps
from throughway.doctor.rules import routes
from throughway.model.evidence import Source
from throughway.model.facts.network import Adapter, Route
from throughway.model.facts.server import RemoteAccessConfiguration

HERE = Source("a")


def route(prefix: str, published: bool | None = None) -> Route:
    return Route(source=HERE, prefix=prefix, published=published)


WHOLE = (route("127.0.0.0/8"), route("192.168.1.0/24"), route("224.0.0.0/4"))


def test_no_default_route() -> None:
    finding = routes.no_way_out(WHOLE, (), ())
    assert finding is not None
    assert finding.problem is internet.INTERNET_DOWN
    assert routes.no_way_out((*WHOLE, route("0.0.0.0/0")), (), ()) is None
    assert routes.no_way_out(WHOLE[:2], (), ()) is None
    adapter = Adapter(source=HERE, name="Ethernet", gateways=("192.168.1.1",))
    assert routes.no_way_out(WHOLE, (adapter,), ()) is None


def test_a_prefix_that_is_not_published() -> None:
    server = RemoteAccessConfiguration(source=HERE, client_prefix="2001:db8:1:1000::/64")
    finding = routes.prefix_unpublished(server, (route("2001:db8:1:1000::/64", published=False),))
    assert finding is not None
    assert finding.problem is iphttps.ROUTE_UNPUBLISHED
    for known in (True, None):
        there = (route("2001:db8:1:1000::/64", published=known),)
        assert routes.prefix_unpublished(server, there) is None
    assert routes.prefix_unpublished(server, ()) is None
