"""Rules about event logs and the log of the connectivity assistant.

A log tells of the past: what a later event takes back is not said.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from throughway.catalogue import internet, iphttps, ipsec, location, names
from throughway.catalogue import teredo as teredo_problems
from throughway.catalogue.iphttps_certificate import NAME_MISMATCH, NO_USABLE_CERT
from throughway.catalogue.on_windows.firewall import KEYING_SERVICE_STOPPED
from throughway.catalogue.windows import describe
from throughway.doctor.rule import Rule
from throughway.doctor.rules import whereabouts
from throughway.doctor.rules.iphttps import host_of
from throughway.doctor.rules.whereabouts import Sign
from throughway.model.evidence import Role
from throughway.model.facts.events import DNS_CLIENT, IPHLPSVC, NCSI, SCHANNEL, SECURITY, LogEvent
from throughway.model.facts.ipsec import (
    Mode,
    NegotiationFailure,
    NegotiationSuccess,
    SecurityAssociation,
)
from throughway.model.facts.names import NCALog, NRPTRule
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus
from throughway.model.findings import Confidence, Finding, Problem

_UNREADABLE_POLICY = 1023
_TIMED_OUT = 1014
_KEYING_STOPPED = 5453
_PROBED, _JUDGED = 4014, 4052
_LOCATED, _LOCATION_FAILED = 4010, 4012
_OTHER_NAME = 36884
_NO_MORE_ITEMS = 0x103
"""What IP-HTTPS says where it finds no certificate that fits its URL."""
_PORTAL = "2"
"""Among the capabilities of 4052: a captive portal."""
_INSIDE = "1"
_CERTIFICATE_ERRORS = frozenset({12037, 12038, 12044, 12045, 12057, 12169, 12170, 12175, 12179})
"""Of WinHTTP, about the certificate of the server."""
_LOW_WORD = 0xFFFF

Logs = tuple[LogEvent, ...]


def negotiation_unanswered(
    failures: tuple[NegotiationFailure, ...],
    successes: tuple[NegotiationSuccess, ...],
    associations: tuple[SecurityAssociation, ...],
) -> Finding | None:
    """Failures in words that are not known, while the other side never sent a cookie."""
    up = {a.remote for a in associations} | {s.remote for s in successes}
    silent = [
        failure
        for failure in failures
        if failure.answered is False
        and failure.error_code is None
        and failure.mode is Mode.MAIN
        and failure.role != "responder"
        and ":" in (failure.remote or "")
        and failure.remote not in up
    ]
    if not silent:
        return None
    return Finding(
        problem=ipsec.NEGOTIATION_TIMEOUT,
        summary=f"{silent[0].remote} never answered a negotiation ({silent[0].reason}).",
        confidence=Confidence.LIKELY,
        reason="the event shows that nothing came from the other side; its words are not known",
        evidence=tuple(failure.source for failure in silent[:3]),
        values=(("ENDPOINT", silent[0].remote or ""),),
    )


def keying_service_stopped(
    events: Logs, successes: tuple[NegotiationSuccess, ...]
) -> Finding | None:
    """Windows itself wrote that negotiations fail because the service does not run."""
    last = _last(events, SECURITY, _KEYING_STOPPED)
    if last is None or any(_later(success.when, last.when) for success in successes):
        return None
    return _finding(
        KEYING_SERVICE_STOPPED,
        last,
        "A negotiation failed because the keying service (IKEEXT) does not run.",
    )


def server_not_started(events: Logs) -> tuple[Finding, ...]:
    """IP Helper could not start its IP-HTTPS or Teredo server, and did not later."""
    found: list[Finding] = []
    for number, started, problem, what in _STARTS:
        last = _last(events, IPHLPSVC, number)
        again = _last(events, IPHLPSVC, started)
        if last is None or (again is not None and not _later(last.when, again.when)):
            continue
        code = _code(last)
        if problem is iphttps.LISTENER_DOWN and code == _NO_MORE_ITEMS:
            problem = NO_USABLE_CERT
        why = f": {describe(code)}" if code else ""
        found.append(_finding(problem, last, f"{what}{why}."))
    return tuple(found)


def policy_unreadable(events: Logs) -> Finding | None:
    """The DNS client could not read a rule of the table."""
    last = _last(events, DNS_CLIENT, _UNREADABLE_POLICY)
    if last is None:
        return None
    rule = last.value("RuleName") or ""
    return _finding(
        names.NRPT_CORRUPT, last, f"The DNS client cannot read the rule {rule}".rstrip() + "."
    )


def inside_names_time_out(
    events: Logs, rules: tuple[NRPTRule, ...], signs: tuple[Sign, ...]
) -> Finding | None:
    """Names that a DirectAccess rule sends inside were asked without an answer."""
    if whereabouts.connected(signs):
        return None
    for event in events:
        if event.provider != DNS_CLIENT or event.event != _TIMED_OUT:
            continue
        name = (event.value("QueryName") or "").lower().rstrip(".")
        rule = next((r for r in rules if r.dns_servers and _covers(r, name)), None)
        if name and rule is not None:
            return Finding(
                problem=names.NRPT_DNS_SERVER_UNREACHABLE,
                summary=f"{name} was asked for, and none of the DNS servers inside answered.",
                confidence=Confidence.POSSIBLE,
                reason="the event says so; it may have been written before a tunnel was up",
                evidence=(event.source, rule.source),
                values=(("DNS", (rule.dns_servers or ("",))[0]),),
            )
    return None


def captive_portal(events: Logs) -> Finding | None:
    """What Windows found last when it looked for the Internet was a portal."""
    probes = [e for e in events if e.provider == NCSI and e.event in {_PROBED, _JUDGED}]
    last = max(probes, key=lambda event: event.when or "", default=None)
    if last is None or not _is_portal(last):
        return None
    return Finding(
        problem=internet.CAPTIVE_PORTAL,
        summary="Windows looked for the Internet and was led to another page.",
        confidence=Confidence.LIKELY,
        reason="the newest event about it says so; somebody may have logged in since",
        evidence=(last.source,),
    )


def location_certificate(events: Logs, signs: tuple[Sign, ...]) -> Finding | None:
    """The question whether the client is inside ended with a certificate."""
    last = _last(events, NCSI, _LOCATION_FAILED)
    located = _last(events, NCSI, _LOCATED)
    if last is None or (_code(last) or 0) & _LOW_WORD not in _CERTIFICATE_ERRORS:
        return None
    found = located is not None and _later(located.when, last.when)
    if found and located is not None and located.value("CorporateLocation") == _INSIDE:
        return None
    host = last.value("ProbeHost") or "the network location server"
    outside = whereabouts.outside(signs) is True and not whereabouts.failing(signs)
    return Finding(
        problem=location.NLS_CERTIFICATE_INVALID,
        summary=f"{host} answered, but its certificate was refused ({describe(_code(last) or 0)}).",
        confidence=Confidence.POSSIBLE if outside else Confidence.LIKELY,
        reason="the event names the certificate; outside another server may have answered",
        evidence=(last.source,),
        values=(("HOST", host),),
    )


def endpoints_silent(log: NCALog, associations: tuple[SecurityAssociation, ...]) -> Finding | None:
    """The assistant pinged the tunnel endpoints, and none answered."""
    if not log.failed_endpoints or log.passed_endpoints or associations:
        return None
    ends = ", ".join(log.failed_endpoints)
    return Finding(
        problem=ipsec.ENDPOINT_UNREACHABLE,
        summary=f"None of the tunnel endpoints ({ends}) answers a ping.",
        confidence=Confidence.LIKELY,
        reason="the assistant's log says so; a filter on pings alone would look the same",
        evidence=(log.source,),
        values=(("ENDPOINT", log.failed_endpoints[0]),),
    )


def certificate_of_another_name(
    events: Logs, interfaces: tuple[IPHTTPSInterface, ...]
) -> Finding | None:
    """Schannel expected the gateway's name on a certificate; other programs' names are theirs."""
    for interface in interfaces:
        host = host_of(interface.url)
        if host is None or interface.status is IPHTTPSStatus.ACTIVE:
            continue
        named = re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", re.IGNORECASE)
        said = [
            event
            for event in events
            if any(named.search(value) for value in (event.message, *dict(event.data).values()))
        ]
        last = _last(said, SCHANNEL, _OTHER_NAME)
        if last is not None:
            what = f"A server showed a certificate that is not for {host}."
            return replace(_finding(NAME_MISMATCH, last, what), values=(("HOST", host),))
    return None


def _last(events: Iterable[LogEvent], provider: str, number: int) -> LogEvent | None:
    """Return the newest of these; of equal ones that which stands last."""
    newest = None
    for event in events:
        if event.provider == provider and event.event == number:
            newest = event if newest is None or not _later(newest.when, event.when) else newest
    return newest


def _later(when: str | None, other: str | None) -> bool:
    """Whether the first time is known to be after the second; both are of one log's form."""
    return when is not None and other is not None and when > other


