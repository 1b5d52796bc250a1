"""What is wrong with a list or an answer, told as clients tell it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.x509 import ocsp

from tests.patience import PATIENCE
from tests.probe.test_analysis import WELL
from tests.revocation_world import CRL, HOUR, ISSUING, NOW, OCSP, OTHER, STRANGER, Web, chain
from throughway.model.probing import PointSeen, PointState
from throughway.pki import revocation
from throughway.probe import fetching
from throughway.probe.analysis.chain_verdict import revocation_findings
from throughway.probe.analysis.revocation import Question, web_address
from throughway.probe.fetching import ask_point

CHAIN = chain()
OTHER_KEY = OCSP().build(CHAIN.leaf.certificate, OTHER)
FAULTS: dict[str, tuple[str, bytes | int | str, str]] = {
    "list out of date": ("crl", CRL(end=NOW - HOUR / 2).build(ISSUING), "iphttps-crl-expired"),
    "list of another key": ("crl", CRL().build(OTHER), "iphttps-crl-wrong-signer"),
    "list of another authority": ("crl", CRL().build(STRANGER), "iphttps-crl-wrong-signer"),
    "garbage for a list": ("crl", b"<html>", "iphttps-crl-unusable"),
    "delta list for a list": ("crl", CRL(base=1, number=2).build(ISSUING), "iphttps-crl-unusable"),
    "list is away": ("crl", 404, "iphttps-crl-unreachable"),
    "server is broken": ("crl", 503, "iphttps-crl-unreachable"),
    "list does not come": ("crl", Web.SILENT, "iphttps-crl-unreachable"),
    "list is too long": ("crl", bytes(70_000), "iphttps-crl-unreachable"),
    "revoked": ("crl", CRL(revoked=[(CHAIN.serial, None)]).build(ISSUING), "iphttps-cert-revoked"),
    "delta list is away": ("delta", 404, "iphttps-delta-crl-missing"),
    "garbage for a delta list": ("delta", b"<html>", "iphttps-delta-crl-missing"),
    "list for a delta list": ("delta", CRL().build(ISSUING), "iphttps-delta-crl-missing"),
    "delta list of another key": (
        "delta",
        CRL(base=1, number=2).build(OTHER),
        "iphttps-crl-wrong-signer",
    ),
    "delta list out of date": (
        "delta",
        CRL(base=1, number=2, end=NOW - HOUR / 2).build(ISSUING),
        "iphttps-crl-expired",
    ),
    "delta list of another base": (
        "delta",
        CRL(base=9, number=10).build(ISSUING),
        "iphttps-delta-crl-missing",
    ),
    "responder is away": ("ocsp", 404, "iphttps-ocsp-unreachable"),
    "responder does not know it": (
        "ocsp",
        OCSP(status=ocsp.OCSPCertStatus.UNKNOWN).build(CHAIN.leaf.certificate, ISSUING),
        "iphttps-ocsp-unknown",
    ),
    "responder of another key": ("ocsp", OTHER_KEY, "iphttps-ocsp-untrusted"),
    "answer out of date": (
        "ocsp",
        OCSP(end=NOW - HOUR / 2).build(CHAIN.leaf.certificate, ISSUING),
        "iphttps-ocsp-unusable",
    ),
    "garbage for an answer": ("ocsp", b"<html>", "iphttps-ocsp-unusable"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_the_code_and_the_words_of_clients(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, page, code = FAULTS[name]
    monkeypatch.setattr(fetching, "MAXIMUM_LIST", 60_000)
    monkeypatch.setattr(fetching, "FETCH_TIME", 0.2 if page == Web.SILENT else PATIENCE)
    certificate, issuer = CHAIN.certificates[:2]
    with Web() as web:
        one = Question(
            PointSeen(
                kind=kind,
                url=web.url("/x"),
                subject="da.example.com",
                leaf=True,
                state=PointState.NOT_TRIED,
            ),
            certificate,
            issuer,
            base=CRL(deltas=[web.url("/x")]).build(ISSUING) if kind == "delta" else b"",
        )
        path = web_address(one).removeprefix(web.url(""))
        web.pages[path] = page
        seen, body = asyncio.run(ask_point(one))
        [finding] = revocation_findings(replace(WELL, revocation=(seen,)))
        assert finding.problem.code == code
        assert web.url("/x") in finding.summary
        assert seen.words in finding.summary
        asked = revocation.questions((certificate, issuer))[0]
        place, base = (web.url("/x"),), web.url("/base")
        asked = replace(
            asked,
            lists={"crl": place, "delta": (base,)}.get(kind, ()),
            deltas=place if kind == "delta" else (),
            responders=place if kind == "ocsp" else (),
        )
        key = web_address(one)
        error = seen.words.partition(": ")[2]
        answers: dict[str, bytes | str] = {base: one.base, key: body or error}
        verdict = revocation.judge(asked, answers, datetime.now(UTC))
    assert verdict.fault is seen.fault
    if code != "iphttps-cert-revoked":
        assert verdict.why.replace(f"{web.url('/x')}: ", "") == seen.words
