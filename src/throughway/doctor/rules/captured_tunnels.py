"""What captures show behind the way to the server: transition links, IKE, IPsec."""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from throughway.catalogue import iphttps, ipsec, sixtofour
from throughway.catalogue import teredo as teredo_problems
from throughway.catalogue.internet import PATH_MTU_BLACK_HOLE
from throughway.catalogue.on_windows.ipsec_codes import of_negotiation
from throughway.catalogue.windows import describe
from throughway.doctor.rule import Rule, everywhere
from throughway.doctor.rules.ipsec import OF_NEGOTIATIONS
from throughway.doctor.rules.targets import Seen, Told, find_target
from throughway.doctor.rules.transitions import Others, connected
from throughway.model.evidence import Role
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import (
    Capture,
    ESPSeen,
    FragmentsSeen,
    ICMPErrorSeen,
    IKEExchange,
    IPHTTPSLink,
    Refusal,
    RouterAdvertisementSeen,
    TeredoExchange,
)
from throughway.model.facts.firewall import ConnectionSecurityRule
from throughway.model.facts.ipsec import Mode, SecurityAssociation
from throughway.model.findings import Confidence, Finding, Problem

_UDP, _IPV6, _ESP = 17, 41, 50
_IKE_PORTS = (500, 4500)
_TEREDO_PORT = 3544
_ENOUGH = 2
_SOLICITATIONS = 3
"""With so many Teredo tries a server (RFC 4380, section 5.2.1)."""
_RELAYS = frozenset({"192.88.99.1"})
_MISMATCHES = frozenset({14, 38})
"""NO-PROPOSAL-CHOSEN, TS_UNACCEPTABLE."""
_AUTHENTICATION_FAILED = 24
_F = TypeVar("_F", bound=Fact)
_STOPPED = frozenset({Refusal.NO_ROUTE, Refusal.UNREACHABLE, Refusal.PROHIBITED, Refusal.HOP_LIMIT})


