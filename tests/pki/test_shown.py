"""Whose certificate a list has, of those that were shown."""

import pytest

from tests.revocation_world import CRL, CRL_URL, ISSUING, OTHER, ROOT, Places, certify
from throughway.pki import shown as module
from throughway.pki.pem import build_certificate_der, build_certificate_pem
from throughway.pki.shown import ShownCertificates, list_urls


def test_who_is_on_a_list() -> None:
    shown = ShownCertificates()
    one, two = (certify(name, ISSUING) for name in ("One.example", "two.example"))
    same = certify("three.example", ROOT)
    shown.note([build_certificate_der(each.certificate) for each in (one, two, same)])
    shown.note([b"no certificate"])
    serial = one.certificate.serial_number
    crl = CRL(revoked=[(serial, None), (same.certificate.serial_number, None)])
    assert shown.listed(crl.build(ISSUING)) == {"one.example"}
    assert shown.listed(crl.build(ISSUING)) == frozenset(), "that one is told"
    shown.tell_again()
    assert shown.listed(crl.build(ISSUING)) == {"one.example"}
    assert shown.listed(CRL().build(ISSUING)) == frozenset()
    assert shown.listed(b"no list") == frozenset()
    assert OTHER.certificate.issuer == ISSUING.certificate.subject


def test_where_lists_are() -> None:
    both = certify("x", ISSUING, Places((CRL_URL, "ldap:///x")))
    pems = [build_certificate_pem(each.certificate) for each in (both, ROOT, both)]
    assert list_urls([*pems, b"no certificate"]) == (CRL_URL,)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAXIMUM_NOTED", 2)
    shown = ShownCertificates()
    made = [certify(f"c{number}.example", ISSUING).certificate for number in range(3)]
    shown.note([build_certificate_der(each) for each in made])
    everybody = CRL(revoked=[(each.serial_number, None) for each in made])
    assert shown.listed(everybody.build(ISSUING)) == {"c1.example", "c2.example"}
