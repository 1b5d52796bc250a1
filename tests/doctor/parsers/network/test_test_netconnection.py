"""Tests of ports and pings by Test-NetConnection."""

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import NameLookup, PingResult, PortTest

PORT = """
ComputerName           : da.example.com
RemoteAddress          : 192.0.2.10
RemotePort             : 443
InterfaceAlias         : WLAN
SourceAddress          : 192.168.1.5
PingSucceeded          : False
TcpTestSucceeded       : {}
"""


def test_a_port() -> None:
    (found,) = facts(PORT.format("True"), PortTest)
    assert (found.target, found.address, found.port) == ("da.example.com", "192.0.2.10", 443)
    assert found.succeeded
    assert facts(PORT.format("True"), PingResult) == []


def test_a_port_that_refuses() -> None:
    text = "WARNUNG: TCP connect to (192.0.2.10 : 443) failed\n" + PORT.format("False")
    (found,) = facts(text, PortTest)
    assert found.succeeded is False


def test_a_ping() -> None:
    text = "ComputerName : x.example.com\nRemoteAddress : 2001:db8::1\nPingSucceeded : True\n"
    (found,) = facts(text, PingResult)
    assert (found.target, found.address, found.replied) == ("x.example.com", "2001:db8::1", True)


def test_a_name_that_does_not_resolve_was_not_tested() -> None:
    text = (
        "WARNING: Name resolution of x.example.com failed\n\n"
        "ComputerName : x.example.com\nRemoteAddress :\nPingSucceeded : False\n"
    )
    (found,) = facts(text, NameLookup)
    assert (found.name, found.failed) == ("x.example.com", True)
    assert facts(text, PingResult) == []


def test_what_was_cut_off_says_nothing() -> None:
    assert facts(PORT[: PORT.index("TcpTest")].replace("Ping", "Xyz"), PortTest) == []
