"""Judge certification requests (PKCS #10, RFC 2986) before an authority answers them (RFC 7030).

A request only *asks*: names, usages and dates of the certificate come from what the asker is
entitled to, never from here. So a request says who it is for, proves that its sender has the key,
and must not say anything else: what nobody reads, nobody can smuggle.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from throughway.model.errors import TrustError
from throughway.pki.authority import (
    MAX_COMMON_NAME,
    USAGES,
    Profile,
    PublicKey,
    general_name,
)
from throughway.pki.pem import PrivateKey

MAX_REQUEST = 16 * 1024
"""Bytes; one with an RSA key of 4096 bits and ten names has two thousand."""
MAX_NAMES = 16

CURVES = (ec.SECP256R1, ec.SECP384R1)
RSA_BITS = (2048, 3072, 4096)
RSA_EXPONENT = 65537
HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

EXTENSION_REQUEST = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
CHALLENGE_PASSWORD = x509.ObjectIdentifier("1.2.840.113549.1.9.7")
"""By which RFC 7030, 3.5 lets a client link the request to its TLS session; not judged."""
ATTRIBUTES = {EXTENSION_REQUEST, CHALLENGE_PASSWORD}

REFUSED = "enrolment-request-refused"
MISMATCH = "enrolment-name-mismatch"

RENEWAL = b"throughway renewal\0"
"""What the old key signs before the request, so that it can sign nothing else by accident."""

_ARMOUR = re.compile(rb"-----[A-Z ]+-----")


def build_request(key: PrivateKey, names: Sequence[str]) -> bytes:
    """Return the request (DER) for a certificate of these names, the main one first."""
    subject = []
    if len(names[0]) <= MAX_COMMON_NAME:
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, names[0]))
    builder = x509.CertificateSigningRequestBuilder(x509.Name(subject))
    alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
    builder = builder.add_extension(alternatives, critical=not subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def decode_request(body: bytes) -> bytes:
    """Return the DER of a request in base64 (RFC 8951, 3.1), armour of PEM or not."""
    text = _ARMOUR.sub(b"", body)
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise _refused("the request is not base64") from None


def judge_request(
    data: bytes, entitled: Sequence[str], profile: Profile, *, exactly: bool = False
) -> PublicKey:
    """Return the key that may be certified for these names; TrustError says why not.

    ``exactly``: all of them must be asked for (RFC 7030, 4.2.2: a renewal changes no name).
    """
    request = _parse(data)
    key = _judge_key(request)
    _judge_attributes(request)
    asked = (*_common_names(request), *_judge_extensions(request, profile))
    if not asked:
        raise _refused("the request names nobody")
    if foreign := _foreign(asked, entitled):
        raise TrustError(
            f"the request is for {', '.join(foreign)}, but only {', '.join(entitled)} may be given",
            problem=MISMATCH,
        )
    if exactly and (left := _foreign(entitled, asked)):
        raise TrustError(f"the request leaves out {', '.join(left)}", problem=MISMATCH)
    return key


def judge_user_request(data: bytes) -> PublicKey:
    """Return the key that may be certified for a user; the request itself may say nothing."""
    request = _parse(data)
    key = _judge_key(request)
    _judge_attributes(request)
    if list(request.subject) or list(request.extensions):
        raise _refused("a request for a user says no name: the one who asks does")
    return key


def build_user_request(key: PrivateKey) -> bytes:
    """Return a request (DER) for a user's certificate."""
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def sign_proof(key: PrivateKey, request: bytes) -> bytes:
    """Return the old key's signature of a request that renews its certificate."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(RENEWAL + request, ec.ECDSA(hashes.SHA256()))
    return key.sign(RENEWAL + request, padding.PKCS1v15(), hashes.SHA256())


def check_proof(old: x509.Certificate, request: bytes, proof: bytes) -> None:
    """Refuse a renewal that the old certificate's key has not signed."""
    key = old.public_key()
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(proof, RENEWAL + request, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey():
                key.verify(proof, RENEWAL + request, padding.PKCS1v15(), hashes.SHA256())
            case _:
                raise InvalidSignature
    except InvalidSignature:
        why = "the request is not signed by the key of the certificate that it renews"
        raise _refused(why) from None


def _parse(data: bytes) -> x509.CertificateSigningRequest:
    if len(data) > MAX_REQUEST:
        raise _refused(f"the request has {len(data)} bytes; at most {MAX_REQUEST} are read")
    try:
        request = x509.load_der_x509_csr(data)
        # What comes behind it would not be judged; DER has one spelling.
        if request.public_bytes(serialization.Encoding.DER) != data:
            raise ValueError
        # The signature's BIT STRING ends the request; of its bits none may be unused, and how
        # many are is not signed.
        if data[-len(request.signature) - 1] != 0:
            raise ValueError
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise _refused("the request is no PKCS #10 in DER") from None
    return request


def _judge_key(request: x509.CertificateSigningRequest) -> PublicKey:
    """Return the key, when it is strong and its owner has signed the request."""
    try:
        key = request.public_key()
        digest = request.signature_hash_algorithm
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        raise _refused("the request's key or signature is of an unknown kind") from None
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, CURVES):
            pass
        case rsa.RSAPublicKey() if key.key_size in RSA_BITS:
            if key.public_numbers().e != RSA_EXPONENT:
                raise _refused(f"an RSA key must have the exponent {RSA_EXPONENT}")
        case _:
            raise _refused("the key must be P-256, P-384, or RSA of 2048, 3072 or 4096 bits")
    if not isinstance(digest, HASHES):
        raise _refused("the request must be signed with SHA-256, SHA-384 or SHA-512")
    if not signed:
        raise _refused("the request is not signed by the key that it is about")
    return key


