"""A certification authority for deployments that have none (RFC 5280).

Pure: the time is an argument, randomness comes from :mod:`cryptography`, and nothing is
read or written; ``throughway pki`` and the lab keep the files.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    CertificatePoliciesOID,
    ExtendedKeyUsageOID,
    NameOID,
)

from throughway.model.errors import ConfigError, TrustError
from throughway.model.statement import SYSTEM_HEALTH
from throughway.pki.computer_certificate import CMC_RA, IKE_INTERMEDIATE
from throughway.pki.fields import check_dns_name
from throughway.pki.pem import PrivateKey, same_key
from throughway.pki.user_certificate import CODE_POLICY, upn_name

BACKDATE = timedelta(minutes=5)
"""Certificates and CRLs begin this much in the past: computers' clocks are never quite equal."""

MAX_COMMON_NAME = 64
"""Characters (X.520 ub-common-name); a longer name stands in the SAN only."""

DEFAULT_ROOT_DAYS = 3650
DEFAULT_DAYS = 825
"""What TLS clients accept at most from private CAs."""
DEFAULT_CRL_DAYS = 7


PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class KeyType(StrEnum):
    """Kinds of key; RSA is needed for the NULL cipher suites of Windows' IP-HTTPS."""

    P256 = "p256"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"


class Profile(StrEnum):
    """What a certificate is for."""

    GATEWAY = "gateway"
    COMPUTER = "computer"
    SERVER = "server"
    REGISTRAR = "registrar"
    """Of a gateway that asks for certificates of users who have shown a one-time code."""
    USER = "user"
    """Of such a user, for hours."""
    HEALTH = "health"
    """Of a computer that was found healthy, for hours."""


SYSTEM_HEALTH_USAGE = x509.ObjectIdentifier(SYSTEM_HEALTH)

USAGES = {
    # IP-HTTPS is TLS: serverAuth. Not clientAuth: a gateway's certificate must not pass
    # for a computer's.
    Profile.GATEWAY: (ExtendedKeyUsageOID.SERVER_AUTH, IKE_INTERMEDIATE),
    Profile.COMPUTER: (ExtendedKeyUsageOID.CLIENT_AUTH,),
    Profile.SERVER: (ExtendedKeyUsageOID.SERVER_AUTH,),
    Profile.REGISTRAR: (ExtendedKeyUsageOID.CLIENT_AUTH, CMC_RA),
    Profile.USER: (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SMARTCARD_LOGON),
    Profile.HEALTH: (ExtendedKeyUsageOID.CLIENT_AUTH, SYSTEM_HEALTH_USAGE),
}


class Credential(NamedTuple):
    """A certificate with its private key; of the authority itself, or issued by it."""

    key: PrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry of a CRL."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified


def create_root(
    name: str,
    now: datetime,
    days: int = DEFAULT_ROOT_DAYS,
    key_type: KeyType = KeyType.P256,
    *,
    above: Credential | None = None,
    below: int = 0,
) -> Credential:
    """Make a root; ``name`` is its common name, such as ``Corp DirectAccess Root``.

    With an authority ``above`` it is no root, but issued by that one; ``below`` is how many more
    there may be under it.
    """
    if not name.strip() or len(name) > MAX_COMMON_NAME:
        raise ConfigError("certificate", "name", f"must have 1 to {MAX_COMMON_NAME} characters")
    key = generate_key(key_type)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = above.certificate.subject if above is not None else subject
    end = now + timedelta(days=_positive(days))
    builder = _builder(subject, issuer, key.public_key(), now - BACKDATE, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=below), True)
    builder = builder.add_extension(_key_usage(ca=True), critical=True)
    builder = builder.add_extension(_key_identifier(key.public_key()), critical=False)
    # strongSwan lets a policy of a computer certificate (such as health) count only when
    # its issuer asserts it too; RFC 5280 4.2.1.4: anyPolicy does.
    any_policy = x509.PolicyInformation(CertificatePoliciesOID.ANY_POLICY, None)
    builder = builder.add_extension(x509.CertificatePolicies([any_policy]), critical=False)
    if above is not None:
        builder = builder.add_extension(_authority_identifier(above.certificate), critical=False)
    return Credential(key, builder.sign(above.key if above is not None else key, hashes.SHA256()))


