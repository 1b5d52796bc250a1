"""Strangers may try, but not for ever."""

from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from throughway.authority.limits import FAILURES, MAX_SOURCES, REQUESTS, WINDOW, Limits, site


def test_failures_of_one_source_shut_out_that_source_for_a_while() -> None:
    limits = Limits()
    limits.wait("192.0.2.1", 100.0)
    for _ in range(FAILURES):
        assert limits.wait("192.0.2.1", 110.0) == 0
        limits.failed("192.0.2.1")
    assert 0 < limits.wait("192.0.2.1", 120.0) <= WINDOW
    assert limits.wait("192.0.2.2", 120.0) == 0
    assert limits.wait("192.0.2.1", 100.0 + WINDOW) == 0


def test_a_room_full_of_computers_is_heard() -> None:
    limits = Limits()
    assert all(limits.wait("192.0.2.1", 100.0) == 0 for _ in range(500))


def test_all_together_have_a_limit() -> None:
    limits = Limits()
    limits.wait("", 100.0)
    answers = [limits.wait(f"2001:db8:{n:x}::1", 101.0) for n in range(REQUESTS)]
    assert answers[-1] > 0
    assert answers[-2] == 0


@given(st.integers(0, 2**64 - 1))
def test_a_network_of_ipv6_is_one_source(host: int) -> None:
    address = str(IPv6Address(int(IPv6Address("2001:db8:1:2::")) + host))
    assert site(address) == site("2001:db8:1:2::") != site("2001:db8:1:3::")
    assert site("fe80::1%eth0") == site("fe80::2%eth1")


def test_memory_is_bounded() -> None:
    limits = Limits()
    for number in range(MAX_SOURCES + 100):
        limits.failed(f"s{number}")
    assert len(limits._failures) == MAX_SOURCES
