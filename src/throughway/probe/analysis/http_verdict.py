"""From the answer to the POST, and from what came through the link, to problems."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from throughway.model.findings import Confidence, Finding
from throughway.model.probing import HTTPSeen, ProbeSeen
from throughway.probe.analysis.folding import found, target_values
from throughway.proto.iphttps.http import SERVER
from throughway.wire.http import NETWORK_AUTHENTICATION_REQUIRED, PROXY_AUTHENTICATION_REQUIRED

_BROKEN_OFF = frozenset({"iphttps-connection-reset", "iphttps-tls-handshake-failed"})
_CERTIFICATE = "iphttps-client-cert-required"
_REJECTED = "iphttps-client-cert-rejected"
_BAD_REQUEST = 400
_NOT_WITHOUT = frozenset({_BAD_REQUEST, 403, 495, 496})
"""What devices answer to who shows no certificate, or a bad one: nginx 400 (for 495 and 496, its
own), HAProxy and others 403."""
_OPTIONS = "--certificate FILE --key FILE"


def http_findings(seen: ProbeSeen) -> Iterator[Finding]:
    """Judge each address's answer."""
    for http in seen.http:
        if http.trouble is not None and http.status is None:
            yield from _no_answer(seen, http)
        elif http.accepted:
            yield from _link(seen, http)
        elif http.status is not None:
            yield from _refused(seen, http)


def _found(
    seen: ProbeSeen,
    http: HTTPSeen,
    code: str,
    words: str,
    why: str,
    confidence: Confidence = Confidence.CERTAIN,
) -> Finding:
    step, values = f"https {http.address}", target_values(seen)
    return found(code, words, why, step=step, confidence=confidence, values=values)


def _no_answer(seen: ProbeSeen, http: HTTPSeen) -> Iterator[Finding]:
    trouble = http.trouble
    assert trouble is not None
    asks = _asks(seen, http)
    words = f"{http.address}: {trouble.words}"
    code, why, sure = trouble.problem, "it was tried from this computer", Confidence.CERTAIN
    if asks and code in _BROKEN_OFF:
        code, sure = _CERTIFICATE, Confidence.LIKELY
        why = "it asked for a certificate and broke off"
    if code in (_CERTIFICATE, _REJECTED):
        code = _REJECTED if seen.certificate_shown else _CERTIFICATE
        words = f"{http.address} asks for a client certificate and was shown {_shown(seen)}"
    if not seen.target.tls and code == "iphttps-http-refused":
        why = "plain HTTP was spoken, as the URL says"
    if code:
        yield _found(seen, http, code, f"{words}.", why, sure)


def _link(seen: ProbeSeen, http: HTTPSeen) -> Iterator[Finding]:
    if http.not_ipv6 and http.advertisement is None:
        words = f"{http.address} answers 200, but {http.not_ipv6}."
        why = "the stream of IP-HTTPS holds IPv6 packets and nothing else"
        yield _found(seen, http, "iphttps-wrong-server", words, why)
        return
    if http.advertisement is None:
        words = f"{http.address} opens a session, but no Router Advertisement came."
        why = "one was asked for by a Router Solicitation"
        yield _found(seen, http, "iphttps-no-router-advertisement", words, why, Confidence.LIKELY)
        return
    told = http.advertisement
    if not any(prefix.autonomous and prefix.valid for prefix in told.prefixes):
        words = f"{http.address} advertises no prefix of which a client could form an address."
        why = "so says its Router Advertisement"
        yield _found(seen, http, "iphttps-no-global-address", words, why)
    elif not told.routes and not told.router_lifetime:
        words = f"{http.address} advertises neither a route nor itself as a router."
        why = "so says its Router Advertisement"
        yield _found(seen, http, "iphttps-route-unpublished", words, why)


