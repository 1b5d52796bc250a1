"""Procedure P3, steps 1 and 2: are the rules there, are they in force, is the firewall on?"""

from collections.abc import Iterable

from throughway.catalogue import firewall as shared
from throughway.catalogue.on_windows import firewall as catalogue
from throughway.doctor.rule import Rule
from throughway.doctor.rules import whereabouts
from throughway.doctor.rules.whereabouts import Sign
from throughway.model.evidence import Role, Source
from throughway.model.facts.base import Fact, Host
from throughway.model.facts.firewall import (
    ConnectionSecurityRule,
    FirewallProfile,
    FirewallSettings,
    NoConnectionSecurityRules,
    ThirdPartyFirewall,
)
from throughway.model.facts.ipsec import Mode, NoSecurityAssociations, SecurityAssociation
from throughway.model.facts.network import ServiceState
from throughway.model.findings import Confidence, Finding

_OF_CLIENTS = frozenset({"private", "public", ""})
"""The profiles in which DirectAccess rules hold on a client."""
_BOTH = frozenset({"private", "public"})
_TUNNELS = ("iphttps", "teredo", "6to4", "isatap")
"""Networks that are no network of the place where the client is."""
_DIRECTACCESS = "directaccess"


def service_stopped(service: ServiceState) -> Finding | None:
    """The firewall's service, or the engine below it, does not run."""
    if service.name not in {"mpssvc", "bfe"} or service.running is not False:
        return None
    return Finding(
        problem=catalogue.SERVICE_STOPPED,
        summary=f"The service {service.name} does not run.",
        reason="the evidence shows the service's state",
        evidence=(service.source,),
    )


