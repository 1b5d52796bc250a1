"""What is wrong with a client's certificate, as OpenSSL says it in a handshake.

OpenSSL tells why, but not whose certificate it was.
"""

import ssl

from throughway.proto.iphttps.adc import NO_CERTIFICATE, UNTRUSTED, VERIFY_ERRORS

LAPSED = VERIFY_ERRORS[10]
"""What is said of one that has ended since the session began that is being resumed."""


def lapsed(connection: ssl.SSLObject | None, now: float) -> bool:
    """Whether a session of TLS 1.2 is resumed whose client's certificate has ended meanwhile.

    OpenSSL does not look at it again for two hours, and has no way to let nobody resume.
    """
    if connection is None or not connection.session_reused:
        return False
    ends = (connection.getpeercert() or {}).get("notAfter")
    return isinstance(ends, str) and ssl.cert_time_to_seconds(ends) <= now


def refusal_of(error: BaseException | None) -> tuple[str, str] | None:
    """Return code and words for a handshake that failed for the client's certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"it does not lead to an authority of client_ca: {error.verify_message}"
        return VERIFY_ERRORS.get(error.verify_code, (UNTRUSTED, words))
    if isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return NO_CERTIFICATE, "the client showed no certificate"
    return None
