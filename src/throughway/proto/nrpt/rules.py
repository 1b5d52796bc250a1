"""The rules of a policy, and those that hold whatever it says.

Three kinds of names must be found outside, or there is no way in: the gateway's, those of location
servers (whose answer outside would say that we are inside), and those where certificates that
are judged before there is a tunnel have their revocation lists. And who reads the address of an
intranet host wants its name from the intranet (RFC 3596, section 2.5).
"""

from collections.abc import Iterator
from ipaddress import IPv6Network
from urllib.parse import urlsplit

from throughway.model.policy import NRPTRule, Policy

_BITS = 4
"""Of a digit in ip6.arpa."""


def rules_of(policy: Policy) -> tuple[NRPTRule, ...]:
    """Return all rules; of two for one namespace the first counts."""
    always = (NRPTRule(namespace=name) for name in always_exempt(policy))
    return (*always, *policy.nrpt, *_reverse(policy))


def always_exempt(policy: Policy) -> tuple[str, ...]:
    """Return the names that are asked outside whatever the rules say."""
    urls = (policy.iphttps_url, *policy.nls_urls)
    hosts = [urlsplit(url).hostname or "" for url in urls]
    return tuple(dict.fromkeys(name for name in (*hosts, *policy.exempt_names) if name))


def reverse_zones(prefix: str) -> Iterator[str]:
    """Yield the zones of ip6.arpa that hold a prefix, and nothing beside it."""
    network = IPv6Network(prefix)
    digits = -(-network.prefixlen // _BITS)
    for part in network.subnets(new_prefix=digits * _BITS):
        text = part.network_address.exploded.replace(":", "")[:digits]
        yield ".".join((*reversed(text), "ip6", "arpa"))


def _reverse(policy: Policy) -> Iterator[NRPTRule]:
    servers = next((rule.servers for rule in policy.nrpt if rule.servers), ())
    if not servers:
        return
    for prefix in (*policy.infrastructure.prefixes, *policy.intranet.prefixes):
        if prefix != "::/0":
            for zone in reverse_zones(prefix):
                yield NRPTRule(namespace=f".{zone}", servers=servers)
