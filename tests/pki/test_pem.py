"""PEM in and out, and what is said of files that hold something else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import TrustError
from throughway.pki import bundle, pem
from throughway.pki.authority import KeyType, build_crl, create_root

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = create_root("Corp Root", NOW)
OTHER = create_root("Other", NOW, key_type=KeyType.RSA2048)
SIGNING = Ed25519PrivateKey.generate()
PARSERS: list[Callable[[bytes], object]] = [
    pem.parse_certificate,
    pem.parse_certificates,
    pem.parse_crl,
    pem.parse_key,
    pem.parse_signing_key,
    bundle.parse_public_key,
]


def test_certificates_round_trip() -> None:
    both = pem.build_certificate_pem(ROOT.certificate) + pem.build_certificate_pem(
        OTHER.certificate
    )
    assert pem.parse_certificates(both) == (ROOT.certificate, OTHER.certificate)
    assert pem.parse_certificate(both) == ROOT.certificate


def test_keys_round_trip() -> None:
    for key, certificate in (ROOT, OTHER):
        assert pem.same_key(certificate, pem.parse_key(pem.build_key_pem(key)))
    assert not pem.same_key(ROOT.certificate, OTHER.key)
    again = pem.parse_signing_key(pem.build_key_pem(SIGNING))
    public = pem.build_public_key_pem(again.public_key())
    assert pem.build_public_key_pem(bundle.parse_public_key(public)) == public


def test_crls_are_read_as_pem_and_der() -> None:
    crl = build_crl(ROOT, [], number=1, now=NOW, next_update=NOW + timedelta(days=1))
    assert pem.parse_crl(pem.build_crl_pem(crl)) == crl
    assert pem.parse_crl(pem.build_crl_der(crl)) == crl


def test_the_wrong_kind_of_key_is_named() -> None:
    with pytest.raises(TrustError, match=r"x\.pem: not an RSA or elliptic-curve key"):
        pem.parse_key(pem.build_key_pem(SIGNING), "x.pem")
    with pytest.raises(TrustError, match="throughway policy key"):
        pem.parse_signing_key(pem.build_key_pem(ROOT.key))
    spki = ROOT.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(TrustError, match="not an Ed25519 public key"):
        bundle.parse_public_key(spki)


def test_an_encrypted_key_is_refused_with_the_remedy() -> None:
    encrypted = ROOT.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(TrustError, match="openssl pkey"):
        pem.parse_key(encrypted)


@pytest.mark.parametrize("parse", PARSERS)
@given(
    data=st.binary(max_size=80)
    | st.binary(max_size=40).map(
        lambda b: b"-----BEGIN CERTIFICATE-----\n" + b + b"\n-----END CERTIFICATE-----\n"
    )
)
def test_garbage_raises_only_trust_error(parse: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(TrustError):
        parse(data)


def test_fingerprint_is_in_colon_form() -> None:
    shown = pem.certificate_fingerprint(ROOT.certificate)
    assert len(shown.split(":")) == 32
    assert shown == shown.upper()
