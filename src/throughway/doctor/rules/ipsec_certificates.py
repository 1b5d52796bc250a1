"""Procedure P3, steps 6 and 8: the computer certificates that open the tunnels."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from throughway.catalogue import ipsec_certificate as catalogue
from throughway.doctor.rule import Rule
from throughway.doctor.rules import chains, whereabouts
from throughway.doctor.rules.chains import Moment
from throughway.doctor.rules.whereabouts import Sign
from throughway.model.facts.certificates import (
    Certificate,
    CRLRetrieval,
    NoCertificates,
    RevocationList,
    Store,
)
from throughway.model.facts.firewall import ConnectionSecurityRule, FirewallSettings
from throughway.model.facts.ipsec import Mode, NoSecurityAssociations, SecurityAssociation
from throughway.model.findings import Confidence, Finding, Problem

_CLIENT_AUTHENTICATION = frozenset({"1.3.6.1.5.5.7.3.2", "2.5.29.37.0"})
_STRICT = 2
_SOON, _LONG = timedelta(days=14), timedelta(days=90)
"""Enrolment renews what is valid for months weeks before its end."""
Trouble = Sign | NoSecurityAssociations
"""What shows where the client is, and that no tunnel comes up."""
Defect = tuple[Problem, str, bool]
"""The problem, what is wrong in words, and whether the evidence leaves no doubt."""


def no_certificate(
    none: NoCertificates,
    rules: tuple[ConnectionSecurityRule, ...],
    associations: tuple[SecurityAssociation, ...],
    signs: tuple[Trouble, ...],
) -> Finding | None:
    """The computer's store is empty."""
    if none.store is not Store.MACHINE or _works(associations) or _without(rules):
        return None
    demanding = _demanding(rules)
    confidence = Confidence.LIKELY if _tunnels_fail(signs, associations) else Confidence.POSSIBLE
    return Finding(
        problem=catalogue.NO_MACHINE_CERT,
        summary="The computer's store holds no certificate.",
        confidence=Confidence.CERTAIN if demanding else confidence,
        reason=(
            "the store was listed and is empty, and the rules demand a computer certificate"
            if demanding
            else "the store is empty; only a deployment with Kerberos alone needs no certificate"
        ),
        evidence=(none.source, *(rule.source for rule in demanding[:1])),
    )


