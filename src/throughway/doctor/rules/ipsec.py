"""Procedure P3, steps 4 to 11: the endpoints, the two tunnels, why a negotiation failed."""

import re
from collections.abc import Iterable, Mapping

from throughway.catalogue import ipsec as catalogue
from throughway.catalogue import ipsec_certificate as certificate
from throughway.catalogue.on_windows.firewall import KEYING_SERVICE_STOPPED
from throughway.catalogue.on_windows.ipsec import AUDIT_DISABLED
from throughway.catalogue.on_windows.ipsec_codes import of_negotiation
from throughway.catalogue.windows import describe
from throughway.doctor.rule import Rule
from throughway.doctor.rules import whereabouts
from throughway.doctor.rules.whereabouts import Sign
from throughway.model.evidence import Role
from throughway.model.facts.firewall import ConnectionSecurityRule
from throughway.model.facts.ipsec import (
    AuditPolicy,
    Mode,
    NegotiationFailure,
    NegotiationSuccess,
    NoSecurityAssociations,
    SecurityAssociation,
)
from throughway.model.facts.network import PingResult
from throughway.model.findings import Confidence, Finding

_INFRASTRUCTURE = ("clienttoinfra", "clienttodnsdc", "clienttomgmt", "clienttoappserver")
_INTRANET = "clienttocorp"
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}")
_OF_THE_OTHER_SIDE = frozenset({13805, 13813, 13825, 13850, 13886})
"""Who was asked notes these when the asker goes away, or was never meant to ask."""
_MAXIMUM_QUOTED = 5
"""Failures of one kind that are quoted."""


def endpoint_unreachable(
    rule: ConnectionSecurityRule,
    ping: PingResult,
    associations: tuple[SecurityAssociation, ...],
) -> Finding | None:
    """The endpoint of a rule was pinged and did not answer; no association says otherwise."""
    endpoint = rule.remote_endpoint
    if not endpoint or endpoint not in {ping.target, ping.address} or ping.replied is not False:
        return None
    if any(association.remote == endpoint for association in associations):
        return None
    return Finding(
        problem=catalogue.ENDPOINT_UNREACHABLE,
        summary=f"{endpoint}, the endpoint of {rule.name}, does not answer a ping.",
        confidence=Confidence.LIKELY,
        reason="endpoints answer pings unless somebody filters them, and there is no association",
        evidence=(ping.source, rule.source),
        values=(("ENDPOINT", endpoint),),
    )


