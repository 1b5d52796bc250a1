"""What is wrong with a client's certificate, as OpenSSL says it in a handshake.

OpenSSL tells why, but not whose certificate it was.
"""

import ssl

from throughway.proto.iphttps.adc import (
    EXPIRED,
    NO_CERTIFICATE,
    REVOKED,
    UNJUDGED,
    UNTRUSTED,
    WRONG_USAGE,
)

USAGE_WORDS = "it may not be used by a TLS client (its extended key usage)"
# OpenSSL's X509_V_ERR_… numbers, for a certificate of a client.
_CAUSES = {
    3: (UNJUDGED, "client_crls has no list of its authority"),
    9: (EXPIRED, "it is not valid yet"),
    10: (EXPIRED, "it has expired"),
    11: (UNJUDGED, "the list of its authority is not valid yet"),
    12: (UNJUDGED, "the list of its authority has expired: put the new one in place"),
    23: (REVOKED, "its authority has revoked it"),
    26: (WRONG_USAGE, USAGE_WORDS),
}


def refusal_of(error: BaseException | None) -> tuple[str, str] | None:
    """Return code and words for a handshake that failed for the client's certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"it does not lead to an authority of client_ca: {error.verify_message}"
        return _CAUSES.get(error.verify_code, (UNTRUSTED, words))
    if isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return NO_CERTIFICATE, "the client showed no certificate"
    return None