def negotiations_fail(
    capture: Capture,
    seen: tuple[Seen, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    associations: tuple[SecurityAssociation, ...],
) -> tuple[Finding, ...]:
    """IKE and AuthIP with the tunnels' endpoints: an error, no answer, or no end."""
    ends = {rule.remote_endpoint for rule in rules if rule.remote_endpoint}
    up = {a.remote for a in associations if a.mode is Mode.MAIN}
    ours = [e for e in _of(IKEExchange, seen) if ":" in e.responder]
    ours = [e for e in ours if not ends or {e.initiator, e.responder} & ends]
    up |= {e.responder for e in ours if _protected(e, seen)}
    findings: dict[tuple[str, str], Finding] = {}
    for exchange in ours:
        if exchange.responder in up:
            continue
        for found in _negotiation(exchange, ours, seen):
            findings.setdefault((found.problem.code, exchange.responder), found)
    return tuple(findings.values())


def _negotiation(
    exchange: IKEExchange, every: Sequence[IKEExchange], seen: Sequence[Seen]
) -> Iterator[Finding]:
    code = exchange.error_code
    meaning = of_negotiation(code, second_round=False, authentication="") if code else None
    if code and meaning is not None:
        what = f"ends with {describe(code)}"
        yield _tunnel(exchange, meaning.problem, what, meaning.confidence, meaning.reason)
    elif _MISMATCHES & set(exchange.notifies):
        what, reason = "ends without an agreement", "the other side's notify says so"
        yield _tunnel(exchange, ipsec.POLICY_MISMATCH, what, Confidence.CERTAIN, reason)
    elif _AUTHENTICATION_FAILED in exchange.notifies:
        what, reason = "ends with AUTHENTICATION-FAILED", "the other side's notify says so"
        yield _tunnel(exchange, ipsec.AUTH_FAILURE_UNSPECIFIED, what, Confidence.LIKELY, reason)
    elif not exchange.answered:
        yield from _unanswered(exchange, every, seen)
    elif exchange.stuck:
        broken = _broken_fragments(exchange, seen)
        if broken is not None:
            yield _fragments(broken)
        what = "comes to a standstill: what was said last is repeated and gets no answer"
        reason = "the answers stop in the middle, as when large messages are lost"
        yield _tunnel(exchange, ipsec.NEGOTIATION_TIMEOUT, what, Confidence.LIKELY, reason)


def _unanswered(
    exchange: IKEExchange, every: Sequence[IKEExchange], seen: Sequence[Seen]
) -> Iterator[Finding]:
    same = [e for e in every if e.responder == exchange.responder]
    notices = [e for e in _of(ICMPErrorSeen, seen) if e.destination == exchange.responder]
    notice = next((e for e in notices if e.refusal in _STOPPED), None)
    if any(e.answered for e in same):
        return
    if notice is not None:
        yield Finding(
            problem=ipsec.ENDPOINT_UNREACHABLE,
            summary=f"{notice.reporter} says of {exchange.responder} that {notice.refusal}.",
            confidence=Confidence.CERTAIN,
            reason="the error stands in the capture",
            evidence=(notice.source, exchange.source),
            values=(("ENDPOINT", exchange.responder),),
        )
    tries = len(same) + sum(e.retransmissions for e in same)
    if tries >= _ENOUGH:
        what, reason = f"gets no answer to {tries} messages", "they stand in the capture"
        yield _tunnel(exchange, ipsec.NEGOTIATION_TIMEOUT, what, Confidence.CERTAIN, reason)


def _tunnel(
    exchange: IKEExchange, problem: Problem, what: str, confidence: Confidence, reason: str
) -> Finding:
    return Finding(
        problem=problem,
        summary=f"The {exchange.protocol} negotiation with {exchange.responder} {what}.",
        confidence=confidence,
        reason=reason or "the error code stands in a notify in the clear",
        evidence=(exchange.source,),
        values=(("ENDPOINT", exchange.responder),),
    )


def _protected(exchange: IKEExchange, seen: Sequence[Seen]) -> bool:
    """Whether packets of IPsec go both ways between the two, so that they agreed."""
    pairs = {(e.sender, e.receiver) for e in _of(ESPSeen, seen)}
    ends = (exchange.initiator, exchange.responder)
    return ends in pairs and ends[::-1] in pairs


def _broken_fragments(exchange: IKEExchange, seen: Sequence[Seen]) -> FragmentsSeen | None:
    ends = {exchange.initiator, exchange.responder}
    between = [f for f in _of(FragmentsSeen, seen) if {f.sender, f.receiver} == ends]
    return next((f for f in between if f.broken and not f.whole), None)


def fragments_lost(capture: Capture, seen: tuple[Seen, ...]) -> Finding | None:
    """Of large packets of IKE or IPsec only the first fragments arrive."""
    for fact in _of(FragmentsSeen, seen):
        tunnels = fact.protocol == _ESP or fact.port in _IKE_PORTS
        if tunnels and fact.broken >= _ENOUGH and not fact.whole:
            return _fragments(fact)
    for error in _of(ICMPErrorSeen, seen):
        tunnels = error.protocol == _ESP or error.port in _IKE_PORTS
        if error.refusal is Refusal.FRAGMENTS and tunnels:
            return Finding(
                problem=PATH_MTU_BLACK_HOLE,
                summary=f"{error.reporter} says that fragments from {error.sender} are missing.",
                confidence=Confidence.LIKELY,
                reason="it waited for them in vain, and says so by ICMP",
                evidence=(error.source,),
                values=(("HOST", error.destination),),
            )
    return None


def _fragments(fact: FragmentsSeen) -> Finding:
    return Finding(
        problem=PATH_MTU_BLACK_HOLE,
        summary=(
            f"Of {fact.broken} large packets from {fact.sender} to {fact.receiver} only the first "
            "fragment is seen, and none is whole."
        ),
        confidence=Confidence.LIKELY,
        reason="filters that drop fragments do this; the capture itself may have lost them",
        evidence=(fact.source,),
        values=(("HOST", fact.sender),),
    )


def not_advertised(capture: Capture, seen: tuple[Seen, ...]) -> Finding | None:
    """The IP-HTTPS link is up, and nobody answers for a router on it."""
    links = [link for link in _of(IPHTTPSLink, seen) if link.solicitations]
    asked = sum(link.solicitations for link in links)
    if asked < _ENOUGH or any(link.advertisements for link in _of(IPHTTPSLink, seen)):
        return None
    return Finding(
        problem=iphttps.NO_ROUTER_ADVERTISEMENT,
        summary=f"{links[0].server} answers none of {asked} Router Solicitations on the link.",
        confidence=Confidence.CERTAIN,
        reason="the session is not encrypted, and they stand in the capture",
        evidence=tuple(link.source for link in links[:3]),
    )


def advertised_wrongly(capture: Capture, seen: tuple[Seen, ...]) -> Finding | None:
    """The server advertises no prefix, or no way to anywhere."""
    told = [a for a in _of(RouterAdvertisementSeen, seen) if a.iphttps]
    if not told:
        return None
    if not any(a.prefixes for a in told):
        problem, what = iphttps.ROUTE_UNPUBLISHED, "names no prefix"
        reason = "a prefix is advertised only where its route is published"
    elif not any(a.lifetime or a.routes for a in told):
        problem, what = iphttps.FORWARDING_DISABLED, "names no route and is no default router"
        reason = "that is what a server advertises that does not forward"
    else:
        return None
    return Finding(
        problem=problem,
        summary=f"The advertisement of {told[0].router} on the IP-HTTPS link {what}.",
        confidence=Confidence.LIKELY,
        reason=reason,
        evidence=(told[0].source,),
    )


def teredo_silent(
    capture: Capture, seen: tuple[Seen, ...], told: tuple[Told, ...], others: Others
) -> tuple[Finding, ...]:
    """No Teredo server answers, or its second address does not."""
    exchanges = list(_of(TeredoExchange, seen))
    if _works(seen, told, others) or not exchanges:
        return ()
    silent = [e for e in exchanges if not e.answers and e.solicitations >= _SOLICITATIONS]
    answering = {e.server for e in exchanges if e.answers}
    if not answering:
        return tuple(_no_teredo(exchange, seen) for exchange in silent[:1])
    second = next((e for e in silent if _neighbour(e.server) & answering), None)
    if second is None:
        return ()
    found = Finding(
        problem=teredo_problems.SECOND_ADDRESS_MISSING,
        summary=f"{second.server} answers no solicitation, the address beside it does.",
        confidence=Confidence.LIKELY,
        reason="a client asks both addresses of a server",
        evidence=(second.source,),
        values=(("NAME", second.server),),
    )
    return (found,)


def _no_teredo(exchange: TeredoExchange, seen: Sequence[Seen]) -> Finding:
    errors = [e for e in _of(ICMPErrorSeen, seen) if e.destination == exchange.server]
    notice = next((e for e in errors if e.protocol == _UDP and e.port == _TEREDO_PORT), None)
    blocked = notice is not None and notice.refusal is Refusal.PROHIBITED
    said = f"; {notice.reporter} says that {notice.refusal}" if notice is not None else ""
    return Finding(
        problem=teredo_problems.UDP_BLOCKED if blocked else teredo_problems.SERVER_UNREACHABLE,
        summary=(
            f"The Teredo server {exchange.server} answers none of {exchange.solicitations} "
            f"solicitations{said}."
        ),
        confidence=Confidence.CERTAIN if notice is not None else Confidence.LIKELY,
        reason="they stand in the capture"
        if notice is not None
        else "they stand in the capture; whether the server or a filter is to blame it does not "
        "show",
        evidence=(exchange.source, *((notice.source,) if notice is not None else ())),
        values=(("NAME", exchange.server),),
    )


def teredo_symmetric(
    capture: Capture, seen: tuple[Seen, ...], told: tuple[Told, ...], others: Others
) -> Finding | None:
    """The NAT gives one port of the client another mapping for each server."""
    if _works(seen, told, others):
        return None
    for exchange in _of(TeredoExchange, seen):
        if exchange.same_mapping is False:
            return Finding(
                problem=teredo_problems.SYMMETRIC_NAT,
                summary=f"{exchange.client} appears with another mapping to each Teredo server.",
                confidence=Confidence.CERTAIN,
                reason="the origin indications of the answers differ",
                evidence=(exchange.source,),
                values=(("NAME", exchange.server),),
            )
    return None


def sixtofour_refused(
    capture: Capture, seen: tuple[Seen, ...], told: tuple[Told, ...], others: Others
) -> Finding | None:
    """6to4 packets are refused on the way, or by the server itself."""
    if _works(seen, told, others):
        return None
    for error in _of(ICMPErrorSeen, seen):
        if error.protocol != _IPV6 or error.refusal in (Refusal.TOO_BIG, Refusal.FRAGMENTS):
            continue
        by_server = error.reporter == error.destination and error.destination not in _RELAYS
        return Finding(
            problem=sixtofour.INTERFACE_DOWN
            if by_server and error.refusal is Refusal.PROTOCOL
            else sixtofour.RELAY_UNREACHABLE,
            summary=(
                f"{error.reporter} refuses 6to4 packets to {error.destination}: {error.refusal}."
            ),
            confidence=Confidence.LIKELY,
            reason="the ICMP error stands in the capture",
            evidence=(error.source,),
            values=(("NAME", error.destination), ("HOST", error.destination)),
        )
    return None


def _works(seen: Sequence[Seen], told: Sequence[Told], others: Others) -> bool:
    """Whether the client has another way, so that this one does not matter."""
    native = any(a.prefixes and a.lifetime for a in _of(RouterAdvertisementSeen, seen))
    return native or connected(others) or find_target(seen, told).reached


def _neighbour(server: str) -> set[str]:
    try:
        address = ipaddress.IPv4Address(server)
    except ValueError:
        return set()
    return {str(ipaddress.IPv4Address((int(address) + step) % (1 << 32))) for step in (-1, 1)}


def _of(kind: type[_F], seen: Iterable[Seen]) -> Iterator[_F]:
    return (fact for fact in seen if isinstance(fact, kind))


RULES = everywhere(
    Rule((PATH_MTU_BLACK_HOLE,), fragments_lost),
    Rule((iphttps.NO_ROUTER_ADVERTISEMENT,), not_advertised),
    Rule((iphttps.ROUTE_UNPUBLISHED, iphttps.FORWARDING_DISABLED), advertised_wrongly),
    Rule(
        (
            teredo_problems.SERVER_UNREACHABLE,
            teredo_problems.UDP_BLOCKED,
            teredo_problems.SECOND_ADDRESS_MISSING,
        ),
        teredo_silent,
        Role.CLIENT,
    ),
    Rule((teredo_problems.SYMMETRIC_NAT,), teredo_symmetric, Role.CLIENT),
    Rule(
        (sixtofour.RELAY_UNREACHABLE, sixtofour.INTERFACE_DOWN),
        sixtofour_refused,
        Role.CLIENT,
    ),
    Rule((*OF_NEGOTIATIONS, ipsec.ENDPOINT_UNREACHABLE, PATH_MTU_BLACK_HOLE), negotiations_fail),
)
