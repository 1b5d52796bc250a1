"""What the certificate that a server shows in a handshake tells of it."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from throughway.catalogue import iphttps
from throughway.catalogue import iphttps_certificate as catalogue
from throughway.doctor.rules import chains
from throughway.doctor.rules.targets import Seen, Target, finding
from throughway.model.facts.capture import (
    Capture,
    ConnectionEnd,
    DNSExchange,
    HTTPExchange,
    TCPConnection,
    TLSHandshake,
    TLSStage,
)
from throughway.model.facts.certificates import Certificate, RevocationList, Store
from throughway.model.findings import Confidence, Finding, Problem
from throughway.pki.impostor import INSPECTORS, related

EXPIRES_SOON = 14 * 86_400
"""Seconds before its end in which a certificate is to be renewed."""
_FIRST_REAL_CLOCK = 1_230_768_000
"""2009: DirectAccess is not older, so an earlier clock of a capture is none."""
_FOR_SERVERS = frozenset(
    {
        *("1.3.6.1.5.5.7.3.1", "2.5.29.37.0"),
        # Of times when only some servers were to have strong ciphers.
        *("1.3.6.1.4.1.311.10.3.3", "2.16.840.1.113730.4.1"),
    }
)
"""Usages with which a client accepts it from a server; the second is any."""
_REVOKED, _EXPIRED, _UNKNOWN, _UNKNOWN_CA = 44, 45, 46, 48
_BAD = 400
_ENDED = frozenset({ConnectionEnd.NO_ANSWER, ConnectionEnd.REFUSED})


def judge_certificate(
    handshake: TLSHandshake,
    target: Target,
    seen: Sequence[Seen],
    certificates: Sequence[Certificate],
    lists: Sequence[RevocationList],
    captures: Sequence[Capture],
) -> Iterator[Finding]:
    """Yield what is wrong with it."""
    leaf = next((c for c in certificates if _is_leaf(c, handshake)), None)
    if leaf is None:
        yield from _by_alert(handshake, target, None, ())
        return
    real = [c for c in certificates if c.purpose == "ssl" and c.store is not Store.CAPTURE]
    genuine = any(c.thumbprint == leaf.thumbprint for c in real)
    found = list(_dates(handshake, target, leaf, captures))
    if not target.linked:
        found += [] if genuine else _strange(handshake, target, leaf, real)
        found += _names(handshake, target, leaf, genuine=genuine)
        found += _usages(handshake, target, leaf)
        found += _revocation(handshake, target, leaf, lists, captures)
    yield from found
    if not found:
        chain = [c for c in certificates if c.thumbprint in handshake.issuers]
        yield from _by_alert(handshake, target, leaf, (*chain, *certificates))
    if not target.reached and not found:
        yield from _lists_missing(handshake, target, leaf, seen)


def _is_leaf(certificate: Certificate, handshake: TLSHandshake) -> bool:
    captured = certificate.store is Store.CAPTURE
    return captured and certificate.thumbprint == handshake.certificate != ""


def _strange(
    handshake: TLSHandshake, target: Target, leaf: Certificate, real: Sequence[Certificate]
) -> Iterator[Finding]:
    """The certificate is of a device that opens TLS."""
    known = [c for c in real if c.issuer]
    other = bool(known) and all(chains.parts(c.issuer) != chains.parts(leaf.issuer) for c in known)
    mark = INSPECTORS.search(leaf.issuer)
    if mark is None and not other:
        return
    sure = mark is not None and other
    yield finding(
        target,
        iphttps.TLS_INSPECTED,
        f"{handshake.server} shows a certificate for {_own(leaf)} that {leaf.issuer} issued.",
        Confidence.CERTAIN if sure else Confidence.LIKELY,
        "the server's own certificate is of another authority"
        if other
        else "devices that open TLS call their authorities so",
        handshake,
        *known[:1],
    )


def _names(
    handshake: TLSHandshake, target: Target, leaf: Certificate, *, genuine: bool
) -> Iterator[Finding]:
    """The certificate is for other names."""
    host = (handshake.server_name or "").lower() or (target.hosts[0] if target.hosts else "")
    names = leaf.names or ((own,) if (own := chains.common_name(leaf.subject)) else ())
    if not host or not names or chains.covers(names, host):
        return
    what = f"{handshake.server} shows a certificate for {', '.join(names[:4])}, not for {host}."
    reason = "name and certificate stand in the capture"
    if not genuine and not related(names, host):
        yield finding(
            target,
            iphttps.WRONG_SERVER,
            what,
            Confidence.LIKELY,
            "none of its names is even of the server's domain",
            handshake,
        )
    yield finding(target, catalogue.NAME_MISMATCH, what, Confidence.CERTAIN, reason, handshake)


def _usages(handshake: TLSHandshake, target: Target, leaf: Certificate) -> Iterator[Finding]:
    """The certificate is not one for servers."""
    if not leaf.usages or _FOR_SERVERS & set(leaf.usages):
        return
    yield finding(
        target,
        catalogue.NO_USABLE_CERT,
        f"The certificate that {handshake.server} shows is not for servers: its usages are "
        f"{', '.join(leaf.usages[:4])}.",
        Confidence.LIKELY,
        "the certificate stands in the capture; clients want server authentication among them",
        handshake,
    )


def _dates(
    handshake: TLSHandshake, target: Target, leaf: Certificate, captures: Sequence[Capture]
) -> Iterator[Finding]:
    now = _clock(captures)
    if now is None or leaf.not_after is None or leaf.not_before is None:
        return
    begins, ends = leaf.not_before.timestamp(), leaf.not_after.timestamp()
    problem: Problem | None = None
    if ends < now and not target.linked:
        problem, what = catalogue.EXPIRED, f"expired on {leaf.not_after:%Y-%m-%d}"
    elif begins > now and not target.linked:
        problem, what = catalogue.NOT_YET_VALID, f"is valid only from {leaf.not_before:%Y-%m-%d} on"
    elif target.reached and 0 <= ends - now < EXPIRES_SOON:
        problem, what = catalogue.EXPIRING, f"expires on {leaf.not_after:%Y-%m-%d}"
    if problem is not None:
        yield finding(
            target,
            problem,
            f"The certificate that {handshake.server} shows {what}.",
            Confidence.CERTAIN,
            "by the clock of the machine that captured",
            handshake,
        )


def _revocation(
    handshake: TLSHandshake,
    target: Target,
    leaf: Certificate,
    lists: Sequence[RevocationList],
    captures: Sequence[Capture],
) -> Iterator[Finding]:
    """The list of its issuer, where it is in the evidence."""
    now = _clock(captures)
    for revocation in lists:
        if not revocation.issuer or chains.parts(revocation.issuer) != chains.parts(leaf.issuer):
            continue
        if leaf.serial and leaf.serial.lstrip("0") in {s.lstrip("0") for s in revocation.revoked}:
            yield finding(
                target,
                catalogue.REVOKED,
                f"The list of {revocation.issuer} names the certificate that {handshake.server} "
                "shows.",
                Confidence.CERTAIN,
                "list and certificate stand in the evidence",
                revocation,
                handshake,
            )
        until = revocation.next_update
        if now is not None and until is not None and until.timestamp() < now:
            yield finding(
                target,
                catalogue.CRL_EXPIRED,
                f"The list of {revocation.issuer} was valid until {until:%Y-%m-%d}.",
                Confidence.LIKELY,
                "it was out of date when this was captured",
                revocation,
                handshake,
            )


def _by_alert(
    handshake: TLSHandshake,
    target: Target,
    leaf: Certificate | None,
    others: Sequence[Certificate],
) -> Iterator[Finding]:
    """The client says itself what it has against the certificate."""
    if handshake.alert_by_server is not False or handshake.stage is TLSStage.CLIENT_HELLO:
        return
    problem = {
        _REVOKED: catalogue.REVOKED,
        _EXPIRED: catalogue.EXPIRED,
        _UNKNOWN_CA: catalogue.UNTRUSTED_ROOT,
    }.get(handshake.alert or 0)
    if problem is None or target.reached:
        return
    reason = "the client's alert says so"
    if problem is catalogue.UNTRUSTED_ROOT and leaf is not None and not handshake.issuers:
        above = [c for c in others if chains.parts(c.subject) == chains.parts(leaf.issuer)]
        if not leaf.self_signed and any(c.self_signed is False for c in above):
            problem = catalogue.INTERMEDIATE_MISSING
            reason = "the client knows no issuer, and the one there is no root and was not sent"
    issuer = f" of {leaf.issuer}" if leaf is not None else ""
    yield finding(
        target,
        problem,
        f"The client refuses the certificate{issuer} that {handshake.server} shows.",
        Confidence.CERTAIN,
        reason,
        handshake,
    )


def _lists_missing(
    handshake: TLSHandshake, target: Target, leaf: Certificate, seen: Sequence[Seen]
) -> Iterator[Finding]:
    """The client goes away after the certificate: can it look whether that was revoked?"""
    gone = handshake.ended_by_server is False and handshake.alert in (None, _UNKNOWN)
    if (
        not gone
        or handshake.incomplete
        or handshake.stage in (TLSStage.CLIENT_HELLO, TLSStage.SERVER_HELLO)
    ):
        return
    urls = [url for url in leaf.crl_urls or () if url.lower().startswith("http:")]
    if leaf.crl_urls is not None and not urls and not leaf.self_signed:
        yield finding(
            target,
            catalogue.NO_CRL_DISTRIBUTION_POINT,
            f"The certificate that {handshake.server} shows names no list that can be fetched by "
            "http, and the client goes away.",
            Confidence.LIKELY,
            "a client does that when it cannot check revocation",
            handshake,
        )
    for url in urls:
        failure = _failure_of(url, seen)
        if failure is not None:
            what, fact = failure
            sure, why = target.sure(Confidence.LIKELY, "the client goes away after the certificate")
            yield Finding(
                problem=catalogue.CRL_UNREACHABLE,
                summary=f"The revocation list at {url} cannot be fetched: {what}.",
                confidence=sure,
                reason=why,
                evidence=(fact.source, handshake.source),
                values=(("CRL_URL", url),),
            )


def _failure_of(url: str, seen: Sequence[Seen]) -> tuple[str, Seen] | None:
    """Return why a list did not come; None where it did, or nobody asked."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    asked = [
        fact
        for fact in seen
        if isinstance(fact, HTTPExchange)
        and fact.host.lower().partition(":")[0] == host
        and fact.target.endswith(parts.path)
    ]
    if any(fact.status is not None and fact.status < _BAD for fact in asked):
        return None
    for answer in asked:
        if answer.status is not None:
            return f"the answer is {answer.status}", answer
    lookups = [f for f in seen if isinstance(f, DNSExchange) and f.name.lower() == host]
    addresses = {address for fact in lookups for address in fact.addresses}
    if lookups and not addresses and any(fact.code for fact in lookups):
        return f"{host} has no address", lookups[0]
    for fact in seen:
        if isinstance(fact, TCPConnection) and fact.server in addresses and fact.end in _ENDED:
            return f"{fact.server} gives {fact.end}", fact
    return None


def _clock(captures: Sequence[Capture]) -> float | None:
    """Return when the last packet came, where that is a time at all."""
    times = [capture.ended for capture in captures if capture.ended is not None]
    return max((at for at in times if at > _FIRST_REAL_CLOCK), default=None)


def _own(certificate: Certificate) -> str:
    return ", ".join((certificate.names or ())[:2]) or certificate.subject
