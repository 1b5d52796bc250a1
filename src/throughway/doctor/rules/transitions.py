"""Rules about Teredo, 6to4 and ISATAP.

IP-HTTPS stands in where these fail, so nothing is said of them while the client is connected, and
an idle Teredo (dormant, or a NAT it copes with) is well.
"""

from collections.abc import Callable

from throughway.catalogue import teredo as teredo_problems
from throughway.catalogue.on_windows import transitions as catalogue
from throughway.doctor.rule import Rule
from throughway.doctor.rules import whereabouts
from throughway.model.evidence import Role
from throughway.model.facts.base import Fact
from throughway.model.facts.ipsec import SecurityAssociation
from throughway.model.facts.names import DAConnectionStatus, DNSClientState, NRPTTable
from throughway.model.facts.network import Adapter
from throughway.model.facts.transition import (
    IPHTTPSInterface,
    IPHTTPSStatus,
    IPv6Interface,
    TeredoError,
    TeredoState,
    TeredoStatus,
)
from throughway.model.findings import Confidence, Finding, Problem

_PROBING = (TeredoStatus.PROBE_PRIMARY, TeredoStatus.PROBE_SECONDARY)
_RELAY = "teredo host-specific relay"
_SAYS_SO = "the error text says exactly this"

Others = tuple[
    IPHTTPSInterface | DAConnectionStatus | DNSClientState | NRPTTable | SecurityAssociation, ...
]
"""What shows whether the client is connected by another way, or needs none."""


def disabled(teredo: TeredoState, others: Others) -> Finding | None:
    """The type is disabled."""
    if teredo.type != "disabled" or connected(others):
        return None
    return _finding(
        teredo_problems.DISABLED, teredo, "Teredo's type is disabled", reason="the type says so"
    )


def adapter_missing(
    teredo: TeredoState,
    interfaces: tuple[IPv6Interface, ...],
    adapters: tuple[Adapter, ...],
    others: Others,
) -> Finding | None:
    """The tunnel adapter cannot be opened, or no list of interfaces shows one."""
    if teredo.error is TeredoError.TUNNEL_ADAPTER and not connected(others):
        what = f"Teredo says: {teredo.error_text}"
        return _finding(teredo_problems.ADAPTER_MISSING, teredo, what, reason=_SAYS_SO)
    tries = teredo.state in _PROBING or (
        teredo.state is TeredoStatus.OFFLINE and teredo.error is TeredoError.NONE
    )
    table = tuple(i for i in interfaces if i.mtu is not None)
    if not tries or teredo.type in {"disabled", "server"} or connected(others):
        return None
    if _shows_teredo(table, adapters) or not (table or adapters):
        return None
    seen = (table or adapters)[0].source
    return Finding(
        problem=teredo_problems.ADAPTER_MISSING,
        summary=f"Teredo is {teredo.state}, and no Teredo adapter is among the interfaces.",
        confidence=Confidence.LIKELY,
        reason="the list of interfaces has none; it may have been cut off",
        evidence=(teredo.source, seen),
    )


def server_unreachable(teredo: TeredoState, others: Others) -> Finding | None:
    """The client keeps on probing the primary server, or cannot resolve its name."""
    unresolved = teredo.error is TeredoError.SERVER_UNRESOLVED
    if connected(others) or not (teredo.state is TeredoStatus.PROBE_PRIMARY or unresolved):
        return None
    return _finding(
        teredo_problems.SERVER_UNREACHABLE,
        teredo,
        f"The Teredo server {teredo.server or ''} gives no answer".replace("  ", " "),
        Confidence.CERTAIN if unresolved else Confidence.LIKELY,
        _SAYS_SO if unresolved else "the client was still probing the primary server",
    )


def udp_blocked(teredo: TeredoState, others: Others) -> Finding | None:
    """The error names UDP, or not even the secondary server answers."""
    named = teredo.error in {TeredoError.PRIMARY_UNREACHABLE, TeredoError.SECONDARY_UNREACHABLE}
    if connected(others) or not (named or teredo.state is TeredoStatus.PROBE_SECONDARY):
        return None
    return _finding(
        teredo_problems.UDP_BLOCKED,
        teredo,
        f"The Teredo server {teredo.server or ''} is not reached over UDP".replace("  ", " "),
        Confidence.CERTAIN if named else Confidence.LIKELY,
        _SAYS_SO if named else "the client went on to the secondary server, as after no answer",
    )


def type_fixed_by_policy(teredo: TeredoState, others: Others) -> Finding | None:
    """A policy sets the type that managed networks switch off."""
    managed = teredo.error is TeredoError.MANAGED_NETWORK
    if not managed or teredo.type != "client" or not teredo.type_by_policy or connected(others):
        return None
    return _finding(
        catalogue.TEREDO_TYPE_FIXED_BY_POLICY,
        teredo,
        "A group policy sets the Teredo type client, which a managed network switches off",
        reason="type and error stand in the evidence",
    )