def _refused(seen: ProbeSeen, http: HTTPSeen) -> Iterator[Finding]:
    by = f" ({http.server})" if http.server else ""
    words = f"{http.address} answers {http.status} {http.reason}".rstrip() + f"{by}."
    if http.trouble is not None and http.trouble.problem in (_CERTIFICATE, _REJECTED):
        words = f"{words[:-1]}: {http.trouble.words}; it was shown {_shown(seen)}."
        yield _found(seen, http, http.trouble.problem, words, "the gateway itself says so")
    elif http.trouble is not None:
        words = f"{http.address} answers {http.status} {http.reason}".rstrip()
        words += f", but then: {http.trouble.words}."
        why = "an IP-HTTPS server's 200 is followed by its packets"
        yield _found(seen, http, "iphttps-wrong-server", words, why, Confidence.LIKELY)
    elif http.status == NETWORK_AUTHENTICATION_REQUIRED:
        yield _found(seen, http, "captive-portal", words, "that is what the status is for")
    elif http.status == PROXY_AUTHENTICATION_REQUIRED:
        why = "that is what the status is for"
        yield _found(seen, http, "proxy-authentication-required", words, why)
    elif http.location:
        yield _redirected(seen, http, http.location)
    elif http.page_status == NETWORK_AUTHENTICATION_REQUIRED:
        words = f"{http.address} answers {http.page_status} when asked for its page."
        yield _found(seen, http, "captive-portal", words, "that is what the status is for")
    elif _elsewhere(seen, http.page_location) and not _proven(seen):
        yield _redirected(seen, http, http.page_location)
    elif http.server != SERVER and _is_for_certificates(seen, http):
        yield _without_certificate(seen, http, words)
    elif http.windows or http.server == SERVER:
        why = "the server is of the right kind: it is the path, its state or a limit"
        yield _found(seen, http, "iphttps-http-refused", words, why)
    else:
        why = "an IP-HTTPS server answers 200, and calls itself otherwise"
        yield _found(seen, http, "iphttps-wrong-server", words, why, Confidence.LIKELY)


def _asks(seen: ProbeSeen, http: HTTPSeen) -> bool:
    return http.asks_certificate or any(chain.asks_certificate for chain in seen.chains)


def _shown(seen: ProbeSeen) -> str:
    """Say which certificate the probe has shown, and how it would show one."""
    if seen.certificate_shown:
        return "the one that was given"
    return f"none (throughway probe {seen.target.url} {_OPTIONS} shows one)"


def _is_for_certificates(seen: ProbeSeen, http: HTTPSeen) -> bool:
    """Whether an answer may be for want of a client certificate."""
    if http.status not in _NOT_WITHOUT or not (_names_certificate(http) or _asks(seen, http)):
        return False
    # 400 has many reasons, but each is one of this request: certificates are wanted for all.
    return http.status != _BAD_REQUEST or http.page_status in (None, _BAD_REQUEST)


def _names_certificate(http: HTTPSeen) -> bool:
    """Whether its page says so, in the words of nginx."""
    return "ssl certificate" in http.page_title.lower()


def _without_certificate(seen: ProbeSeen, http: HTTPSeen, words: str) -> Finding:
    words += f" In TLS it asks for a client certificate, and was shown {_shown(seen)}."
    if _names_certificate(http):
        code, sure = _REJECTED if seen.certificate_shown else _CERTIFICATE, Confidence.CERTAIN
        why = f"its page says: {http.page_title}"
    elif seen.certificate_shown:
        code, sure = _REJECTED, Confidence.POSSIBLE
        why = "it is an answer to certificates that are not accepted, but to wrong paths, too"
    else:
        code, sure = _CERTIFICATE, Confidence.LIKELY
        why = "that is what devices before a gateway answer to who shows none"
    return _found(seen, http, code, words, why, sure)


def _elsewhere(seen: ProbeSeen, location: str) -> bool:
    """Whether a redirect leads to another host."""
    return bool(location) and _host(location) not in ("", seen.target.host)


def _proven(seen: ProbeSeen) -> bool:
    """Whether the server has a certificate for the name."""
    unproven = any(c.covers_host is False or c.trusted is False for c in seen.chains)
    return seen.target.tls and not unproven


def _redirected(seen: ProbeSeen, http: HTTPSeen, location: str) -> Finding:
    words = f"{http.address} answers {http.status}, and sends us to {location}."
    if _elsewhere(seen, location) and not _proven(seen):
        why = "a redirect to another host, without a certificate for the one that was asked"
        return _found(seen, http, "captive-portal", words, why, Confidence.LIKELY)
    why = "an IP-HTTPS server sends nobody elsewhere"
    return _found(seen, http, "iphttps-wrong-server", words, why)


def _host(location: str) -> str:
    try:
        return (urlsplit(location).hostname or "").lower()
    except ValueError:
        return "?"
