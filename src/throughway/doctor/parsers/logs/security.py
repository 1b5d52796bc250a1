"""Security events about IPsec negotiations, 4650 to 4654, 4979 to 4984 and 5451.

The data have names in the log itself; a text has them as labels, which Windows translates, in an
order that is fixed for each event. Most values are numbers of words (``%%8205`` initiator).
"""

from collections.abc import Iterator, Sequence

from throughway.doctor.parsers.forms import labelled, numbers
from throughway.doctor.parsers.logs.event import Data, Event
from throughway.doctor.parsers.logs.reasons import code_of
from throughway.model.facts.base import Fact
from throughway.model.facts.ipsec import Mode, NegotiationFailure, NegotiationSuccess

FAILURES = {
    4652: Mode.MAIN,
    4653: Mode.MAIN,
    4654: Mode.QUICK,
    4983: Mode.EXTENDED,
    4984: Mode.EXTENDED,
}
SUCCESSES = {
    4650: Mode.MAIN,
    4651: Mode.MAIN,
    4979: Mode.EXTENDED,
    4980: Mode.EXTENDED,
    4981: Mode.EXTENDED,
    4982: Mode.EXTENDED,
    5451: Mode.QUICK,
}
KNOWN = frozenset({*FAILURES, *SUCCESSES})
_HEADING = ""
_ENDPOINTS = (
    *(_HEADING, "LocalName", "LocalAddress", "LocalKeyModPort"),
    *(_HEADING, "RemoteName", "RemoteAddress", "RemoteKeyModPort"),
)
_FAILURE = (_HEADING, "FailurePoint", "FailureReason", "State")
_COOKIES = ("InitiatorCookie", "ResponderCookie")
_QUICK = (
    *(_HEADING, "LocalAddress", "LocalMask", "LocalPort", "LocalTunnelEndpoint"),
    *(_HEADING, "RemoteAddress", "RemoteMask", "RemotePort", "RemoteTunnelEndpoint", "Private"),
)
_QUICK_FAILURE = (_HEADING, "State", "MessageID", "FailurePoint", "FailureReason")
_ORDERS: dict[int, tuple[tuple[str, ...], ...]] = {
    4652: (
        (
            *(_HEADING, "LocalName", "LocalAddress", "LocalKeyModPort"),
            *(_HEADING, "LocalCertificate", "LocalIssuer", "LocalRoot"),
            *(_HEADING, "RemoteName", "RemoteAddress", "RemoteKeyModPort"),
            *(_HEADING, "RemoteCertificate", "RemoteIssuer", "RemoteRoot"),
            *(_HEADING, "KeyModName", "AuthMethod", "Role", "Impersonation", "MMFilterID"),
            *_FAILURE,
            *_COOKIES,
        ),
    ),
    4653: (
        (
            *_ENDPOINTS,
            *(_HEADING, "KeyModName", "AuthMethod", "Role", "Impersonation", "MMFilterID"),
            *_FAILURE,
            *_COOKIES,
        ),
    ),
    4654: (
        (
            *_QUICK,
            *(_HEADING, "Protocol", "KeyModName", "TunnelId", "TrafficSelectorId"),
            *("Mode", "Role", "QMFilterID", "MMSAID"),
            *_QUICK_FAILURE,
        ),
        (
            *_QUICK,
            *(_HEADING, "Protocol", "KeyModName", "Mode", "Role", "QMFilterID", "MMSAID"),
            *_QUICK_FAILURE,
        ),
    ),
    4984: (
        (
            *_ENDPOINTS,
            *(_HEADING, "KeyModName", "AuthMethod", "Role", "Impersonation", "QMFilterID"),
            *_FAILURE,
        ),
    ),
}
"""What stands on each line of the text, headings among them."""
_LABELS = {
    "local principal name": "LocalName",
    "authentication method": "AuthMethod",
    "failure point": "FailurePoint",
    "failure reason": "FailureReason",
    "role": "Role",
    "state": "State",
    "initiator cookie": "InitiatorCookie",
    "responder cookie": "ResponderCookie",
}
_TWICE = {
    "principal name": ("LocalName", "RemoteName"),
    "network address": ("LocalAddress", "RemoteAddress"),
    "tunnel endpoint": ("LocalTunnelEndpoint", "RemoteTunnelEndpoint"),
    "sha thumbprint": ("LocalCertificate", "RemoteCertificate"),
}
_NAMES = {
    "LocalName": ("LocalMMPrincipalName", "LocalEMPrincipalName"),
    "RemoteName": ("RemoteMMPrincipalName", "RemoteEMPrincipalName"),
    "AuthMethod": ("EMAuthMethod", "MMAuthMethod"),
    "LocalCertificate": ("LocalMMCertHash", "LocalEMCertHash"),
    "RemoteCertificate": ("RemoteMMCertHash", "RemoteEMCertHash"),
}
"""Names in the log for what the text calls by one."""
_WORDS = {
    "%%8199": "local",
    "%%8200": "remote",
    "%%8205": "initiator",
    "%%8206": "responder",
    "%%8192": "kerberos",
    "%%8193": "preshared key",
    "%%8224": "anonymous",
    "%%8225": "ntlm",
    "%%8226": "cga",
    "%%8227": "certificate",
    "%%8228": "ssl",
    "%%8238": "certificate",
    "%%8239": "certificate",
}
_POINTS = (
    ("local", ("local", "lokal", "\u672c\u5730", "\u672c\u6a5f")),
    ("remote", ("remote", "distant", "remoto", "\u8fdc\u7a0b", "\u9060\u7aef")),
)
_ROLES = (
    ("initiator", ("initiat", "iniciador", "\u53d1\u8d77", "\u555f\u59cb")),
    ("responder", ("respond", "r\u00e9pond", "antwort", "\u54cd\u5e94", "\u56de\u61c9")),
)
_METHODS = (
    ("kerberos", ("kerberos",)),
    ("ntlm", ("ntlm",)),
    ("certificate", ("certific", "zertifikat", "\u8bc1\u4e66", "\u6191\u8b49")),
)
_ENDS = ("LocalAddress", "RemoteAddress")
_COOKIE = 16
"""Hexadecimal digits of a cookie."""


