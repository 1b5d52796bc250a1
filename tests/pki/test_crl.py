"""Base and delta lists: what each proves, whoever made them; OpenSSL's as well as our own."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.revocation_world import (
    CRL,
    CRL_URL,
    DAY,
    DELTA_URL,
    HOUR,
    ISSUING,
    NOW,
    OTHER,
    ROOT,
    STRANGER,
    Places,
    certify,
    chain,
    scope,
)
from throughway.model.revocation import Fault, Standing, Verdict
from throughway.pki.crl import (
    SKEW,
    delta_urls_of,
    describe,
    distrust,
    issuer_of,
    judge_crl,
    life_of,
    listed,
    revocation,
)
from throughway.pki.judgement import RevocationState, hex_of
from throughway.pki.pem import build_certificate_pem, build_key_pem

CHAIN = chain()
LEAF, ISSUER = CHAIN.leaf.certificate, ISSUING.certificate
MINE = (CHAIN.serial, None)
HELD = (CHAIN.serial, x509.ReasonFlags.certificate_hold)
UNHELD = (CHAIN.serial, x509.ReasonFlags.remove_from_crl)
UNKNOWN_EXTENSION = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
SECOND = timedelta(seconds=1)
SOME = frozenset({x509.ReasonFlags.key_compromise})


def judged(base: CRL, *deltas: CRL) -> Verdict:
    return judge_crl(
        LEAF, ISSUER, base.build(ISSUING), NOW, deltas=[d.build(ISSUING) for d in deltas]
    )


@pytest.mark.parametrize(
    ("crl", "fault", "words"),
    [
        (CRL(), None, "not in the CRL"),
        (CRL(revoked=[(1, None)]), None, ""),
        (CRL(revoked=[MINE]), Fault.REVOKED, "revoked on"),
        (CRL(revoked=[HELD]), Fault.REVOKED, "on hold since"),
        (CRL(revoked=[MINE], end=NOW - HOUR / 2), Fault.REVOKED, "revoked on"),
        (CRL(end=NOW - HOUR / 2), Fault.EXPIRED, "due to be replaced"),
        (CRL(begin=NOW + HOUR), Fault.UNUSABLE, "is valid from"),
        (CRL(begin=NOW + SKEW), None, ""),
        (CRL(begin=NOW + SKEW + SECOND), Fault.UNUSABLE, "is valid from"),
        (CRL(issuer=STRANGER.certificate.subject), Fault.WRONG_SIGNER, "Some Other Authority"),
        (CRL(base=1, number=2), Fault.UNUSABLE, "is a delta CRL"),
        (CRL(scope=scope(indirect=True)), Fault.UNUSABLE, "indirect CRL, which is not supported"),
        (CRL(scope=scope(authorities=True)), Fault.UNUSABLE, "authorities only"),
        (CRL(scope=scope(attributes=True)), Fault.UNUSABLE, "attribute certificates"),
        (CRL(scope=scope(users=True)), None, ""),
        (CRL(scope=scope(urls=[CRL_URL])), None, ""),
        (CRL(scope=scope(urls=["http://x.example/"])), Fault.UNUSABLE, "another distribution"),
        (CRL(scope=scope(reasons=SOME)), Fault.UNUSABLE, "all reasons"),
        (CRL(scope=scope(reasons=SOME), revoked=[MINE]), Fault.REVOKED, ""),
        (CRL(extensions=[(UNKNOWN_EXTENSION, True)]), Fault.UNUSABLE, "critical extension 1.2.3.4"),
        (CRL(extensions=[(UNKNOWN_EXTENSION, False)]), None, ""),
        (
            CRL(revoked=[(1, None)], entry_extensions=[(UNKNOWN_EXTENSION, True)]),
            Fault.UNUSABLE,
            "an entry of the CRL has a critical extension",
        ),
        (
            CRL(
                revoked=[(1, None)],
                entry_extensions=[
                    (x509.CertificateIssuer([x509.DirectoryName(ROOT.certificate.subject)]), True)
                ],
            ),
            Fault.UNUSABLE,
            "indirect",
        ),
        (CRL(revoked=[(1, None)], entry_extensions=[(UNKNOWN_EXTENSION, False)]), None, ""),
        (CRL(deltas=[DELTA_URL]), Fault.DELTA_MISSING, "delta CRL could not be had"),
        (CRL(deltas=[DELTA_URL], revoked=[MINE]), Fault.REVOKED, ""),
    ],
)
def test_what_a_base_list_proves(crl: CRL, fault: Fault | None, words: str) -> None:
    verdict = judged(crl)
    assert (verdict.fault, verdict.subject) == (fault, "da.example.com")
    assert words in verdict.why
    assert (verdict.standing is Standing.GOOD) is (fault is None)


BASE = CRL(number=10, deltas=[DELTA_URL])
DELTA = CRL(number=12, base=10)


@pytest.mark.parametrize(
    ("base", "delta", "fault", "words"),
    [
        (BASE, DELTA, None, ""),
        (BASE, replace(DELTA, revoked=[MINE]), Fault.REVOKED, "revoked on"),
        (replace(BASE, revoked=[HELD]), DELTA, Fault.REVOKED, "on hold"),
        (replace(BASE, revoked=[HELD]), replace(DELTA, revoked=[UNHELD]), None, ""),
        (BASE, replace(DELTA, base=11), Fault.DELTA_MISSING, "needs CRL number 11, and this is 10"),
        (BASE, replace(DELTA, base=None), Fault.DELTA_MISSING, "is none"),
        (replace(BASE, number=None), DELTA, Fault.DELTA_MISSING, "has no number"),
        (BASE, replace(DELTA, scope=scope(users=True)), Fault.DELTA_MISSING, "another scope"),
        (BASE, replace(DELTA, end=NOW - HOUR / 2), Fault.EXPIRED, "the delta CRL was due"),
        (BASE, replace(DELTA, end=NOW - HOUR / 2, revoked=[MINE]), Fault.REVOKED, ""),
        (replace(BASE, end=NOW - HOUR / 2), DELTA, Fault.EXPIRED, "the CRL was due"),
        # Issued before the base: what it says of a certificate is no news.
        (BASE, CRL(number=9, base=8, revoked=[MINE]), None, ""),
        (replace(BASE, deltas=()), replace(DELTA, revoked=[MINE]), Fault.REVOKED, ""),
    ],
)
def test_what_a_delta_list_adds(base: CRL, delta: CRL, fault: Fault | None, words: str) -> None:
    verdict = judged(base, delta)
    assert verdict.fault is fault
    assert words in verdict.why


def test_of_several_delta_lists_the_newest_counts() -> None:
    older = replace(DELTA, number=11, revoked=[HELD])
    newer = replace(DELTA, number=12, revoked=[UNHELD])
    assert judged(BASE, newer, older).standing is Standing.GOOD


def test_a_delta_list_of_another_key_is_none() -> None:
    forged = replace(DELTA, revoked=[UNHELD]).build(OTHER)
    base = replace(BASE, revoked=[HELD]).build(ISSUING)
    assert judge_crl(LEAF, ISSUER, base, NOW, deltas=[forged]).fault is Fault.REVOKED
    clean = judge_crl(LEAF, ISSUER, BASE.build(ISSUING), NOW, deltas=[forged, b"no list"])
    assert (clean.fault, clean.why.startswith("the delta CRL:")) == (Fault.WRONG_SIGNER, True)


def test_the_certificate_itself_may_ask_for_a_delta_list() -> None:
    leaf = certify("x", ISSUING, Places((CRL_URL,), (DELTA_URL,))).certificate
    assert judge_crl(leaf, ISSUER, CRL().build(ISSUING), NOW).fault is Fault.DELTA_MISSING


def test_who_signed_counts_and_not_whose_name_it_bears() -> None:
    verdict = judge_crl(LEAF, ISSUER, CRL().build(OTHER), NOW)
    assert (verdict.fault, verdict.why) == (
        Fault.WRONG_SIGNER,
        "the CRL is not signed with the key of Corp Issuing",
    )
    mute = certify("Mute", None, ca=True, crl_sign=False)
    leaf = certify("x", mute).certificate
    verdict = judge_crl(leaf, mute.certificate, CRL().build(mute), NOW)
    assert (verdict.fault, "may not sign" in verdict.why) == (Fault.WRONG_SIGNER, True)


def test_a_list_of_authorities_is_not_for_users_and_the_other_way_round() -> None:
    between = ISSUING.certificate
    for of, fault in ((scope(users=True), Fault.UNUSABLE), (scope(authorities=True), None)):
        crl = CRL(scope=of).build(ROOT)
        assert judge_crl(between, ROOT.certificate, crl, NOW).fault is fault


@pytest.mark.parametrize("data", [b"", b"no list", b"0", bytes(100), b"\x30\x82\xff\xff"])
def test_what_is_no_list(data: bytes) -> None:
    assert judge_crl(LEAF, ISSUER, data, NOW).fault is Fault.UNUSABLE
    assert life_of(data) is None
    assert delta_urls_of(data) == ()


def test_life_and_deltas_of_a_list() -> None:
    data = BASE.build(ISSUING)
    assert life_of(data) == (NOW - HOUR, NOW + DAY)
    assert delta_urls_of(data) == (DELTA_URL,)


GOOD = replace(BASE, revoked=[(7, None)]).build(ISSUING)
FRESH = DELTA.build(ISSUING)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255), st.booleans())
def test_a_damaged_list_is_judged_and_never_good(at: int, change: int, cut: bool) -> None:
    data = GOOD[:at] if cut else GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :]
    assert judge_crl(LEAF, ISSUER, data, NOW, deltas=[FRESH]).standing is not Standing.GOOD
    assert judge_crl(LEAF, ISSUER, GOOD, NOW, deltas=[data]).standing is not Standing.GOOD


class OpenSSL:
    """`openssl ca`: an authority that is not ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "index.txt").write_text("")
        (folder / "number").write_text("01\n")
        (folder / "issuing.crt").write_bytes(build_certificate_pem(ISSUER))
        (folder / "issuing.key").write_bytes(build_key_pem(ISSUING.key))
        (folder / "leaf.crt").write_bytes(build_certificate_pem(LEAF))
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\ncrlnumber=number\n"
            "certificate=issuing.crt\nprivate_key=issuing.key\ndefault_md=sha256\n"
            "default_crl_days=1\ncrl_extensions=ext\n[ext]\nauthorityKeyIdentifier=issuer:always\n"
            "[users]\nissuingDistributionPoint=critical,@idp\n[idp]\nonlyuser=TRUE\n"
            "[cas]\nissuingDistributionPoint=critical,@idpca\n[idpca]\nonlyCA=TRUE\n"
        )

    def ca(self, *arguments: str) -> None:
        subprocess.run(
            ("openssl", "ca", "-config", "ca.cnf", *arguments),
            cwd=self.folder,
            check=True,
            stderr=subprocess.PIPE,
        )

    def list(self, *arguments: str) -> bytes:
        self.ca("-gencrl", "-out", "crl.pem", *arguments)
        return (self.folder / "crl.pem").read_bytes()


