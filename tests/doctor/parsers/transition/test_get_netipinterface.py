"""Interfaces as objects."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.transition.get_netipinterface import PARSER
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import IPv6Interface

NARROW = """
ifIndex InterfaceAlias                  AddressFamily NlMtu(Byte InterfaceMetri Dhcp   Connectio
                                                              s)              c        nState
------- --------------                  ------------- ---------- -------------- ----   ---------
17      IPHTTPSInterface                IPv6                1280             50 Dis... Connected
6       以太网 3                         IPv6                1500              5 Ena... Disconn...
6       Ethernet 3                      IPv4                1500              5 Ena... Connected
"""


def facts(text: str, command: str = "") -> list[Fact]:
    return list(PARSER.parse(Evidence("a.txt", text, command=command)))


def test_interfaces_in_a_narrow_console() -> None:
    first, second = facts(NARROW)
    assert isinstance(first, IPv6Interface)
    assert isinstance(second, IPv6Interface)
    assert (first.index, first.name, first.mtu) == (17, "IPHTTPSInterface", 1280)
    assert second.name == "以太网 3"


def test_interfaces_as_a_list() -> None:
    text = """
InterfaceIndex                  : 17
InterfaceAlias                  : IPHTTPSInterface
AddressFamily                   : IPv6
Forwarding                      : Disabled
Advertising                     : Enabled
NlMtu(Bytes)                    : 1280
ConnectionState                 : Connected

InterfaceIndex                  : 17
InterfaceAlias                  : Ethernet
AddressFamily                   : IPv4
Forwarding                      : Disabled
"""
    (found,) = facts(text)
    assert isinstance(found, IPv6Interface)
    assert (found.forwarding, found.advertising, found.connected) == (False, True, True)
    assert found.source.text.startswith("Forwarding")


@pytest.mark.parametrize("text", [NARROW])
def test_it_is_recognised_by_its_text(text: str) -> None:
    assert find(Evidence("a.txt", text), PARSERS) == [PARSER]
