"""From what a probe saw to problems of the catalogue, and to what is merely worth knowing."""

import ipaddress
from collections.abc import Iterator

from throughway.model.findings import Confidence, Finding, Severity
from throughway.model.probing import ConnectionSeen, ProbeSeen, TeredoSeen, VersionSeen
from throughway.probe.analysis.chain_verdict import chain_findings, revocation_findings
from throughway.probe.analysis.folding import Judged, fold, found, target_values
from throughway.probe.analysis.http_verdict import http_findings
from throughway.probe.target import with_tls
from throughway.proto.iphttps.http import MAX_URL
from throughway.wire.private import is_private

WELL = 0
FINDINGS = 1
COULD_NOT_TELL = 3
_OURS = frozenset({"internet-down"})
"""What says something of the network we stand in, and nothing of the server."""
_TLS12 = ("TLS 1.2", "TLS 1.3")


def judge(seen: ProbeSeen) -> tuple[Judged, ...]:
    """Return root causes with their consequences, the weightiest first."""
    findings = [
        *_target(seen),
        *_names(seen),
        *_connections(seen),
        *_tls(seen),
        *chain_findings(seen),
        *revocation_findings(seen),
        *http_findings(seen),
        *_teredo(seen),
    ]
    return fold(findings)


def could_tell(seen: ProbeSeen) -> bool:
    """Whether anything of the server itself was seen, if only that it is not there."""
    if any(c.trouble is None or c.trouble.problem not in _OURS for c in seen.connections):
        return True
    troubles = [name.trouble for name in seen.names]
    return any(t is not None and t.windows_code in (0x2AF9, 0x2AFB) for t in troubles)


def exit_code(seen: ProbeSeen, judged: tuple[Judged, ...]) -> int:
    """Return 0 when nothing is wrong, 1 with findings, 3 when nobody could tell."""
    if not could_tell(seen):
        return COULD_NOT_TELL
    wrong = any(each.finding.problem.severity is not Severity.INFO for each in judged)
    if wrong:
        return FINDINGS
    return WELL if any(h.accepted for h in seen.http) else COULD_NOT_TELL


def remarks(seen: ProbeSeen) -> tuple[str, ...]:
    """Return what is no problem by itself but worth knowing."""
    return (
        *_about_scheme(seen),
        *_about_names(seen),
        *_about_this_network(seen),
        *_about_versions(seen),
        *_about_chains(seen),
        *_about_length(seen),
        *_about_teredo(seen),
        *(f"6to4 was not tried: {s.words}." for s in seen.sixtofour if not s.tried),
        *(f"A proxy is configured ({p}); the probe went past it." for p in seen.proxies),
        *(f"Not finished in time: {s.name}." for s in seen.steps if s.outcome == "unfinished"),
    )


def reached(seen: ProbeSeen) -> tuple[str, ...]:
    """Return the addresses that took a connection."""
    return tuple(c.address for c in seen.connections if c.trouble is None)


def _target(seen: ProbeSeen) -> Iterator[Finding]:
    url = seen.target.url
    if len(url) > MAX_URL:
        words = f"The URL has {len(url)} characters."
        why = f"Windows clients hold {MAX_URL}"
        yield found("iphttps-url-too-long", words, why, step="url", values=target_values(seen))
    if not seen.target.tls and not _opened(seen):
        words = f"{url} is plain HTTP. IP-HTTPS is https, port 443: {with_tls(seen.target)}."
        why = "nobody there opens a session without TLS"
        yield found("iphttps-url-invalid", words, why, step="url", values=target_values(seen))
    if is_address(seen.target.host):
        words = f"The URL names the address {seen.target.host}."
        yield found(
            "iphttps-url-is-ip-address",
            words,
            "an address in the URL cannot be proven by a name in a certificate",
            step="url",
            values=target_values(seen),
        )


def _opened(seen: ProbeSeen) -> bool:
    """Whether there was a session of IP-HTTPS, and not a page of somebody else."""
    return any(http.accepted and not http.not_ipv6 for http in seen.http)


