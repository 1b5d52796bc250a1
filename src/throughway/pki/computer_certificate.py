"""Certificates of computers: whether one is for a computer at all, by its extended key usages.

charon looks at names, dates, chain and lists, and at no usage: to it the certificate of a web
server, of a user or of a registrar, with a computer's name in it, is that computer's.
"""

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from throughway.model.errors import TrustError
from throughway.pki.judgement import name_of
from throughway.pki.pem import UNREADABLE
from throughway.pki.user_certificate import SMART_CARD_LOGON

WRONG_USAGE = "ipsec-cert-missing-client-auth"
CMC_RA = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")
"""The usage of a registration authority (RFC 6402 section 2.10; RFC 7030 section 3.7)."""
IKE_INTERMEDIATE = x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2")
"""The usage by which Windows and older IKE implementations choose a gateway's certificate."""
IKE = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.17")
"""id-kp-ipsecIKE (RFC 4945 section 5.1.3.12)."""

_FOR_COMPUTERS = {
    *(ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
    *(IKE, IKE_INTERMEDIATE),
}
_OF_OTHERS = {SMART_CARD_LOGON: "a user's", CMC_RA: "a registrar's"}
"""Usages that no computer has; these certificates are for authentication of clients, too."""
_GATEWAY = {ExtendedKeyUsageOID.SERVER_AUTH, IKE_INTERMEDIATE}
"""What a gateway's own has; IKE_INTERMEDIATE alone is that of a template for IPsec."""


def check_usage(certificate: x509.Certificate) -> None:
    """Raise TrustError for a certificate that is somebody else's than a computer's."""
    why = _why_not(certificate)
    if why:
        subject = name_of(certificate.subject)
        raise TrustError(f"the certificate of {subject} {why}", problem=WRONG_USAGE)


def _why_not(certificate: x509.Certificate) -> str:
    try:
        usages = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return ""  # it is for everything (RFC 5280 section 4.2.1.12)
    except UNREADABLE:
        return "cannot be read"
    others = [word for usage, word in _OF_OTHERS.items() if usage in usages]
    if others:
        return f"is {others[0]}, not a computer's"
    if usages & _FOR_COMPUTERS and usages != _GATEWAY:
        return ""
    oid = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
    return f"is not for authentication of clients ({oid})"
