"""What is wrong with a client's certificate, as OpenSSL says it in a handshake.

OpenSSL tells why, but not whose certificate it was.
"""

import ssl

from throughway.proto.iphttps.adc import NO_CERTIFICATE, UNTRUSTED, VERIFY_ERRORS


def refusal_of(error: BaseException | None) -> tuple[str, str] | None:
    """Return code and words for a handshake that failed for the client's certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"it does not lead to an authority of client_ca: {error.verify_message}"
        return VERIFY_ERRORS.get(error.verify_code, (UNTRUSTED, words))
    if isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return NO_CERTIFICATE, "the client showed no certificate"
    return None
