"""What is concluded from logs: the newest event counts, and what says that it went well."""

from dataclasses import replace

from throughway.catalogue import internet, iphttps, ipsec, location, names
from throughway.catalogue import teredo as teredo_problems
from throughway.catalogue.iphttps_certificate import NAME_MISMATCH, NO_USABLE_CERT
from throughway.catalogue.on_windows.firewall import KEYING_SERVICE_STOPPED
from throughway.doctor.rules import events
from throughway.model.evidence import Source
from throughway.model.facts.events import DNS_CLIENT, IPHLPSVC, NCSI, SCHANNEL, SECURITY, LogEvent
from throughway.model.facts.ipsec import (
    Mode,
    NegotiationFailure,
    NegotiationSuccess,
    SecurityAssociation,
)
from throughway.model.facts.names import DAConnectionStatus, NCALog, NRPTRule, PolicyView
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus
from throughway.model.findings import Confidence, Finding

HERE = Source("a")


def event(provider: str, number: int, hour: int = 8, **data: str) -> LogEvent:
    return LogEvent(
        source=HERE,
        provider=provider,
        event=number,
        when=f"2024-03-05T{hour:02}:00:00Z",
        data=tuple(data.items()),
    )


def code(finding: Finding | None) -> str | None:
    return finding.problem.code if finding else None


def test_a_server_that_did_not_start() -> None:
    failed = event(IPHLPSVC, 4302, ErrorCode="183")
    (finding,) = events.server_not_started((failed,))
    assert finding.problem is iphttps.LISTENER_DOWN
    (finding,) = events.server_not_started((event(IPHLPSVC, 4302, ErrorCode="0x103"),))
    assert finding.problem is NO_USABLE_CERT
    assert events.server_not_started((failed, event(IPHLPSVC, 4300, 9))) == ()
    assert len(events.server_not_started((event(IPHLPSVC, 4300, 7), failed))) == 1
    (finding,) = events.server_not_started((event(IPHLPSVC, 4002),))
    assert finding.problem is teredo_problems.SECOND_ADDRESS_MISSING


def test_a_certificate_of_another_name() -> None:
    interface = IPHTTPSInterface(source=HERE, url="https://DA.example.com:443/IPHTTPS")
    named = event(SCHANNEL, 36884, Name="da.example.com")
    finding = events.certificate_of_another_name((named,), (interface,))
    assert code(finding) == NAME_MISMATCH.code
    assert finding is not None
    assert finding.confidence is Confidence.LIKELY
    said = replace(named, data=(), message="The server name we were expecting is da.example.com.")
    assert code(events.certificate_of_another_name((said,), (interface,))) == NAME_MISMATCH.code
    well = replace(interface, status=IPHTTPSStatus.ACTIVE)
    assert events.certificate_of_another_name((named,), (well,)) is None
    for other in ("www.da.example.com", "da.example.com.cn", "example.com", ""):
        theirs = event(SCHANNEL, 36884, Name=other)
        assert events.certificate_of_another_name((theirs,), (interface,)) is None
    assert events.certificate_of_another_name((event(SCHANNEL, 36888),), (interface,)) is None
    assert events.certificate_of_another_name((named,), ()) is None


def test_the_keying_service() -> None:
    stopped = event(SECURITY, 5453)
    assert code(events.keying_service_stopped((stopped,), ())) == KEYING_SERVICE_STOPPED.code
    later = NegotiationSuccess(source=HERE, mode=Mode.MAIN, when="2024-03-05T09:00:00Z")
    assert events.keying_service_stopped((stopped,), (later,)) is None


def test_a_policy_that_cannot_be_read() -> None:
    bad = event(DNS_CLIENT, 1023, RuleName="DA-{1}", ErrorCode="13")
    finding = events.policy_unreadable((bad,))
    assert code(finding) == names.NRPT_CORRUPT.code
    assert finding is not None
    assert "DA-{1}" in finding.summary
    assert events.policy_unreadable((event(DNS_CLIENT, 1014),)) is None


def test_names_inside_that_time_out() -> None:
    rule = NRPTRule(
        source=HERE,
        view=PolicyView.EFFECTIVE,
        namespaces=(".corp.example.com",),
        dns_servers=("2001:db8:1:3333::1",),
    )
    inside = event(DNS_CLIENT, 1014, QueryName="dc1.corp.example.com.")
    outside = event(DNS_CLIENT, 1014, QueryName="www.example.net")
    finding = events.inside_names_time_out((outside, inside), (rule,), ())
    assert code(finding) == names.NRPT_DNS_SERVER_UNREACHABLE.code
    assert finding is not None
    assert finding.confidence is Confidence.POSSIBLE
    assert events.inside_names_time_out((outside,), (rule,), ()) is None
    connected = DAConnectionStatus(source=HERE, status="ConnectedRemotely")
    assert events.inside_names_time_out((inside,), (rule,), (connected,)) is None


def test_a_portal() -> None:
    redirected = event(NCSI, 4014, Succeeded="false", WebRedirected="true")
    assert code(events.captive_portal((redirected,))) == internet.CAPTIVE_PORTAL.code
    assert events.captive_portal((redirected, event(NCSI, 4014, 9, Succeeded="true"))) is None
    assert events.captive_portal(()) is None


def test_the_certificate_of_the_location_server() -> None:
    refused = event(NCSI, 4012, ProbeHost="nls.corp.example.com", ErrorCode="12175")
    finding = events.location_certificate((refused,), ())
    assert code(finding) == location.NLS_CERTIFICATE_INVALID.code
    unreached = event(NCSI, 4012, ProbeHost="nls.corp.example.com", ErrorCode="12007")
    assert events.location_certificate((unreached,), ()) is None
    inside = event(NCSI, 4010, 9, CorporateLocation="1")
    assert events.location_certificate((refused, inside), ()) is None


def test_a_negotiation_in_words_that_are_not_known() -> None:
    failure = NegotiationFailure(
        source=HERE,
        mode=Mode.MAIN,
        remote="2001:db8:7::1",
        role="initiator",
        reason="Neuvottelu",
        answered=False,
    )
    assert code(events.negotiation_unanswered((failure,), (), ())) == ipsec.NEGOTIATION_TIMEOUT.code
    up = SecurityAssociation(source=HERE, mode=Mode.MAIN, remote="2001:db8:7::1")
    assert events.negotiation_unanswered((failure,), (), (up,)) is None


def test_endpoints_that_are_silent() -> None:
    log = NCALog(source=HERE, failed_endpoints=("2002:836b:2::836b:2",))
    assert code(events.endpoints_silent(log, ())) == ipsec.ENDPOINT_UNREACHABLE.code
    one = NCALog(source=HERE, failed_endpoints=("2001:db8::1",), passed_endpoints=("2001:db8::2",))
    assert events.endpoints_silent(one, ()) is None
