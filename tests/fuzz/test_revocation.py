"""Bytes of strangers in the place of revocation lists and OCSP answers: a verdict, no exception."""

from hypothesis import given
from hypothesis import strategies as st

from tests.revocation_world import (
    CRL,
    CRL_URL,
    DELTA_URL,
    ISSUING,
    NOW,
    OCSP,
    OCSP_URL,
    Places,
    chain,
    scope,
)
from throughway.model.revocation import Revocation, Standing
from throughway.pki import crl, ocsp
from throughway.pki.revocation import further, judge, questions, refusal

CHAIN = chain(Places((CRL_URL,), (DELTA_URL,), (OCSP_URL,)))
LEAF, ISSUER = CHAIN.leaf.certificate, ISSUING.certificate
QUESTION = questions(CHAIN.certificates)[0]
ANSWER_URL = dict(QUESTION.answer_urls())[OCSP_URL]
LISTS = (
    CRL(revoked=[(7, None)], number=3, deltas=[DELTA_URL], scope=scope(urls=[CRL_URL])),
    CRL(number=4, base=3),
)
WHOLE = [each.build(ISSUING) for each in LISTS] + [OCSP().build(LEAF, ISSUING)]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Something whole, cut somewhere, with bytes changed, doubled or put in."""
    data = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(("change", "cut", "insert", "double"))):
            case "change" if data:
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 40))]
            case "insert":
                data[at:at] = draw(st.binary(max_size=8))
            case _:
                data[at:at] = data[at : at + 20]
    return bytes(data)


BYTES = st.one_of(st.binary(max_size=60), damaged())
ANSWERS = st.one_of(st.text(max_size=20), BYTES)


@given(BYTES)
def test_any_bytes(data: bytes) -> None:
    for verdict in (
        crl.judge_crl(LEAF, ISSUER, data, NOW, deltas=[data]),
        ocsp.judge_ocsp(LEAF, ISSUER, data, NOW, b"nonce"),
    ):
        assert (verdict.standing is Standing.GOOD) is (verdict.fault is None)
        assert verdict.why
    crl.life_of(data)
    crl.describe(data)
    crl.distrust(data, [ISSUER])
    crl.listed(data, {1})
    crl.issuer_of(data)
    ocsp.revokes(data, b"", 1)
    crl.delta_urls_of(data)
    ocsp.life_of(data)
    list(ocsp.serials_of(data))


@given(ANSWERS, ANSWERS, ANSWERS)
def test_any_answers(base: bytes | str, delta: bytes | str, answer: bytes | str) -> None:
    answers = {CRL_URL: base, DELTA_URL: delta, ANSWER_URL: answer}
    verdict = judge(QUESTION, answers, NOW)
    assert verdict.subject == "da.example.com"
    assert str(verdict)
    further(QUESTION, answers)
    assert (refusal([verdict], Revocation.STRONG) is None) is (verdict.standing is Standing.GOOD)
