"""The world as data: complete, consistent, and with the addresses of the documentation."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from throughway.lab.topology import (
    DC_ADDRESSES,
    DIRECTACCESS,
    LOOPBACK,
    MAX_INTERFACE_NAME,
    MOBILE_INTERFACE,
    SWITCH,
    Host,
    Role,
    Topology,
    port_name,
)


def addresses(host: str) -> set[str]:
    interfaces = DIRECTACCESS.host(host).interfaces
    return {a.partition("/")[0] for i in interfaces for a in i.addresses}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("inet1", {"131.107.0.1", "131.107.0.5"}),
        ("dc1", {"2001:db8:c0:1::10", "10.0.1.10"}),
        ("app1", {"2001:db8:c0:2::80"}),
        ("app4", {"10.0.2.84"}),
        ("nls", {"2001:db8:c0:2::81"}),
        ("homenat", {"131.107.0.100", "192.168.137.1"}),
        (
            "edge1",
            {
                "131.107.0.2",
                "131.107.0.3",
                "2001:db8:1::2",
                "2001:db8:c0:1::1",
                "10.0.1.1",
                "2002:836b:2::836b:2",
                "2002:836b:3::836b:3",
            },
        ),
    ],
)
def test_addresses_are_those_of_the_documentation(host: str, expected: set[str]) -> None:
    assert addresses(host) == expected


def test_addresses_lie_in_their_networks() -> None:
    prefixes = {n.name: [ip_network(p) for p in n.prefixes] for n in DIRECTACCESS.networks}
    for host in DIRECTACCESS.hosts:
        for interface in host.interfaces:
            if interface.name == LOOPBACK:
                continue
            for address in interface.addresses:
                assert ip_interface(address).network in prefixes[interface.network], host.name


def test_no_address_twice() -> None:
    found = [a for h in DIRECTACCESS.hosts for i in h.interfaces for a in i.addresses]
    for place in DIRECTACCESS.places:
        for host in DIRECTACCESS.hosts:
            found += place.addresses(host.number) if host.mobile else ()
    assert len(found) == len(set(found))


def on_link(host: Host, extra: tuple[str, ...] = ()) -> list[str]:
    return [a for i in host.interfaces for a in i.addresses] + list(extra)


def test_every_route_goes_to_a_router_on_the_link() -> None:
    routers = {a for h in DIRECTACCESS.hosts if h.forwarding for a in addresses(h.name)}
    for host in DIRECTACCESS.hosts:
        for route in host.routes:
            links = [ip_interface(a).network for a in on_link(host)]
            assert any(ip_address(route.via) in link for link in links), (host.name, route)
            assert route.via in routers
    for place in DIRECTACCESS.places:
        for route in place.routes:
            assert any(ip_address(route.via) in ip_network(p) for p in place.prefixes)
            assert route.via in routers


def test_every_place_lies_in_a_network_and_its_nameservers_exist() -> None:
    networks = {network.name for network in DIRECTACCESS.networks}
    serving = {h.names.listen for h in DIRECTACCESS.hosts if h.names} | set(DC_ADDRESSES)
    for place in DIRECTACCESS.places:
        assert place.network in networks | {""}
        assert set(place.nameservers) <= serving
        assert bool(place.network) == bool(place.prefixes)


def test_mobile_hosts_have_readable_addresses() -> None:
    assert DIRECTACCESS.place("home").addresses(101) == ("192.168.137.101/24",)
    assert DIRECTACCESS.place("corp").addresses(102) == ("2001:db8:c0:3::102/64", "10.0.3.102/24")
    assert DIRECTACCESS.place("direct").addresses(101) == ("131.107.0.50/24",)
    assert DIRECTACCESS.place("direct").addresses(102) == ("131.107.0.51/24",)
    assert DIRECTACCESS.place("offline").addresses(101) == ()


def test_names_fit_and_are_unique() -> None:
    names = [host.name for host in DIRECTACCESS.hosts]
    assert len(names) == len(set(names))
    assert SWITCH not in names
    for host in DIRECTACCESS.hosts:
        for interface in (i.name for i in host.interfaces):
            assert len(port_name(host.name, interface)) <= MAX_INTERFACE_NAME
        assert len(port_name(host.name, MOBILE_INTERFACE)) <= MAX_INTERFACE_NAME
    for network in DIRECTACCESS.networks:
        assert len(network.name) <= MAX_INTERFACE_NAME


def test_roles_are_filled() -> None:
    assert {role: len(DIRECTACCESS.with_role(role)) for role in (Role.GATEWAY, Role.CLIENT)} == {
        Role.GATEWAY: 1,
        Role.CLIENT: 2,
    }
    assert DIRECTACCESS.clients == ("client1", "client2")


def test_unknown_names_are_key_errors() -> None:
    with pytest.raises(KeyError):
        DIRECTACCESS.host("client9")
    with pytest.raises(KeyError):
        DIRECTACCESS.place("beach")


def test_a_topology_is_data() -> None:
    host = Host(name="solo", role=Role.SERVER, purpose="alone")
    assert Topology(networks=(), hosts=(host,), places=()).host("solo") is host
