"""The TLS inside EAP-TLS, as the gateway's end: whose certificate does a user hold the key of?

OpenSSL does the handshake and follows the chain; what the certificate must say besides is asked
of a callback. TLS 1.2, for which RFC 5216 defines the keys; pyOpenSSL and not Python's ``ssl``,
since that cannot export keying material.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509
from OpenSSL import SSL, crypto

from throughway.model.errors import TrustError
from throughway.pki.judgement import name_of
from throughway.pki.pem import parse_key
from throughway.pki.user_certificate import EXPIRED, UNTRUSTED, WRONG_USAGE

_CIPHERS = b"ECDHE+AESGCM"
_KEY_LABEL = b"client EAP encryption"
_KEY_LENGTH = 64
"""Octets of the master session key (RFC 5216 section 2.3)."""
_READ = 64 * 1024
_USER_REFUSED = "ipsec-user-refused"

# X509_V_ERR_…, of openssl/x509_vfy.h; all others speak of the chain.
_ERRORS = {
    9: EXPIRED,  # NOT_YET_VALID
    10: EXPIRED,  # HAS_EXPIRED
    26: WRONG_USAGE,  # INVALID_PURPOSE
}
_NOT_OURS = "it leads to none of the authorities of users' certificates (users.certificates.ca)"
_REASONS = {
    2: _NOT_OURS,  # UNABLE_TO_GET_ISSUER_CERT
    7: "its signature is wrong",
    9: "it is not valid yet",
    10: "it has expired",
    18: _NOT_OURS,  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: _NOT_OURS,  # SELF_SIGNED_CERT_IN_CHAIN
    20: _NOT_OURS,  # UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: _NOT_OURS,  # UNABLE_TO_VERIFY_LEAF_SIGNATURE
    26: "it is not for authentication of clients",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTLSSettings:
    """What the gateway shows, and whom it believes."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: bytes = field(repr=False)
    """PEM."""
    authorities: tuple[x509.Certificate, ...]


Chain = tuple[x509.Certificate, ...]
"""The user's certificate first, then its issuers up to the anchor."""


def make_context(settings: UserTLSSettings) -> SSL.Context:
    """Return what all handshakes have in common."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    key = parse_key(settings.key, "the gateway's key")
    context.use_privatekey(key)
    context.use_certificate(settings.certificate)
    for certificate in settings.chain:
        context.add_extra_chain_cert(certificate)
    store = context.get_cert_store()
    assert store is not None
    for authority in settings.authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
    return context


class UserTLS:
    """One handshake. Flights in by :meth:`receive`; errors are TrustError with a problem."""

    def __init__(self, context: SSL.Context, check: Callable[[x509.Certificate], None]) -> None:
        """``check`` raises TrustError for a certificate, trusted already, that will not do."""
        self._check = check
        self._refusal: TrustError | None = None
        self._connection = SSL.Connection(context, None)
        self._connection.set_accept_state()
        self._connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        self.finished = False
        """Whether the user has proven to hold the key."""

    def receive(self, flight: bytes) -> bytes:
        """Take the peer's flight and return ours; once the handshake is over, b""."""
        if flight:
            self._connection.bio_write(flight)
        elif self.finished:
            return b""
        try:
            self._connection.do_handshake()
            self.finished = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            raise self._refusal or TrustError(_words(error), problem=_USER_REFUSED) from error
        return self.pending()

    def pending(self) -> bytes:
        """Return what is to be sent: a flight, or after an error the alert."""
        try:
            return self._connection.bio_read(_READ)
        except SSL.WantReadError:
            return b""

    def chain(self) -> Chain:
        """Return the user's certificate and the way to its anchor."""
        return tuple(self._connection.get_verified_chain(as_cryptography=True) or ())

    def session_key(self) -> bytes:
        """Return the master session key, by which IKE binds this proof to its own."""
        exported: bytes = self._connection.export_keying_material(_KEY_LABEL, _KEY_LENGTH)
        return exported

    def _verify(
        self, _connection: SSL.Connection, x: crypto.X509, error: int, depth: int, ok: int
    ) -> bool:
        certificate = x.to_cryptography()
        if not ok and self._refusal is None:
            what = "certificate" if depth == 0 else "certificate of an issuer,"
            words = f"the {what} {name_of(certificate.subject)}: {_reason(error)}"
            self._refusal = TrustError(words, problem=_ERRORS.get(error, UNTRUSTED))
        if ok and depth == 0:
            try:
                self._check(certificate)
            except TrustError as refusal:
                self._refusal = refusal
                return False
        return bool(ok)


def _reason(error: int) -> str:
    return _REASONS.get(error, f"OpenSSL's error {error}")


def _words(error: SSL.Error) -> str:
    """Say what OpenSSL says."""
    told = [entry[-1] for entry in (error.args[0] if error.args else ()) if entry]
    return f"the TLS handshake failed: {', '.join(told) or type(error).__name__}"