def _code(event: LogEvent) -> int | None:
    text = event.value("ErrorCode") or event.value("Error") or ""
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10) & 0xFFFFFFFF
    except ValueError:
        return None


def _covers(rule: NRPTRule, name: str) -> bool:
    return any(
        name == space.lower().lstrip(".")
        or (space.startswith(".") and name.endswith(space.lower()))
        for space in rule.namespaces or ()
    )


def _is_portal(event: LogEvent) -> bool:
    if event.event == _JUDGED:
        return event.value("InternetCapabilityIPv4") == _PORTAL
    redirected = (event.value("WebRedirected") or "").lower()
    succeeded = (event.value("Succeeded") or "").lower()
    return redirected in {"true", "1"} and succeeded not in {"true", "1"}


def _finding(problem: Problem, event: LogEvent, summary: str) -> Finding:
    return Finding(
        problem=problem,
        summary=summary,
        confidence=Confidence.LIKELY,
        reason="the newest event about it says so; it may have been mended since",
        evidence=(event.source,),
    )


_STARTS = (
    (4302, 4300, iphttps.LISTENER_DOWN, "The IP-HTTPS server could not be started"),
    (4001, 4000, teredo_problems.SERVER_STOPPED, "The Teredo server could not be started"),
    (
        *(4002, 4000, teredo_problems.SECOND_ADDRESS_MISSING),
        "One of the two addresses of the Teredo server is not valid",
    ),
)

RULES = (
    Rule((ipsec.NEGOTIATION_TIMEOUT,), negotiation_unanswered, Role.CLIENT),
    Rule((KEYING_SERVICE_STOPPED,), keying_service_stopped),
    Rule(
        (
            iphttps.LISTENER_DOWN,
            NO_USABLE_CERT,
            teredo_problems.SERVER_STOPPED,
            teredo_problems.SECOND_ADDRESS_MISSING,
        ),
        server_not_started,
    ),
    Rule((names.NRPT_CORRUPT,), policy_unreadable),
    Rule((names.NRPT_DNS_SERVER_UNREACHABLE,), inside_names_time_out, Role.CLIENT),
    Rule((internet.CAPTIVE_PORTAL,), captive_portal, Role.CLIENT),
    Rule((location.NLS_CERTIFICATE_INVALID,), location_certificate, Role.CLIENT),
    Rule((ipsec.ENDPOINT_UNREACHABLE,), endpoints_silent, Role.CLIENT),
    Rule((NAME_MISMATCH,), certificate_of_another_name, Role.CLIENT),
)
