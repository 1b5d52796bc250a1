"""A whole chain: who is asked, what all answers together prove, and who is refused."""

import pytest
from cryptography.x509 import ocsp

from tests.revocation_world import (
    ALL,
    CRL,
    CRL_URL,
    DELTA_URL,
    HOUR,
    ISSUING,
    LISTS,
    NOW,
    OCSP,
    OCSP_URL,
    OTHER,
    ROOT,
    ROOT_URL,
    SECOND_URL,
    Places,
    chain,
)
from throughway.model.revocation import Fault, Revocation, Standing, Verdict
from throughway.pki.revocation import Answer, Question, further, judge, questions, refusal

GOOD, BAD = CRL(), CRL(number=2)
LIST_ONLY = chain(Places((CRL_URL,)))
WITH_OCSP = chain(ALL)


def asked(places: Places) -> Question:
    return questions(chain(places).certificates)[0]


def test_everybody_but_the_root_is_asked_about() -> None:
    leaf, between = questions(LIST_ONLY.certificates)
    assert (leaf.subject, leaf.lists) == ("da.example.com", (CRL_URL,))
    assert (between.subject, between.lists) == ("Corp Issuing", (ROOT_URL,))
    assert questions(LIST_ONLY.certificates[:1]) == ()
    assert questions(()) == ()


def test_places_that_we_do_not_ask_are_said() -> None:
    question = asked(
        Places(
            ("ldap:///CN=Corp", "http://[", "file:///crl", "HTTP://a/x", "http:///x"), ("ldap:",)
        )
    )
    assert question.lists == ("HTTP://a/x",)
    assert question.deltas == ()
    words = "\n".join(question.unusable)
    assert "ldap:///CN=Corp: ldap is not supported, only http is" in words
    assert "file is not supported" in words
    assert "names no host" in words
    assert asked(Places(("ldap:///x",))).lists == ()
    indirect = asked(Places((CRL_URL,), indirect=True))
    assert (indirect.lists, "indirect CRL, which is not supported" in indirect.unusable[0]) == (
        (),
        True,
    )


NONE = chain(Places())
LDAP = chain(Places(("ldap:///CN=Corp",)))


def of(places: Places, answers: dict[str, Answer]) -> Verdict:
    """Judge with answers that are made for the chain of these places."""
    question = asked(places)
    return judge(question, answers, NOW)


@pytest.mark.parametrize(
    ("places", "answers", "fault", "words"),
    [
        (Places(), {}, Fault.NO_POINT, "names no CRL distribution point"),
        (Places(("ldap:///x",)), {}, Fault.NO_POINT, "ldap is not supported"),
        (Places((CRL_URL,)), {}, Fault.UNREACHABLE, "was not fetched"),
        (Places((CRL_URL,)), {CRL_URL: "no answer"}, Fault.UNREACHABLE, "no answer"),
        (LISTS, {CRL_URL: "no answer", SECOND_URL: GOOD.build(ISSUING)}, None, ""),
        (LISTS, {CRL_URL: b"x", SECOND_URL: "404"}, Fault.UNUSABLE, "no usable CRL"),
        (
            LISTS,
            {CRL_URL: GOOD.build(OTHER), SECOND_URL: CRL(end=NOW - HOUR / 2).build(ISSUING)},
            Fault.WRONG_SIGNER,
            "not signed",
        ),
        (
            Places((CRL_URL,)),
            {CRL_URL: CRL(deltas=[DELTA_URL]).build(ISSUING), DELTA_URL: "the server answers 404"},
            Fault.DELTA_MISSING,
            f"{DELTA_URL}: the server answers 404",
        ),
        (
            Places((CRL_URL,)),
            {CRL_URL: CRL(deltas=["ldap:///d"]).build(ISSUING)},
            Fault.DELTA_MISSING,
            "ldap is not supported",
        ),
    ],
)
def test_what_lists_prove_together(
    places: Places, answers: dict[str, Answer], fault: Fault | None, words: str
) -> None:
    verdict = of(places, answers)
    assert verdict.fault is fault
    assert words in verdict.why


def test_lists_and_responders() -> None:
    question = questions(WITH_OCSP.certificates)[0]
    leaf = WITH_OCSP.leaf.certificate
    [(responder, key)] = question.answer_urls()
    assert responder == OCSP_URL
    good = OCSP().build(leaf, ISSUING)
    revoked = OCSP(status=ocsp.OCSPCertStatus.REVOKED).build(leaf, ISSUING)
    listed = CRL(revoked=[(WITH_OCSP.serial, None)]).build(ISSUING)
    rows: tuple[tuple[dict[str, Answer], Fault | None, str], ...] = (
        ({CRL_URL: "silent", key: good}, None, OCSP_URL),
        ({CRL_URL: GOOD.build(ISSUING), key: "silent"}, None, CRL_URL),
        ({CRL_URL: GOOD.build(ISSUING), key: revoked}, Fault.REVOKED, OCSP_URL),
        ({CRL_URL: listed, key: good}, Fault.REVOKED, CRL_URL),
        ({CRL_URL: "silent", key: "silent"}, Fault.UNREACHABLE, CRL_URL),
        ({key: "silent"}, Fault.OCSP_UNREACHABLE, OCSP_URL),
        ({key: b"x"}, Fault.OCSP_UNUSABLE, OCSP_URL),
    )
    for answers, fault, url in rows:
        verdict = judge(question, answers, NOW)
        assert (verdict.fault, verdict.url) == (fault, url)


def test_delta_lists_that_only_a_list_names_are_found() -> None:
    question = asked(Places((CRL_URL,)))
    base = CRL(deltas=[DELTA_URL, "ldap:///d"]).build(ISSUING)
    assert further(question, {CRL_URL: base}) == (DELTA_URL,)
    assert further(question, {CRL_URL: base, DELTA_URL: "404"}) == ()
    assert further(question, {CRL_URL: "404"}) == ()
    assert further(question, {}) == ()


def verdicts(*standings: Standing) -> list[Verdict]:
    return [Verdict(standing=each) for each in standings]


@pytest.mark.parametrize(
    ("found", "none", "weak", "strong"),
    [
        ((Standing.GOOD, Standing.GOOD), None, None, None),
        ((Standing.GOOD, Standing.UNKNOWN), None, None, Standing.UNKNOWN),
        ((Standing.UNKNOWN, Standing.REVOKED), None, Standing.REVOKED, Standing.REVOKED),
        ((), None, None, None),
    ],
)
def test_who_is_refused(
    found: tuple[Standing, ...],
    none: Standing | None,
    weak: Standing | None,
    strong: Standing | None,
) -> None:
    for policy, expected in zip(Revocation, (none, weak, strong), strict=True):
        refused = refusal(verdicts(*found), policy)
        assert (refused.standing if refused else None) is expected


def test_the_words_of_old_configurations() -> None:
    assert Revocation("strict") is Revocation.STRONG
    assert Revocation("relaxed") is Revocation.WEAK
    with pytest.raises(ValueError, match="ifuri"):
        Revocation("ifuri")


def test_a_verdict_says_whom_it_is_about() -> None:
    verdict = judge(asked(Places((CRL_URL,))), {CRL_URL: "the server answers 404 Not Found"}, NOW)
    words = str(verdict)
    assert words.startswith("the certificate of da.example.com, serial ")
    assert words.endswith(
        f"its CRL cannot be fetched: the server answers 404 Not Found ({CRL_URL})"
    )
    assert ROOT.certificate.subject != ISSUING.certificate.subject
