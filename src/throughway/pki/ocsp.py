"""OCSP: the question, and the answer as evidence (RFC 6960; without a nonce as RFC 5019).

An answer counts when the issuer signed it, or a responder to which that very issuer gave a
certificate for it, and when it is fresh: by its own dates, or by the nonce of the question.
"""

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from throughway.model.revocation import Fault, Standing, Verdict
from throughway.pki.crl import SKEW, about, unknown
from throughway.pki.judgement import in_force, name_of
from throughway.pki.pem import UNREADABLE

UNDATED = timedelta(days=1)
"""Life of an answer without nextUpdate, counted from thisUpdate, where no nonce proves it new."""
LONGEST_GET = 255
"""Characters of a question in a URL (RFC 5019, section 5); longer ones are posted."""
MAXIMUM_DELEGATES = 8
"""Certificates in an answer that are looked at."""


class _Refused(Exception):
    """An answer that says nothing."""

    def __init__(self, fault: Fault, why: str) -> None:
        super().__init__(why)
        self.fault, self.why = fault, why


class Request(NamedTuple):
    """One question."""

    der: bytes
    nonce: bytes


def build_request(
    certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes = b""
) -> Request:
    """Return the question; with a nonce the answer must repeat it, if it has one at all."""
    # SHA-1 is what every responder knows; it names, and proves nothing.
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return Request(builder.build().public_bytes(Encoding.DER), nonce)


def get_url(responder: str, request: Request) -> str:
    """Return the address of the question by GET (RFC 6960, A.1), "" when it is too long."""
    text = quote(base64.b64encode(request.der), safe="")
    return f"{responder.rstrip('/')}/{text}" if len(text) <= LONGEST_GET else ""


def judge_ocsp(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    data: bytes,
    now: datetime,
    nonce: bytes = b"",
) -> Verdict:
    """Return what an answer says of a certificate."""
    try:
        verdict = _judge(certificate, issuer, data, now, nonce)
    except _Refused as refused:
        verdict = unknown(refused.fault, refused.why)
    except UNREADABLE as error:
        words = f"what it answers is no OCSP response: {error}"
        verdict = unknown(Fault.OCSP_UNUSABLE, words)
    return about(verdict, certificate)


def life_of(data: bytes) -> tuple[datetime, datetime] | None:
    """Return from when to when an answer is good, None when it is none."""
    try:
        answer = ocsp.load_der_ocsp_response(data)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        single = next(iter(answer.responses))
        begin = single.this_update_utc
        return begin, single.next_update_utc or begin + UNDATED
    except (StopIteration, *UNREADABLE):
        return None


def revokes(data: bytes, issuer: bytes, serial: int) -> bool:
    """Say whether an answer, whoever signed it, has a certificate of this issuer (DER) revoked."""
    try:
        return any(
            single.certificate_status is ocsp.OCSPCertStatus.REVOKED
            and single.serial_number == serial
            and single.issuer_name_hash == _digest(single.hash_algorithm, issuer)
            for single in ocsp.load_der_ocsp_response(data).responses
        )
    except UNREADABLE:
        return False


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def _judge(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    data: bytes,
    now: datetime,
    nonce: bytes,
) -> Verdict:
    answer = ocsp.load_der_ocsp_response(data)
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        words = answer.response_status.name.lower().replace("_", " ")
        raise _Refused(Fault.OCSP_UNUSABLE, f"the responder says {words}")
    _check_signature(answer, issuer, now)
    for extension in answer.extensions:
        if extension.critical and not isinstance(extension.value, x509.OCSPNonce):
            oid = extension.oid.dotted_string
            words = f"the answer has a critical extension {oid}, which is not known here"
            raise _Refused(Fault.OCSP_UNUSABLE, words)
    proven = _check_nonce(answer, nonce)
    single = _single(answer, certificate, issuer)
    ends = single.next_update_utc or single.this_update_utc + UNDATED
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        at, reason = single.revocation_time_utc, single.revocation_reason
        words = f"revoked on {at:%Y-%m-%d}" if at else "revoked"
        words += f" ({reason.value})" if reason is not None else ""
        return Verdict(
            standing=Standing.REVOKED,
            fault=Fault.REVOKED,
            why=words,
            this_update=single.this_update_utc,
            next_update=ends,
        )
    if single.this_update_utc > now + SKEW:
        begins = f"{single.this_update_utc:%Y-%m-%d %H:%M} UTC"
        raise _Refused(Fault.OCSP_UNUSABLE, f"the answer is valid from {begins} on")
    if now >= ends and not (proven and single.next_update_utc is None):
        raise _Refused(Fault.OCSP_UNUSABLE, f"the answer was good until {ends:%Y-%m-%d %H:%M} UTC")
    if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        raise _Refused(Fault.OCSP_UNKNOWN, "the responder does not know the certificate")
    words = f"the responder says good, as of {single.this_update_utc:%Y-%m-%d %H:%M} UTC"
    return Verdict(
        standing=Standing.GOOD, why=words, this_update=single.this_update_utc, next_update=ends
    )


