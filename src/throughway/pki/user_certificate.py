"""Certificates of people: on a smart card, or given out for a one-time code.

Whose a certificate is, says its user principal name (UPN), an otherName of the subject's
alternative names ([MS-WCCE] 2.2.2.7.7.1, RFC 4556 appendix C), as it does for Windows.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from throughway.model.errors import TrustError
from throughway.pki.judgement import Validity, name_of, validity

UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
SMART_CARD_LOGON = ExtendedKeyUsageOID.SMARTCARD_LOGON
CODE_POLICY = x509.ObjectIdentifier("2.25.149178624470526412350189327714932017645")
"""Certificate policy of certificates that a one-time code was given for; an OID made of a UUID
(ITU-T X.667), since nobody has given us an arc."""

EXPIRED = "user-certificate-expired"
UNTRUSTED = "user-certificate-untrusted"
WRONG_USAGE = "user-certificate-wrong-usage"
NO_PRINCIPAL = "user-certificate-no-principal"

_UTF8_STRING = 0x0C


class Proof(StrEnum):
    """What a user's certificate stands for."""

    SMART_CARD = "smart-card"
    CODE = "code"


def principal_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the user principal names in a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    others = (name for name in names if isinstance(name, x509.OtherName))
    return tuple(text for name in others if name.type_id == UPN and (text := _text(name.value)))


def upn_name(name: str) -> x509.OtherName:
    """Return the alternative name that says a user principal name."""
    data = name.encode()
    if not 0 < len(data) < 128:
        raise ValueError(f"a user principal name of {len(data)} bytes")
    return x509.OtherName(UPN, bytes((_UTF8_STRING, len(data))) + data)


def principal_of(certificate: x509.Certificate, realm: str) -> str:
    """Return the Kerberos principal that a certificate names; TrustError when it names none.

    A UPN of the realm's own domain is a principal but for the case of the realm. Others would
    have to be looked up, and a name that could be two users' is nobody's.
    """
    names = principal_names(certificate)
    subject = name_of(certificate.subject)
    if len(names) != 1:
        words = "names no user (it has no user principal name)" if not names else (
            f"names several users: {', '.join(names)}"
        )  # fmt: skip
        raise TrustError(f"the certificate of {subject} {words}", problem=NO_PRINCIPAL)
    user, at, domain = names[0].rpartition("@")
    if not (at and user and user.isprintable() and domain.upper() == realm.upper()):
        raise TrustError(
            f"the certificate of {subject} is for {names[0]}, who is not of {realm}",
            problem=NO_PRINCIPAL,
        )
    return f"{user}@{realm.upper()}"


def is_for_smart_cards(certificate: x509.Certificate) -> bool:
    """Whether a certificate may log a user on with a smart card, as its usages say."""
    return {ExtendedKeyUsageOID.CLIENT_AUTH, SMART_CARD_LOGON} <= set(_usages(certificate))


def check_usage(certificate: x509.Certificate, proofs: Iterable[Proof]) -> Proof:
    """Return what a certificate stands for, among ``proofs``; TrustError for none of them."""
    wanted = tuple(proofs)
    usages = _usages(certificate)
    subject = name_of(certificate.subject)
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise TrustError(
            f"the certificate of {subject} is not for authentication of clients "
            f"({ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string})",
            problem=WRONG_USAGE,
        )
    has_policy = CODE_POLICY in _policies(certificate)
    if Proof.CODE in wanted and has_policy:
        return Proof.CODE
    if Proof.SMART_CARD in wanted and SMART_CARD_LOGON in usages and not has_policy:
        return Proof.SMART_CARD
    what = " or ".join(_MARKS[proof] for proof in wanted)
    raise TrustError(f"the certificate of {subject} is not {what}", problem=WRONG_USAGE)


_MARKS = {
    Proof.SMART_CARD: f"for smart-card logon ({SMART_CARD_LOGON.dotted_string})",
    Proof.CODE: f"one that a one-time code was given for (policy {CODE_POLICY.dotted_string})",
}


def check_dates(certificate: x509.Certificate, now: datetime) -> None:
    """Raise TrustError when a certificate is not in its time."""
    subject = name_of(certificate.subject)
    match validity(certificate, now):
        case Validity.EXPIRED:
            end = certificate.not_valid_after_utc
            why = f"the certificate of {subject} expired on {end:%Y-%m-%d at %H:%M} UTC"
            raise TrustError(why, problem=EXPIRED)
        case Validity.NOT_YET_VALID:
            begin = certificate.not_valid_before_utc
            why = f"the certificate of {subject} is valid from {begin:%Y-%m-%d %H:%M} UTC on"
            raise TrustError(why, problem=EXPIRED)


def _usages(certificate: x509.Certificate) -> tuple[x509.ObjectIdentifier, ...]:
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (x509.ExtensionNotFound, ValueError):
        return ()  # a certificate for everything is not one for this


def _policies(certificate: x509.Certificate) -> tuple[x509.ObjectIdentifier, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(policy.policy_identifier for policy in found)


def _text(der: bytes) -> str:
    """Return what a UTF8String says, "" when it is none."""
    if len(der) < 2 or der[0] != _UTF8_STRING:
        return ""
    begin = 2
    length = der[1]
    if length == 0x81 and len(der) > 2:
        length, begin = der[2], 3
    if (length >= 0x80 and begin == 2) or len(der) != begin + length:
        return ""
    try:
        text = der[begin:].decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""
