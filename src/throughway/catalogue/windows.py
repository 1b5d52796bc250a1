"""The error numbers that Windows shows for what our client and gateway meet.

Administrators of DirectAccess know these numbers from ``netsh interface httpstunnel show
interfaces`` and from the security events 4653, 4654 and 4984; so they stand beside our own words.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class WindowsCode(NamedTuple):
    """Symbol of a number and what it means here."""

    symbol: str
    meaning: str


_UNSIGNED = 1 << 32
_HTTP_STATUS = 0x80190000
"""HRESULTs of this range carry an HTTP status in their low word."""

# IP-HTTPS: the interface and its URL
_INTERFACE = {
    0x0: ("ERROR_SUCCESS", "no error"),
    0x32: ("ERROR_NOT_SUPPORTED", "not supported, as when IPv6 is off"),
    0x34: ("ERROR_DUP_NAME", "an interface of that name exists already"),
    0x35: ("ERROR_BAD_NETPATH", "network path not found"),
    0x57: ("ERROR_INVALID_PARAMETER", "wrong parameter"),
    0xEA: ("ERROR_MORE_DATA", "the URL is too long"),
    0x103: ("ERROR_NO_MORE_ITEMS", "no usable certificate found"),
    0x490: ("ERROR_NOT_FOUND", "element not found"),
    0x4BE: ("ERROR_INVALID_NETNAME", "the URL holds an address instead of a name"),
    0x643: ("ERROR_INSTALL_FAILURE", "the interface could not be created"),
}
# IP-HTTPS: the way to the server
_SOCKETS = {
    0x2741: ("WSAEADDRNOTAVAIL", "address not usable here"),
    0x2743: ("WSAENETUNREACH", "no route to the network"),
    0x2745: ("WSAECONNABORTED", "connection given up on this side"),
    0x2746: ("WSAECONNRESET", "connection reset by the other side"),
    0x274C: ("WSAETIMEDOUT", "no answer in time"),
    0x274D: ("WSAECONNREFUSED", "connection refused"),
    0x2751: ("WSAEHOSTUNREACH", "no route to the host"),
    0x2AF9: ("WSAHOST_NOT_FOUND", "the name does not exist"),
    0x2AFA: ("WSATRY_AGAIN", "the name server gave no answer"),
    0x2AFB: ("WSANO_RECOVERY", "the name server failed"),
    0x2AFC: ("WSANO_DATA", "the name exists but has no address"),
    0x2564: ("DNS_ERROR_INVALID_POLICY_TABLE", "the name resolution policy table is corrupt"),
}
# IP-HTTPS: TLS and certificates
_TLS = {
    0x90320: ("SEC_I_INCOMPLETE_CREDENTIALS", "the server wants a client certificate"),
    0x80090308: ("SEC_E_INVALID_TOKEN", "the answer is not TLS"),
    0x8009030C: ("SEC_E_LOGON_DENIED", "logon denied"),
    0x80090322: ("SEC_E_WRONG_PRINCIPAL", "the certificate is for another name"),
    0x80090325: ("SEC_E_UNTRUSTED_ROOT", "the certificate's root is not trusted"),
    0x80090326: ("SEC_E_ILLEGAL_MESSAGE", "the TLS handshake was refused"),
    0x80090327: ("SEC_E_CERT_UNKNOWN", "the certificate could not be processed"),
    0x80090328: ("SEC_E_CERT_EXPIRED", "the certificate has expired"),
    0x80090331: ("SEC_E_ALGORITHM_MISMATCH", "no TLS version or cipher suite in common"),
    0x80092010: ("CRYPT_E_REVOKED", "the certificate was revoked"),
    0x80092012: ("CRYPT_E_NO_REVOCATION_CHECK", "revocation cannot be checked"),
    0x80092013: ("CRYPT_E_REVOCATION_OFFLINE", "the revocation list cannot be fetched"),
    0x800B0101: ("CERT_E_EXPIRED", "the certificate is outside its validity"),
    0x800B0109: ("CERT_E_UNTRUSTEDROOT", "the certificate's root is not trusted"),
    0x800B010A: ("CERT_E_CHAINING", "the certificate's chain has a gap"),
    0x800B010C: ("CERT_E_REVOKED", "the certificate was revoked"),
    0x800B010F: ("CERT_E_CN_NO_MATCH", "the certificate is for another name"),
}
# The domain
_DOMAIN = {
    0x51F: ("ERROR_NO_LOGON_SERVERS", "no domain controller for the logon"),
    0x54B: ("ERROR_NO_SUCH_DOMAIN", "the domain cannot be contacted"),
}
# IKE and IPsec; the symbols share their beginning
_IPSEC = {
    13801: ("AUTH_FAIL", "the credentials were not accepted"),
    13802: ("ATTRIB_FAIL", "the security attributes were not accepted"),
    13803: ("NEGOTIATION_PENDING", "negotiation goes on"),
    13804: ("GENERAL_PROCESSING_ERROR", "processing failed"),
    13805: ("TIMED_OUT", "negotiation timed out"),
    13806: ("NO_CERT", "no valid computer certificate"),
    13807: ("SA_DELETED", "the other side deleted the association before it was up"),
    13808: ("SA_REAPED", "the association was given up before it was up"),
    13813: ("DROP_NO_RESPONSE", "the other side does not answer"),
    13816: ("ERROR", "unknown error"),
    13817: ("CRL_FAILED", "our revocation check failed"),
    13818: ("INVALID_KEY_USAGE", "the certificate's key usage does not fit"),
    13819: ("INVALID_CERT_TYPE", "the certificate's type does not fit"),
    13820: ("NO_PRIVATE_KEY", "the certificate has no private key"),
    13822: ("DH_FAIL", "the key exchange failed"),
    13825: ("NO_POLICY", "no policy for this peer"),
    13826: ("INVALID_SIGNATURE", "the signature is wrong"),
    13827: ("KERBEROS_ERROR", "Kerberos failed"),
    13828: ("NO_PUBLIC_KEY", "the peer's certificate has no public key"),
    13847: ("NO_PEER_CERT", "the peer sent no certificate"),
    13848: ("PEER_CRL_FAILED", "the peer's revocation check failed"),
    13850: ("NO_MM_POLICY", "no main mode policy"),
    13868: ("POLICY_MATCH", "the policies of both sides do not match"),
    13875: ("INVALID_SIG", "the certificate's signature is wrong"),
    13881: ("INVALID_CERT_KEYLEN", "the certificate's key is too short"),
    13883: ("NEGOTIATION_DISABLED", "negotiation is switched off"),
    13886: ("PEER_MM_ASSUMED_INVALID", "the peer stopped answering"),
    13887: ("CERT_CHAIN_POLICY_MISMATCH", "the certificate comes from another authority"),
    13905: ("AUTHORIZATION_FAILURE", "the peer is not authorised"),
    13906: ("STRONG_CRED_AUTHORIZATION_FAILURE", "a smart card or one-time password is needed"),
}

CODES: Mapping[int, WindowsCode] = MappingProxyType(
    {
        code: WindowsCode(*words)
        for table in (_INTERFACE, _SOCKETS, _TLS, _DOMAIN)
        for code, words in table.items()
    }
    | {
        code: WindowsCode(f"ERROR_IPSEC_IKE_{symbol}", meaning)
        for code, (symbol, meaning) in _IPSEC.items()
    }
)


def describe(code: int) -> str:
    """Return number, symbol and meaning in one line; signed numbers are taken as HRESULTs."""
    code %= _UNSIGNED
    number = f"0x{code:X}"
    if code in CODES:
        return f"{number} {CODES[code].symbol}: {CODES[code].meaning}"
    if _HTTP_STATUS <= code < _HTTP_STATUS + 600:
        return f"{number}: HTTP status {code - _HTTP_STATUS}"
    return number
