"""Routes, as three commands print them."""

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import Route

PRINTED = """\
===========================================================================
Schnittstellenliste
 12...00 15 5d 01 02 03 ......Microsoft Hyper-V Network Adapter
  1...........................Software Loopback Interface 1
===========================================================================

IPv4-Routentabelle
===========================================================================
Aktive Routen:
     Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik
          0.0.0.0          0.0.0.0      192.168.1.1    192.168.1.105     25
        127.0.0.0        255.0.0.0   Auf Verbindung         127.0.0.1    331
      192.168.1.0    255.255.255.0   Auf Verbindung     192.168.1.105    281
        224.0.0.0        240.0.0.0   Auf Verbindung         127.0.0.1    331
===========================================================================
St\u00e4ndige Routen:
  Netzwerkadresse          Netzmaske  Gatewayadresse  Metrik
         10.0.0.0        255.0.0.0       10.0.0.254       1
===========================================================================

IPv6-Routentabelle
===========================================================================
Aktive Routen:
 If Metrik Netzwerkziel             Gateway
 12     58 ::/0                     fe80::1
  1    331 ::1/128                  Auf Verbindung
 12    306 2001:0:5ef5:79fd:14d7:3137:1234:5678/128
                                    Auf Verbindung
 17    256 2001:db8:1:1000::/64     2001:db8:1:1000:aaaa:bbbb:cccc:dddd
  1    331 ff00::/8                 Auf Verbindung
===========================================================================
St\u00e4ndige Routen:
 If Metrik Netzwerkziel             Gateway
  0 4294967295 2002::/16                Auf Verbindung
===========================================================================
"""


def test_route_print_in_german() -> None:
    found = {route.prefix: route for route in facts(PRINTED, Route)}
    assert found["0.0.0.0/0"].gateway == "192.168.1.1"
    assert found["0.0.0.0/0"].interface == "192.168.1.105"
    assert found["0.0.0.0/0"].metric == 25
    assert found["127.0.0.0/8"].gateway == ""
    assert found["127.0.0.0/8"].persistent is False
    assert found["10.0.0.0/8"].persistent is True
    assert found["10.0.0.0/8"].gateway == "10.0.0.254"
    assert found["::/0"].gateway == "fe80::1"
    assert found["2001:0:5ef5:79fd:14d7:3137:1234:5678/128"].gateway == ""
    assert found["2001:db8:1:1000::/64"].gateway == "2001:db8:1:1000:aaaa:bbbb:cccc:dddd"
    assert found["2001:db8:1:1000::/64"].interface == "17"
    assert found["2002::/16"].persistent is True


def test_route_print_cut_off_at_a_long_prefix() -> None:
    cut = PRINTED[: PRINTED.index(":5678/128") + 9]
    assert facts(cut, Route)[-1].gateway == ""


NETSH = """\

Publish  Type      Met  Prefix                    Idx  Gateway/Interface Name
-------  --------  ---  ------------------------  ---  ------------------------
Yes      Manual    256  2001:db8:1:1000::/64       17  IPHTTPSInterface
No       Manual    256  ::/0                       12  fe80::1
Age      Manual    256  2001:db8:2::/48            12  fe80::2
No       System    256  ::1/128                     1  Loopback Pseudo-Interface 1
"""


@pytest.mark.parametrize(
    "text",
    [NETSH, NETSH.replace("Yes ", "Oui ").replace("No ", "Non").replace("System ", "Syst\u00e8me")],
)
def test_netsh(text: str) -> None:
    link, default, ages, loopback = facts(text, Route)
    assert (link.prefix, link.interface, link.published) == (
        "2001:db8:1:1000::/64",
        "IPHTTPSInterface",
        True,
    )
    assert (default.gateway, default.interface, default.published) == ("fe80::1", "12", False)
    assert ages.published is True
    assert loopback.interface == "Loopback Pseudo-Interface 1"


def test_netsh_with_words_of_no_language() -> None:
    (route,) = facts("Publish Prefix Idx\nQx       Manual    256  ::/0   12  fe80::1\n", Route)
    assert route.published is None


def test_get_netroute() -> None:
    table = (
        "ifIndex DestinationPrefix              NextHop                  RouteMetric PolicyStore\n"
        "------- -----------------              -------                  ----------- -----------\n"
        "17      2001:db8:1:1000::/64           ::                               256 ActiveStore\n"
        "12      0.0.0.0/0                      192.168.1.1                        0 Persisten...\n"
    )
    first, second = facts(table, Route)
    assert (first.prefix, first.gateway, first.interface) == ("2001:db8:1:1000::/64", "", "17")
    assert (second.gateway, second.metric) == ("192.168.1.1", 0)
    listed = (
        "DestinationPrefix : 2001:db8:1:1000::/64\nNextHop           : ::\n"
        "InterfaceAlias    : IPHTTPSInterface\nPublish           : Yes\n"
        "Store             : PersistentStore\n"
    )
    (route,) = facts(listed, Route)
    assert route.published is True
    assert route.persistent is True
    assert route.interface == "IPHTTPSInterface"
