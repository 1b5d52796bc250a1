"""Which of the servers in a capture is the DirectAccess server: a capture shows all traffic.

Its name is in the configuration; without one the suites tell (nobody but IP-HTTPS offers NULL
suites), then names that are usual, then that there is no other server.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from throughway.doctor.rules import chains
from throughway.doctor.rules.iphttps import host_of, is_address, port_of
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import (
    NULL_SUITES,
    Capture,
    DNSExchange,
    ESPSeen,
    FragmentsSeen,
    HTTPExchange,
    ICMPErrorSeen,
    IKEExchange,
    IPHTTPSLink,
    RouterAdvertisementSeen,
    TCPConnection,
    TeredoExchange,
    TLSHandshake,
)
from throughway.model.facts.certificates import Certificate
from throughway.model.facts.network import NameLookup
from throughway.model.facts.server import RemoteAccessConfiguration
from throughway.model.facts.transition import IPHTTPSConfiguration, IPHTTPSInterface
from throughway.model.findings import Confidence, Finding, Problem

Seen = (
    Capture
    | TCPConnection
    | TLSHandshake
    | DNSExchange
    | HTTPExchange
    | IKEExchange
    | ESPSeen
    | FragmentsSeen
    | ICMPErrorSeen
    | TeredoExchange
    | RouterAdvertisementSeen
    | IPHTTPSLink
)
"""All that captures show; rules ask for ``tuple[Seen, ...]``."""
Told = IPHTTPSInterface | IPHTTPSConfiguration | RemoteAccessConfiguration | NameLookup
"""What says where the server is, outside of captures."""

HTTPS_PORT = 443
_SIGNALS = frozenset({0x00FF, 0x5600})
"""They stand among the suites and are none (RFC 5746, RFC 7507)."""
_USUAL = re.compile(r"^da\d{0,2}\.|direct-?access|ip-?https")
_SURENESS = (Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE)
_GUESSED = {
    Confidence.LIKELY: "its name is usual for DirectAccess, and no URL is in the evidence",
    Confidence.POSSIBLE: "whether this is the DirectAccess server the evidence does not say",
}


@dataclass(frozen=True, slots=True)
class Target:
    """The server, as far as it is known."""

    hosts: tuple[str, ...]
    port: int
    servers: frozenset[str]
    """Addresses of the server itself, not of proxies before it."""
    handshakes: tuple[TLSHandshake, ...]
    """With it, by whatever way."""
    reached: bool
    """Whether a handshake with it was seen to its end."""
    linked: bool
    """Whether the link within one was seen, so that the client accepted everything."""
    sureness: Confidence

    @property
    def host(self) -> str:
        """Its name, else its address."""
        return next(iter((*self.hosts, *sorted(self.servers))), "the server")

    @property
    def values(self) -> tuple[tuple[str, str], ...]:
        """For commands."""
        return (("HOST", self.host), ("PORT", str(self.port)))

    def sure(self, confidence: Confidence, reason: str) -> tuple[Confidence, str]:
        """Return how sure a finding is, given how sure it is that this is the server."""
        weaker = max(confidence, self.sureness, key=_SURENESS.index)
        guess = _GUESSED.get(self.sureness)
        return weaker, f"{reason}; {guess}" if guess else reason


def find_target(
    seen: Iterable[Seen], told: Iterable[Told], certificates: Iterable[Certificate] = ()
) -> Target:
    """Return the server that this is about; one without servers where nothing tells."""
    seen, told = tuple(seen), tuple(told)
    urls = [
        f"https://{fact.connect_to}" if isinstance(fact, RemoteAccessConfiguration) else fact.url
        for fact in told
        if not isinstance(fact, NameLookup)
    ]
    named = dict.fromkeys(host.lower() for url in urls if (host := host_of(url)))
    hosts = tuple(host for host in named if not is_address(host))
    literal = {host for host in named if is_address(host)}
    port = next((port_of(url) for url in urls if host_of(url)), HTTPS_PORT)
    handshakes = [fact for fact in seen if isinstance(fact, TLSHandshake)]
    sureness = Confidence.CERTAIN
    open_book = {fact.server for fact in seen if isinstance(fact, IPHTTPSLink)}
    if not named and not open_book and not any(h.null_offered for h in handshakes):
        hosts, sureness = _usual(seen, handshakes), Confidence.LIKELY
    shown = _showing(hosts, certificates)
    addresses = literal | open_book | _addresses(hosts, seen, told)
    ours = [h for h in handshakes if _is_ours(h, hosts, addresses, shown)]
    proxies = {f.server for f in seen if isinstance(f, HTTPExchange) and f.method == "CONNECT"}
    servers = addresses | {h.server for h in ours} - proxies
    if not servers and not ours and not hosts:
        only = {
            *(h.server for h in handshakes if h.port == port),
            *(c.server for c in seen if isinstance(c, TCPConnection) and c.port == port),
        }
        servers = only if len(only) == 1 else set()
        sureness = Confidence.POSSIBLE
        ours = [h for h in handshakes if h.server in servers and h.port == port]
    if not hosts:
        hosts = tuple(dict.fromkeys(h.server_name.lower() for h in ours if h.server_name))
    return Target(
        hosts=hosts,
        port=port,
        servers=frozenset(servers),
        handshakes=tuple(ours),
        reached=bool(open_book) or any(h.finished for h in ours),
        linked=bool(open_book),
        sureness=sureness,
    )


def finding(
    target: Target,
    problem: Problem,
    summary: str,
    confidence: Confidence,
    reason: str,
    *facts: Fact,
) -> Finding:
    """Return a finding about the server."""
    sure, why = target.sure(confidence, reason)
    return Finding(
        problem=problem,
        summary=summary,
        confidence=sure,
        reason=why,
        evidence=tuple(fact.source for fact in facts),
        values=target.values,
    )


def is_private(address: str) -> bool:
    """Whether an address is of an intranet: RFC 1918 or fc00::/7."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip.version == net.version and ip in net for net in _PRIVATE)


_PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)


def _usual(seen: Iterable[Seen], handshakes: Iterable[TLSHandshake]) -> tuple[str, ...]:
    names = [h.server_name.lower() for h in handshakes if h.server_name]
    names += [fact.name.lower() for fact in seen if isinstance(fact, DNSExchange)]
    return tuple(dict.fromkeys(name for name in names if _USUAL.search(name)))


def _addresses(hosts: tuple[str, ...], seen: Iterable[Seen], told: Iterable[Told]) -> set[str]:
    answers = [f for f in (*seen, *told) if isinstance(f, DNSExchange | NameLookup)]
    return {
        address
        for fact in answers
        if fact.name.lower().rstrip(".") in hosts
        for address in fact.addresses
    }


def _showing(hosts: tuple[str, ...], certificates: Iterable[Certificate]) -> set[str]:
    """Return the thumbprints of certificates for one of the names."""
    return {
        c.thumbprint
        for c in certificates
        if c.thumbprint and any(chains.covers(c.names or (), host) for host in hosts)
    }


def _is_ours(
    handshake: TLSHandshake, hosts: tuple[str, ...], addresses: set[str], shown: set[str]
) -> bool:
    only_null = handshake.null_offered and set(handshake.offered) <= NULL_SUITES | _SIGNALS
    named = (handshake.server_name or "").lower()
    if only_null or named in hosts or (handshake.null_offered and not (named and hosts)):
        return True
    if named:
        return False
    return handshake.server in addresses or handshake.certificate in shown
