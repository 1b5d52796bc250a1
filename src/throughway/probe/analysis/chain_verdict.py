"""From certificates and revocation lists to problems of the catalogue."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from throughway.catalogue.iphttps_revocation import BY_FAULT
from throughway.model.findings import Confidence, Finding
from throughway.model.probing import ChainSeen, PointSeen, PointState, ProbeSeen
from throughway.model.revocation import Fault
from throughway.pki.judgement import URGENT_BEFORE
from throughway.probe.analysis.folding import found, target_values

_PLACE = {"crl": "CRL_URL", "delta": "CRL_URL", "ocsp": "OCSP_URL"}
_BY_OPTION = " (a private root is trusted with --ca FILE)"
_REASONS = {
    Fault.EXPIRED: "the list says when the next one is due, by the clock of this computer",
    Fault.WRONG_SIGNER: "its signature was checked with the key of the certificate's issuer",
    Fault.OCSP_UNTRUSTED: "its signature was checked with the key of the certificate's issuer",
    Fault.OCSP_UNKNOWN: "the responder's own answer",
    Fault.NO_POINT: "the certificate names no other place of the kind",
}


def chain_findings(seen: ProbeSeen) -> Iterator[Finding]:
    """Judge each chain that is another one than those before it."""
    known: set[str] = set()
    for chain in seen.chains:
        if not chain.certificates:
            continue
        leaf = chain.certificates[0]
        if leaf.fingerprint not in known:
            known.add(leaf.fingerprint)
            yield from _time(seen, chain)
            yield from _name(seen, chain)
            yield from _trust(seen, chain)


def _time(seen: ProbeSeen, chain: ChainSeen) -> Iterator[Finding]:
    step, values = f"certificate {chain.address}", target_values(seen)
    why = "the certificate says so, by the clock of this computer"
    for number, each in enumerate(chain.certificates):
        whose = f"{each.subject}" if number == 0 else f"{each.subject} (sent as issuer)"
        if seen.at > each.not_after:
            words = f"{whose} expired on {each.not_after:%Y-%m-%d %H:%M} UTC."
            yield found("iphttps-cert-expired", words, why, step=step, values=values)
        elif seen.at < each.not_before:
            words = f"{whose} is valid from {each.not_before:%Y-%m-%d %H:%M} UTC on."
            yield found("iphttps-cert-not-yet-valid", words, why, step=step, values=values)
        elif number == 0 and _ends_soon(seen, chain):
            words = f"{whose} expires on {each.not_after:%Y-%m-%d}, in {each.days_left} days."
            yield found("iphttps-cert-expiring", words, why, step=step, values=values)


def _ends_soon(seen: ProbeSeen, chain: ChainSeen) -> bool:
    """Whether the end is near, by the length of the life: some are issued for a week."""
    leaf = chain.certificates[0]
    third = (leaf.not_after - leaf.not_before) / 6
    return leaf.not_after - seen.at <= min(URGENT_BEFORE, max(third, timedelta(hours=1)))


def _name(seen: ProbeSeen, chain: ChainSeen) -> Iterator[Finding]:
    leaf, step = chain.certificates[0], f"certificate {chain.address}"
    if chain.covers_host is False:
        names = ", ".join(leaf.names[:5]) or f"none; its subject is {leaf.subject}"
        yield found(
            "iphttps-cert-name-mismatch",
            f"The certificate is not for {seen.target.host}; its alternative names: {names}.",
            "names were compared as clients do",
            step=step,
            values=target_values(seen),
        )
    if chain.for_servers is False:
        yield found(
            "iphttps-no-usable-cert",
            f"The certificate of {leaf.subject} may not be used by a server.",
            "its extended key usage does not hold server authentication",
            step=step,
            values=target_values(seen),
        )
    if not leaf.crl_urls and not leaf.self_signed:
        other = f"; there is OCSP at {leaf.ocsp_urls[0]}" if leaf.ocsp_urls else ""
        yield found(
            "iphttps-cert-no-crl-distribution-point",
            f"The certificate of {leaf.subject} names no CRL distribution point{other}.",
            "the extension is not there",
            step=step,
            values=target_values(seen),
        )


def _trust(seen: ProbeSeen, chain: ChainSeen) -> Iterator[Finding]:
    if chain.trusted is not False:
        return
    leaf, last = chain.certificates[0], chain.certificates[-1]
    step, values = f"certificate {chain.address}", target_values(seen)
    if chain.mended_by:
        yield found(
            "iphttps-cert-intermediate-missing",
            f"The server does not send {chain.mended_by}, by which {leaf.subject} is trusted.",
            "with it, fetched from the address in the certificate, the chain is whole",
            step=step,
            values=values,
        )
        return
    if last.self_signed:
        words = f"The chain ends in {last.subject}, which is not trusted here{_BY_OPTION}."
        sure, why = Confidence.CERTAIN, "a root was sent, and it is not in this computer's store"
    else:
        words = f"{leaf.subject} is not trusted here: {chain.why}{_BY_OPTION}."
        sure = Confidence.LIKELY
        why = "its issuer is neither sent nor known; it may also be an intermediate one"
    yield found(
        "iphttps-cert-untrusted-root",
        words,
        why,
        step=step,
        confidence=sure,
        values=values,
    )


def revocation_findings(seen: ProbeSeen) -> Iterator[Finding]:
    """Judge what the places said, each certificate by itself."""
    for subject in dict.fromkeys(point.subject for point in seen.revocation):
        points = [p for p in seen.revocation if p.subject == subject]
        yield from _revoked(seen, points)
        for kind in ("crl", "delta"):
            yield from _faults(seen, [p for p in points if p.kind == kind])
        responders = [p for p in points if p.kind == "ocsp"]
        beside = any(p.kind == "crl" and p.state is PointState.GOOD for p in points)
        # One that cannot be reached costs clients nothing beside a list that they have.
        away = Fault.OCSP_UNREACHABLE
        yield from _faults(seen, [p for p in responders if not (beside and p.fault is away)])


def _revoked(seen: ProbeSeen, points: Sequence[PointSeen]) -> Iterator[Finding]:
    for point in points:
        if point.state is PointState.REVOKED:
            yield found(
                "iphttps-cert-revoked",
                f"{point.subject}: {point.words}, says {point.url}.",
                "the authority signed it",
                step=f"{point.kind} {point.url}",
                values=target_values(seen),
            )
            return


def _faults(seen: ProbeSeen, points: Sequence[PointSeen]) -> Iterator[Finding]:
    """Say of each place why it proves nothing, in the words and with the code of clients."""
    alive = any(p.state in (PointState.GOOD, PointState.REVOKED) for p in points)
    for point in points:
        if point.fault is None or point.fault is Fault.REVOKED:
            continue
        if point.fault is Fault.NO_POINT and alive:
            continue  # LDAP beside a web address is how Windows authorities are set up
        if alive:
            why = "another place of the kind answers; clients lose time with this one first"
        else:
            why = _REASONS.get(point.fault, "no place of the kind could be used from this computer")
        yield found(
            BY_FAULT[point.fault].code,
            f"The certificate of {point.subject}: {point.words} ({point.url}).",
            why,
            step=f"{point.kind} {point.url}",
            confidence=Confidence.POSSIBLE if alive else Confidence.CERTAIN,
            values=(*target_values(seen), (_PLACE[point.kind], point.url)),
        )
