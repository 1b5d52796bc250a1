"""What kind of DNS a network gives: who answers, and whether it tells the truth."""

import asyncio
import os
import time

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from throughway.model.network import WPAD, ProxySeen, ResolverSeen

ANSWER_TIME = 2.5
"""Seconds for an answer, all servers together."""
IPV4_ONLY = "ipv4only.arpa"
"""A name that has IPv4 addresses only, unless somebody makes others up (RFC 7050)."""
MAXIMUM_SERVERS = 8
_MAXIMUM_ANSWERS = 4


async def look_at_resolver(seconds: float = ANSWER_TIME) -> ResolverSeen:
    """Ask for a name that cannot exist, and for one that has no IPv6 address."""
    begin = time.monotonic()
    try:
        resolver = dns.asyncresolver.Resolver()
    except dns.exception.DNSException:
        return ResolverSeen(words="this computer has no DNS server")
    resolver.lifetime = seconds
    nobody = f"throughway-{os.urandom(8).hex()}.com"
    # The truth about the second also says that somebody answers.
    invented, synthesised = await asyncio.gather(
        _ask(resolver, nobody, "A"), _ask(resolver, IPV4_ONLY, "AAAA")
    )
    answers = invented.heard or synthesised.heard
    return ResolverSeen(
        servers=tuple(str(server) for server in resolver.nameservers[:MAXIMUM_SERVERS]),
        answers=answers,
        answered_by=invented.server or synthesised.server,
        invents=invented.addresses,
        nat64=synthesised.addresses[0] if synthesised.addresses else "",
        seconds=time.monotonic() - begin,
        words="" if answers else invented.words,
    )


async def look_for_wpad(seconds: float = ANSWER_TIME) -> tuple[ProxySeen, ...]:
    """Look for the name by which programs find a proxy's script in each search domain."""
    try:
        resolver = dns.asyncresolver.Resolver()
    except dns.exception.DNSException:
        return ()
    resolver.lifetime = seconds
    domains = [str(domain).rstrip(".") for domain in resolver.search[:_MAXIMUM_ANSWERS]]
    names = [f"wpad.{domain}" for domain in domains if domain]
    answers = await asyncio.gather(*(_ask(resolver, name, "A") for name in names))
    return tuple(
        ProxySeen(source=WPAD, proxy=f"http://{name}/wpad.dat")
        for name, answer in zip(names, answers, strict=True)
        if answer.addresses
    )


class _Answer:
    """What came for one name."""

    def __init__(
        self, *, heard: bool, server: str = "", addresses: tuple[str, ...] = (), words: str = ""
    ) -> None:
        self.heard, self.server, self.addresses, self.words = heard, server, addresses, words


async def _ask(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> _Answer:
    try:
        answer = await resolver.resolve(f"{name}.", kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        # Who said so is not told; where there is one only, it is known.
        only = resolver.nameservers[0] if len(resolver.nameservers) == 1 else ""
        return _Answer(heard=True, server=str(only))
    except dns.resolver.NoNameservers:
        return _Answer(heard=False, words="the DNS servers refuse or fail")
    except (dns.exception.DNSException, OSError, ValueError):
        return _Answer(heard=False, words="no DNS server answers")
    found = tuple(str(record.address) for record in answer.rrset or ())[:_MAXIMUM_ANSWERS]
    return _Answer(heard=True, server=str(answer.nameserver or ""), addresses=found)