def _judge_attributes(request: x509.CertificateSigningRequest) -> None:
    try:
        kinds = [attribute.oid for attribute in request.attributes]
    except ValueError:
        raise _refused("an attribute of the request has another form than one value") from None
    if len(kinds) != len(set(kinds)):
        raise _refused("an attribute stands twice in the request")
    if strange := [kind.dotted_string for kind in kinds if kind not in ATTRIBUTES]:
        raise _refused(f"the request has attributes that nobody may ask for: {strange[0]}")


def _common_names(request: x509.CertificateSigningRequest) -> tuple[str, ...]:
    attributes = list(request.subject)
    if any(attribute.oid != NameOID.COMMON_NAME for attribute in attributes) or len(attributes) > 1:
        raise _refused("the subject may have one common name and nothing else")
    return tuple(str(attribute.value) for attribute in attributes)


def _judge_extensions(request: x509.CertificateSigningRequest, profile: Profile) -> tuple[str, ...]:
    """Return the alternative names; anything else may only repeat what the profile gives."""
    try:
        extensions = request.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise _refused("the request's extensions cannot be read") from None
    names: tuple[str, ...] = ()
    for extension in extensions:
        match extension.value:
            case x509.SubjectAlternativeName() as alternatives:
                names = _alternative_names(alternatives)
            case x509.BasicConstraints(ca=False):
                pass
            case x509.KeyUsage() as usage if not (usage.key_cert_sign or usage.crl_sign):
                pass
            case x509.ExtendedKeyUsage() as usages if set(usages) <= set(USAGES[profile]):
                pass
            case x509.SubjectKeyIdentifier():
                pass
            case _:
                kind = extension.oid.dotted_string
                raise _refused(f"the request asks for an extension that it must not: {kind}")
    return names


def _alternative_names(alternatives: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    names = []
    for name in alternatives:
        if not isinstance(name, x509.DNSName | x509.IPAddress):
            raise _refused("the request asks for a name that is neither of DNS nor an address")
        names.append(str(name.value))
    if len(names) > MAX_NAMES:
        raise _refused(f"the request asks for more than {MAX_NAMES} names")
    return tuple(names)


def _foreign(asked: Sequence[str], entitled: Sequence[str]) -> tuple[str, ...]:
    allowed = {name.lower() for name in entitled}
    # What a stranger sent is told back to people: printable and short.
    return tuple(ascii(name)[1:-1][:100] for name in asked if name.lower() not in allowed)


def _refused(why: str) -> TrustError:
    return TrustError(why, problem=REFUSED)
