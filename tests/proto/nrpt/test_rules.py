"""Names that are exempt by construction, and addresses that are asked back inside."""

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pki.test_bundle import POLICY
from throughway.model.policy import NRPTRule
from throughway.proto.nrpt import Table
from throughway.proto.nrpt.rules import always_exempt, reverse_zones, rules_of

SERVERS = ("2001:db8:c0:1::10",)
EVERYTHING = replace(
    POLICY,
    nrpt=(
        NRPTRule(namespace=".", servers=SERVERS),
        NRPTRule(namespace="da.example.com", servers=SERVERS),
        NRPTRule(namespace="crl.example.com", servers=SERVERS),
    ),
    exempt_names=("crl.example.com", "ocsp.example.com"),
)


@pytest.mark.parametrize(
    "name", ["da.example.com", "nls.corp.example.com", "crl.example.com", "ocsp.example.com"]
)
def test_no_rule_takes_the_names_of_the_way_in(name: str) -> None:
    rule = Table(rules_of(EVERYTHING)).match_name(name)
    assert rule is not None
    assert rule.exemption
    assert name in always_exempt(EVERYTHING)


def test_names_below_the_exempt_ones_are_no_exemptions() -> None:
    rule = Table(rules_of(EVERYTHING)).match_name("x.da.example.com")
    assert rule is not None
    assert rule.servers == SERVERS


def test_addresses_of_the_intranet_are_asked_back_inside() -> None:
    table = Table(rules_of(POLICY))
    inside = ipaddress.ip_address("2001:db8:c0:2::80").reverse_pointer
    outside = ipaddress.ip_address("2001:db8:c1::80").reverse_pointer
    rule = table.match_name(inside)
    assert rule is not None
    assert rule.servers == SERVERS
    assert table.match_name(outside) is None


def test_a_rule_for_the_reverse_zone_comes_before_the_made_one() -> None:
    own = NRPTRule(namespace=".0.c.0.0.8.b.d.0.1.0.0.2.ip6.arpa", servers=("2001:db8:c0:9::1",))
    table = Table(rules_of(replace(POLICY, nrpt=(*POLICY.nrpt, own))))
    assert table.match_name(ipaddress.ip_address("2001:db8:c0:2::80").reverse_pointer) is own


def test_a_policy_of_exemptions_alone_asks_nothing_back() -> None:
    rules = rules_of(replace(POLICY, nrpt=(NRPTRule(namespace="a.example"),)))
    assert not any("ip6.arpa" in rule.namespace for rule in rules)


@given(st.integers(1, 128), st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_zones_hold_the_prefix_and_nothing_beside_it(length: int, bits: int, other: int) -> None:
    network = ipaddress.IPv6Network((bits, length), strict=False)
    zones = tuple(reverse_zones(str(network)))
    within = ipaddress.IPv6Address(int(network[0]) | other & int(network.hostmask))
    for address in (within, ipaddress.IPv6Address(other)):
        covered = any(
            address.reverse_pointer.endswith(f".{z}") or address.reverse_pointer == z for z in zones
        )
        assert covered == (address in network)
    assert len(zones) <= 8