def issue(
    authority: Credential,
    profile: Profile,
    names: Sequence[str],
    *,
    now: datetime,
    days: int = DEFAULT_DAYS,
    key_type: KeyType = KeyType.P256,
    crl_url: str = "",
) -> Credential:
    """Make a key and a certificate for ``names``: DNS names or IP addresses, the main one first.

    The validity never reaches beyond the authority's own. ``crl_url`` becomes the CRL
    distribution point.
    """
    life = timedelta(days=_positive(days))
    key = generate_key(key_type)
    certificate = certify(
        authority, profile, names, key.public_key(), now=now, life=life, crl_url=crl_url
    )
    return Credential(key, certificate)


def certify(
    authority: Credential,
    profile: Profile,
    names: Sequence[str],
    key: PublicKey,
    *,
    now: datetime,
    life: timedelta,
    crl_url: str = "",
    issuer_url: str = "",
) -> x509.Certificate:
    """Make a certificate of somebody else's key, otherwise as :func:`issue`.

    ``issuer_url`` becomes the place of the authority's own certificate (RFC 5280, 4.2.2.1).
    """
    if not names:
        raise ConfigError("certificate", "name", "at least one name is needed")
    called = [general_name(name) for name in names]
    builder = _issued(authority, profile, _subject(names[0]), called, key, now, life, crl_url)
    if issuer_url:
        place = x509.UniformResourceIdentifier(issuer_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def certify_user(
    authority: Credential,
    principal: str,
    key: PublicKey,
    *,
    now: datetime,
    life: timedelta,
    crl_url: str = "",
) -> x509.Certificate:
    """Make a certificate of a user who has shown a one-time code, and say that in it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, principal[:MAX_COMMON_NAME])])
    called = [upn_name(principal)]
    builder = _issued(authority, Profile.USER, subject, called, key, now, life, crl_url)
    by_code = x509.CertificatePolicies([x509.PolicyInformation(CODE_POLICY, None)])
    builder = builder.add_extension(by_code, critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def certify_health(
    authority: Credential,
    names: Sequence[str],
    key: PublicKey,
    *,
    now: datetime,
    life: timedelta,
) -> x509.Certificate:
    """Make a health certificate, as Windows' health registration authority does.

    It says what it is as usage ([MS-WCCE] has it there) and, for charon, as policy.
    """
    if not names:
        raise ConfigError("certificate", "name", "at least one name is needed")
    called = [general_name(name) for name in names]
    subject = _subject(names[0])
    builder = _issued(authority, Profile.HEALTH, subject, called, key, now, life, "")
    policy = x509.PolicyInformation(SYSTEM_HEALTH_USAGE, None)
    builder = builder.add_extension(x509.CertificatePolicies([policy]), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def asserts(certificate: x509.Certificate, policy: str) -> bool:
    """Say whether what an authority issues may have this certificate policy."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    wanted = (x509.ObjectIdentifier(policy), CertificatePoliciesOID.ANY_POLICY)
    return any(each.policy_identifier in wanted for each in found)


def is_health(certificate: x509.Certificate) -> bool:
    """Say whether a certificate is a health certificate, by its usage."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return SYSTEM_HEALTH_USAGE in usages


def _issued(
    authority: Credential,
    profile: Profile,
    subject: x509.Name,
    called: Sequence[x509.GeneralName],
    key: PublicKey,
    now: datetime,
    life: timedelta,
    crl_url: str,
) -> x509.CertificateBuilder:
    """Return what all that is issued has."""
    root = authority.certificate
    if not root.not_valid_before_utc <= now < root.not_valid_after_utc:
        raise TrustError(f"the authority itself is valid only until {root.not_valid_after_utc}")
    begin = max(now - BACKDATE, root.not_valid_before_utc)
    end = min(now + life, root.not_valid_after_utc)
    builder = _builder(subject, root.subject, key, begin, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(
        _key_usage(ca=False, encipher=isinstance(key, rsa.RSAPublicKey)), critical=True
    )
    builder = builder.add_extension(x509.ExtendedKeyUsage(USAGES[profile]), critical=False)
    # RFC 5280, 4.2.1.6: critical when the subject is empty.
    alternatives = x509.SubjectAlternativeName(called)
    builder = builder.add_extension(alternatives, critical=not list(subject))
    builder = builder.add_extension(_key_identifier(key), critical=False)
    builder = builder.add_extension(_authority_identifier(root), critical=False)
    if crl_url:
        builder = builder.add_extension(_distribution_points(crl_url), critical=False)
    return builder


def build_crl(
    authority: Credential,
    revoked: Iterable[Revoked],
    *,
    number: int,
    now: datetime,
    next_update: datetime,
    delta_url: str = "",
) -> x509.CertificateRevocationList:
    """Make the CRL with this number; it must grow from CRL to CRL (RFC 5280, 5.2.3).

    ``delta_url`` becomes the place of its delta CRL (RFC 5280, 5.2.6).
    """
    if next_update <= now:
        raise ConfigError("CRL", "next update", "must be in the future")
    root = authority.certificate
    builder = x509.CertificateRevocationListBuilder(root.subject, now - BACKDATE, next_update)
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    builder = builder.add_extension(_authority_identifier(root), critical=False)
    if delta_url:
        point = _distribution_points(delta_url)
        builder = builder.add_extension(x509.FreshestCRL(list(point)), critical=False)
    for entry in revoked:
        builder = builder.add_revoked_certificate(_revoked_certificate(entry))
    return builder.sign(authority.key, hashes.SHA256())


def open_authority(key: PrivateKey, certificate: x509.Certificate) -> Credential:
    """Return the authority, when the two belong together and may issue."""
    if not same_key(certificate, key):
        raise TrustError("the authority's key does not belong to its certificate")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        raise TrustError("the authority's certificate is not a CA certificate") from None
    if not constraints.value.ca:
        raise TrustError("the authority's certificate is not a CA certificate")
    return Credential(key, certificate)


def check_name(name: str) -> str:
    """Return the DNS name or address when it may stand in a certificate."""
    if _is_address(name):
        return name
    try:
        check_dns_name(name.removeprefix("*."))
    except ValueError as error:
        raise ConfigError("certificate", "name", str(error)) from None
    return name


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=begin,
        not_valid_after=end,
    )


def generate_key(key_type: KeyType) -> PrivateKey:
    """Make a private key."""
    if key_type is KeyType.P256:
        return ec.generate_private_key(ec.SECP256R1())
    bits = 2048 if key_type is KeyType.RSA2048 else 3072
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _subject(name: str) -> x509.Name:
    check_name(name)
    if len(name) > MAX_COMMON_NAME:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def general_name(name: str) -> x509.GeneralName:
    """Return a DNS name or an address as it stands in a certificate."""
    check_name(name)
    if _is_address(name):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _positive(days: int) -> int:
    if days < 1:
        raise ConfigError("certificate", "days", f"must be at least 1, is {days}")
    return days


def _key_usage(*, ca: bool, encipher: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _key_identifier(key: PublicKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key)


def _authority_identifier(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    # The root's own SKI, not a digest of its key: another CA's may be made differently.
    try:
        ski = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        key = root.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        ski = x509.SubjectKeyIdentifier.from_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)


def _distribution_points(url: str) -> x509.CRLDistributionPoints:
    if not url.startswith(("http://", "ldap://")):
        # https would need a revocation check of its own (RFC 5280, section 8).
        raise ConfigError("certificate", "crl-url", f"{url!r} must begin with http://")
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return x509.CRLDistributionPoints([point])


def _revoked_certificate(entry: Revoked) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder(entry.serial, entry.at)
    # RFC 5280, 5.3.1: the reason "unspecified" is left out.
    if entry.reason is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(entry.reason), critical=False)
    return builder.build()
