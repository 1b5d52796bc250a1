"""A probe as data (schema 1) and as lines for people."""

from collections.abc import Iterator
from typing import Any

from throughway.model.probing import (
    CertificateSeen,
    ChainSeen,
    HTTPSeen,
    PointSeen,
    ProbeSeen,
    VersionSeen,
)
from throughway.probe.analysis.folding import Judged
from throughway.probe.analysis.verdict import could_tell, remarks
from throughway.probe.lines import Line, finding_data, finding_lines

SCHEMA = 1
"""Raised when a key changes its meaning or goes; new keys do not raise it."""
_MAXIMUM_SUITES_SHOWN = 40


def as_data(seen: ProbeSeen, judged: tuple[Judged, ...]) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "schema": SCHEMA,
        "verdict": verdict(seen, judged),
        "diagnosis": [finding_data(each, windows=is_windows(seen)) for each in judged],
        "remarks": remarks(seen),
        "seen": seen,
    }


def is_windows(seen: ProbeSeen) -> bool:
    """Whether the server says that it is Windows."""
    return any(http.windows for http in seen.http)


def verdict(seen: ProbeSeen, judged: tuple[Judged, ...]) -> str:
    """Return the whole in one sentence."""
    name = seen.target.host
    if not could_tell(seen):
        return f"Could not tell anything of {name}: this computer does not get there."
    if judged:
        first = judged[0].finding
        more = f" ({len(judged)} problems)" if len(judged) > 1 else ""
        return f"{name}: {first.problem.title}{more}."
    if any(http.accepted for http in seen.http):
        return f"{name} is an IP-HTTPS server and lets clients in; nothing wrong was seen."
    return f"Could not tell whether {name} is an IP-HTTPS server: the time was up."


def as_lines(seen: ProbeSeen, judged: tuple[Judged, ...]) -> Iterator[Line]:
    """Yield the report for people, unwrapped."""
    style = judged[0].finding.problem.severity.value if judged else "well"
    yield Line(verdict(seen, judged), style)
    yield Line("")
    yield from _server_lines(seen)
    for each in judged:
        yield Line("")
        yield from finding_lines(each, windows=is_windows(seen))
    told = remarks(seen)
    if told:
        yield Line("")
        yield Line("To know:", "bold")
        yield from (Line(remark, "", 1) for remark in told)


def _server_lines(seen: ProbeSeen) -> Iterator[Line]:
    for name in seen.names:
        what = ", ".join(name.addresses) or (name.trouble.words if name.trouble else "none")
        over = f" over {', '.join(name.aliases)}" if name.aliases else ""
        by = f", says {name.server}" if name.server else ""
        kind = {"ipv4": "A", "ipv6": "AAAA"}[name.family]
        yield _row(kind, f"{what}{over}{by}", name.seconds)
    for connection in seen.connections:
        how = connection.trouble.words if connection.trouble else "connected"
        yield _row("TCP", f"{connection.address} port {connection.port}: {how}", connection.seconds)
    yield from (line for version in seen.versions for line in _version_lines(version))
    yield from _null_lines(seen.null_suites)
    yield from (line for chain in seen.chains for line in _chain_lines(chain))
    yield from map(_point_line, seen.revocation)
    yield from (line for http in seen.http for line in _http_lines(http))
    for teredo in seen.teredo:
        if teredo.answered:
            how = f"answers from {teredo.answered_from}, sees us at {teredo.mapping or '?'}"
            yield _row("Teredo", f"{teredo.address} {how}", teredo.seconds)
    for sixtofour in seen.sixtofour:
        if sixtofour.tried:
            how = "answers" if sixtofour.answered else sixtofour.words
            yield _row("6to4", f"{sixtofour.endpoint} {how}", sixtofour.seconds)
    yield Line(f"{'in all':<12} {seen.seconds:.1f} s", "dim")