def _check_nonce(answer: ocsp.OCSPResponse, nonce: bytes) -> bool:
    """Say whether the answer repeats our nonce; one without any may be new all the same."""
    try:
        said = answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return False
    if nonce and said != nonce:
        raise _Refused(Fault.OCSP_UNUSABLE, "the answer is to another question (its nonce)")
    return bool(nonce)


def _single(
    answer: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> ocsp.OCSPSingleResponse:
    """Return what is about our certificate: by serial, and by name and key of its issuer."""
    for single in answer.responses:
        if single.serial_number != certificate.serial_number:
            continue
        request = ocsp.OCSPRequestBuilder().add_certificate(
            certificate, issuer, single.hash_algorithm
        )
        ours = request.build()
        if (single.issuer_name_hash, single.issuer_key_hash) == (
            ours.issuer_name_hash,
            ours.issuer_key_hash,
        ):
            return single
    raise _Refused(Fault.OCSP_UNUSABLE, "the answer is about another certificate")


def _check_signature(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    who, delegates = name_of(issuer.subject), ""
    if _verifies(answer, issuer):
        return
    for delegate in answer.certificates[:MAXIMUM_DELEGATES]:
        if not _verifies(answer, delegate):
            continue
        refusal = _not_delegated(delegate, issuer, now)
        if not refusal:
            return
        delegates = f": {name_of(delegate.subject)} {refusal}"
    words = f"the answer is not signed by {who} or by a responder of its{delegates}"
    raise _Refused(Fault.OCSP_UNTRUSTED, words)


def _not_delegated(delegate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> str:
    """Say why a certificate does not make its holder a responder (RFC 6960, 4.2.2.2)."""
    try:
        delegate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return f"was not issued by {name_of(issuer.subject)}"
    try:
        usages = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
        return "may not sign OCSP responses (its extended key usage)"
    return "" if in_force(delegate, now) else "has expired or is not valid yet"


def _verifies(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, data = signer.public_key(), answer.tbs_response_bytes
    try:
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(answer.signature, data)
            return True
        algorithm = answer.signature_hash_algorithm
        if algorithm is None:
            return False
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(answer.signature, data, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(answer.signature, data, _padding(answer, algorithm), algorithm)
        else:
            return False
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _padding(
    answer: ocsp.OCSPResponse, algorithm: hashes.HashAlgorithm
) -> padding.PKCS1v15 | padding.PSS:
    if answer.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        return padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
    return padding.PKCS1v15()


def serials_of(data: bytes) -> Iterator[int]:
    """Yield the serial numbers that an answer is about, for people who look into a cache."""
    try:
        for single in ocsp.load_der_ocsp_response(data).responses:
            yield single.serial_number
    except UNREADABLE:
        return
