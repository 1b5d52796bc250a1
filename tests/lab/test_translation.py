"""The lab's DNS64 and NAT64 fit its topology."""

import tomllib
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from throughway.lab import deployment
from throughway.lab.topology import (
    DIRECTACCESS,
    INFRASTRUCTURE_PREFIX,
    INTRANET_PREFIX,
)
from throughway.lab.translation import DNS64_ADDRESS, NAT64_PREFIX


def test_clients_ask_the_gateway_and_reach_what_has_only_ipv4() -> None:
    config = tomllib.loads(deployment.build_gateway_toml(("client1",)))
    rules = {rule["namespace"]: rule.get("servers") for rule in config["publish"]["nrpt"]}
    assert rules[".corp.example.com"] == [DNS64_ADDRESS]
    assert config["nat64"]["listen"] == [f"[{DNS64_ADDRESS}]:53"]
    assert IPv6Network(NAT64_PREFIX).subnet_of(IPv6Network(INTRANET_PREFIX))
    assert IPv6Address(DNS64_ADDRESS) in IPv6Network(INFRASTRUCTURE_PREFIX)
    (port,) = DIRECTACCESS.host("app4").interfaces
    (address,) = port.addresses
    reached = map(IPv4Network, config["nat64"]["ipv4_prefixes"])
    assert any(IPv4Address(address.partition("/")[0]) in prefix for prefix in reached)
