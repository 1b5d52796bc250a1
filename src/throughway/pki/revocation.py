"""The revocation of a whole chain: whom to ask, what the answers prove, and what follows.

Pure: :mod:`throughway.net.revocation` asks, with time limits and a cache.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from throughway.model.revocation import Fault, Revocation, Standing, Verdict
from throughway.pki.crl import about, delta_urls, delta_urls_of, judge_crl, point_urls, unknown
from throughway.pki.judgement import name_of, serial_of
from throughway.pki.ocsp import Request, build_request, get_url, judge_ocsp
from throughway.pki.pem import UNREADABLE

MAXIMUM_POINTS = 8
"""Places of one kind that are asked about one certificate."""
MAXIMUM_URL = 2048
"""Characters."""

Answer = bytes | str
"""What came from a place, or in words why nothing did."""
_ORDER = tuple(Fault)


@dataclass(frozen=True, slots=True)
class Question:
    """One certificate and all places where its revocation can be asked, in their order."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    lists: tuple[str, ...]
    deltas: tuple[str, ...]
    """Those that the certificate itself names; its list may name others."""
    responders: tuple[str, ...]
    unusable: tuple[str, ...]
    """Places that we do not ask, each with the reason."""

    @property
    def subject(self) -> str:
        """Whose certificate it is."""
        return name_of(self.certificate.subject)

    def request(self, nonce: bytes = b"") -> Request:
        """Return the question for a responder."""
        return build_request(self.certificate, self.issuer, nonce)

    def answer_urls(self) -> Iterator[tuple[str, str]]:
        """Yield each responder with the address by which its answer is kept."""
        request = self.request()
        for responder in self.responders:
            yield responder, get_url(responder, request) or responder + "#" + self.serial

    @property
    def serial(self) -> str:
        """Of the certificate, hexadecimal."""
        return serial_of(self.certificate)


def questions(chain: Sequence[x509.Certificate]) -> tuple[Question, ...]:
    """Return what to ask about a chain, the leaf first and its trust anchor last.

    An anchor is trusted because it was configured; nobody above it could revoke it.
    """
    return tuple(_question(one, by) for one, by in pairwise(chain))


def further(question: Question, answers: Mapping[str, Answer]) -> tuple[str, ...]:
    """Return the delta lists that lists in hand point to, as far as they are not asked."""
    urls = [
        url
        for place in question.lists
        if isinstance(data := answers.get(place), bytes)
        for url in delta_urls_of(data)
    ]
    usable, _ = _sorted_out(urls)
    return tuple(url for url in usable if url not in answers)


def judge(question: Question, answers: Mapping[str, Answer], now: datetime) -> Verdict:
    """Return what all answers together prove; one authentic "revoked" outweighs all the rest."""
    verdicts = [*_by_lists(question, answers, now), *_by_responders(question, answers, now)]
    for standing in (Standing.REVOKED, Standing.GOOD):
        for verdict in verdicts:
            if verdict.standing is standing:
                return verdict
    if not verdicts:
        return _nobody(question)
    return min(verdicts, key=lambda verdict: _ORDER.index(verdict.fault or Fault.NO_POINT))


def refusal(verdicts: Iterable[Verdict], policy: Revocation) -> Verdict | None:
    """Return the verdict because of which a chain is refused, None when it is admitted."""
    if policy is Revocation.NONE:
        return None
    verdicts = tuple(verdicts)
    for verdict in verdicts:
        if verdict.standing is Standing.REVOKED:
            return verdict
    if policy is Revocation.WEAK:
        return None
    return next((v for v in verdicts if v.standing is not Standing.GOOD), None)


