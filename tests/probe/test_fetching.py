"""Revocation asked over http."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.probe.probe_world import NOW, Made, make, make_crl, web
from throughway.model.probing import PointSeen, PointState
from throughway.probe.analysis.revocation import Question
from throughway.probe.fetching import ask_point, fetch_issuers

ROOT = make("Test Root", ca=True)
LEAF = make("da.example.com", ROOT)


def question(url: str, kind: str) -> Question:
    seen = PointSeen(
        kind=kind, url=url, subject="da.example.com", leaf=True, state=PointState.NOT_TRIED
    )
    return Question(seen, LEAF.certificate, ROOT.certificate)


def ocsp_answer(
    status: ocsp.OCSPCertStatus, *, signer: Made = ROOT, ends: timedelta = timedelta(days=1)
) -> bytes:
    revoked = NOW - timedelta(days=1) if status is ocsp.OCSPCertStatus.REVOKED else None
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=LEAF.certificate,
        issuer=ROOT.certificate,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=NOW - timedelta(days=3),
        next_update=NOW + ends,
        revocation_time=revoked,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


GOOD = ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (ocsp_answer(GOOD), PointState.GOOD),
        (ocsp_answer(ocsp.OCSPCertStatus.REVOKED), PointState.REVOKED),
        (ocsp_answer(ocsp.OCSPCertStatus.UNKNOWN), PointState.USELESS),
        (ocsp_answer(GOOD, ends=timedelta(hours=-1)), PointState.STALE),
        (ocsp_answer(GOOD, signer=make("Test Root", ca=True)), PointState.USELESS),
        (
            ocsp.OCSPResponseBuilder.build_unsuccessful(
                ocsp.OCSPResponseStatus.TRY_LATER
            ).public_bytes(Encoding.DER),
            PointState.USELESS,
        ),
        (b"<html>", PointState.USELESS),
        (b"", PointState.USELESS),
    ],
    ids=["good", "revoked", "unknown", "stale", "forged", "later", "page", "nothing"],
)
def test_ocsp(body: bytes, state: PointState) -> None:
    async def scenario() -> PointSeen:
        async with web({"/ocsp/": body}) as base:
            return (await ask_point(question(f"{base}/ocsp", "ocsp")))[0]

    assert asyncio.run(scenario()).state is state


def test_a_crl_of_somebody_else_and_one_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        other = make("Other Root", ca=True)
        async with web({"/other": make_crl(other), "/long": bytes(5000)}) as base:
            seen, _ = await ask_point(question(f"{base}/other", "crl"))
            assert seen.state is PointState.USELESS
            monkeypatch.setattr("throughway.probe.fetching.MAXIMUM_LIST", 4000)
            seen, _ = await ask_point(question(f"{base}/long", "crl"))
            assert (seen.state, "longer than" in seen.words) == (PointState.USELESS, True)

    asyncio.run(scenario())


def test_places_that_cannot_be_asked() -> None:
    async def scenario() -> None:
        for url in ("ldap:///CN=x", "ftp://host/x", "http://[", ""):
            seen, body = await ask_point(question(url, "crl"))
            assert (seen.state, body) == (PointState.NOT_TRIED, b"")
        unknown = replace(question("http://127.0.0.1:1/", "ocsp"), issuer=None)
        assert (await ask_point(unknown))[0].state is PointState.NOT_TRIED
        seen, _ = await ask_point(question("http://127.0.0.1:1/x", "crl"))
        assert seen.state is PointState.UNREACHABLE

    asyncio.run(scenario())


def test_issuers_are_followed_and_loops_end() -> None:
    async def scenario() -> None:
        pages: dict[str, bytes] = {"/page": b"<html>"}
        async with web(pages) as base:
            middle = make("Middle", ROOT, ca=True, issuers=[f"{base}/page", f"{base}/root"])
            leaf = make("leaf", middle, issuers=[f"{base}/away", f"{base}/middle"])
            pages["/middle"] = middle.pem
            pages["/root"] = ROOT.certificate.public_bytes(Encoding.DER)
            found = await fetch_issuers(leaf.certificate)
            assert found == (middle.certificate, ROOT.certificate)

    asyncio.run(scenario())