def host_specific_relay(teredo: TeredoState, others: Others) -> Finding | None:
    """The client type is not that of a client."""
    if teredo.client_type != _RELAY or connected(others):
        return None
    return _finding(
        catalogue.TEREDO_HOST_SPECIFIC_RELAY,
        teredo,
        f"Teredo is {teredo.state or 'there'}, but only as a relay for this host",
        reason="the client type says so",
    )


def server_stopped(teredo: TeredoState) -> Finding | None:
    """The type is server, the state offline."""
    if teredo.type != "server" or teredo.state is not TeredoStatus.OFFLINE:
        return None
    return _finding(
        teredo_problems.SERVER_STOPPED, teredo, "The Teredo server is offline", reason=_SAYS_SO
    )


def by_error(error: TeredoError, problem: Problem, what: str) -> Callable[..., Finding | None]:
    """Return a check for an error that needs no more than its own words."""

    def check(teredo: TeredoState, others: Others) -> Finding | None:
        if teredo.error is not error or connected(others):
            return None
        return _finding(problem, teredo, what, reason=_SAYS_SO)

    return check


def connected(others: Others) -> bool:
    """Whether the client is connected by another way, or inside: Teredo does not matter then."""
    return whereabouts.connected(others) or any(map(_does_without, others))


def _does_without(fact: Fact) -> bool:
    if isinstance(fact, IPHTTPSInterface):
        return fact.status is IPHTTPSStatus.ACTIVE
    if isinstance(fact, DNSClientState | NRPTTable):
        return bool(fact.inside)
    return isinstance(fact, SecurityAssociation) and not is_teredo(fact.local or "")


def is_teredo(address: str) -> bool:
    """Whether an address is one that Teredo gives."""
    return address.startswith(("2001:0:", "2001::"))


def _shows_teredo(interfaces: tuple[IPv6Interface, ...], adapters: tuple[Adapter, ...]) -> bool:
    """Whether a list holds the Teredo adapter, or one whose name only its address would tell."""
    names = [interface.name for interface in interfaces]
    names += [adapter.heading + adapter.description for adapter in adapters]
    known = any("teredo" in name.lower() for name in names)
    return known or any(is_teredo(a) for adapter in adapters for a in adapter.ipv6)


def _finding(
    problem: Problem,
    teredo: TeredoState,
    what: str,
    confidence: Confidence = Confidence.CERTAIN,
    reason: str = "",
) -> Finding:
    said = f" ({teredo.error_text})" if teredo.error_text and teredo.error_text not in what else ""
    return Finding(
        problem=problem,
        summary=f"{what}{said if teredo.error is not TeredoError.NONE else ''}.",
        confidence=confidence,
        reason=reason,
        evidence=(teredo.source,),
        values=(("NAME", teredo.server),) if teredo.server else (),
    )


RULES = (
    Rule((teredo_problems.DISABLED,), disabled, Role.CLIENT),
    Rule((teredo_problems.ADAPTER_MISSING,), adapter_missing, Role.CLIENT),
    Rule((teredo_problems.SERVER_UNREACHABLE,), server_unreachable, Role.CLIENT),
    Rule((teredo_problems.UDP_BLOCKED,), udp_blocked, Role.CLIENT),
    Rule((catalogue.TEREDO_TYPE_FIXED_BY_POLICY,), type_fixed_by_policy, Role.CLIENT),
    Rule((catalogue.TEREDO_HOST_SPECIFIC_RELAY,), host_specific_relay, Role.CLIENT),
    Rule((teredo_problems.SERVER_STOPPED,), server_stopped, Role.SERVER),
    Rule(
        (teredo_problems.SYMMETRIC_NAT,),
        by_error(
            TeredoError.SYMMETRIC_NAT,
            teredo_problems.SYMMETRIC_NAT,
            "The NAT of this network is symmetric",
        ),
        Role.CLIENT,
    ),
    Rule(
        (catalogue.TEREDO_MANAGED_NETWORK,),
        by_error(
            TeredoError.MANAGED_NETWORK,
            catalogue.TEREDO_MANAGED_NETWORK,
            "Teredo is off because the network is managed",
        ),
        Role.CLIENT,
    ),
    Rule(
        (catalogue.TEREDO_GENERAL_FAILURE,),
        by_error(
            TeredoError.GENERAL_FAILURE,
            catalogue.TEREDO_GENERAL_FAILURE,
            "Teredo reports a general system failure",
        ),
        Role.CLIENT,
    ),
)
