"""The way of a connection as a chain of links, and where it is broken.

A link is well only where something was there to judge it by and nothing wrong was seen: a link
of which the evidence says nothing is unknown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from throughway.doctor.engine import Diagnosed
from throughway.doctor.examination import Examination
from throughway.doctor.layers import layer_of
from throughway.doctor.rule import Rule, Want
from throughway.doctor.rules import RULES
from throughway.model.facts import (
    capture,
    certificates,
    domain,
    firewall,
    ipsec,
    linux,
    names,
    network,
    server,
    transition,
)
from throughway.model.facts.base import Fact, Host
from throughway.model.findings import Layer, Severity

TITLES = {
    Layer.LOCAL: "Settings",
    Layer.NETWORK: "Network",
    Layer.NAMES: "Names",
    Layer.TCP: "TCP",
    Layer.TLS: "TLS",
    Layer.HTTP: "HTTP",
    Layer.LINK: "Link",
    Layer.IPSEC_CERTIFICATES: "Certificates",
    Layer.IKE: "Tunnels",
    Layer.INSIDE_NAMES: "Inside names",
    Layer.DOMAIN: "Domain",
}
"""A word or two for each link, in the order of the way."""
_WITNESSES: Mapping[Layer, frozenset[type[Fact]]] = MappingProxyType(
    {
        Layer.LOCAL: frozenset(
            {
                network.DisabledComponents,
                network.ServiceState,
                transition.IPHTTPSInterface,
                transition.TeredoState,
                firewall.FirewallProfile,
                names.NRPTTable,
                server.RemoteAccessConfiguration,
                server.ComponentHealth,
            }
        ),
        Layer.NETWORK: frozenset(
            {transition.IPHTTPSInterface, transition.TeredoState, capture.TCPConnection}
        ),
        Layer.NAMES: frozenset(
            {transition.IPHTTPSInterface, network.NameLookup, capture.DNSExchange}
        ),
        Layer.TCP: frozenset(
            {transition.IPHTTPSInterface, network.PortTest, capture.TCPConnection}
        ),
        Layer.TLS: frozenset({transition.IPHTTPSInterface, capture.TLSHandshake}),
        Layer.HTTP: frozenset({transition.IPHTTPSInterface, capture.HTTPExchange}),
        Layer.LINK: frozenset(
            {
                network.Adapter,
                transition.TeredoState,
                transition.IPv6Interface,
                capture.RouterAdvertisementSeen,
                server.ComponentHealth,
            }
        ),
        Layer.IPSEC_CERTIFICATES: frozenset({certificates.Certificate, ipsec.SecurityAssociation}),
        Layer.IKE: frozenset(
            {
                ipsec.SecurityAssociation,
                ipsec.NoSecurityAssociations,
                ipsec.NegotiationFailure,
                ipsec.NegotiationSuccess,
                capture.IKEExchange,
            }
        ),
        Layer.INSIDE_NAMES: frozenset({names.NRPTTable, server.ComponentHealth}),
        Layer.DOMAIN: frozenset({domain.DomainController, server.ComponentHealth}),
    }
)
"""The facts that speak for a link themselves; a rule may also look at others in passing."""


class State(StrEnum):
    """What is known of a link."""

    BROKEN = "broken"
    DOUBTFUL = "doubtful"
    """A warning, or something that only may be."""
    FOLLOWS = "follows"
    """What is wrong with it follows from a link before it."""
    WELL = "well"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Link:
    """One part of the way."""

    layer: Layer
    state: State
    findings: tuple[Diagnosed, ...] = ()

    @property
    def title(self) -> str:
        """What to call it."""
        return TITLES[self.layer]


def way(examination: Examination, number: int = 0) -> tuple[Link, ...]:
    """Return the chain of one host, that of the given number; () when there is none."""
    if number >= len(examination.hosts):
        return ()
    host, kinds = examination.hosts[number], examination.kinds[number]
    roots = [item for item in examination.diagnosis.findings if item.host == host]
    followers = [
        follower
        for item in examination.diagnosis.findings
        for follower in item.consequences
        if follower.host == host
    ]
    judged = _judged(host, kinds)
    return tuple(_link(layer, roots, followers, judged) for layer in Layer)


def _link(
    layer: Layer, roots: Iterable[Diagnosed], followers: Iterable[Diagnosed], judged: set[Layer]
) -> Link:
    own = tuple(item for item in roots if item.layer is layer and _matters(item))
    if own:
        broken = any(i.finding.problem.severity is Severity.CRITICAL for i in own)
        return Link(layer, State.BROKEN if broken else State.DOUBTFUL, own)
    led = tuple(item for item in followers if item.layer is layer and _matters(item))
    if led:
        return Link(layer, State.FOLLOWS, led)
    return Link(layer, State.WELL if layer in judged else State.UNKNOWN)


def _matters(item: Diagnosed) -> bool:
    return item.finding.problem.severity is not Severity.INFO


def _judged(host: Host, kinds: frozenset[type[Fact]]) -> set[Layer]:
    """Return the links of which facts speak, and for which a rule had what it asks for."""
    if linux.WholeWay in kinds:
        return set(Layer)
    return {
        layer
        for rule in RULES
        if rule.is_for(host) and _had_evidence(rule, kinds)
        for layer in map(layer_of, rule.problems)
        if not kinds.isdisjoint(_WITNESSES[layer])
    }


def _had_evidence(rule: Rule, kinds: frozenset[type[Fact]]) -> bool:
    needs = [need for need in rule.needs() if Host not in need.kinds]
    there = [not kinds.isdisjoint(need.kinds) for need in needs]
    required = [
        is_there for need, is_there in zip(needs, there, strict=True) if need.want is Want.EACH
    ]
    return any(there) and all(required)
