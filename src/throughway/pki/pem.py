"""PEM in and out: certificates, CRLs and keys, with errors a person can act on.

Files are not touched here: callers read and write the bytes. ``what`` names the input
in the error's text. The one key that the client daemon reads has its parser in
:mod:`throughway.pki.bundle`, so that X.509 stays out of the daemon's memory.
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from throughway.model.errors import TrustError

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
"""The keys that strongSwan, OpenSSL and Windows all take in certificates."""

UNREADABLE = (
    *(ValueError, TypeError, OverflowError, UnsupportedAlgorithm, TrustError),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""What reading X.509 of strangers may end with."""


def build_certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def build_certificate_der(certificate: x509.Certificate) -> bytes:
    """Return the certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def build_crl_pem(crl: x509.CertificateRevocationList) -> bytes:
    """Return the CRL as PEM."""
    return crl.public_bytes(serialization.Encoding.PEM)


def build_crl_der(crl: x509.CertificateRevocationList) -> bytes:
    """Return the CRL as DER, the form that a distribution point serves (RFC 5280, 4.2.1.13)."""
    return crl.public_bytes(serialization.Encoding.DER)


def build_key_pem(key: PrivateKey | Ed25519PrivateKey) -> bytes:
    """Return the private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def build_public_key_pem(key: Ed25519PublicKey) -> bytes:
    """Return the public key as PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def parse_certificates(data: bytes, what: str = "certificate") -> tuple[x509.Certificate, ...]:
    """Return every certificate in the PEM, at least one, in its order."""
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except (ValueError, x509.InvalidVersion) as error:
        raise TrustError(f"{what}: no certificate in PEM form") from error


def parse_certificate(data: bytes, what: str = "certificate") -> x509.Certificate:
    """Return the first certificate in the PEM: in a chain file, the subject's own."""
    return parse_certificates(data, what)[0]


def load_certificate(data: bytes) -> x509.Certificate:
    """Return a certificate, given as DER; raises one of :data:`UNREADABLE`."""
    return x509.load_der_x509_certificate(data)


def parse_crl(data: bytes, what: str = "CRL") -> x509.CertificateRevocationList:
    """Return the CRL, given as PEM or DER."""
    pem = data.lstrip().startswith(b"-----BEGIN")
    load = x509.load_pem_x509_crl if pem else x509.load_der_x509_crl
    try:
        return load(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise TrustError(f"{what}: not a CRL in PEM or DER form") from error


def parse_crls(data: bytes, what: str = "CRL") -> tuple[x509.CertificateRevocationList, ...]:
    """Return every CRL in the PEM, perhaps none, in its order."""
    begin = b"-----BEGIN X509 CRL-----"
    return tuple(parse_crl(begin + part, what) for part in data.split(begin)[1:])


def parse_key(data: bytes, what: str = "key") -> PrivateKey:
    """Return the RSA or elliptic-curve key in the PEM; encrypted keys are refused."""
    key = _load_private_key(data, what)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise TrustError(f"{what}: not an RSA or elliptic-curve key")
    return key


def parse_signing_key(data: bytes, what: str = "signing key") -> Ed25519PrivateKey:
    """Return the Ed25519 private key in the PEM."""
    key = _load_private_key(data, what)
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError(f"{what}: not an Ed25519 key; make one with `throughway policy key`")
    return key


def same_key(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether the certificate was issued for this key."""
    return _spki(certificate.public_key()) == _spki(key.public_key())


def misplaced(certificates: Sequence[x509.Certificate], key: PrivateKey) -> str:
    """Say where the certificate for this key stands when it is not the first one; "" else."""
    for number, certificate in enumerate(certificates, 1):
        if same_key(certificate, key):
            words = f"belongs to certificate {number} of it, which must stand before the others"
            return words if number > 1 else ""
    return ""


def certificate_fingerprint(certificate: x509.Certificate) -> str:
    """Return the certificate's SHA-256 in the usual colon form."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _load_private_key(data: bytes, what: str) -> object:
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError as error:
        raise TrustError(
            f"{what}: the key is encrypted; a daemon has nobody to ask for its password; "
            "decrypt it with `openssl pkey` and protect the file by its mode"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"{what}: no private key in PEM form") from error


def _spki(key: object) -> bytes:
    assert hasattr(key, "public_bytes")
    spki: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return spki
