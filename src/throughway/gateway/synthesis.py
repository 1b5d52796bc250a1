"""What DNS64 answers (RFC 6147): IPv6 addresses for hosts that have only IPv4 ones.

Pure: :mod:`throughway.gateway.dns64` asks and sends. Messages that nothing is made of pass as they
came; only questions for AAAA, and for the names of addresses of our prefix, are read whole.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from throughway.model.config import NAT64Config
from throughway.net.nat64 import original, translated
from throughway.wire.dns import SAFE_PAYLOAD

MAPPED = "::ffff:0:0/96"
"""IPv4-mapped addresses: no address for anybody outside the host (RFC 6147, section 5.1.4)."""
NO_SOA_TTL = 600
"""Seconds a made address lives at most when nobody says how long there is none (5.1.7)."""
WELL_KNOWN = dns.name.from_text("ipv4only.arpa.")
"""By this name a client finds the prefix out (RFC 7050)."""
WELL_KNOWN_ADDRESSES = (IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171"))
WELL_KNOWN_TTL = 600

Wrong = (dns.exception.DNSException, ValueError)
"""What reading and writing messages raises when they are none."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is translated."""

    prefix: str
    ipv4_prefixes: tuple[IPv4Network, ...]
    exclude_names: tuple[dns.name.Name, ...]
    exclude_prefixes: tuple[IPv6Network, ...]

    def reachable(self, address: IPv4Address) -> bool:
        """Whether clients may reach an IPv4 host at all."""
        return any(address in prefix for prefix in self.ipv4_prefixes)

    def counts(self, address: IPv6Address) -> bool:
        """Whether an IPv6 address is one."""
        return not any(address in prefix for prefix in self.exclude_prefixes)

    def excluded(self, name: dns.name.Name) -> bool:
        """Whether a name gets no address made."""
        return any(name.is_subdomain(zone) for zone in self.exclude_names)


def rules_of(config: NAT64Config) -> Rules:
    """Return the rules of a configuration."""
    return Rules(
        config.prefix,
        tuple(map(IPv4Network, config.ipv4_prefixes)),
        tuple(map(dns.name.from_text, config.exclude_names)),
        tuple(map(IPv6Network, (MAPPED, *config.exclude_prefixes))),
    )


def wants_address(query: dns.message.Message, rules: Rules) -> bool:
    """Whether an address may be made for this question.

    A client that validates by itself (CD and DO, section 5.5) gets nothing but what is signed.
    """
    question = query.question[0]
    checks = query.flags & dns.flags.CD and query.ednsflags & dns.flags.DO
    return (
        question.rdtype == dns.rdatatype.AAAA
        and question.rdclass == dns.rdataclass.IN
        and not checks
        and not rules.excluded(question.name)
    )


def well_known(query: dns.message.Message, rules: Rules) -> dns.message.Message | None:
    """Return the answer to who asks for our prefix."""
    if query.question[0].name != WELL_KNOWN or query.question[0].rdtype != dns.rdatatype.AAAA:
        return None
    answer = _response(query)
    addresses = [str(translated(rules.prefix, address)) for address in WELL_KNOWN_ADDRESSES]
    answer.answer.append(dns.rrset.from_text(WELL_KNOWN, WELL_KNOWN_TTL, "IN", "AAAA", *addresses))
    return answer


def real_addresses(answer: dns.message.Message, rules: Rules) -> dns.message.Message | None:
    """Return an answer without excluded addresses; None when none is left: one may be made.

    That a name does not exist is a real answer; every other failure counts as none (5.1.2).
    """
    if answer.rcode() == dns.rcode.NXDOMAIN:
        return answer
    if answer.rcode() != dns.rcode.NOERROR:
        return None
    kept, found, dropped = [], False, False
    for rrset in answer.answer:
        if _is(rrset, dns.rdatatype.AAAA):
            real = [rdata for rdata in rrset if rules.counts(IPv6Address(rdata.address))]
            dropped = dropped or len(real) < len(rrset)
            if not real:
                continue
            found = True
            rrset = _rrset(rrset.name, rrset.ttl, real)
        kept.append(rrset)
    if not found:
        return None
    if dropped:
        answer.answer = kept
        answer.flags &= ~dns.flags.AD
    return answer


