"""Requests for certificates: the good one passes, everything that asks for more is refused."""

import base64
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import TrustError
from throughway.pki import requests
from throughway.pki.authority import Profile, create_root, issue
from throughway.pki.requests import (
    MAX_REQUEST,
    build_request,
    check_proof,
    decode_request,
    judge_request,
    sign_proof,
)

NAME, OTHER = "client1.corp.example.com", "client2.corp.example.com"
KEY = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
GOOD = build_request(KEY, (NAME,))
SHA256 = hashes.SHA256()
Builder = x509.CertificateSigningRequestBuilder


def named(*attributes: tuple[x509.ObjectIdentifier, str]) -> Builder:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    return Builder().subject_name(name)


def good() -> Builder:
    return named((NameOID.COMMON_NAME, NAME))


def san(*names: x509.GeneralName) -> Builder:
    return good().add_extension(x509.SubjectAlternativeName(names), critical=False)


def signed(
    builder: Builder, key: object = KEY, digest: hashes.HashAlgorithm | None = SHA256
) -> bytes:
    request = builder.sign(key, digest)  # type: ignore[arg-type]
    return request.public_bytes(Encoding.DER)


def judged(data: bytes, *entitled: str, exactly: bool = False) -> object:
    return judge_request(data, entitled or (NAME,), Profile.COMPUTER, exactly=exactly)


def usage(**true: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: true.get(name, False) for name in names})


WELL = {
    "plain": GOOD,
    "rsa": build_request(RSA, (NAME,)),
    "p384": build_request(ec.generate_private_key(ec.SECP384R1()), (NAME,)),
    "subject_only": signed(good()),
    "names_only": signed(
        named().add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), True)
    ),
    "capitals": signed(san(x509.DNSName(NAME.upper()))),
    "no_authority": signed(good().add_extension(x509.BasicConstraints(False, None), True)),
    "usage": signed(good().add_extension(usage(digital_signature=True), True)),
    "extended_usage": signed(
        good().add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
    ),
    "challenge": signed(good().add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"channel")),
    "sha512": signed(good(), digest=hashes.SHA512()),
}


@pytest.mark.parametrize("which", WELL)
def test_what_is_well_is_certified_for_its_key(which: str) -> None:
    data = WELL[which]
    assert judged(data) == x509.load_der_x509_csr(data).public_key()


