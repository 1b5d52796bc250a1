"""The error numbers that Windows shows for what our client and gateway meet.

Administrators of DirectAccess know these numbers from ``netsh interface httpstunnel show
interfaces`` and from the security events 4653, 4654 and 4984; so they stand beside our own words.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from throughway.catalogue.windows_ipsec import IPSEC


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
    0x800B0110: ("CERT_E_WRONG_USAGE", "the certificate is not for servers"),
    0x800B010F: ("CERT_E_CN_NO_MATCH", "the certificate is for another name"),
}
# The domain
_DOMAIN = {
    0x51F: ("ERROR_NO_LOGON_SERVERS", "no domain controller for the logon"),
    0x54B: ("ERROR_NO_SUCH_DOMAIN", "the domain cannot be contacted"),
}
# WinHTTP, beneath the probes of the Network Connectivity Assistant
_HTTP = {
    0x5: ("ERROR_ACCESS_DENIED", "access denied"),
    0x102: ("WAIT_TIMEOUT", "it took too long"),
    0x424: ("ERROR_SERVICE_DOES_NOT_EXIST", "there is no service of that name"),
    0x426: ("ERROR_SERVICE_NOT_ACTIVE", "the service does not run"),
    0x422: ("ERROR_SERVICE_DISABLED", "the service is disabled"),
    12002: ("ERROR_WINHTTP_TIMEOUT", "no answer in time"),
    12007: ("ERROR_WINHTTP_NAME_NOT_RESOLVED", "the name could not be resolved"),
    12029: ("ERROR_WINHTTP_CANNOT_CONNECT", "no connection to the server"),
    12030: ("ERROR_WINHTTP_CONNECTION_ERROR", "the connection was reset or broke off"),
    12037: ("ERROR_WINHTTP_SECURE_CERT_DATE_INVALID", "the certificate is outside its validity"),
    12038: ("ERROR_WINHTTP_SECURE_CERT_CN_INVALID", "the certificate is for another name"),
    12044: ("ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED", "the server wants a client certificate"),
    12045: ("ERROR_WINHTTP_SECURE_INVALID_CA", "the certificate's root is not trusted"),
    12057: ("ERROR_WINHTTP_SECURE_CERT_REV_FAILED", "revocation could not be checked"),
    12152: ("ERROR_WINHTTP_INVALID_SERVER_RESPONSE", "the answer is no HTTP"),
    12170: ("ERROR_WINHTTP_SECURE_CERT_REVOKED", "the certificate was revoked"),
    12175: ("ERROR_WINHTTP_SECURE_FAILURE", "the server's certificate or TLS was not accepted"),
    12180: ("ERROR_WINHTTP_AUTODETECTION_FAILED", "no proxy was found by itself"),
}

CODES: Mapping[int, WindowsCode] = MappingProxyType(
    {
        code: WindowsCode(*words)
        for table in (_INTERFACE, _SOCKETS, _TLS, _DOMAIN, _HTTP)
        for code, words in table.items()
    }
    | {code: WindowsCode(*words) for code, words in IPSEC.items()}
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
