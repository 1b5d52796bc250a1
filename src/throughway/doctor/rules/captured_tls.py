"""Where the TLS handshake with the IP-HTTPS server breaks, and who breaks it.

Procedure P2: right after ClientHello it is the suites, after ServerHello the certificates.
"""

from collections.abc import Iterator

from throughway.catalogue import iphttps
from throughway.catalogue import iphttps_certificate as certificate
from throughway.doctor.rule import Rule, everywhere
from throughway.doctor.rules.captured_certificates import judge_certificate
from throughway.doctor.rules.targets import Seen, Target, Told, find_target, finding
from throughway.model.facts.capture import NULL_SUITES, Capture, TLSHandshake, TLSStage
from throughway.model.facts.certificates import Certificate, RevocationList
from throughway.model.findings import Confidence, Finding, Problem

_HANDSHAKE_FAILURE, _PROTOCOL_VERSION, _INSUFFICIENT, _UNRECOGNISED_NAME = 40, 70, 71, 112
_REPEATED = 2
"""Times that a ClientHello was sent again before its silence tells."""
_NAMES = {
    10: "unexpected_message",
    20: "bad_record_mac",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    112: "unrecognized_name",
    116: "certificate_required",
}
_VERSIONS = {
    0x0002: "SSL 2.0",
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}
_ABOUT_CLIENT_CERTIFICATE = frozenset(range(41, 50)) | {116}


def handshake_breaks(
    capture: Capture,
    seen: tuple[Seen, ...],
    told: tuple[Told, ...],
    certificates: tuple[Certificate, ...],
    lists: tuple[RevocationList, ...],
) -> tuple[Finding, ...]:
    """Each handshake with the server: what its certificate shows, else where it stopped."""
    target = find_target(seen, told, certificates)
    captures = tuple(fact for fact in seen if isinstance(fact, Capture))
    findings: dict[tuple[Problem, str], Finding] = {}
    for handshake in target.handshakes:
        judged = list(judge_certificate(handshake, target, seen, certificates, lists, captures))
        if not judged and not target.reached:
            judged = list(_broken(handshake, target))
        for found in judged:
            findings.setdefault((found.problem, found.summary), found)
    return tuple(findings.values())


def _broken(handshake: TLSHandshake, target: Target) -> Iterator[Finding]:
    """Yield why a handshake did not come to its end; nothing where the capture ended before."""
    if handshake.finished or (handshake.incomplete and handshake.alert is None):
        return
    if handshake.not_tls:
        yield finding(
            target,
            iphttps.WRONG_SERVER,
            f"{handshake.server} answers the ClientHello with {handshake.not_tls}.",
            Confidence.CERTAIN,
            "what answers does not speak TLS",
            handshake,
        )
    elif handshake.stage is TLSStage.CLIENT_HELLO:
        yield from _after_hello(handshake, target)
    elif handshake.chosen is not None and handshake.chosen not in handshake.offered:
        yield _failed(
            handshake,
            target,
            f"the suite {handshake.chosen:#06x} is chosen, which was not offered",
            "no server does that; a device in between changes the handshake",
        )
    elif handshake.certificate_requested and handshake.alert_by_server is not False:
        yield from _client_certificate(handshake, target)
    elif handshake.alert is not None:
        yield _refused(handshake, target)
    elif handshake.ended_by_server:
        yield _cut_off(handshake, target)
    elif handshake.ended_by_server is False and handshake.stage is TLSStage.CERTIFICATE:
        yield _failed(
            handshake,
            target,
            "the client ends the connection after the server's certificate",
            "it says not why; a client does that when it does not accept the certificate",
        )


def _after_hello(handshake: TLSHandshake, target: Target) -> Iterator[Finding]:
    """It is the suites or versions, or somebody who does not want this connection."""
    alert = handshake.alert
    only_null = bool(handshake.offered) and all(
        suite in NULL_SUITES or suite in (0x00FF, 0x5600) for suite in handshake.offered
    )
    if alert == _UNRECOGNISED_NAME:
        yield finding(
            target,
            iphttps.WRONG_SERVER,
            f"{handshake.server} does not know the name {handshake.server_name or target.host}.",
            Confidence.LIKELY,
            "its alert is unrecognized_name",
            handshake,
        )
    elif alert in (_HANDSHAKE_FAILURE, _INSUFFICIENT) and handshake.null_offered:
        yield _null_missing(handshake, target, "refuses it", only_null=only_null)
    elif alert is not None:
        yield _refused(handshake, target)
    elif handshake.ended_by_server and handshake.null_offered and not handshake.reset_from_between:
        yield _null_missing(handshake, target, "ends the connection", only_null=False)
        yield _cut_off(handshake, target)
    elif handshake.ended_by_server or handshake.reset_from_between:
        yield _cut_off(handshake, target)
    elif handshake.repetitions >= _REPEATED:
        yield _failed(
            handshake,
            target,
            f"the ClientHello gets no answer, although it was sent {handshake.repetitions + 1} "
            "times",
            "TCP was answered and TLS is not: a device that inspects TLS drops it, or the server "
            "behind the one that answers is down",
        )


