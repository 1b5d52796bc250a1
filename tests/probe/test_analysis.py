"""Judging: what was seen, and the problems it leads to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.probe.probe_world import NOW, make
from throughway.model.evidence import Source
from throughway.model.findings import Confidence
from throughway.model.network import NAT
from throughway.model.probing import (
    AdvertisementSeen,
    ChainSeen,
    ConnectionSeen,
    HTTPSeen,
    NameSeen,
    PointSeen,
    PointState,
    PrefixSeen,
    ProbeSeen,
    Target,
    TeredoSeen,
    Trouble,
    VersionSeen,
)
from throughway.model.revocation import Fault
from throughway.probe.analysis.certificates import see_certificate, see_chain
from throughway.probe.analysis.folding import advice_for, fold, found
from throughway.probe.analysis.hellos import (
    MAXIMUM_SUITES,
    Answer,
    Hunt,
    Kind,
    is_whole,
    read_answer,
)
from throughway.probe.analysis.link import MAXIMUM_STREAM, Inlet
from throughway.probe.analysis.teredo import classify, successor
from throughway.probe.analysis.verdict import could_tell, exit_code, judge, remarks
from throughway.wire.tls_offer import TLS10, TLS12, TLS13

HOST = "da.example.com"
TARGET = Target(url=f"https://{HOST}/IPHTTPS", host=HOST, port=443, path="/IPHTTPS")
PUBLIC, SECOND = "131.107.0.2", "131.107.0.3"
ADVERTISED = AdvertisementSeen(
    router="fe80::1",
    router_lifetime=0,
    mtu=1280,
    prefixes=(
        PrefixSeen(
            prefix="2001:db8::/64", autonomous=True, on_link=True, valid=7200, preferred=3600
        ),
    ),
    routes=("2001:db8:c0::/48",),
    dns=(),
)
OPENED = HTTPSeen(
    address=PUBLIC, tls="TLSv1.2", status=200, accepted=True, advertisement=ADVERTISED, packets=1
)
SPOKEN = VersionSeen(version="TLS 1.2", spoken=True, complete=True)
WELL = ProbeSeen(
    target=TARGET,
    at=NOW,
    names=(NameSeen(family="ipv4", addresses=(PUBLIC,), seconds=0.01),),
    connections=(ConnectionSeen(address=PUBLIC, port=443, seconds=0.01),),
    versions=(SPOKEN,),
    http=(OPENED,),
)


def codes(seen: ProbeSeen) -> list[str]:
    return [each.finding.problem.code for each in judge(seen)]


def test_well() -> None:
    assert codes(WELL) == []
    assert exit_code(WELL, ()) == 0


def connection(problem: str, address: str = PUBLIC) -> ConnectionSeen:
    trouble = Trouble(words="it does not", problem=problem)
    return ConnectionSeen(address=address, port=443, seconds=1, trouble=trouble)


def test_one_dead_address_of_two_is_a_finding_and_no_way_of_our_own_is_none() -> None:
    dead = connection("iphttps-port-blocked", SECOND)
    seen = replace(WELL, connections=(*WELL.connections, dead))
    assert codes(seen) == ["iphttps-port-blocked"]
    assert "1 of 2 addresses answer" in judge(seen)[0].finding.summary
    ours = connection("internet-down", "2001:db8::1")
    seen = replace(WELL, connections=(*WELL.connections, ours))
    assert codes(seen) == []
    assert any("2001:db8::1 was not tried" in remark for remark in remarks(seen))


def test_without_any_way_nothing_is_known_of_the_server() -> None:
    seen = replace(WELL, connections=(connection("internet-down"),), versions=(), http=())
    assert not could_tell(seen)
    assert codes(seen) == ["internet-down"]
    assert exit_code(seen, judge(seen)) == 3


def test_names() -> None:
    trouble = Trouble(words="the name does not exist", windows_code=0x2AF9)
    nameless = ProbeSeen(
        target=TARGET, at=NOW, names=(NameSeen(family="ipv4", seconds=1, trouble=trouble),)
    )
    assert codes(nameless) == ["iphttps-name-unresolvable"]
    assert exit_code(nameless, judge(nameless)) == 1
    mute = replace(nameless, names=(NameSeen(family="ipv4", seconds=5, trouble=Trouble(words="")),))
    assert exit_code(mute, judge(mute)) == 3
    private = replace(WELL, names=(NameSeen(family="ipv4", addresses=("10.0.0.1",)),))
    assert codes(private) == ["iphttps-name-leads-inside"]
    assert judge(private)[0].finding.confidence is Confidence.POSSIBLE


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("it closes the connection", "iphttps-connection-reset"),
        ("it does not speak TLS: SSH", "iphttps-wrong-server"),
        ("alert handshake_failure", "iphttps-tls-handshake-failed"),
    ],
)
def test_no_tls(words: str, code: str) -> None:
    refused = VersionSeen(version="TLS 1.2", spoken=False, complete=True, words=words)
    assert codes(replace(WELL, versions=(refused,), http=())) == [code]


@pytest.mark.parametrize(
    ("http", "code"),
    [
        (replace(OPENED, advertisement=None), "iphttps-no-router-advertisement"),
        (replace(OPENED, advertisement=None, not_ipv6="x"), "iphttps-wrong-server"),
        (
            replace(OPENED, advertisement=replace(ADVERTISED, prefixes=())),
            "iphttps-no-global-address",
        ),
        (
            replace(OPENED, advertisement=replace(ADVERTISED, routes=())),
            "iphttps-route-unpublished",
        ),
        (HTTPSeen(address=PUBLIC, status=503, server="throughway"), "iphttps-http-refused"),
        (HTTPSeen(address=PUBLIC, status=404, server="nginx"), "iphttps-wrong-server"),
        (HTTPSeen(address=PUBLIC, status=407), "proxy-authentication-required"),
        (HTTPSeen(address=PUBLIC, status=511), "captive-portal"),
        (
            HTTPSeen(address=PUBLIC, status=301, location=f"https://{HOST}/login"),
            "iphttps-wrong-server",
        ),
    ],
)
def test_http(http: HTTPSeen, code: str) -> None:
    assert codes(replace(WELL, http=(http,))) == [code]


def test_a_portal_shows_a_certificate_of_its_own() -> None:
    http = HTTPSeen(address=PUBLIC, status=302, location="http://portal.hotel.test/")
    portal = make("portal.hotel.test", names=["portal.hotel.test"], crl=["http://x.test/"])
    chain = see_chain(PUBLIC, (der(portal.certificate),), HOST, (), NOW).seen
    seen = replace(WELL, http=(http,), chains=(chain,))
    assert "captive-portal" in {
        f.problem.code for each in judge(seen) for f in (each.finding, *each.consequences)
    }


def der(certificate: object) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    data: bytes = certificate.public_bytes(Encoding.DER)  # type: ignore[attr-defined]
    return data


def test_expiry_is_judged_by_the_length_of_the_life() -> None:
    """A certificate of a week is renewed in its last day, one of a year in its last month."""
    root = make("Root", ca=True)
    for begins, ends, soon in ((-6, 1, True), (-3, 4, False), (-300, 20, True), (-300, 60, False)):
        leaf = make(
            HOST,
            root,
            names=[HOST],
            begins=timedelta(days=begins),
            ends=timedelta(days=ends, hours=1 if ends > 1 else 0),
            crl=["http://crl.test/"],
        )
        chain = see_chain(PUBLIC, (der(leaf.certificate),), HOST, (root.certificate,), NOW).seen
        assert codes(replace(WELL, chains=(chain,))) == (["iphttps-cert-expiring"] if soon else [])


def point(kind: str, fault: Fault | None = None, url: str = "http://crl.test/") -> PointSeen:
    states = {None: PointState.GOOD, Fault.REVOKED: PointState.REVOKED}
    state = states.get(fault, PointState.USELESS)
    return PointSeen(kind=kind, url=url, subject=HOST, leaf=True, state=state, fault=fault)


AWAY, SILENT, NOWHERE = Fault.UNREACHABLE, Fault.OCSP_UNREACHABLE, Fault.NO_POINT
MISSING = Fault.DELTA_MISSING


@pytest.mark.parametrize(
    ("points", "expected", "sure"),
    [
        ((point("crl"), point("ocsp", SILENT)), [], None),
        ((point("crl"), point("ocsp", Fault.OCSP_UNKNOWN)), ["iphttps-ocsp-unknown"], None),
        ((point("ocsp", SILENT),), ["iphttps-ocsp-unreachable"], Confidence.CERTAIN),
        ((point("crl", AWAY),), ["iphttps-crl-unreachable"], Confidence.CERTAIN),
        ((point("crl"), point("delta", MISSING)), ["iphttps-delta-crl-missing"], None),
        (
            (point("crl"), point("crl", AWAY, "http://b/")),
            ["iphttps-crl-unreachable"],
            Confidence.POSSIBLE,
        ),
        ((point("crl"), point("crl", NOWHERE, "ldap:///")), [], None),
        (
            (point("crl", NOWHERE, "ldap:///"),),
            ["iphttps-cert-revocation-uncheckable"],
            Confidence.CERTAIN,
        ),
        ((point("delta", Fault.EXPIRED),), ["iphttps-crl-expired"], None),
        ((point("ocsp", Fault.REVOKED), point("crl")), ["iphttps-cert-revoked"], None),
    ],
)
def test_revocation(
    points: tuple[PointSeen, ...], expected: list[str], sure: Confidence | None
) -> None:
    seen = replace(WELL, revocation=points)
    assert codes(seen) == expected
    if sure is not None:
        assert judge(seen)[0].finding.confidence is sure


def test_a_teredo_server_with_one_address() -> None:
    first = TeredoSeen(address=PUBLIC, cone=False, answered=True, answered_from=PUBLIC)
    second = TeredoSeen(address=SECOND, cone=False, answered=False)
    assert codes(replace(WELL, teredo=(first, second))) == ["teredo-second-address-missing"]
    both = (first, replace(second, answered=True))
    assert codes(replace(WELL, teredo=both)) == []
    assert codes(replace(WELL, teredo=(replace(first, answered=False), second))) == []


def test_what_an_asking_server_breaks_off() -> None:
    broken = HTTPSeen(
        address=PUBLIC, trouble=Trouble(words="x", problem="iphttps-connection-reset")
    )
    chain = ChainSeen(address=PUBLIC, asks_certificate=True)
    seen = replace(WELL, http=(broken,), chains=(chain,))
    assert codes(seen) == ["iphttps-client-cert-required"]
    assert codes(replace(seen, certificate_shown=True)) == ["iphttps-client-cert-rejected"]


@pytest.mark.parametrize(
    ("http", "asks", "shown", "code"),
    [
        (HTTPSeen(address=PUBLIC, status=403), True, False, "iphttps-client-cert-required"),
        (HTTPSeen(address=PUBLIC, status=403), True, True, "iphttps-client-cert-rejected"),
        (HTTPSeen(address=PUBLIC, status=403), False, False, "iphttps-wrong-server"),
        (HTTPSeen(address=PUBLIC, status=404), True, False, "iphttps-wrong-server"),
        # Its page is there without a certificate: the 400 is of the request.
        (
            HTTPSeen(address=PUBLIC, status=400, page_status=200),
            True,
            False,
            "iphttps-wrong-server",
        ),
        (
            HTTPSeen(
                address=PUBLIC,
                status=400,
                page_status=400,
                page_title="400 No required SSL certificate was sent",
            ),
            False,
            False,
            "iphttps-client-cert-required",
        ),
        (
            HTTPSeen(
                address=PUBLIC,
                status=403,
                server="throughway",
                trouble=Trouble(words="x", problem="iphttps-client-cert-rejected"),
            ),
            True,
            True,
            "iphttps-client-cert-rejected",
        ),
    ],
)
def test_what_an_asking_server_answers(http: HTTPSeen, asks: bool, shown: bool, code: str) -> None:
    http = replace(http, asks_certificate=asks)
    assert codes(replace(WELL, http=(http,), certificate_shown=shown)) == [code]


def test_folding() -> None:
    portal = found("captive-portal", "a", "b", step="x")
    name = found("iphttps-name-unresolvable", "a", "b", step="x")
    port = found("iphttps-port-blocked", "a", "b", step="x")
    (judged,) = fold((port, name, portal, portal))
    assert judged.finding is portal
    assert {each.problem.code for each in judged.consequences} == {
        "iphttps-name-unresolvable",
        "iphttps-port-blocked",
    }
    vague = replace(portal, confidence=Confidence.POSSIBLE)
    assert [each.finding for each in fold((port, vague))] == [port, vague]


def test_values_in_commands_are_those_of_the_case_unless_a_shell_would_act() -> None:
    finding = found("iphttps-port-blocked", "a", "b", step="x", values=[("HOST", HOST)])
    assert any(HOST in command for command in advice_for(finding, windows=False).verify)
    assert advice_for(finding, windows=True) != advice_for(finding, windows=False)
    finding = replace(finding, values=(("HOST", "$(reboot)"),), evidence=(Source("x"),))
    assert not any("reboot" in command for command in advice_for(finding, windows=False).verify)


def test_the_hunt() -> None:
    hunt = Hunt(TLS12, (1, 2, 3))
    for suite in (2, 1):
        hunt.take(Answer(kind=Kind.CHOSEN, version=TLS12, suite=suite))
    assert (hunt.left, hunt.found, hunt.over) == ((3,), [2, 1], False)
    hunt.take(Answer(kind=Kind.REFUSED, words="alert"))
    assert (hunt.spoken, hunt.complete, hunt.seen(0).words) == (True, True, "")
    lower = Hunt(TLS13, (0x1301,))
    lower.take(Answer(kind=Kind.CHOSEN, version=TLS10, suite=1))
    assert (lower.spoken, lower.words) == (False, "it offers TLS 1.0 instead")
    liar = Hunt(TLS12, (1,))
    liar.take(Answer(kind=Kind.CHOSEN, version=TLS12, suite=9))
    assert (liar.spoken, liar.over, liar.complete) == (None, True, False)
    endless = Hunt(TLS12, tuple(range(1, 200)))
    while not endless.over:
        endless.take(Answer(kind=Kind.CHOSEN, version=TLS12, suite=endless.left[0]))
    assert len(endless.found) == MAXIMUM_SUITES


def test_answers() -> None:
    assert read_answer(b"", ended=True).kind is Kind.REFUSED
    assert read_answer(b"", ended=False).kind is Kind.SILENT
    assert read_answer(b"HTTP/1.1 400 Bad\r\n").kind is Kind.NOT_TLS
    assert read_answer(bytes.fromhex("15030100020228")).words == "alert handshake_failure"
    assert read_answer(bytes.fromhex("1603030040"), ended=False).kind is Kind.BROKEN


def test_a_stream_without_an_advertisement_is_read_to_its_limit_only() -> None:
    inlet = Inlet()
    packet = bytes([0x60]) + bytes(39)
    while not inlet.over:
        inlet.receive_data(packet * 100)
    assert "no advertisement" in inlet.broken
    assert inlet.packets <= MAXIMUM_STREAM // 40 + 100
    odd = Inlet()
    odd.receive_data(packet + b"<html>")
    assert odd.packets == 1
    assert "not IPv6" in odd.broken


def test_the_kinds_of_nat() -> None:
    local = "192.168.1.2:4000"
    assert classify([], False, local) is NAT.BLOCKED
    assert classify([local, local], True, local) is NAT.NONE
    assert classify(["1.2.3.4:5", "1.2.3.4:6"], False, local) is NAT.SYMMETRIC
    assert classify(["1.2.3.4:5", "1.2.3.4:5"], True, local) is NAT.CONE
    assert classify(["1.2.3.4:5", "1.2.3.4:5"], False, local) is NAT.RESTRICTED
    assert classify(["1.2.3.4:5"], False, local) is NAT.UNKNOWN
    assert successor("131.107.0.2") == "131.107.0.3"
    assert successor("255.255.255.255") == ""


def test_a_chain_that_cannot_be_read() -> None:
    shown = see_chain(PUBLIC, (b"garbage",), HOST, (), NOW)
    assert shown.certificates == ()
    assert shown.seen.unreadable
    assert see_chain(PUBLIC, (), HOST, (), NOW).seen.unreadable == "it shows no certificate"
    assert see_certificate(make("x\x1b[2J").certificate, NOW).subject == "x\ufffd[2J"


def test_a_problem_seen_twice_is_told_once() -> None:
    both = (connection("iphttps-port-blocked"), connection("iphttps-port-blocked", SECOND))
    (judged,) = judge(replace(WELL, connections=both, http=(), versions=()))
    assert judged.finding.summary.count("it does not") == 2
    assert {PUBLIC, SECOND} <= set(judged.finding.summary.split())


def test_a_200_that_goes_wrong_is_told_with_its_reason() -> None:
    trouble = Trouble(words="the head has no end", problem="iphttps-wrong-server")
    http = replace(OPENED, accepted=False, advertisement=None, trouble=trouble)
    (judged,) = judge(replace(WELL, http=(http,)))
    assert judged.finding.problem.code == "iphttps-wrong-server"
    assert judged.finding.summary.endswith("but then: the head has no end.")


def test_a_stranger_s_teredo_server_beside_the_address_says_nothing() -> None:
    own = TeredoSeen(address=PUBLIC, cone=False, answered=False)
    beside = TeredoSeen(address=SECOND, cone=False, answered=True, answered_from=SECOND)
    assert codes(replace(WELL, connections=(), teredo=(own, beside))) == []


def test_the_second_address_of_a_teredo_server_may_be_before_the_first() -> None:
    own = TeredoSeen(address=PUBLIC, cone=False, answered=True, answered_from=PUBLIC)
    cone = replace(own, cone=True, answered_from="131.107.0.1")
    silent = TeredoSeen(address=SECOND, cone=False, answered=False)
    assert codes(replace(WELL, teredo=(own, cone, silent))) == []


def test_commands_go_where_the_probe_went() -> None:
    blocked = replace(WELL, connections=(connection("iphttps-port-blocked"),), versions=())
    for went_to, shown in (
        ("", HOST),
        ("192.0.2.9", "192.0.2.9"),
        ("2001:db8::9", "[2001:db8::9]"),
    ):
        finding = judge(replace(blocked, http=(), went_to=went_to))[0].finding
        verify = advice_for(finding, windows=False).verify[0]
        assert f"-connect {shown}:443 -servername {HOST}" in verify


def test_a_stranger_s_url_is_no_option_of_a_command() -> None:
    """It stands in a command that people paste."""
    url = "http://crl.test/ -o /root/.bashrc"
    given_ = found("iphttps-crl-unreachable", "x", "y", step="crl", values=(("CRL_URL", url),))
    commands = advice_for(given_, windows=False)
    assert not any("bashrc" in command for command in (*commands.fix, *commands.verify))


def test_warnings_without_end_are_no_answer() -> None:
    warning = bytes.fromhex("1503030002015a")
    assert not is_whole(warning * 2, to_the_end=False)
    assert is_whole(warning * 9, to_the_end=False)
    assert read_answer(warning * 9).kind is Kind.REFUSED