def no_usable_certificate(
    certificates: tuple[Certificate, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    associations: tuple[SecurityAssociation, ...],
    lists: tuple[RevocationList, ...],
    moments: tuple[Moment, ...],
    signs: tuple[Trouble, ...],
) -> tuple[Finding, ...]:
    """Each certificate of the store has a defect: say those of the best one."""
    store = chains.joined(c for c in certificates if c.store is Store.MACHINE)
    machine = [c for c in store if not c.archived]
    if not machine or _works(associations) or _without(rules):
        return ()
    demanding = _demanding(rules)
    failing = _tunnels_fail(signs, associations)
    candidates = [c for c in machine if not c.self_signed and not c.authority]
    if not candidates:
        return _none_issued(machine, demanding)
    now = chains.collected_at(moments)
    keyless = all(c.private_key is False for c in store) and (len(store) > 1 or not demanding)
    found = [
        (c, tuple(_defects(c, demanding, certificates, lists, now, sure_of_keys=not keyless)))
        for c in candidates
    ]
    best, defects = min(found, key=lambda item: len(item[1]))
    return tuple(
        _finding(best, d, demanding, failing=failing) for d in defects if d[2] or demanding
    )


def strict_check_fails(
    settings: FirewallSettings,
    retrievals: tuple[CRLRetrieval, ...],
) -> Finding | None:
    """IPsec checks strictly, and no list can be fetched from the web."""
    web = [r for r in retrievals if r.url.lower().startswith("http")]
    if settings.strong_crl_check != _STRICT or not web:
        return None
    if any(retrieval.retrieved is not False for retrieval in web):
        return None
    return Finding(
        problem=catalogue.CRL_UNREACHABLE,
        summary=f"IPsec checks revocation strictly, and {web[0].url} cannot be fetched.",
        confidence=Confidence.LIKELY,
        reason="both stand in the evidence; that it is the list of the peers' authority does not",
        evidence=(settings.source, *(retrieval.source for retrieval in web[:3])),
        values=(("CRL_URL", web[0].url),),
    )


def list_expired(
    settings: FirewallSettings,
    revocation: RevocationList,
    certificates: tuple[Certificate, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    moments: tuple[Moment, ...],
) -> Finding | None:
    """IPsec checks strictly, and the list of the peers' authority is out of date."""
    known = chains.collected(moments)
    if settings.strong_crl_check != _STRICT or known is None or not revocation.issuer:
        return None
    if not chains.is_past(revocation.next_update, known[0]):
        return None
    machine = [c for c in certificates if c.store is Store.MACHINE and not c.archived]
    names = [c.issuer for c in machine if not c.self_signed]
    names += [rule.auth1_ca for rule in _demanding(rules) if rule.auth1_ca]
    if chains.parts(revocation.issuer) not in map(chains.parts, names):
        return None
    return Finding(
        problem=catalogue.CRL_EXPIRED,
        summary=(
            f"IPsec checks revocation strictly, and the list of {revocation.issuer} was valid "
            f"until {revocation.next_update:%Y-%m-%d}."
        ),
        confidence=Confidence.LIKELY,
        reason="this list is out of date; whether it is the one that is published it does not say",
        evidence=(revocation.source, settings.source, known[1]),
    )


def soon_expired(
    certificates: tuple[Certificate, ...],
    rules: tuple[ConnectionSecurityRule, ...],
    moments: tuple[Moment, ...],
) -> Finding | None:
    """The computer certificate that is valid longest has few days left."""
    now = chains.collected_at(moments)
    store = chains.joined(c for c in certificates if c.store is Store.MACHINE)
    usable = [c for c in store if not (c.archived or c.self_signed or c.authority) and c.not_after]
    if now is None or not usable or not _demanding(rules):
        return None
    best = max(usable, key=lambda c: chains.naive(c.not_after or now))
    end = chains.naive(best.not_after or now)
    begin = chains.naive(best.not_before or now)
    if not now <= end < now + _SOON or end - begin < _LONG:
        return None
    return Finding(
        problem=catalogue.CERT_EXPIRING,
        summary=f"The computer certificate {best.subject} expires on {end:%Y-%m-%d}.",
        reason="it is the one that is valid longest; enrolment should have renewed it by now",
        evidence=(best.source,),
        values=(("THUMBPRINT", best.thumbprint),) if best.thumbprint else (),
    )


def _tunnels_fail(signs: Sequence[Trouble], associations: Sequence[SecurityAssociation]) -> bool:
    """Whether the client is outside and has no association, though it should have one."""
    none = any(isinstance(s, NoSecurityAssociations) and s.mode is not Mode.QUICK for s in signs)
    outside = bool(whereabouts.outside(signs)) and not whereabouts.connected(signs)
    return none and outside and not associations


def _none_issued(
    machine: Sequence[Certificate], demanding: Sequence[ConnectionSecurityRule]
) -> tuple[Finding, ...]:
    return (
        Finding(
            problem=catalogue.NO_MACHINE_CERT,
            summary="All certificates of the computer's store are authorities or self-signed.",
            confidence=Confidence.LIKELY if demanding else Confidence.POSSIBLE,
            reason=(
                "the rules demand a certificate of an authority, and these are none"
                if demanding
                else "none is of an authority; whether one is demanded the evidence does not say"
            ),
            evidence=tuple(certificate.source for certificate in machine[:3]),
        ),
    )


def _defects(
    certificate: Certificate,
    demanding: Sequence[ConnectionSecurityRule],
    certificates: Sequence[Certificate],
    lists: Sequence[RevocationList],
    now: datetime | None,
    *,
    sure_of_keys: bool,
) -> Iterator[Defect]:
    """Yield what is wrong with a certificate; what is not known is not wrong."""
    if chains.is_past(certificate.not_after, now):
        until = certificate.not_after
        yield catalogue.CERT_EXPIRED, f"expired on {until:%Y-%m-%d}", True
    if certificate.private_key is False:
        yield catalogue.CERT_NO_PRIVATE_KEY, "has no private key here", sure_of_keys
    if certificate.usages and not _CLIENT_AUTHENTICATION & set(certificate.usages):
        yield catalogue.CERT_MISSING_CLIENT_AUTH, "is not for client authentication", True
    authorities = [rule.auth1_ca for rule in demanding if rule.auth1_ca]
    chained = [chains.chains_to(certificate, ca, certificates) for ca in authorities]
    if chained and all(answer is False for answer in chained):
        yield catalogue.CERT_WRONG_CHAIN, f"does not chain to {authorities[0]}", True
    if any(_revokes(revoked, certificate) for revoked in lists):
        yield catalogue.CERT_REVOKED, "stands in its authority's revocation list", True


def _finding(
    certificate: Certificate,
    defect: Defect,
    demanding: Sequence[ConnectionSecurityRule],
    *,
    failing: bool,
) -> Finding:
    problem, what, sure = defect
    certain = Confidence.CERTAIN if problem is catalogue.CERT_REVOKED else Confidence.LIKELY
    return Finding(
        problem=problem,
        summary=f"The computer certificate {certificate.subject} {what}.",
        confidence=certain if (demanding or failing) and sure else Confidence.POSSIBLE,
        reason=_reason(bool(demanding), failing=failing, sure=sure),
        evidence=(certificate.source, *(rule.source for rule in demanding[:1])),
        values=(("THUMBPRINT", certificate.thumbprint),) if certificate.thumbprint else (),
    )


def _reason(demanded: bool, *, failing: bool, sure: bool) -> str:
    if not sure:
        return "all keys are called missing, as they are where the prompt was not elevated"
    if demanded:
        return "the rules demand a computer certificate, and no other one is better"
    if failing:
        return "no tunnel comes up, and of the computer's certificates no other one is better"
    return "the evidence shows it; whether the tunnels need this certificate it does not say"


def _revokes(revoked: RevocationList, certificate: Certificate) -> bool:
    serial = certificate.serial.lstrip("0")
    if not serial or chains.parts(revoked.issuer) != chains.parts(certificate.issuer):
        return False
    return any(entry.lstrip("0") == serial for entry in revoked.revoked)


def _demanding(rules: Sequence[ConnectionSecurityRule]) -> list[ConnectionSecurityRule]:
    """Return the tunnel rules whose first authentication is a computer certificate."""
    return [rule for rule in rules if _is_ours(rule) and "cert" in (rule.auth1 or "").lower()]


def _without(rules: Sequence[ConnectionSecurityRule]) -> bool:
    """Whether the rules are known to do without certificates."""
    ours = [rule for rule in rules if _is_ours(rule) and rule.auth1]
    return bool(ours) and not _demanding(rules)


def _is_ours(rule: ConnectionSecurityRule) -> bool:
    return rule.directaccess or rule.mode == "tunnel"


def _works(associations: Sequence[SecurityAssociation]) -> bool:
    """Whether an association is there that a computer certificate opened."""
    return any(
        association.mode is Mode.MAIN and "cert" in (association.auth1 or "").lower()
        for association in associations
    )


RULES = (
    Rule((catalogue.NO_MACHINE_CERT,), no_certificate),
    Rule(
        (
            catalogue.NO_MACHINE_CERT,
            catalogue.CERT_EXPIRED,
            catalogue.CERT_NO_PRIVATE_KEY,
            catalogue.CERT_MISSING_CLIENT_AUTH,
            catalogue.CERT_WRONG_CHAIN,
            catalogue.CERT_REVOKED,
        ),
        no_usable_certificate,
    ),
    Rule((catalogue.CRL_UNREACHABLE,), strict_check_fails),
    Rule((catalogue.CRL_EXPIRED,), list_expired),
    Rule((catalogue.CERT_EXPIRING,), soon_expired),
)
