"""6to4 addresses and packets."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packets import ip
from throughway.model.errors import WireError
from throughway.wire.sixtofour import (
    ANYCAST_RELAY,
    build_endpoint,
    build_prefix,
    check_packet,
    embedded_address,
    is_sixtofour,
    is_usable,
)

SERVER, CLIENT = IPv4Address("131.107.0.2").packed, IPv4Address("131.107.1.9").packed
NATIVE = "2607:f8b0::1"


def test_the_endpoint_of_the_first_address() -> None:
    """The example of the Windows documentation: 131.107.0.2."""
    endpoint = build_endpoint(SERVER)
    assert str(IPv6Address(endpoint)) == "2002:836b:2::836b:2"
    assert is_sixtofour(endpoint)
    assert embedded_address(endpoint) == SERVER
    assert str(IPv6Address(build_prefix(SERVER))) == "2002:836b:2::"


@pytest.mark.parametrize(
    "text",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "0.0.0.0", "192.88.99.1"),
    ],
)
def test_addresses_that_nobody_reaches(text: str) -> None:
    address = IPv4Address(text).packed
    assert not is_usable(address)
    with pytest.raises(WireError):
        build_prefix(address)


def packet(source: str | bytes, destination: str | bytes) -> bytes:
    return ip(str(IPv6Address(source)), str(IPv6Address(destination)), 59, b"")


def test_sound_packets() -> None:
    check_packet(CLIENT, SERVER, packet(build_endpoint(CLIENT), build_endpoint(SERVER)))
    check_packet(ANYCAST_RELAY.packed, SERVER, packet(NATIVE, build_endpoint(SERVER)))
    check_packet(CLIENT, SERVER, packet(build_endpoint(CLIENT), NATIVE))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (SERVER, packet(build_endpoint(CLIENT), build_endpoint(SERVER))),
        (IPv4Address("10.0.0.1").packed, packet(NATIVE, build_endpoint(SERVER))),
        (CLIENT, packet(build_endpoint(CLIENT), "2002:a00:1::1")),
        (CLIENT, b"\x60" + bytes(30)),
    ],
    ids=["somebody else", "private", "to a private address", "short"],
)
def test_packets_to_be_dropped(outer: bytes, inner: bytes) -> None:
    with pytest.raises(WireError):
        check_packet(outer, SERVER, inner)


@given(st.binary(max_size=20))
def test_any_bytes(address: bytes) -> None:
    if len(address) == 16 and is_sixtofour(address):
        assert embedded_address(address) == address[2:6]
    else:
        with pytest.raises(WireError):
            embedded_address(address)
