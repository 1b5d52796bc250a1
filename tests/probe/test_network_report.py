"""A look at the network, judged, as data of the schema and as lines."""

import json
from dataclasses import replace

import pytest

from tests.probe.probe_world import NOW
from tests.schemas import check, schema
from throughway.cli.output import plain
from throughway.model.network import (
    NAT,
    AddressSeen,
    LocationSeen,
    NativeSeen,
    NetworkSeen,
    PathSeen,
    PortalSeen,
    ProxySeen,
    Reach,
    ResolverSeen,
    RouteSeen,
)
from throughway.model.probing import ConnectionSeen, NameSeen, SixToFourSeen, TeredoSeen, Trouble
from throughway.probe.analysis.network import exit_code, judge, reach_of, ways
from throughway.probe.lines import plain as plain_lines
from throughway.probe.network_report import as_data, as_lines

GATEWAY = "131.107.0.2"
TAKEN = ConnectionSeen(address=GATEWAY, port=443, seconds=0.02)
PAGE = PortalSeen(url="http://probe.test/", open=True, status=200)
ANSWERED = TeredoSeen(
    address=GATEWAY, cone=False, answered=True, answered_from=GATEWAY, mapping="131.107.0.100:9"
)
HOME = NetworkSeen(
    at=NOW,
    gateway="da.example.com",
    gateway_source="the command line",
    addresses=(AddressSeen(interface="eth0", address="192.168.137.2", reach=Reach.PRIVATE),),
    routes=(RouteSeen(family="ipv4", interface="eth0", via="192.168.137.1"),),
    resolver=ResolverSeen(servers=("131.107.0.1",), answers=True, answered_by="131.107.0.1"),
    portals=(PAGE,),
    names=(NameSeen(family="ipv4", addresses=(GATEWAY,)),),
    connections=(TAKEN,),
    teredo=(ANSWERED,),
    nat=NAT.RESTRICTED,
    mapping="131.107.0.100:9",
    path=(PathSeen(address=GATEWAY, mtu=1500, mss=1448, small_passes=True, large_passes=True),),
    seconds=1.2,
)


def codes(seen: NetworkSeen) -> list[str]:
    return [each.finding.problem.code for each in judge(seen)]


def possible(seen: NetworkSeen) -> dict[str, bool | None]:
    return {way.transport: way.possible for way in ways(seen)}


def failed(problem: str) -> tuple[ConnectionSeen, ...]:
    return (replace(TAKEN, trouble=Trouble(words="it does not", problem=problem)),)


PORTAL = replace(PAGE, open=False, status=302, location="http://portal.test/")
SILENT = replace(PAGE, open=None, status=None, words="no answer came in time")
HOTEL = replace(HOME, portals=(PORTAL,), teredo=(replace(ANSWERED, answered=False),))
OFFLINE = NetworkSeen(at=NOW, resolver=ResolverSeen(answers=False, words="no DNS server answers"))
OFFICE = replace(
    HOME,
    connections=failed("iphttps-port-blocked"),
    proxies=(ProxySeen(source="WPAD", proxy="http://wpad.office.test/wpad.dat"),),
    portals=(SILENT,),
    path=(),
)

LEADS = ProxySeen(source="client.toml", proxy="http://p.test:3128", tunnel=True)
ASKS = replace(LEADS, tunnel=False, words="407", problem="proxy-authentication-required")
UNUSABLE = replace(OFFICE.proxies[0], words="404", problem="proxy-script-unusable")
GONE = replace(ASKS, problem="proxy-unreachable")


def test_home() -> None:
    assert codes(HOME) == []
    assert exit_code(HOME, ()) == 0
    assert possible(HOME) == {"native": False, "6to4": False, "teredo": True, "iphttps": True}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (HOTEL, ["captive-portal"]),
        (replace(HOME, portals=(PORTAL, PAGE)), []),
        (OFFLINE, ["internet-down"]),
        (replace(OFFLINE, routes=HOME.routes), ["internet-down"]),
        (replace(HOME, resolver=OFFLINE.resolver), ["network-dns-silent"]),
        (
            replace(HOME, resolver=replace(HOME.resolver, invents=("1.2.3.4",))),
            ["network-dns-invents"],
        ),
        (replace(HOME, connections=failed("iphttps-port-blocked")), ["iphttps-port-blocked"]),
        (OFFICE, ["iphttps-port-blocked", "proxy-required-not-configured"]),
        (replace(OFFICE, routes=()), ["proxy-required-not-configured"]),
        (replace(OFFICE, proxies=(LEADS,)), []),
        (replace(OFFICE, proxies=(ASKS,)), ["proxy-authentication-required"]),
        (replace(HOME, proxies=(GONE,)), ["proxy-unreachable"]),
        (replace(HOME, proxies=(replace(GONE, source="the script of WPAD"),)), []),
        (
            replace(OFFICE, routes=(), proxies=(replace(GONE, source="the script of WPAD"),)),
            ["proxy-unreachable"],
        ),
        (
            replace(OFFICE, routes=(), proxies=(UNUSABLE,)),
            ["iphttps-port-blocked", "proxy-script-unusable"],
        ),
        (
            replace(HOME, path=(replace(HOME.path[0], large_passes=False),)),
            ["path-mtu-black-hole"],
        ),
        (
            replace(HOME, names=(NameSeen(family="ipv4"),), connections=()),
            ["iphttps-name-unresolvable"],
        ),
    ],
)
def test_problems(seen: NetworkSeen, expected: list[str]) -> None:
    assert codes(seen) == expected
    assert exit_code(seen, judge(seen)) == (1 if expected else 0)