def meaning(event: Event) -> Iterator[Fact]:
    """Yield what an event says of a negotiation."""
    if event.number in SUCCESSES:
        yield NegotiationSuccess(
            source=event.source,
            mode=SUCCESSES[event.number],
            event=event.number,
            when=event.when,
            local=_address(event, "LocalTunnelEndpoint", "LocalAddress"),
            remote=_address(event, "RemoteTunnelEndpoint", "RemoteAddress"),
            authentication=_word(_value(event, "AuthMethod"), _METHODS) or "",
        )
    elif event.number in FAILURES:
        yield _failure(event)


def _failure(event: Event) -> NegotiationFailure:
    reason = _value(event, "FailureReason")
    return NegotiationFailure(
        source=event.source,
        mode=FAILURES[event.number],
        event=event.number,
        when=event.when,
        local=_address(event, "LocalTunnelEndpoint", "LocalAddress"),
        remote=_address(event, "RemoteTunnelEndpoint", "RemoteAddress"),
        error_code=code_of(reason),
        reason=reason,
        failure_point=_word(_value(event, "FailurePoint"), _POINTS),
        state=_value(event, "State"),
        role=_word(_value(event, "Role"), _ROLES),
        authentication=_word(_value(event, "AuthMethod"), _METHODS) or "",
        local_certificate=_value(event, "LocalCertificate"),
        remote_certificate=_value(event, "RemoteCertificate"),
        local_name=_value(event, "LocalName"),
        remote_name=_value(event, "RemoteName"),
        answered=_answered(_value(event, "ResponderCookie")),
    )


def _value(event: Event, name: str) -> str:
    return event.value(name, *_NAMES.get(name, ()))


def _address(event: Event, *names: str) -> str | None:
    """Return the first that is an address of a machine, not of none."""
    found = (numbers.address(event.value(name)) for name in names)
    return next((address for address in found if address not in {None, "::", "0.0.0.0"}), None)


def _word(value: str, known: Sequence[tuple[str, tuple[str, ...]]]) -> str | None:
    if value in _WORDS:
        return _WORDS[value]
    lowered = value.lower()
    return next((word for word, parts in known if any(p in lowered for p in parts)), None)


def _answered(cookie: str) -> bool | None:
    if len(cookie) != _COOKIE or not all(c in "0123456789abcdefABCDEF" for c in cookie):
        return None
    return cookie.strip("0") != ""


def data_of_text(number: int, lines: Sequence[str]) -> Data:
    """Return the data which the text of an event holds: by label, else by the order of lines."""
    found = [line for text in lines if (line := labelled.split(0, text)).label]
    by_label = _by_label(found)
    if "FailureReason" in by_label or "RemoteAddress" in by_label:
        return tuple(by_label.items())
    for order in _ORDERS.get(number, ()):
        fits = len(found) == len(order) and all(
            bool(name) or not line.value for name, line in zip(order, found, strict=True)
        )
        if fits:
            pairs = zip(order, found, strict=True)
            return tuple((name, line.value) for name, line in pairs if name)
    return _by_form(found) if number in SUCCESSES else ()


def _by_label(found: Sequence[labelled.Line]) -> dict[str, str]:
    by_label: dict[str, str] = {}
    for line in found:
        label = line.label.lower()
        if label in _LABELS:
            by_label.setdefault(_LABELS[label], line.value)
        for name in _TWICE.get(label, ()):
            if name not in by_label:
                by_label[name] = line.value
                break
    return by_label


def _by_form(found: Sequence[labelled.Line]) -> Data:
    """Both ends stand in every success, this one first."""
    ends = [line.value for line in found if numbers.address(line.value)]
    return (
        tuple(zip(("LocalAddress", "RemoteAddress"), ends, strict=False)) if len(ends) == 2 else ()
    )