def _row(label: str, text: str, seconds: float | None = None) -> Line:
    took = f"  ({seconds * 1000:.0f} ms)" if seconds else ""
    return Line(f"{label:<12} {text}{took}")


def _version_lines(version: VersionSeen) -> Iterator[Line]:
    if not version.spoken:
        word = "no" if version.spoken is False else "not known"
        yield _row(version.version, f"{word}: {version.words}" if version.words else word)
        return
    rest = "" if version.complete else f", not all asked for: {version.words}"
    yield _row(version.version, f"yes, {len(version.suites)} suites{rest}", version.seconds)
    for suite in version.suites[:_MAXIMUM_SUITES_SHOWN]:
        mark = " (encrypts nothing)" if suite.null else " (worn out)" if suite.worn_out else ""
        yield Line(f"{'':<12} {suite.name}{mark}", "dim")


def _null_lines(null: tuple[VersionSeen, ...]) -> Iterator[Line]:
    if null:
        taken = list(dict.fromkeys(suite.name for v in null for suite in v.suites))
        unknown = any(version.spoken is None for version in null)
        yield _row("NULL suites", ", ".join(taken) or ("not known" if unknown else "none"))


def _chain_lines(chain: ChainSeen) -> Iterator[Line]:
    if chain.unreadable:
        yield _row("certificate", f"{chain.address}: {chain.unreadable}")
    for number, each in enumerate(chain.certificates):
        yield _row("certificate" if number == 0 else "", _certificate(each))
        if number == 0 and each.names:
            yield Line(f"{'':<12} names: {', '.join(each.names[:10])}")
    if chain.certificates:
        trust = "trusted" if chain.trusted else f"not trusted: {chain.why}"
        named = {True: "the name fits", False: "the name does not fit", None: "no name to compare"}
        yield Line(f"{'':<12} {trust}; {named[chain.covers_host]}")
    if chain.asks_certificate:
        yield Line(f"{'':<12} asks clients for a certificate")


def _certificate(each: CertificateSeen) -> str:
    days = f"{each.days_left} days left" if each.days_left >= 0 else "expired"
    return (
        f"{each.subject}, by {each.issuer}, {each.key}, {each.signature}, "
        f"until {each.not_after:%Y-%m-%d} ({days})"
    )


def _point_line(point: PointSeen) -> Line:
    until = f", until {point.next_update:%Y-%m-%d %H:%M} UTC" if point.next_update else ""
    words = f": {point.words}" if point.words else ""
    return _row(point.kind.upper(), f"{point.url} {point.state.value}{until}{words}", point.seconds)


def _http_lines(http: HTTPSeen) -> Iterator[Line]:
    if http.tls:
        asks = ", asks for a client certificate" if http.asks_certificate else ""
        yield _row("TLS", f"{http.address}: {http.tls}{asks}", http.tls_seconds)
    if http.status is not None:
        server = f", Server: {http.server}" if http.server else ""
        then = f"; then: {http.trouble.words}" if http.trouble is not None else ""
        where = f", to {http.location}" if http.location else ""
        yield _row(
            "POST",
            f"{http.address}: {http.status} {http.reason}{server}{where}{then}",
            http.answer_seconds,
        )
        if http.page_status is not None:
            to = f", to {http.page_location}" if http.page_location else ""
            yield _row("page", f"{http.address}: {http.page_status}{to}")
    elif http.trouble is not None:
        yield _row("POST", f"{http.address}: {http.trouble.words}")
    if (told := http.advertisement) is not None:
        prefixes = ", ".join(prefix.prefix for prefix in told.prefixes) or "no prefix"
        routes = f", routes {', '.join(told.routes)}" if told.routes else ""
        mtu = f", MTU {told.mtu}" if told.mtu else ""
        text = f"{told.router} advertises {prefixes}{routes}{mtu}"
        yield _row("router", text, http.advertisement_seconds)
    elif http.accepted:
        yield _row("router", http.not_ipv6 or "no advertisement came")
