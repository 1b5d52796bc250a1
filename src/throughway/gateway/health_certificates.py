"""Health certificates: issued for some hours, demanded by charon of who wants the intranet tunnel.

A health certificate has a key of its own. charon tries the certificates that it knows of an
identity until one fits the signature, so with the computer's key it would take the computer
certificate, which it remembers of the infrastructure tunnel, and miss the policy.

charon lets a policy count that every authority above asserts too (RFC 5280, 6.1.3), by itself or
as anyPolicy. That is said here about an authority that does not, before clients are refused.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from throughway.gateway.user_proof import REVOKED as USER_REVOKED
from throughway.gateway.user_proof import check_revocation
from throughway.model.config import HealthConfig, IPsecServerConfig
from throughway.model.errors import ConfigError, TrustError
from throughway.model.revocation import Revocation
from throughway.model.statement import SYSTEM_HEALTH
from throughway.net.charon import REVOCATION
from throughway.net.files import read_file, read_secret
from throughway.net.revocation_lists import RevocationLists
from throughway.net.vici import Section
from throughway.pki import judgement, pem
from throughway.pki.authority import Credential, asserts, certify_health, open_authority
from throughway.proto.statement import enforced

CERTIFICATE, KEY = "ca.crt", "ca.key"
"""Of the directory that ``throughway pki init`` has made."""
MAX_ISSUED = 65536
"""That are remembered; one has some hundred bytes."""
REVOKED, UNKNOWN = "ipsec-cert-revoked", "ipsec-crl-unreachable"

T = TypeVar("T")


def open_health_authority(directory: Path) -> Credential:
    """Return the authority; TrustError or ValueError where it cannot issue what charon takes."""
    certificate, key = directory / CERTIFICATE, directory / KEY
    root = open_authority(
        pem.parse_key(read_secret(key), str(key)),
        pem.parse_certificate(read_file(certificate), str(certificate)),
    )
    if not asserts(root.certificate, SYSTEM_HEALTH):
        why = f"has neither the certificate policy {SYSTEM_HEALTH} nor anyPolicy"
        raise TrustError(f"{certificate} {why}: charon would take none of its certificates")
    return root


def demanded(health: HealthConfig, now: float) -> bool:
    """Say whether charon wants a health certificate for the intranet tunnel now."""
    return health.authority is not None and enforced(health.policy, now)


def authorities_demanded(health: HealthConfig, now: float) -> tuple[bytes, ...]:
    """Return the authorities (PEM) of which charon wants a health certificate, none: it does not.

    ConfigError where the file cannot be read.
    """
    if health.authority is None or not demanded(health, now):
        return ()
    file = health.authority / CERTIFICATE
    try:
        return (read_file(file),)
    except ValueError as error:
        why = str(error).removeprefix(f"{file} ")
        raise ConfigError(str(file), "health.authority", why) from error


def with_health(first: Section, authorities: Iterable[bytes]) -> Section:
    """Return what charon demands in round 1, and a health certificate beside.

    The computer's own authorities stay, so that charon says what is missing. A health certificate
    is of some hours and on no list: its end is its revocation (RFC 9608). The computer certificate
    that it stands on is looked up at each logon.
    """
    demands = first | {
        "cacerts": [*first["cacerts"], *authorities],
        "cert_policy": [SYSTEM_HEALTH],
    }
    return demands | (REVOCATION[Revocation.WEAK] if "revocation" in first else {})


class HealthCertificates:
    """Issues them, and knows on which computer certificates they stand."""

    def __init__(self) -> None:
        self._issued: OrderedDict[str, str] = OrderedDict()
        """Thumbprints of the last health certificates, by those of the computers' own."""
        self._owners: OrderedDict[str, x509.Certificate] = OrderedDict()
        """The computer certificates that were shown, by identity."""

    def issue(
        self,
        directory: Path,
        identity: str,
        own: x509.Certificate,
        point: str,
        now: float,
        until: float,
    ) -> str:
        """Return a certificate (PEM) of the key of this point; TrustError, ValueError or OSError.

        Its names are those of the computer certificate that was shown, and it ends with it.
        """
        if not point:
            raise TrustError("the statement brings no key for a health certificate")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(point))
        end = min(until, own.not_valid_after_utc.timestamp())
        made = certify_health(
            open_health_authority(directory),
            judgement.names(own),
            key,
            now=datetime.fromtimestamp(now, UTC),
            life=timedelta(seconds=end - now),
        )
        _remember(self._issued, _thumbprint(own), _thumbprint(made))
        _remember(self._owners, identity.lower(), own)
        return pem.build_certificate_pem(made).decode()

    def also_of(self, thumbprint: str) -> str:
        """Return the thumbprint of the health certificate beside a computer's, "" for none."""
        return self._issued.get(thumbprint, "")

    def owner(self, identity: str) -> x509.Certificate | None:
        """Return the computer certificate that the last one of an identity stands on."""
        return self._owners.get(identity.lower())


async def check_owner(
    own: x509.Certificate, ipsec: IPsecServerConfig, lists: RevocationLists | None
) -> None:
    """Raise TrustError where the computer certificate was revoked since, or may have been."""
    if lists is None or ipsec.revocation is Revocation.NONE:
        return
    chain = (own, *_issuers(own, pem.parse_certificates(read_file(ipsec.ca), str(ipsec.ca))))
    try:
        await check_revocation(chain, lists, ipsec.revocation)
    except TrustError as error:
        problem = REVOKED if error.problem == USER_REVOKED else UNKNOWN
        raise TrustError(f"the computer certificate: {error}", problem=problem) from error


def _issuers(
    own: x509.Certificate, authorities: Iterable[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    for authority in authorities:
        with contextlib.suppress(ValueError, TypeError, InvalidSignature):
            own.verify_directly_issued_by(authority)
            return (authority,)
    return ()


def _remember(table: OrderedDict[str, T], key: str, value: T) -> None:
    table.pop(key, None)
    table[key] = value
    while len(table) > MAX_ISSUED:
        table.popitem(last=False)


def _thumbprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(SHA256()).hex()