def _null_missing(
    handshake: TLSHandshake, target: Target, what: str, *, only_null: bool
) -> Finding:
    return finding(
        target,
        iphttps.NULL_SUITES_MISSING,
        f"The client offers {'only ' if only_null else ''}NULL suites"
        f"{'' if only_null else ' among others'}, and {handshake.server} {what} right after the "
        f"ClientHello{_said(handshake)}.",
        Confidence.CERTAIN if only_null else Confidence.LIKELY,
        "the offer and the refusal stand in the capture"
        if only_null
        else "it fails before any certificate is shown, as it does without a common suite",
        handshake,
    )


def _client_certificate(handshake: TLSHandshake, target: Target) -> Iterator[Finding]:
    """The server asked for a certificate."""
    sent, alert = handshake.client_certificate_sent, handshake.alert
    stopped = alert is not None or handshake.ended_by_server
    if sent is False and stopped:
        yield finding(
            target,
            certificate.CLIENT_CERT_REQUIRED,
            f"{handshake.server} asks for a client certificate, the client sends none, and the "
            f"server ends the handshake{_said(handshake)}.",
            Confidence.CERTAIN,
            "request, empty answer and end stand in the capture",
            handshake,
        )
    elif sent is None and handshake.ended_by_server is False:
        yield finding(
            target,
            certificate.CLIENT_CERT_REQUIRED,
            f"{handshake.server} asks for a client certificate, and the client goes away.",
            Confidence.LIKELY,
            "a client does that when it has no certificate that fits",
            handshake,
        )
    elif sent and stopped:
        sure = alert in _ABOUT_CLIENT_CERTIFICATE
        yield finding(
            target,
            certificate.CLIENT_CERT_REJECTED,
            f"{handshake.server} ends the handshake after the client's certificate"
            f"{_said(handshake)}.",
            Confidence.CERTAIN if sure else Confidence.LIKELY,
            "the alert is about the certificate"
            if sure
            else "it was the last that the client had said",
            handshake,
        )
    elif alert is not None:
        yield _refused(handshake, target)
    elif handshake.ended_by_server:
        yield _cut_off(handshake, target)


def _refused(handshake: TLSHandshake, target: Target) -> Finding:
    who = handshake.server if handshake.alert_by_server else "the client"
    versions = [_VERSIONS.get(v, f"{v:#06x}") for v in sorted(handshake.versions)]
    offered = ""
    if handshake.alert == _PROTOCOL_VERSION and versions:
        offered = f"; the client offers {', '.join(versions)}"
    return _failed(
        handshake,
        target,
        f"{who} refuses {handshake.stage}{_said(handshake)}{offered}",
        "the alert stands in the capture",
        Confidence.CERTAIN,
    )


def _cut_off(handshake: TLSHandshake, target: Target) -> Finding:
    between = handshake.reset_from_between
    how = "reset" if handshake.reset else "closed"
    who = "by a device in between" if between else f"by {handshake.server}, as it seems"
    return finding(
        target,
        iphttps.CONNECTION_RESET,
        f"The connection is {how} {handshake.stage}, {who}.",
        Confidence.CERTAIN,
        "hop limit or timing show that the reset is not from the server"
        if between
        else "the end of the connection stands in the capture",
        handshake,
    )


def _failed(
    handshake: TLSHandshake,
    target: Target,
    what: str,
    reason: str,
    confidence: Confidence = Confidence.LIKELY,
) -> Finding:
    summary = f"The handshake with {handshake.server} breaks: {what}."
    return finding(target, iphttps.TLS_HANDSHAKE_FAILED, summary, confidence, reason, handshake)


def _said(handshake: TLSHandshake) -> str:
    if handshake.alert is None:
        return ""
    return f" with the alert {_NAMES.get(handshake.alert, handshake.alert)}"


RULES = everywhere(
    Rule(
        (
            iphttps.WRONG_SERVER,
            iphttps.TLS_INSPECTED,
            iphttps.NULL_SUITES_MISSING,
            iphttps.CONNECTION_RESET,
            iphttps.TLS_HANDSHAKE_FAILED,
            certificate.EXPIRED,
            certificate.NOT_YET_VALID,
            certificate.EXPIRING,
            certificate.NAME_MISMATCH,
            certificate.UNTRUSTED_ROOT,
            certificate.INTERMEDIATE_MISSING,
            certificate.REVOKED,
            certificate.NO_CRL_DISTRIBUTION_POINT,
            certificate.CRL_UNREACHABLE,
            certificate.CRL_EXPIRED,
            certificate.CLIENT_CERT_REQUIRED,
            certificate.CLIENT_CERT_REJECTED,
            certificate.NO_USABLE_CERT,
        ),
        handshake_breaks,
    ),
)
