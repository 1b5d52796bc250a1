"""What lists and responders say of a certificate, and whether they are fresh."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from cryptography import x509

from throughway.model.errors import Stage, TransportError, TrustError
from throughway.model.probing import PointSeen, PointState
from throughway.model.revocation import Fault, Standing, Verdict
from throughway.pki.crl import delta_urls, describe, distrust, judge_crl, listed
from throughway.pki.judgement import name_of
from throughway.pki.ocsp import build_request, get_url, judge_ocsp
from throughway.pki.ocsp import life_of as ocsp_life
from throughway.pki.pem import parse_crl
from throughway.probe.analysis.certificates import see_certificate

MAXIMUM_POINTS = 16
"""Places that are asked of one chain."""
_NOT_HAD = {
    "crl": (Fault.UNREACHABLE, "its CRL cannot be fetched"),
    "delta": (Fault.DELTA_MISSING, "its delta CRL cannot be had"),
    "ocsp": (Fault.OCSP_UNREACHABLE, "its OCSP responder cannot be asked"),
}
_STATES = {
    None: PointState.GOOD,
    Fault.REVOKED: PointState.REVOKED,
    Fault.EXPIRED: PointState.STALE,
}


@dataclass(frozen=True, slots=True)
class Question:
    """One place to ask about one certificate; ``seen`` says what is known before asking."""

    seen: PointSeen
    certificate: x509.Certificate
    issuer: x509.Certificate | None
    base: bytes = b""
    """Of a delta list: the list that names it."""


def questions(pairs: Sequence[tuple[x509.Certificate, x509.Certificate | None]]) -> list[Question]:
    """Return every place to be asked, from certificates (the leaf first) with their issuers.

    A certificate that signed itself cannot be revoked by anybody else.
    """
    found = []
    for number, (certificate, issuer) in enumerate(pairs):
        if certificate.subject == certificate.issuer:
            continue
        told = see_certificate(certificate, certificate.not_valid_after_utc)
        kinds = (("crl", told.crl_urls), ("delta", told.delta_urls), ("ocsp", told.ocsp_urls))
        for kind, urls in kinds:
            for url in urls:
                seen = PointSeen(
                    kind=kind,
                    url=url,
                    subject=told.subject,
                    leaf=number == 0,
                    state=PointState.NOT_TRIED,
                )
                found.append(Question(seen, certificate, issuer))
    return found[:MAXIMUM_POINTS]


def further(question: Question, body: bytes, known: Sequence[Question]) -> list[Question]:
    """Return the delta lists which a base list points to, and which are not asked yet."""
    if question.seen.kind != "crl":
        return []
    try:
        urls = delta_urls(parse_crl(body))
    except (TrustError, ValueError):
        return []
    asked = {each.seen.url for each in known}
    seen = replace(question.seen, kind="delta")
    return [
        replace(question, seen=replace(seen, url=url), base=body)
        for url in dict.fromkeys(urls[:MAXIMUM_POINTS])
        if url not in asked
    ]


def web_address(question: Question) -> str:
    """Return what to fetch; "" where it is not for us: LDAP, or a responder of no known issuer."""
    url = question.seen.url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return ""
    if not usable:
        return ""
    if question.seen.kind != "ocsp":
        return url
    return _ocsp_address(url, question)


def not_asked(question: Question) -> PointSeen:
    """Say why a place is not asked."""
    scheme = question.seen.url.partition(":")[0].lower()
    if scheme == "ldap":
        words = "ldap: computers outside cannot ask it"
    elif question.seen.kind == "ocsp" and question.issuer is None:
        words = "the issuer's certificate is needed for the question, and is not known"
    else:
        words = "not an address that can be asked"
    return replace(question.seen, fault=Fault.NO_POINT, words=words)


def not_had(question: Question, error: TransportError, seconds: float) -> PointSeen:
    """Say that a place did not give what it should, in the words that clients have for it."""
    fault, words = _NOT_HAD[question.seen.kind]
    state = PointState.USELESS if error.stage is Stage.HTTP else PointState.UNREACHABLE
    why = f"{words}: {error}"
    return replace(question.seen, state=state, fault=fault, words=why, seconds=seconds)


def judge(question: Question, body: bytes, now: datetime, seconds: float) -> PointSeen:
    """Judge what came."""
    seen = replace(question.seen, seconds=seconds, size=len(body))
    if question.seen.kind == "ocsp":
        return _judge_ocsp(question, seen, body, now)
    return _judge_crl(question, seen, body, now)


def _judge_crl(question: Question, seen: PointSeen, body: bytes, now: datetime) -> PointSeen:
    try:
        crl = parse_crl(body)
        seen = replace(
            seen,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            entries=len(crl),
            number=_number(crl),
        )
    except (TrustError, ValueError) as error:
        if seen.kind == "delta":
            words = f"what is served in place of the delta CRL is none: {error}"
            return _useless(seen, Fault.DELTA_MISSING, words)
        return _useless(seen, Fault.UNUSABLE, f"what is served is no usable CRL: {error}")
    if question.issuer is None:
        if crl.issuer != question.certificate.issuer:
            words = f"what is served is the CRL of {name_of(crl.issuer)}"
            return _useless(seen, Fault.WRONG_SIGNER, words)
        words = "its signature cannot be checked: the issuer's certificate is not known"
        if crl.next_update_utc is not None and now >= crl.next_update_utc:
            return replace(seen, state=PointState.STALE, fault=Fault.EXPIRED, words=words)
        return replace(seen, state=PointState.GOOD, words=words)
    if question.seen.kind == "delta":
        return _judge_delta(question, question.issuer, seen, body, now)
    verdict = judge_crl(question.certificate, question.issuer, body, now)
    if verdict.fault is Fault.DELTA_MISSING:
        # The delta list is a place of its own here.
        return replace(seen, state=PointState.GOOD)
    return _judged(seen, verdict)


def _judged(seen: PointSeen, verdict: Verdict) -> PointSeen:
    state = _STATES.get(verdict.fault, PointState.USELESS)
    words = "" if verdict.fault is None else verdict.why
    return replace(seen, state=state, fault=verdict.fault, words=words)


def _useless(seen: PointSeen, fault: Fault, words: str) -> PointSeen:
    return replace(seen, state=PointState.USELESS, fault=fault, words=words)


def _judge_delta(
    question: Question, issuer: x509.Certificate, seen: PointSeen, body: bytes, now: datetime
) -> PointSeen:
    certificate = question.certificate
    if why := distrust(body, (issuer,)):
        return _useless(seen, Fault.WRONG_SIGNER, f"the delta CRL: {why}")
    if describe(body).base_number is None:
        words = "what is served in place of the delta CRL is none"
        return _useless(seen, Fault.DELTA_MISSING, words)
    if listed(body, {certificate.serial_number}):
        words = "the delta CRL has it"
        return replace(seen, state=PointState.REVOKED, fault=Fault.REVOKED, words=words)
    if seen.next_update is not None and now >= seen.next_update:
        words = f"the delta CRL was due to be replaced on {seen.next_update:%Y-%m-%d %H:%M} UTC"
        return replace(seen, state=PointState.STALE, fault=Fault.EXPIRED, words=words)
    # With a base that is none, or out of date, there is nothing to go with.
    base = question.base
    alone = judge_crl(certificate, issuer, base, now, deltas=None)
    if alone.standing is Standing.GOOD:
        return _judged(seen, judge_crl(certificate, issuer, base, now, deltas=(body,)))
    return replace(seen, state=PointState.GOOD)


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (x509.ExtensionNotFound, ValueError):
        return None


def _ocsp_address(url: str, question: Question) -> str:
    """Return the address of the question by GET (RFC 6960, appendix A.1)."""
    if question.issuer is None:
        return ""
    return get_url(url, build_request(question.certificate, question.issuer))


def _judge_ocsp(question: Question, seen: PointSeen, body: bytes, now: datetime) -> PointSeen:
    if question.issuer is None:
        words = "its signature cannot be checked: the issuer's certificate is not known"
        return replace(seen, state=PointState.USELESS, words=words)
    verdict = judge_ocsp(question.certificate, question.issuer, body, now)
    seen = replace(seen, this_update=verdict.this_update, next_update=verdict.next_update)
    life = ocsp_life(body)
    seen = _judged(seen, verdict)
    if verdict.fault is Fault.OCSP_UNUSABLE and life is not None:
        late = now >= life[1]
        state = PointState.STALE if late else PointState.USELESS
        seen = replace(seen, state=state, this_update=life[0], next_update=life[1])
    return seen
