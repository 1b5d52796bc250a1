"""The gateway's DNS64 and NAT64 in the lab: how clients reach app4, which has only IPv4."""

from throughway.lab.topology import DC_ADDRESSES

DNS64_ADDRESS = "2001:db8:c0:1::1"
"""The gateway's inside; the rules of clients name it."""
NAT64_PREFIX = "2001:db8:c0:7777::/96"

NAT64_TOML = f"""
[nat64]
prefix = "{NAT64_PREFIX}"
ipv4_prefixes = ["10.0.0.0/16"]
listen = ["[{DNS64_ADDRESS}]:53"]
servers = ["{DC_ADDRESSES[0]}", "{DC_ADDRESSES[1]}"]
"""
