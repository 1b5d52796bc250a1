"""Schannel's events count only beside an error of IP-HTTPS that goes with them."""

from dataclasses import replace

import pytest

from throughway.doctor.rules import schannel
from throughway.model.evidence import Role, Source
from throughway.model.facts.events import SCHANNEL, LogEvent
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus
from throughway.model.findings import Confidence

HERE = Source("a")
REFUSED = IPHTTPSInterface(
    source=HERE,
    role=Role.CLIENT,
    url="https://da.example.com:443/IPHTTPS",
    last_error=0x80090326,
    status=IPHTTPSStatus.CONNECTING,
)
SERVER = replace(REFUSED, role=Role.SERVER, last_error=0x490, status=IPHTTPSStatus.DEACTIVATED)


def event(number: int, hour: int = 8, message: str = "", **data: str) -> LogEvent:
    return LogEvent(
        source=HERE,
        provider=SCHANNEL,
        event=number,
        when=f"2024-03-05T{hour:02}:00:00Z",
        data=tuple(data.items()),
        message=message,
    )


def codes(interface: IPHTTPSInterface, *events: LogEvent) -> list[str]:
    found = schannel.client_events(events, (interface,))
    assert all(finding.confidence is Confidence.POSSIBLE for finding in found)
    return [finding.problem.code for finding in found]


@pytest.mark.parametrize(
    ("alert", "code"),
    [
        ("40", "iphttps-tls-handshake-failed"),
        ("70", "iphttps-tls-handshake-failed"),
        ("48", "iphttps-client-cert-rejected"),
        ("116", "iphttps-client-cert-required"),
    ],
)
def test_an_alert_of_the_server(alert: str, code: str) -> None:
    assert codes(REFUSED, event(36887, AlertDesc=alert)) == [code]
    words = f"Es wurde eine schwerwiegende Warnung empfangen. Der Code lautet: {alert}."
    assert codes(REFUSED, event(36887, message=words)) == [code]


def test_the_newest_alert_counts_and_an_unknown_one_says_nothing() -> None:
    old, new = event(36887, 7, AlertDesc="48"), event(36887, 9, AlertDesc="40")
    assert codes(REFUSED, new, old) == ["iphttps-tls-handshake-failed"]
    assert codes(REFUSED, event(36887, AlertDesc="0"), event(36887, message="TLS 1.2")) == []


def test_other_events_of_a_client() -> None:
    assert codes(REFUSED, event(36871, ErrorState="10013")) == ["iphttps-tls-handshake-failed"]
    assert codes(REFUSED, event(36882)) == ["iphttps-cert-untrusted-root"]
    assert codes(REFUSED, event(36874), event(36870)) == []


def test_without_such_an_error_nothing_is_said() -> None:
    events = (event(36887, AlertDesc="48"), event(36871), event(36882))
    assert codes(replace(REFUSED, last_error=0x274C), *events) == []
    assert codes(replace(REFUSED, last_error=0, status=IPHTTPSStatus.ACTIVE), *events) == []
    assert codes(SERVER, *events) == []
    assert schannel.client_events(events, ()) == ()
    trust = replace(REFUSED, last_error=0x800B0109)
    assert codes(trust, *events) == ["iphttps-cert-untrusted-root"]


def test_the_private_key_of_a_server() -> None:
    closed = event(36870, Type="server", ErrorCode="0x8009030d")
    finding = schannel.key_closed((closed,), (SERVER,))
    assert finding is not None
    assert (finding.problem.code, finding.confidence) == (
        "iphttps-no-usable-cert",
        Confidence.POSSIBLE,
    )
    well = replace(SERVER, last_error=0, status=IPHTTPSStatus.ACTIVE)
    assert schannel.key_closed((closed,), (well,)) is None
    assert schannel.key_closed((closed,), (REFUSED,)) is None
    assert schannel.key_closed((event(36871),), (SERVER,)) is None