def test_lists_of_openssl(tmp_path: Path) -> None:
    openssl, now = OpenSSL(tmp_path), datetime.now(UTC)
    assert judge_crl(LEAF, ISSUER, openssl.list(), now).standing is Standing.GOOD
    assert judge_crl(LEAF, ISSUER, openssl.list("-crlexts", "users"), now).fault is None
    of_cas = judge_crl(LEAF, ISSUER, openssl.list("-crlexts", "cas"), now)
    assert of_cas.fault is Fault.UNUSABLE
    late = judge_crl(LEAF, ISSUER, openssl.list(), now + 2 * DAY)
    assert late.fault is Fault.EXPIRED
    openssl.ca("-revoke", "leaf.crt", "-crl_reason", "keyCompromise")
    verdict = judge_crl(LEAF, ISSUER, openssl.list(), now)
    assert (verdict.fault, "keyCompromise" in verdict.why) == (Fault.REVOKED, True)


def test_openssl_reads_our_delta_lists_as_we_do(tmp_path: Path) -> None:
    """OpenSSL's own verdicts (`verify -use_deltas`) are those that we come to."""
    for name, data in (("root.crt", ROOT), ("issuing.crt", ISSUING)):
        (tmp_path / name).write_bytes(build_certificate_pem(data.certificate))
    leaf = certify("x", ISSUING, Places((CRL_URL,), (DELTA_URL,)))
    (tmp_path / "leaf.crt").write_bytes(build_certificate_pem(leaf.certificate))
    mine = (leaf.certificate.serial_number, None)
    for revoked, wanted in (([], Standing.GOOD), ([mine], Standing.REVOKED)):
        base = replace(BASE, number=10).build(ISSUING)
        delta = replace(DELTA, revoked=revoked).build(ISSUING)
        lists = [x509.load_der_x509_crl(each) for each in (base, delta)]
        (tmp_path / "crls.pem").write_bytes(
            b"".join(crl.public_bytes(Encoding.PEM) for crl in lists)
        )
        answer = subprocess.run(
            (
                *("openssl", "verify", "-partial_chain", "-crl_check", "-use_deltas"),
                *("-extended_crl", "-CRLfile", "crls.pem", "-trusted", "issuing.crt", "leaf.crt"),
            ),
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        ours = judge_crl(leaf.certificate, ISSUER, base, NOW, deltas=[delta])
        assert ours.standing is wanted
        assert (answer.returncode == 0) is (wanted is Standing.GOOD), answer.stderr


def test_a_list_that_somebody_has_given_is_judged_without_deltas() -> None:
    rows: tuple[tuple[bytes | None, RevocationState], ...] = (
        (CRL(revoked=[MINE]).build(ISSUING), RevocationState.REVOKED),
        (CRL(revoked=[MINE], end=NOW - HOUR / 2).build(ISSUING), RevocationState.REVOKED),
        (CRL(deltas=[DELTA_URL]).build(ISSUING), RevocationState.GOOD),
        (CRL(end=NOW - HOUR / 2).build(ISSUING), RevocationState.STALE),
        (None, RevocationState.UNKNOWN),
        (CRL().build(OTHER), RevocationState.UNKNOWN),
        (CRL().build(ROOT), RevocationState.UNKNOWN),
    )
    for data, expected in rows:
        crl = x509.load_der_x509_crl(data) if data is not None else None
        fact = revocation(LEAF, ISSUER, crl, NOW)
        assert fact.state is expected
        assert bool(fact.why) is (expected is not RevocationState.GOOD)


def test_what_a_list_says_of_itself() -> None:
    fact = describe(replace(DELTA, revoked=[HELD]).build(ISSUING))
    assert (fact.issuer, fact.number, fact.base_number) == ("Corp Issuing", 12, 10)
    assert [(e.serial, e.reason) for e in fact.revoked] == [
        (hex_of(CHAIN.serial), "certificateHold")
    ]
    assert describe(BASE.build(ISSUING)).delta_urls == (DELTA_URL,)
    assert describe(b"no list").issuer == "(no CRL)"
    changes = CRL(revoked=[UNHELD, (7, None), (9, None)]).build(ISSUING)
    assert listed(changes, {CHAIN.serial, 7, 8}) == {7}
    assert issuer_of(changes) == ISSUING.certificate.subject.public_bytes()
    assert (listed(b"no list", {7}), issuer_of(b"no list")) == (frozenset(), b"")


def test_whose_list_it_is() -> None:
    known = [ROOT.certificate, ISSUER]
    assert distrust(CRL().build(ISSUING), known) == ""
    assert "not signed with the key of Corp Issuing" in distrust(CRL().build(OTHER), known)
    assert "the CRL of Some Other Authority" in distrust(CRL().build(STRANGER), known)
    assert "no usable CRL" in distrust(b"x", known)