def no_tunnel(
    none: NoSecurityAssociations,
    associations: tuple[SecurityAssociation, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """There is no main mode association at all, though there should be one."""
    if none.mode is Mode.QUICK or associations or whereabouts.connected(signs):
        return None
    place = whereabouts.outside(signs)
    if none.mode is None:
        return _none_of_some_mode(none, rules) if place else None
    in_force = [rule for rule in rules if rule.active and rule.directaccess]
    if place is False or (place is None and not in_force and not whereabouts.failing(signs)):
        return None
    return Finding(
        problem=catalogue.INFRASTRUCTURE_TUNNEL_DOWN,
        summary="There is no main mode association, to the first endpoint or any other.",
        confidence=Confidence.CERTAIN if place else Confidence.LIKELY,
        reason=(
            "the answer is that there is none, and the client is outside"
            if place
            else "the answer is that there is none, and DirectAccess is in force or failing"
        ),
        evidence=(none.source, *(rule.source for rule in in_force[:2])),
        values=_endpoint_of(rules, infrastructure=True),
    )


def _none_of_some_mode(
    none: NoSecurityAssociations, rules: tuple[ConnectionSecurityRule, ...]
) -> Finding:
    return Finding(
        problem=catalogue.INFRASTRUCTURE_TUNNEL_DOWN,
        summary="There is no association, of main mode or of quick mode.",
        confidence=Confidence.POSSIBLE,
        reason="the client is outside and needs both; those of quick mode may end when idle",
        evidence=(none.source,),
        values=_endpoint_of(rules, infrastructure=True),
    )


def infrastructure_missing(
    associations: tuple[SecurityAssociation, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """There are associations, but none is the infrastructure tunnel that the rules ask for."""
    main = [a for a in associations if a.mode is Mode.MAIN]
    wanted = [rule for rule in rules if _is_infrastructure(rule)]
    if not main or not wanted or whereabouts.outside(signs) is False:
        return None
    if whereabouts.connected(signs) or any(_may_be(a, wanted, "ntlm") for a in main):
        return None
    return Finding(
        problem=catalogue.INFRASTRUCTURE_TUNNEL_DOWN,
        summary=f"No association goes to {_ends(wanted)} with the computer account.",
        confidence=Confidence.LIKELY,
        reason=f"the rule {wanted[0].name} asks for one, and all that there are are others",
        evidence=(wanted[0].source, *(a.source for a in main[:_MAXIMUM_QUOTED])),
        values=_endpoint_of(rules, infrastructure=True),
    )


def intranet_missing(
    associations: tuple[SecurityAssociation, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """The computer's tunnel is up and the user's not, though the intranet was asked for."""
    main = [a for a in associations if a.mode is Mode.MAIN]
    computer = [a for a in main if "ntlm" in (a.auth2 or "").lower()]
    wanted = [rule for rule in rules if _is_intranet(rule)]
    trouble = whereabouts.failing(signs)
    if not computer or not trouble or whereabouts.connected(signs):
        return None
    if any(_may_be(a, wanted, "kerb", "usercert", "eap") for a in main):
        return None
    return Finding(
        problem=catalogue.INTRANET_TUNNEL_DOWN,
        summary="The computer's tunnel is up, but there is none with the user's credentials.",
        confidence=Confidence.LIKELY,
        reason="the intranet was tried and not reached, and no such association is there",
        evidence=(*(a.source for a in computer[:2]), *(sign.source for sign in trouble[:2])),
        values=_endpoint_of(rules, infrastructure=False),
    )


def no_quick_mode(
    none: NoSecurityAssociations,
    associations: tuple[SecurityAssociation, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """Main mode came up, quick mode did not, and the intranet is not reached."""
    trouble = whereabouts.failing(signs)
    if none.mode is not Mode.QUICK or not trouble or whereabouts.connected(signs):
        return None
    main = [a for a in associations if a.mode is Mode.MAIN]
    if not main or any(a.mode is Mode.QUICK for a in associations):
        return None
    return Finding(
        problem=catalogue.POLICY_MISMATCH,
        summary="Main mode associations are there, but no quick mode one.",
        confidence=Confidence.POSSIBLE,
        reason="quick mode fails when proposals differ; it also ends when nothing was sent",
        evidence=(none.source, main[0].source, trouble[0].source),
    )


def negotiation_failed(
    failures: tuple[NegotiationFailure, ...],
    successes: tuple[NegotiationSuccess, ...],
    associations: tuple[SecurityAssociation, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    signs: tuple[Sign, ...],
) -> tuple[Finding, ...]:
    """Say what the failures mean that no success has made a thing of the past."""
    if whereabouts.connected(signs):
        return ()
    ends = {rule.remote_endpoint for rule in rules if rule.remote_endpoint}
    up = {association.remote for association in associations if association.mode is Mode.MAIN}
    later = _last_success(successes)
    groups: dict[tuple[int, str], list[NegotiationFailure]] = {}
    for failure in failures:
        if failure.error_code is None or not _is_tunnel(failure.remote, ends):
            continue
        if failure.role == "responder" and failure.error_code in _OF_THE_OTHER_SIDE:
            continue
        if failure.remote in up or _is_past(failure, later):
            continue
        key = (failure.error_code, _round_of(failure))
        groups.setdefault(key, []).append(failure)
    findings = (_failed(code, group) for (code, _), group in groups.items())
    return tuple(finding for finding in findings if finding is not None)


def _failed(code: int, group: list[NegotiationFailure]) -> Finding | None:
    first = group[0]
    meaning = of_negotiation(
        code,
        second_round=first.mode is Mode.EXTENDED,
        authentication=first.authentication,
    )
    if meaning is None:
        return None
    count = sum(failure.times for failure in group)
    times = f"{count} times" if count > 1 else "once"
    with_whom = f" with {first.remote}" if first.remote else ""
    return Finding(
        problem=meaning.problem,
        summary=f"The {first.mode} negotiation{with_whom} failed {times}: {describe(code)}.",
        confidence=meaning.confidence,
        reason=meaning.reason,
        evidence=tuple(failure.source for failure in group[:_MAXIMUM_QUOTED]),
        values=(("ENDPOINT", first.remote),) if first.remote else (),
    )


def audit_disabled(
    policy: AuditPolicy,
    failures: tuple[NegotiationFailure, ...],
    none: tuple[NoSecurityAssociations, ...],
    associations: tuple[SecurityAssociation, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """The tunnels fail, and nothing is written down about it. A default, and no fault itself."""
    if policy.failure is not False or policy.mode is Mode.QUICK or failures:
        return None
    place = whereabouts.outside(signs)
    down = [fact for fact in none if fact.mode is Mode.MAIN] if place is not False else []
    down += [fact for fact in none if fact.mode is None and not associations] if place else []
    trouble = (*whereabouts.failing(signs), *down)
    if not trouble or whereabouts.connected(signs):
        return None
    return Finding(
        problem=AUDIT_DISABLED,
        summary=f"Failures of {policy.mode} are not audited, so no event says why it fails.",
        reason="the audit policy stands in the evidence, and the tunnels are not well",
        evidence=(policy.source, trouble[0].source),
    )


def _is_infrastructure(rule: ConnectionSecurityRule) -> bool:
    name = rule.name.lower()
    if rule.directaccess and any(word in name for word in _INFRASTRUCTURE):
        return rule.mode != "transport"
    return bool(rule.remote_endpoint) and "ntlm" in (rule.auth2 or "").lower()


def _is_intranet(rule: ConnectionSecurityRule) -> bool:
    if rule.directaccess and _INTRANET in rule.name.lower():
        return True
    return bool(rule.remote_endpoint) and "kerb" in (rule.auth2 or "").lower()


def _may_be(
    association: SecurityAssociation, rules: Iterable[ConnectionSecurityRule], *words: str
) -> bool:
    """Whether it is the tunnel of such rules, or does not say enough to exclude it."""
    second = association.auth2
    if second is not None:
        return any(word in second.lower() for word in words)
    ends = {rule.remote_endpoint for rule in rules if rule.remote_endpoint}
    return not ends or association.remote is None or association.remote in ends


def _ends(rules: Iterable[ConnectionSecurityRule]) -> str:
    ends = dict.fromkeys(rule.remote_endpoint for rule in rules if rule.remote_endpoint)
    return ", ".join(ends) or "the first endpoint"


def _endpoint_of(
    rules: Iterable[ConnectionSecurityRule], *, infrastructure: bool
) -> tuple[tuple[str, str], ...]:
    fits = _is_infrastructure if infrastructure else _is_intranet
    end = next((r.remote_endpoint for r in rules if fits(r) and r.remote_endpoint), None)
    return (("ENDPOINT", end),) if end else ()


def _is_tunnel(remote: str | None, ends: set[str]) -> bool:
    """Whether a failure is one of a tunnel: those are of IPv6, and to the endpoints if known."""
    if remote is None:
        return True
    return ":" in remote and (not ends or remote in ends)


def _round_of(failure: NegotiationFailure) -> str:
    return f"{failure.mode} {failure.authentication}"


def _last_success(successes: Iterable[NegotiationSuccess]) -> Mapping[str | None, str]:
    """Return when a negotiation with each peer came off last, where times can be compared."""
    last: dict[str | None, str] = {}
    for success in successes:
        if _is_comparable(success.when):
            last[success.remote] = max(last.get(success.remote, ""), success.when or "")
    return last


def _is_past(failure: NegotiationFailure, later: Mapping[str | None, str]) -> bool:
    when = failure.when or ""
    return _is_comparable(when) and later.get(failure.remote, "") > when


def _is_comparable(when: str | None) -> bool:
    """Whether it is of ISO 8601, of which the order of texts is the order of times."""
    return when is not None and bool(_ISO.match(when))


OF_NEGOTIATIONS = (
    catalogue.NEGOTIATION_TIMEOUT,
    catalogue.POLICY_MISMATCH,
    catalogue.AUTH_FAILURE_UNSPECIFIED,
    catalogue.COMPUTER_ACCOUNT_REFUSED,
    catalogue.USER_REFUSED,
    catalogue.HEALTH_CERTIFICATE_MISSING,
    catalogue.SMART_CARD_REQUIRED,
    certificate.NO_MACHINE_CERT,
    certificate.CERT_NO_PRIVATE_KEY,
    certificate.CERT_MISSING_CLIENT_AUTH,
    certificate.CERT_WRONG_CHAIN,
    certificate.CRL_UNREACHABLE,
    KEYING_SERVICE_STOPPED,
)
"""What the error of a negotiation may stand for."""

RULES = (
    Rule((catalogue.ENDPOINT_UNREACHABLE,), endpoint_unreachable, Role.CLIENT),
    Rule((catalogue.INFRASTRUCTURE_TUNNEL_DOWN,), no_tunnel, Role.CLIENT),
    Rule((catalogue.INFRASTRUCTURE_TUNNEL_DOWN,), infrastructure_missing, Role.CLIENT),
    Rule((catalogue.INTRANET_TUNNEL_DOWN,), intranet_missing, Role.CLIENT),
    Rule((catalogue.POLICY_MISMATCH,), no_quick_mode, Role.CLIENT),
    Rule((AUDIT_DISABLED,), audit_disabled, Role.CLIENT),
    Rule(OF_NEGOTIATIONS, negotiation_failed),
)