def keying_service_stopped(
    service: ServiceState,
    associations: tuple[SecurityAssociation, ...],
    none: tuple[NoSecurityAssociations, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """Nobody negotiates; that a service which waits for work is stopped alone says little."""
    place = whereabouts.outside(signs)
    if service.name != "ikeext" or service.running is not False or associations:
        return None
    if not service.disabled and (not none or place is False):
        return None
    confidence = Confidence.LIKELY if place else Confidence.POSSIBLE
    return Finding(
        problem=catalogue.KEYING_SERVICE_STOPPED,
        summary="IKE and AuthIP IPsec Keying Modules (ikeext) does not run.",
        confidence=Confidence.CERTAIN if service.disabled else confidence,
        reason=(
            "the service is disabled"
            if service.disabled
            else "the service is stopped and there is no association; it starts when it is needed"
        ),
        evidence=(service.source, *(fact.source for fact in none)),
    )


def firewall_off(
    host: Host,
    profiles: tuple[FirewallProfile, ...],
    associations: tuple[SecurityAssociation, ...],
) -> Finding | None:
    """A profile in which DirectAccess rules hold is off; no association could be there then."""
    on = {p.name for p in profiles if p.enabled and p.effective}
    concerned = _OF_CLIENTS | ({"domain"} if host.role is Role.SERVER else set())
    off = [p for p in profiles if p.enabled is False and p.name in concerned and p.name not in on]
    in_use = {p.name for p in profiles if p.current}
    if in_use:
        off = [p for p in off if p.current or p.name in in_use]
    if not off or associations:
        return None
    confidence, reason = _how_surely_off(off, sure_of_use=bool(in_use))
    names = ", ".join(dict.fromkeys(p.name or "a" for p in off))
    return Finding(
        problem=catalogue.FIREWALL_OFF,
        summary=f"The firewall is off in the {names} profile.",
        confidence=confidence,
        reason=reason,
        evidence=tuple(p.source for p in off),
    )


def _how_surely_off(off: Iterable[FirewallProfile], *, sure_of_use: bool) -> tuple[Confidence, str]:
    if not any(p.effective for p in off):
        return (
            Confidence.LIKELY,
            "the machine's own settings say so, unless a group policy overrides them",
        )
    if sure_of_use:
        return Confidence.CERTAIN, "the profile is in use and off"
    if {p.name for p in off} >= _BOTH:
        return Confidence.CERTAIN, "both profiles that an outside client can be in are off"
    return Confidence.POSSIBLE, "it is off; whether it is in use the evidence does not say"


def domain_profile_outside(
    profiles: tuple[FirewallProfile, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    none: tuple[NoConnectionSecurityRules, ...],
    associations: tuple[SecurityAssociation, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """The domain profile is in use, and the client says that it is outside."""
    domain = [p for p in profiles if p.current and p.name == "domain" and not _is_tunnel(p)]
    if not domain or associations or whereabouts.connected(signs):
        return None
    if not whereabouts.outside(signs) or any(_ours(r) and r.active for r in rules):
        return None
    alone = not any(p.current and p.name in _BOTH for p in profiles)
    inactive = any(fact.active and _is_about_all(fact) for fact in none)
    if not alone and not inactive:
        return None
    networks = ", ".join(name for p in domain for name in p.networks)
    return Finding(
        problem=catalogue.DOMAIN_PROFILE_OUTSIDE,
        summary=f"The domain profile is in use{f' by {networks}' if networks else ''}.",
        confidence=Confidence.LIKELY,
        reason="the client says elsewhere that it is outside, where no network is the domain's",
        evidence=(*(p.source for p in domain), *_outside_sources(signs)),
    )


def rules_missing(
    none: NoConnectionSecurityRules, rules: tuple[ConnectionSecurityRule, ...]
) -> Finding | None:
    """The store holds no rule; or not the one that was asked for, which may have another name."""
    if none.active or not _is_about_all(none) or any(_ours(rule) for rule in rules):
        return None
    return Finding(
        problem=catalogue.CONSEC_RULES_MISSING,
        summary=(
            f"There is no connection security rule{f' called {none.wanted}' * bool(none.wanted)}."
        ),
        confidence=Confidence.POSSIBLE if none.wanted else Confidence.CERTAIN,
        reason=(
            "one name was asked for, and the rules' names differ between versions"
            if none.wanted
            else "all rules were asked for, and the answer is that there is none"
        ),
        evidence=(none.source,),
    )


def rules_of_others_only(rules: tuple[ConnectionSecurityRule, ...]) -> Finding | None:
    """Several rules were printed, and none is a tunnel of DirectAccess."""
    stored = [rule for rule in rules if not rule.active]
    if len(stored) < 2 or any(_ours(rule) for rule in rules):
        return None
    return Finding(
        problem=catalogue.CONSEC_RULES_MISSING,
        summary=f"None of {len(stored)} connection security rules is one of DirectAccess.",
        confidence=Confidence.POSSIBLE,
        reason="the rules that were printed are others; whether they are all, it does not say",
        evidence=tuple(rule.source for rule in stored[:3]),
    )


def rules_inactive(
    none: NoConnectionSecurityRules,
    rules: tuple[ConnectionSecurityRule, ...],
    profiles: tuple[FirewallProfile, ...],
    associations: tuple[SecurityAssociation, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """The monitor shows none. Inside that is as it should be."""
    stored = [rule for rule in rules if _ours(rule) and not rule.active]
    if not none.active or not _is_about_all(none) or associations:
        return None
    place = whereabouts.outside(signs)
    in_use = {p.name for p in profiles if p.current}
    outside = bool(place) or (place is None and bool(in_use) and "domain" not in in_use)
    if not outside or whereabouts.connected(signs) or any(_ours(r) and r.active for r in rules):
        return None
    return Finding(
        problem=catalogue.CONSEC_RULES_INACTIVE,
        summary="The monitor shows no connection security rule in force.",
        confidence=Confidence.CERTAIN if stored and place else Confidence.LIKELY,
        reason=(
            "DirectAccess rules are stored, and the client is outside"
            if stored
            else "the client is outside, where the rules should be in force"
        ),
        evidence=(none.source, *(rule.source for rule in stored[:2]), *_outside_sources(signs)),
    )


def rules_not_enforced(rule: ConnectionSecurityRule, signs: tuple[Sign, ...]) -> Finding | None:
    """The active store itself says why a rule is not enforced."""
    why = rule.enforcement or ""
    if not _ours(rule) or not why or not whereabouts.outside(signs):
        return None
    if whereabouts.connected(signs) or ("profile" not in why and "category" not in why):
        return None
    problem = shared.THIRD_PARTY if "category" in why else catalogue.CONSEC_RULES_INACTIVE
    return Finding(
        problem=problem,
        summary=f"The rule {rule.name} is not enforced: {why}.",
        confidence=Confidence.LIKELY,
        reason="the store says so of the rule, and the client is outside",
        evidence=(rule.source, *_outside_sources(signs)),
    )


def another_owner(settings: FirewallSettings) -> Finding | None:
    """Connection security rules are left to a product that is not of Windows."""
    owner = settings.rules_owner
    if not owner or "windows" in owner.lower():
        return None
    return Finding(
        problem=shared.THIRD_PARTY,
        summary=f"Connection security rules are left to {owner}.",
        reason="the firewall's global settings name it",
        evidence=(settings.source,),
    )


def third_party(
    product: ThirdPartyFirewall,
    none: NoSecurityAssociations,
    associations: tuple[SecurityAssociation, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """A product is on, and no association comes up."""
    if not product.enabled or none.mode is not Mode.MAIN or associations:
        return None
    if not whereabouts.outside(signs) or whereabouts.connected(signs):
        return None
    return Finding(
        problem=shared.THIRD_PARTY,
        summary=f"{product.name} is on, and there is no IPsec association.",
        confidence=Confidence.POSSIBLE,
        reason="such products can drop IPsec; whether this one does the evidence does not say",
        evidence=(product.source, none.source),
    )


def _ours(rule: ConnectionSecurityRule) -> bool:
    """Whether it is a rule of DirectAccess: by its name, or as a tunnel to an IPv6 endpoint."""
    return rule.directaccess or (rule.mode == "tunnel" and ":" in (rule.remote_endpoint or ""))


def _is_about_all(none: NoConnectionSecurityRules) -> bool:
    return not none.wanted or none.wanted.lower().startswith(_DIRECTACCESS)


def _is_tunnel(profile: FirewallProfile) -> bool:
    names = " ".join(profile.networks).lower()
    return bool(names) and any(word in names for word in _TUNNELS)


def _outside_sources(signs: Iterable[Fact]) -> tuple[Source, ...]:
    return tuple(sign.source for sign in signs if whereabouts.outside((sign,)))


RULES = (
    Rule((catalogue.SERVICE_STOPPED,), service_stopped),
    Rule((catalogue.KEYING_SERVICE_STOPPED,), keying_service_stopped),
    Rule((catalogue.FIREWALL_OFF,), firewall_off),
    Rule((catalogue.DOMAIN_PROFILE_OUTSIDE,), domain_profile_outside, Role.CLIENT),
    Rule((catalogue.CONSEC_RULES_MISSING,), rules_missing, Role.CLIENT),
    Rule((catalogue.CONSEC_RULES_MISSING,), rules_of_others_only, Role.CLIENT),
    Rule((catalogue.CONSEC_RULES_INACTIVE,), rules_inactive, Role.CLIENT),
    Rule((catalogue.CONSEC_RULES_INACTIVE, shared.THIRD_PARTY), rules_not_enforced, Role.CLIENT),
    Rule((shared.THIRD_PARTY,), another_owner),
    Rule((shared.THIRD_PARTY,), third_party, Role.CLIENT),
)