def is_address(host: str) -> bool:
    """Whether the host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_fixed(seen: ProbeSeen) -> bool:
    """Whether no DNS server had a say in where the probe went."""
    return bool(seen.went_to) or is_address(seen.target.host)


def _names(seen: ProbeSeen) -> Iterator[Finding]:
    addresses = [a for name in seen.names for a in name.addresses]
    if seen.names and all(n.seconds or n.trouble or n.addresses for n in seen.names):
        troubles = [n.trouble for n in seen.names if n.trouble is not None]
        if not addresses:
            words = troubles[0].words if troubles else "the name has no address"
            yield found(
                "iphttps-name-unresolvable",
                f"{seen.target.host}: {words}.",
                "the DNS servers of this network were asked for A and AAAA records",
                step="names",
                values=target_values(seen),
            )
    private = [a for a in addresses if is_private(a)]
    if private and len(private) == len(addresses) and not _is_fixed(seen):
        sure = Confidence.POSSIBLE if reached(seen) else Confidence.LIKELY
        yield found(
            "iphttps-name-leads-inside",
            f"{seen.target.host} is {', '.join(private)}, which nobody on the Internet can reach.",
            "all addresses of the name are private ones",
            step="names",
            confidence=sure,
            values=target_values(seen),
        )


def _connections(seen: ProbeSeen) -> Iterator[Finding]:
    failed = [c for c in seen.connections if c.trouble is not None]
    some = len(failed) < len(seen.connections)
    for each in failed:
        assert each.trouble is not None
        ours = each.trouble.problem in _OURS
        if not each.trouble.problem or (ours and (some or _other_reason(failed))):
            continue
        of = f", {len(seen.connections) - len(failed)} of {len(seen.connections)} addresses answer"
        yield found(
            each.trouble.problem,
            f"{each.address} port {each.port}: {each.trouble.words}{of if some else ''}.",
            "it was tried from this computer",
            step="tcp",
            values=target_values(seen),
        )


def _other_reason(failed: list[ConnectionSeen]) -> bool:
    return any(c.trouble is not None and c.trouble.problem not in _OURS for c in failed)


def _tls(seen: ProbeSeen) -> Iterator[Finding]:
    every = (*seen.versions, *seen.null_suites)
    if not every or any(v.spoken for v in every):
        spoken = [v.version for v in every if v.spoken]
        if spoken and not set(spoken) & set(_TLS12) and all(v.complete for v in seen.versions):
            yield found(
                "iphttps-tls-handshake-failed",
                f"The server speaks nothing newer than {spoken[0]}.",
                "clients of today demand TLS 1.2 at least",
                step="tls",
                values=target_values(seen),
            )
        return
    words = sorted({v.words for v in seen.versions if v.words})
    said = "; ".join(words) or "no answer"
    if any(w.startswith("it does not speak TLS") for w in words):
        code, sure = "iphttps-wrong-server", Confidence.CERTAIN
    elif words == ["it closes the connection"]:
        code, sure = "iphttps-connection-reset", Confidence.CERTAIN
    else:
        code = "iphttps-tls-handshake-failed"
        sure = Confidence.CERTAIN if all(v.complete for v in every) else Confidence.LIKELY
    yield found(
        code,
        f"No version of TLS from 1.0 to 1.3 is spoken: {said}.",
        "every suite of every version was offered",
        step="tls",
        confidence=sure,
        values=target_values(seen),
    )


def _teredo(seen: ProbeSeen) -> Iterator[Finding]:
    plain = {t.address: t for t in seen.teredo if not t.cone}
    silent = [a for a, t in plain.items() if not t.answered]
    answering = [a for a, t in plain.items() if t.answered]
    own = {a for name in seen.names for a in name.addresses}
    others = any(t.cone and t.answered_from not in ("", t.address) for t in seen.teredo)
    # What answers beside a silent one may be anybody's; one that answers from another has two.
    if own.issuperset(answering) and answering and silent and not others:
        yield found(
            "teredo-second-address-missing",
            f"A Teredo server answers at {', '.join(answering)}, none at {', '.join(silent)}.",
            "a Teredo server must answer at two addresses in a row",
            step="teredo",
            confidence=Confidence.LIKELY,
            values=target_values(seen),
        )


def _about_scheme(seen: ProbeSeen) -> Iterator[str]:
    if not seen.target.tls and _opened(seen):
        yield f"It was asked without TLS; clients go to {with_tls(seen.target)}."


def _about_names(seen: ProbeSeen) -> Iterator[str]:
    families = {name.family: name for name in seen.names if name.addresses}
    if len(families) == 1 and not _is_fixed(seen):
        family = next(iter(families))
        only = {"ipv4": "IPv4", "ipv6": "IPv6"}[family]
        yield f"{seen.target.host} has {only} addresses only."
    unreachable = [
        c.address
        for c in seen.connections
        if c.trouble is not None and c.trouble.problem in _OURS and reached(seen)
    ]
    for address in unreachable:
        yield f"{address} was not tried: there is no way to it from this computer."


def _about_this_network(seen: ProbeSeen) -> Iterator[str]:
    if seen.connections and not reached(seen):
        command = f"throughway netcheck --gateway {seen.target.host}"
        yield f"Whether this network lets anything through says: {command}"


def _about_versions(seen: ProbeSeen) -> Iterator[str]:
    spoken = [v for v in seen.versions if v.spoken]
    old = [v.version for v in spoken if v.version not in _TLS12]
    if old and len(old) < len(spoken):
        yield f"It still speaks {' and '.join(old)}, which is deprecated (RFC 8996)."
    worn = sorted({s.name for v in spoken for s in v.suites if s.worn_out})
    if worn:
        yield f"It takes suites that nobody should: {', '.join(worn)}."
    yield from _about_null(seen.null_suites, bool(spoken))


def _about_null(null: tuple[VersionSeen, ...], others: bool) -> Iterator[str]:
    taken = sorted({s.name for v in null if v.spoken for s in v.suites})
    if taken:
        yield f"It takes NULL suites ({', '.join(taken)}): Windows clients encrypt once, by IPsec."
    elif null and others and all(v.spoken is False for v in null):
        yield (
            "It takes no NULL suites: clients encrypt twice, TLS around IPsec. That is slower, "
            "not wrong, unless clients are set to NULL suites alone."
        )


def _about_chains(seen: ProbeSeen) -> Iterator[str]:
    leaves = {c.certificates[0].fingerprint for c in seen.chains if c.certificates}
    if len(leaves) > 1:
        yield f"The addresses show {len(leaves)} different certificates."
    for chain in seen.chains[:1]:
        if chain.asks_certificate:
            whom = ", ".join(chain.accepted_authorities[:3]) or "any authority"
            more = len(chain.accepted_authorities) - 3
            rest = f" and {more} more" if more > 0 else ""
            yield f"It asks clients for a certificate, of {whom}{rest}."
        for certificate in chain.certificates[:1]:
            if not certificate.names:
                yield (
                    f"The certificate has no alternative names, only the subject "
                    f"{certificate.subject}; today's clients do not look at that."
                )
    if not seen.revocation_tried:
        yield "Revocation was not asked for, as was wished."


def _about_length(seen: ProbeSeen) -> Iterator[str]:
    if any(http.shorter_length for http in seen.http):
        yield (
            "It answers 400 to the length that [MS-IPHTTPS] names (nginx in mode http does); "
            "clients of ours then name a shorter one, Windows clients do not."
        )


def _about_teredo(seen: ProbeSeen) -> Iterator[str]:
    if not seen.teredo:
        return
    answers = [t for t in seen.teredo if t.answered]
    if not answers:
        asked = ", ".join(dict.fromkeys(t.address for t in seen.teredo))
        yield (
            f"No Teredo server answers at {asked}: there is none, or this network lets no "
            "UDP port 3544 through."
        )
        return
    yield f"A Teredo server answers at {', '.join(_answering(answers))}."


def _answering(answers: list[TeredoSeen]) -> list[str]:
    return sorted({t.address for t in answers if not t.cone} or {t.address for t in answers})
