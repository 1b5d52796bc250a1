"""Whose a certificate is, and what for."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.smart_cards import LOGON, Person, users_root
from throughway.model.errors import TrustError
from throughway.pki.user_certificate import (
    CODE_POLICY,
    UPN,
    Proof,
    _text,
    check_dates,
    check_usage,
    is_for_smart_cards,
    principal_names,
    principal_of,
    upn_name,
)

ROOT = users_root()
REALM = "CORP.EXAMPLE.COM"


def certificate(person: Person) -> x509.Certificate:
    return person.issue(ROOT).certificate


def test_the_principal_is_the_upn_in_the_realm() -> None:
    alice = certificate(Person(upn="alice@corp.example.com"))
    assert principal_names(alice) == ("alice@corp.example.com",)
    assert principal_of(alice, REALM) == f"alice@{REALM}"


@pytest.mark.parametrize(
    ("person", "words"),
    [
        (Person(upn=""), "names no user"),
        (Person(upn="", mail="alice@corp.example.com"), "names no user"),
        (Person(upn="alice@elsewhere.example"), "not of CORP.EXAMPLE.COM"),
        (Person(upn="@corp.example.com"), "not of CORP.EXAMPLE.COM"),
        (Person(upn="alice"), "not of CORP.EXAMPLE.COM"),
    ],
)
def test_who_is_nobody_of_the_realm(person: Person, words: str) -> None:
    with pytest.raises(TrustError, match=words) as caught:
        principal_of(certificate(person), REALM)
    assert caught.value.problem == "user-certificate-no-principal"


@pytest.mark.parametrize(
    "der",
    [b"", b"\x0c", b"\x0c\x05abc", b"\x0c\x03abcd", b"\x16\x03abc", b"\x0c\x01\xff", b"\x0c\x01\n"],
)
def test_what_is_no_name(der: bytes) -> None:
    assert _text(der) == ""


def test_long_names() -> None:
    name = "a" * 150
    assert _text(b"\x0c\x81\x96" + name.encode()) == name
    assert upn_name("alice@corp").type_id == UPN
    with pytest.raises(ValueError, match="bytes"):
        upn_name("a" * 128)


def test_a_smart_cards_certificate_and_one_given_for_a_code_are_told_apart() -> None:
    both = (Proof.SMART_CARD, Proof.CODE)
    card = certificate(Person())
    code = certificate(Person(usages=LOGON, policies=(CODE_POLICY,)))
    assert check_usage(card, both) is Proof.SMART_CARD
    assert check_usage(code, both) is Proof.CODE
    assert is_for_smart_cards(card)
    for other, proof in ((card, Proof.CODE), (code, Proof.SMART_CARD)):
        with pytest.raises(TrustError) as caught:
            check_usage(other, (proof,))
        assert caught.value.problem == "user-certificate-wrong-usage"


@pytest.mark.parametrize(
    "usages",
    [(ExtendedKeyUsageOID.SERVER_AUTH,), (ExtendedKeyUsageOID.CLIENT_AUTH,), LOGON[1:]],
)
def test_what_is_for_something_else(usages: tuple[x509.ObjectIdentifier, ...]) -> None:
    other = certificate(Person(usages=usages))
    assert not is_for_smart_cards(other)
    with pytest.raises(TrustError):
        check_usage(other, (Proof.SMART_CARD,))


def test_dates() -> None:
    alice = certificate(Person(age_days=1, days=2))
    check_dates(alice, datetime.now(UTC))
    for days, words in ((5, "expired on"), (-5, "valid from")):
        with pytest.raises(TrustError, match=words) as caught:
            check_dates(alice, datetime.now(UTC) + timedelta(days=days))
        assert caught.value.problem == "user-certificate-expired"