OID = x509.ObjectIdentifier
REFUSED: list[tuple[Callable[[], bytes], str]] = [
    (lambda: b"", "no PKCS #10"),
    (lambda: b"\x30\x82" * 9, "no PKCS #10"),
    (lambda: GOOD + b"\x00", "no PKCS #10"),
    (lambda: GOOD + bytes(MAX_REQUEST), "at most"),
    (lambda: signed(good(), ed25519.Ed25519PrivateKey.generate(), None), "must be P-256"),
    (lambda: signed(good(), ec.generate_private_key(ec.SECP521R1())), "must be P-256"),
    (lambda: signed(good(), rsa.generate_private_key(65537, 1024)), "must be P-256"),
    (lambda: signed(good(), rsa.generate_private_key(3, 2048)), "exponent"),
    (lambda: signed(good(), digest=hashes.SHA224()), "SHA-256"),
    (lambda: signed(named()), "names nobody"),
    (lambda: signed(named((NameOID.COMMON_NAME, OTHER))), "only client1"),
    (lambda: signed(named((NameOID.COMMON_NAME, f"{NAME}\x00.evil"))), "only client1"),
    (lambda: signed(named((NameOID.COMMON_NAME, "*.corp.example.com"))), "only client1"),
    (
        lambda: signed(named((NameOID.COMMON_NAME, NAME), (NameOID.COMMON_NAME, NAME))),
        "one common name",
    ),
    (
        lambda: signed(named((NameOID.COMMON_NAME, NAME), (NameOID.ORGANIZATION_NAME, "Us"))),
        "one common name",
    ),
    (lambda: signed(san(x509.DNSName(NAME), x509.DNSName(OTHER))), "only client1"),
    (lambda: signed(san(x509.RFC822Name("alice@corp.example.com"))), "neither of DNS"),
    (lambda: signed(san(x509.UniformResourceIdentifier("spiffe://x/y"))), "neither of DNS"),
    (
        lambda: signed(san(x509.OtherName(OID("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01x"))),
        "neither of DNS",
    ),
    (lambda: signed(san(*[x509.DNSName(NAME)] * 17)), "more than 16"),
    (lambda: signed(good().add_extension(x509.BasicConstraints(True, 0), True)), "2.5.29.19"),
    (lambda: signed(good().add_extension(usage(key_cert_sign=True), True)), "2.5.29.15"),
    (lambda: signed(good().add_extension(usage(crl_sign=True), True)), "2.5.29.15"),
    (
        lambda: signed(
            good().add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        ),
        "2.5.29.37",
    ),
    (
        lambda: signed(
            good().add_extension(
                x509.CertificatePolicies([x509.PolicyInformation(OID("2.5.29.32.0"), None)]), False
            )
        ),
        "2.5.29.32",
    ),
    (
        lambda: signed(
            good().add_extension(x509.UnrecognizedExtension(OID("1.2.3.4"), b"\x05\x00"), False)
        ),
        "1.2.3.4",
    ),
    (
        lambda: signed(good().add_attribute(AttributeOID.UNSTRUCTURED_NAME, b"x")),
        "nobody may ask",
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_asks_for_more_is_refused(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(TrustError, match=words) as told:
        judged(make())
    assert told.value.problem in {requests.REFUSED, requests.MISMATCH}


def test_a_renewal_asks_for_neither_more_nor_less() -> None:
    both = build_request(KEY, (NAME, OTHER))
    judged(both, NAME, OTHER, exactly=True)
    judged(GOOD, NAME, OTHER)
    with pytest.raises(TrustError, match=f"leaves out {OTHER}"):
        judged(GOOD, NAME, OTHER, exactly=True)


def test_a_signature_of_another_key_proves_nothing() -> None:
    theirs = build_request(ec.generate_private_key(ec.SECP256R1()), (NAME,))
    own, other = (x509.load_der_x509_csr(data) for data in (GOOD, theirs))
    mixed = GOOD.replace(own.signature, other.signature)
    if len(own.signature) != len(other.signature):
        mixed = GOOD[:-1] + bytes([GOOD[-1] ^ 1])
    with pytest.raises(TrustError, match=r"not signed by the key|no PKCS|unknown kind"):
        judged(mixed)


def test_every_bit_of_the_signature_is_used() -> None:
    """How many are not is told in front of it, unsigned; it can only be told where they are 0."""
    data = bytearray(GOOD)
    while data[-1] % 2:
        data = bytearray(build_request(KEY, (NAME,)))
    judged(bytes(data))
    data[-len(x509.load_der_x509_csr(bytes(data)).signature) - 1] = 1
    with pytest.raises(TrustError, match="no PKCS #10"):
        judged(bytes(data))


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_request_passes(position: int, change: int) -> None:
    data = bytearray(GOOD)
    data[position] ^= change
    with pytest.raises(TrustError):
        judged(bytes(data))


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(TrustError):
        judged(data)
    with contextlib.suppress(TrustError):
        decode_request(data)


def test_bodies_are_base64_in_any_lines_with_or_without_armour() -> None:
    plain = base64.encodebytes(GOOD)
    armoured = x509.load_der_x509_csr(GOOD).public_bytes(Encoding.PEM)
    for body in (plain, plain.replace(b"\n", b"\r\n"), plain.replace(b"\n", b""), armoured):
        assert decode_request(body) == GOOD
    with pytest.raises(TrustError, match="not base64"):
        decode_request(b"%%%%")


@pytest.mark.parametrize("key_type", ["p256", "rsa2048"])
def test_the_old_key_can_vouch_for_the_new_one(key_type: str) -> None:
    root = create_root("Root", now := datetime(2026, 6, 1, tzinfo=UTC))
    old = issue(root, Profile.GATEWAY, [NAME], now=now, key_type=key_type)  # type: ignore[arg-type]
    proof = sign_proof(old.key, GOOD)
    check_proof(old.certificate, GOOD, proof)
    for certificate, request in ((root.certificate, GOOD), (old.certificate, GOOD + b"x")):
        with pytest.raises(TrustError, match="not signed by the key of the certificate"):
            check_proof(certificate, request, proof)