def _by_lists(
    question: Question, answers: Mapping[str, Answer], now: datetime
) -> Iterator[Verdict]:
    for url in question.lists:
        answer = answers.get(url)
        if isinstance(answer, bytes):
            named = tuple(dict.fromkeys((*question.deltas, *delta_urls_of(answer))))
            deltas = [data for url in named if isinstance(data := answers.get(url), bytes)]
            verdict = judge_crl(question.certificate, question.issuer, answer, now, deltas=deltas)
            if verdict.fault is Fault.DELTA_MISSING and not deltas:
                verdict = _why_no_delta(verdict, named, answers)
            yield replace(verdict, url=url)
        elif answer is not None:
            why = f"its CRL cannot be fetched: {answer}"
            yield _unknown(question, Fault.UNREACHABLE, why, url)


def _why_no_delta(verdict: Verdict, urls: Sequence[str], answers: Mapping[str, Answer]) -> Verdict:
    told = [f"{url}: {why}" for url in urls if isinstance(why := answers.get(url), str)]
    _, unusable = _sorted_out(urls)
    words = "; ".join((*told, *unusable)) or "it was not asked for"
    return replace(verdict, why=f"its delta CRL cannot be had: {words}")


def _by_responders(
    question: Question, answers: Mapping[str, Answer], now: datetime
) -> Iterator[Verdict]:
    for responder, key in question.answer_urls():
        answer = answers.get(key)
        if isinstance(answer, bytes):
            verdict = judge_ocsp(question.certificate, question.issuer, answer, now)
            yield replace(verdict, url=responder)
        elif answer is not None:
            why = f"its OCSP responder cannot be asked: {answer}"
            yield _unknown(question, Fault.OCSP_UNREACHABLE, why, responder)


def _nobody(question: Question) -> Verdict:
    """Say that there was nobody to ask, or that nobody was asked."""
    if question.lists or question.responders:
        return _unknown(question, Fault.UNREACHABLE, "its CRL was not fetched")
    why = "it names no CRL distribution point and no OCSP responder"
    if question.unusable:
        why = f"it names no place that can be asked: {'; '.join(question.unusable)}"
    return _unknown(question, Fault.NO_POINT, why)


def _unknown(question: Question, fault: Fault, why: str, url: str = "") -> Verdict:
    return about(unknown(fault, why, url), question.certificate)


def _question(certificate: x509.Certificate, issuer: x509.Certificate) -> Question:
    lists, refused = _sorted_out(_list_urls(certificate))
    responders, useless = _sorted_out(_responder_urls(certificate))
    deltas, _ = _sorted_out(delta_urls(certificate))
    return Question(
        certificate,
        issuer,
        lists,
        deltas,
        responders,
        (*_indirect(certificate), *refused, *useless),
    )


def _points(certificate: x509.Certificate) -> tuple[x509.DistributionPoint, ...]:
    try:
        kind = x509.CRLDistributionPoints
        return tuple(certificate.extensions.get_extension_for_class(kind).value)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()


def _list_urls(certificate: x509.Certificate) -> Iterator[str]:
    for point in _points(certificate):
        if point.crl_issuer is None:
            yield from point_urls(point)


def _indirect(certificate: x509.Certificate) -> Iterator[str]:
    for point in _points(certificate):
        if point.crl_issuer is not None:
            urls = ", ".join(point_urls(point)) or "a distribution point"
            yield f"{urls}: an indirect CRL, which is not supported"


def _responder_urls(certificate: x509.Certificate) -> Iterator[str]:
    try:
        kind = x509.AuthorityInformationAccess
        access = certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return
    for each in access:
        location = each.access_location
        if each.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            yield location.value


def _sorted_out(urls: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the places that we ask, and why not the others."""
    usable, refused = [], []
    for url in dict.fromkeys(urls):
        if why := _not_web(url):
            refused.append(f"{url[:MAXIMUM_URL]}: {why}")
        else:
            usable.append(url)
    return tuple(usable[:MAXIMUM_POINTS]), tuple(refused[:MAXIMUM_POINTS])


def _not_web(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        return str(error)
    if len(url) > MAXIMUM_URL or not url.isprintable():
        return "is no address"
    if parts.scheme.lower() != "http":
        return f"{parts.scheme.lower() or 'that'} is not supported, only http is"
    return "" if host else "names no host"
