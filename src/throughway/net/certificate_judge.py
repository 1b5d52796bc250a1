"""Judge the certificate of a client that a device passes on, by the gateway's own authorities.

The same judgement as OpenSSL's in a handshake: authorities, dates, usage, revocation lists. Apart
from :mod:`throughway.net.client_certificates`, since only who needs it shall load X.509.
"""

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

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
        self._crls = pem.parse_crls(credentials.client_crls.encode())

    def __call__(self, der: bytes) -> Verdict:
        """Judge one, now."""
        try:
            certificate = pem.load_certificate(der)
            subject = certificate.subject.rfc4514_string() or ", ".join(
                judgement.names(certificate)
            )
        except pem.UNREADABLE as error:
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
        """Ask every list of its authority, of which there may be an older one, and a new key."""
        mine = [crl for crl in self._crls if crl.issuer == certificate.issuer]
        named = [anchor for anchor in self._anchors if anchor.subject == certificate.issuer]
        issuers = [one for one in named if _has_issued(one, certificate)]
        lists: list[x509.CertificateRevocationList | None] = [*mine] or [None]
        facts = [revocation(certificate, by, crl, now) for by in issuers for crl in lists]
        for fact in facts:
            if fact.state is RevocationState.REVOKED:
                return REVOKED, fact.why
        if any(fact.state is RevocationState.GOOD for fact in facts):
            return "", ""
        return UNJUDGED, facts[-1].why if facts else "its issuer is not at hand"


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *pem.UNREADABLE):
        return False
    return True