def make_addresses(
    query: dns.message.Message,
    none: dns.message.Message | None,
    ipv4: dns.message.Message,
    rules: Rules,
) -> dns.message.Message | None:
    """Return the answer made of IPv4 addresses; None when there are none that clients may reach.

    ``none`` is what said that there is no IPv6 address; its SOA limits how long ours lives.
    """
    if ipv4.rcode() != dns.rcode.NOERROR:
        return None
    limit = _negative_ttl(none)
    made, found = [], False
    for rrset in ipv4.answer:
        if rrset.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.DNAME):
            made.append(rrset)
        elif _is(rrset, dns.rdatatype.A):
            hosts = [IPv4Address(rdata.address) for rdata in rrset]
            addresses = [
                str(translated(rules.prefix, host)) for host in hosts if rules.reachable(host)
            ]
            if addresses:
                found = True
                ttl = min(rrset.ttl, limit)
                made.append(dns.rrset.from_text(rrset.name, ttl, "IN", "AAAA", *addresses))
    if not found:
        return None
    answer = _response(query)
    answer.answer = made
    return answer


def ipv4_question(query: dns.message.Message) -> dns.message.Message:
    """Return the same question for IPv4 addresses."""
    asked = dns.message.make_query(query.question[0].name, dns.rdatatype.A)
    asked.flags |= query.flags & dns.flags.CD
    return asked


def reverse_question(query: dns.message.Message, rules: Rules) -> dns.message.Message | None:
    """Return the question for the IPv4 address that is meant; None for other questions."""
    question = query.question[0]
    if question.rdtype != dns.rdatatype.PTR or question.rdclass != dns.rdataclass.IN:
        return None
    try:
        address = IPv6Address(dns.reversename.to_address(question.name))
    except Wrong:
        return None
    host = original(rules.prefix, address)
    if host is None:
        return None
    return dns.message.make_query(dns.reversename.from_address(str(host)), dns.rdatatype.PTR)


def make_reverse(
    query: dns.message.Message, asked: dns.message.Message, ipv4: dns.message.Message
) -> dns.message.Message:
    """Return the name of an IPv4 host, as an alias of its IPv6 address (5.3.1)."""
    answer = _response(query)
    answer.set_rcode(ipv4.rcode())
    if ipv4.rcode() == dns.rcode.NOERROR and ipv4.answer:
        source, target = query.question[0].name, asked.question[0].name
        ttl = min(rrset.ttl for rrset in ipv4.answer)
        alias = dns.rrset.from_text(source, ttl, "IN", "CNAME", target.to_text())
        answer.answer = [alias, *ipv4.answer]
    return answer


def _response(query: dns.message.Message) -> dns.message.Message:
    """Return an empty answer of ours: nothing of it is signed, so nothing is authentic."""
    answer = dns.message.make_response(query, recursion_available=True, our_payload=SAFE_PAYLOAD)
    answer.flags &= ~(dns.flags.AD | dns.flags.AA)
    answer.flags |= query.flags & dns.flags.CD
    return answer


def _negative_ttl(none: dns.message.Message | None) -> int:
    if none is not None and none.rcode() == dns.rcode.NOERROR:
        for rrset in none.authority:
            if rrset.rdtype == dns.rdatatype.SOA:
                return min(rrset.ttl, *(int(rdata.minimum) for rdata in rrset))
    return NO_SOA_TTL


def _is(rrset: dns.rrset.RRset, kind: dns.rdatatype.RdataType) -> bool:
    """Whether it holds records of this type, and of the Internet's class: others look otherwise."""
    return rrset.rdtype == kind and rrset.rdclass == dns.rdataclass.IN


def _rrset(name: dns.name.Name, ttl: int, rdatas: list[dns.rdata.Rdata]) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(name, ttl, rdatas)