def test_inside_nobody_wants_to_get_out() -> None:
    near = LocationSeen(url="https://nls.corp.example.com/", proven=True, seconds=0.01)
    away = LocationSeen(url="https://nls2.corp.example.com/", words="no answer in time")
    inside = replace(OFFICE, portals=(PORTAL,), locations=(away, near))
    assert codes(inside) == []
    assert exit_code(inside, ()) == 0
    text = "\n".join(plain_lines(as_lines(inside, ())))
    assert text.startswith("This is the intranet: https://nls.corp.example.com/ has proven itself")
    assert "https://nls2.corp.example.com/ no answer in time" in text
    check(json.loads(json.dumps(plain(as_data(inside, ())))), schema("netcheck-1"))
    assert codes(replace(inside, locations=(away,))) != []


def test_ways() -> None:
    public = AddressSeen(interface="eth0", address="131.107.0.50", reach=Reach.PUBLIC)
    echo = SixToFourSeen(endpoint="2002:836b:2::836b:2", tried=True, answered=True)
    direct = replace(HOME, addresses=(public,), sixtofour=(echo,), nat=NAT.NONE)
    assert ways(direct)[1].problem == "sixtofour-pseudo-public-address"
    direct = replace(direct, mapping="131.107.0.50:3000")
    assert possible(direct)["6to4"] is True
    assert possible(replace(direct, sixtofour=(replace(echo, answered=False),)))["6to4"] is False
    assert possible(replace(direct, sixtofour=(replace(echo, tried=False),)))["6to4"] is None
    assert possible(replace(HOME, nat=NAT.SYMMETRIC))["teredo"] is False
    blocked = replace(HOME, nat=NAT.BLOCKED, teredo=(replace(ANSWERED, answered=False),))
    assert possible(blocked)["teredo"] is None
    assert possible(replace(blocked, teredo_expected=True))["teredo"] is False
    six = AddressSeen(interface="eth0", address="2001:db8::2", reach=Reach.PUBLIC)
    native = replace(
        HOME,
        addresses=(six,),
        routes=(RouteSeen(family="ipv6", interface="eth0", via="fe80::1"),),
        connections=(replace(TAKEN, address="2001:db8::1"),),
    )
    assert possible(native)["native"] is True
    assert possible(OFFLINE) == dict.fromkeys(("native", "6to4"), False) | dict.fromkeys(
        ("teredo", "iphttps"), None
    )


def test_whose_addresses_are() -> None:
    assert reach_of("100.64.0.1") is Reach.SHARED
    assert reach_of("10.0.0.1") is Reach.PRIVATE
    assert reach_of("131.107.0.50") is Reach.PUBLIC
    assert reach_of("2002:836b:2::1") is Reach.TRANSITION
    assert reach_of("fd00::1") is Reach.PRIVATE
    assert reach_of("2001:db8::1") is Reach.PUBLIC


@pytest.mark.parametrize("seen", [HOME, HOTEL, OFFLINE, OFFICE])
def test_the_data_are_of_the_schema(seen: NetworkSeen) -> None:
    data = json.loads(json.dumps(plain(as_data(seen, judge(seen)))))
    check(data, schema("netcheck-1"))


def test_lines() -> None:
    text = "\n".join(plain_lines(as_lines(HOME, judge(HOME))))
    for part in (
        "This network lets the client through: teredo, iphttps.",
        "teredo     yes  a restricted NAT; we are seen at 131.107.0.100:9",
        "MTU 1500, MSS 1448, large packets pass",
        "proxy      none is named",
    ):
        assert part in text
    assert "captive-portal" in "\n".join(plain_lines(as_lines(HOTEL, judge(HOTEL))))


def test_native_is_what_the_endpoint_says() -> None:
    own = AddressSeen(interface="eth0", address="2001:db8::5", reach=Reach.PUBLIC)
    route = RouteSeen(family="ipv6", interface="eth0", via="fe80::1")
    six = replace(HOME, addresses=(own,), routes=(route,))
    assert possible(six)["native"] is None
    for tried, answered in ((True, True), (True, False), (False, None)):
        words = "" if answered else "does not answer"
        echo = NativeSeen(endpoint="2001:db8::1", tried=tried, answered=answered, words=words)
        seen = replace(six, native=(echo,))
        assert possible(seen)["native"] is answered
        assert any("2001:db8::1" in line.text for line in as_lines(seen, ()))


def test_a_teredo_server_that_could_not_be_asked_blocks_nothing() -> None:
    unsent = replace(ANSWERED, answered=False, words="Network is unreachable")
    way = ways(replace(HOME, teredo=(unsent,), teredo_expected=True))[2]
    assert (way.possible, way.problem) == (False, "")
    assert way.why == "the server cannot be reached: Network is unreachable"
