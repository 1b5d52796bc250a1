"""Whatever a server, a responder or a network answers: a judgement, never a crash, in bounds."""

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.probe.probe_world import NOW, make, make_crl
from tests.probe.test_fetching import GOOD, LEAF, ROOT, ocsp_answer, question
from throughway.model.probing import HTTPSeen, PointState, ProbeSeen, VersionSeen
from throughway.probe.analysis.certificates import see_chain
from throughway.probe.analysis.hellos import Answer, Hunt, Kind, is_whole, read_answer
from throughway.probe.analysis.link import Inlet
from throughway.probe.analysis.revocation import further, judge, questions, web_address
from throughway.probe.analysis.teredo import build_solicitation, read_advertisement
from throughway.probe.analysis.verdict import judge as judge_probe
from throughway.probe.analysis.verdict import remarks
from throughway.probe.lines import plain
from throughway.probe.report import as_data, as_lines
from throughway.probe.target import parse_target
from throughway.wire.tls_handshake import CertificateRequest
from throughway.wire.tls_offer import TLS12, suites_for

VECTORS = Path(__file__).parent.parent / "vectors" / "tls"
SERVERS = [path.read_bytes()[:20000] for path in sorted(VECTORS.glob("*.server"))]
CERTIFICATE = LEAF.certificate.public_bytes(Encoding.DER)
FULL = make(
    "da.example.com",
    ROOT,
    names=["da.example.com"],
    crl=["http://crl.test/a", "ldap:///x"],
    delta=["http://crl.test/d"],
    ocsp=["http://ocsp.test/"],
    issuers=["http://aia.test/"],
)
TARGET = parse_target("da.example.com")


@st.composite
def mangled(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(st.one_of(st.binary(max_size=200), mangled(SERVERS)), st.booleans())
def test_answers_to_hellos(data: bytes, ended: bool) -> None:
    is_whole(data, to_the_end=ended)
    answer = read_answer(data, ended=ended)
    hunt = Hunt(TLS12, suites_for(TLS12))
    hunt.take(answer)
    assert hunt.seen(0.0).version == "TLS 1.2"
    shown = see_chain("::1", answer.chain, "da.example.com", (ROOT.certificate,), NOW)
    seen = ProbeSeen(target=TARGET, at=NOW, chains=(shown.seen,), versions=(hunt.seen(0.0),))
    assert as_data(seen, judge_probe(seen))


@given(st.lists(st.integers(0, 0xFFFF), max_size=200))
def test_a_hunt_ends_whatever_is_chosen(suites: list[int]) -> None:
    hunt = Hunt(TLS12, suites_for(TLS12))
    for suite in suites:
        if hunt.over:
            break
        hunt.take(Answer(kind=Kind.CHOSEN, version=TLS12, suite=suite))
    assert hunt.over or set(suites) <= set(hunt.found)


CERTIFICATES = [CERTIFICATE, FULL.certificate.public_bytes(Encoding.DER)]


@given(
    st.lists(st.one_of(mangled(CERTIFICATES), st.binary(max_size=80)), max_size=4),
    st.binary(max_size=60),
)
def test_chains(chain: list[bytes], name: bytes) -> None:
    request = CertificateRequest(types=(), authorities=(name,))
    shown = see_chain("::1", chain, "da.example.com", (ROOT.certificate,), NOW, request)
    for each in questions([(c, ROOT.certificate) for c in shown.certificates]):
        web_address(each)
    seen = ProbeSeen(target=TARGET, at=NOW, chains=(shown.seen,))
    assert list(plain(as_lines(seen, judge_probe(seen))))


BODIES = [make_crl(ROOT, [LEAF], delta=["http://d.test/"]), ocsp_answer(GOOD)]


@given(st.one_of(mangled(BODIES), st.binary(max_size=100)), st.sampled_from(["crl", "ocsp"]))
def test_lists_and_responders(body: bytes, kind: str) -> None:
    asked = question("http://x.test/", kind)
    for each in (asked, replace(asked, issuer=None)):
        seen = judge(each, body, NOW + timedelta(hours=1), 0.1)
        assert seen.state in PointState
        further(each, body, [each])
    unchanged = body in BODIES
    # What is changed says nothing good: it is signed.
    good = judge(asked, body, NOW, 0.1).state in (PointState.GOOD, PointState.REVOKED)
    assert unchanged or not good


@given(st.lists(st.binary(max_size=120), max_size=20))
def test_streams(pieces: list[bytes]) -> None:
    inlet = Inlet()
    for piece in pieces:
        inlet.receive_data(piece)
    assert not inlet.broken or inlet.over


SOLICITATIONS = [build_solicitation(bytes(8), cone=cone) for cone in (True, False)]


@given(st.one_of(st.binary(max_size=120), mangled(SOLICITATIONS)))
def test_teredo_answers(data: bytes) -> None:
    read_advertisement(data)


WORDS = st.text(alphabet="ab/:[]%@ \x1b\r\n\0\u202e\u00e9\U0001f600", max_size=40)


@given(WORDS, WORDS, st.integers(100, 599), WORDS)
def test_heads(server: str, reason: str, status: int, location: str) -> None:
    http = HTTPSeen(
        address="::1",
        status=status,
        server=server,
        reason=reason,
        location=location,
        accepted=False,
    )
    version = VersionSeen(version="TLS 1.2", spoken=False, words=reason, complete=True)
    seen = ProbeSeen(target=TARGET, at=NOW, http=(http,), versions=(version,))
    lines = list(plain(as_lines(seen, judge_probe(seen))))
    assert all(line.isprintable() for line in lines)
    assert remarks(seen) is not None


@pytest.mark.parametrize("size", [1 << 18])
def test_the_largest_answers_take_no_time(size: int) -> None:
    """Of records with a byte each, of messages with none, of one long one."""
    begin = time.process_time()
    for seed in (
        b"\x16\x03\x03\x00\x01\x0b",
        b"\x16\x03\x03\x00\x04\x63\0\0\0",
        b"\x15\x03\x03\x00\x02\x01\x00",
        b"\x17\x03\x03\x00\x00",
    ):
        data = seed * (size // len(seed))
        is_whole(data, to_the_end=True)
        read_answer(data)
    inlet = Inlet()
    inlet.receive_data((bytes([0x60]) + bytes(39)) * (size // 40))
    assert time.process_time() - begin < 10
