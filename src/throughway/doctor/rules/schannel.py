"""What Schannel writes about handshakes: it names neither the program nor, mostly, the server.

So an event tells something only beside an error of IP-HTTPS that goes with it, and is then said to
be possible. Of a server's handshakes with strangers (36874, 36887) nothing is said: whoever is
reached from the Internet is tried by many.
"""

import re
from collections.abc import Iterable

from throughway.catalogue import iphttps
from throughway.catalogue import iphttps_certificate as certificate
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role
from throughway.model.facts.events import SCHANNEL, LogEvent
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus
from throughway.model.findings import Confidence, Finding, Problem

_KEY_CLOSED, _NO_CREDENTIAL, _UNTRUSTED, _ALERTED = 36870, 36871, 36882, 36887
_REFUSED = frozenset(
    {0x90320, 0x80090308, 0x8009030C, 0x80090326, 0x80090327, 0x80090331},
)
"""Last errors of IP-HTTPS after which the other side, or nobody, has said why."""
_NOT_TRUSTED = frozenset({0x80090325, 0x80090326, 0x80090327, 0x800B0109})
_ALERTS = {
    **dict.fromkeys((40, 70, 71, 86), iphttps.TLS_HANDSHAKE_FAILED),
    **dict.fromkeys((41, 116), certificate.CLIENT_CERT_REQUIRED),
    **dict.fromkeys((42, 43, 44, 45, 46, 48, 49), certificate.CLIENT_CERT_REJECTED),
}
"""What a server means by them; it judges no other certificate than the client's."""
_NUMBER = re.compile(r"(?<![\w.])(\d{1,3})(?![\w])")


def client_events(
    events: tuple[LogEvent, ...], interfaces: tuple[IPHTTPSInterface, ...]
) -> tuple[Finding, ...]:
    """What was written on a client whose IP-HTTPS fails in TLS."""
    found = []
    for interface in interfaces:
        if interface.status is IPHTTPSStatus.ACTIVE or interface.role is Role.SERVER:
            continue
        if interface.last_error in _REFUSED:
            found += [_alerted(events, interface), _no_credential(events, interface)]
        if interface.last_error in _NOT_TRUSTED:
            what = "Schannel refused a server's certificate, whose authority is not trusted"
            newest = _newest(events, _UNTRUSTED)
            found.append(_finding(certificate.UNTRUSTED_ROOT, newest, interface, what))
    return tuple(finding for finding in found if finding is not None)


def key_closed(
    events: tuple[LogEvent, ...], interfaces: tuple[IPHTTPSInterface, ...]
) -> Finding | None:
    """A server's private key cannot be used, and its IP-HTTPS is not well."""
    newest = _newest(events, _KEY_CLOSED)
    ill = [i for i in interfaces if i.role is Role.SERVER and i.status is not IPHTTPSStatus.ACTIVE]
    if not ill:
        return None
    what = "Schannel could not use the private key of a certificate"
    return _finding(certificate.NO_USABLE_CERT, newest, ill[0], what)


def _alerted(events: Iterable[LogEvent], interface: IPHTTPSInterface) -> Finding | None:
    newest = _newest(events, _ALERTED)
    alert = _alert(newest) if newest else None
    problem = _ALERTS.get(alert or 0)
    if problem is None:
        return None
    return _finding(problem, newest, interface, f"A server ended a handshake with alert {alert}")


def _no_credential(events: Iterable[LogEvent], interface: IPHTTPSInterface) -> Finding | None:
    newest = _newest(events, _NO_CREDENTIAL)
    state = newest.value("ErrorState") if newest else None
    why = f" (state {state})" if state else ""
    what = f"Schannel could not begin a handshake, for want of a version or suite{why}"
    return _finding(iphttps.TLS_HANDSHAKE_FAILED, newest, interface, what)


def _alert(event: LogEvent) -> int | None:
    """Return the alert's number: the one number of the sentence where it has no name."""
    given = event.value("AlertDesc") or ""
    if given.isdecimal():
        return int(given)
    numbers = _NUMBER.findall(event.message)
    return int(numbers[-1]) if numbers else None


def _newest(events: Iterable[LogEvent], number: int) -> LogEvent | None:
    found = [event for event in events if event.provider == SCHANNEL and event.event == number]
    return max(found, key=lambda event: event.when or "", default=None)


def _finding(
    problem: Problem, event: LogEvent | None, interface: IPHTTPSInterface, what: str
) -> Finding | None:
    if event is None:
        return None
    return Finding(
        problem=problem,
        summary=f"{what}, and IP-HTTPS is not active.",
        confidence=Confidence.POSSIBLE,
        reason="the event does not name its program; what IP-HTTPS says goes with it",
        evidence=(event.source, interface.source),
    )


RULES = (
    Rule(
        (
            certificate.CLIENT_CERT_REJECTED,
            certificate.CLIENT_CERT_REQUIRED,
            certificate.UNTRUSTED_ROOT,
            iphttps.TLS_HANDSHAKE_FAILED,
        ),
        client_events,
        Role.CLIENT,
    ),
    Rule((certificate.NO_USABLE_CERT,), key_closed, Role.SERVER),
)
