"""Judge the certificate of a client that a device passes on, by the gateway's own authorities.

The same judgement as OpenSSL's in a handshake: authorities, dates, usage, revocation lists. Apart
from :mod:`throughway.net.client_certificates`, since only who needs it shall load X.509.
"""

import hashlib
from datetime import UTC, datetime

from cryptography import x509

from throughway.net.tls import Credentials
from throughway.pki import judgement, pem
from throughway.pki.crl import revocation
from throughway.pki.judgement import RevocationState, Usage
from throughway.proto.iphttps.adc import (
    EXPIRED,
    REVOKED,
    UNJUDGED,
    UNTRUSTED,
    USAGE_WORDS,
    WRONG_USAGE,
    Verdict,
)


class CertificateJudge:
    """Judges certificates by the authorities and revocation lists of a gateway."""

    def __init__(self, credentials: Credentials) -> None:
        """Raise TrustError when these cannot be read."""
        authorities = credentials.client_ca.encode()
        self._anchors = pem.parse_certificates(authorities, "client_ca") if authorities else ()
        self._crls = {crl.issuer: crl for crl in pem.parse_crls(credentials.client_crls.encode())}

    def __call__(self, der: bytes) -> Verdict:
        """Judge one, now."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            subject = certificate.subject.rfc4514_string() or ", ".join(
                judgement.names(certificate)
            )
        except ValueError as error:
            return Verdict(problem=UNTRUSTED, why=f"it cannot be read: {error}")
        problem, why = self._judge(certificate, datetime.now(UTC))
        fingerprint = hashlib.sha256(der).hexdigest()
        return Verdict(
            subject=subject,
            fingerprint=fingerprint,
            serial=f"{certificate.serial_number:X}",
            problem=problem,
            why=why,
        )

    def _judge(self, certificate: x509.Certificate, now: datetime) -> tuple[str, str]:
        if not judgement.in_force(certificate, now):
            return EXPIRED, f"it is {judgement.validity(certificate, now)}"
        chain = judgement.chain(certificate, self._anchors, now)
        if not chain.trusted:
            return UNTRUSTED, f"it does not lead to an authority of client_ca: {chain.why}"
        if not judgement.allows(certificate, Usage.CLIENT):
            return WRONG_USAGE, USAGE_WORDS
        return self._revocation(certificate, now) if self._crls else ("", "")

    def _revocation(self, certificate: x509.Certificate, now: datetime) -> tuple[str, str]:
        issuer = next(a for a in self._anchors if a.subject == certificate.issuer)
        fact = revocation(certificate, issuer, self._crls.get(certificate.issuer), now)
        if fact.state is RevocationState.REVOKED:
            return REVOKED, fact.why
        return ("", "") if fact.state is RevocationState.GOOD else (UNJUDGED, fact.why)
