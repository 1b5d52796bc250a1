"""Which usages a computer's certificate may have."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from throughway.model.errors import TrustError
from throughway.pki.computer_certificate import (
    CMC_RA,
    IKE,
    IKE_INTERMEDIATE,
    WRONG_USAGE,
    check_usage,
)

CLIENT, SERVER = x509.OID_CLIENT_AUTH, x509.OID_SERVER_AUTH
CARD, ANY = (
    ExtendedKeyUsageOID.SMARTCARD_LOGON,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)


def certificate(*usages: x509.ObjectIdentifier) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    "usages", [(), (CLIENT,), (CLIENT, SERVER), (ANY,), (IKE,), (IKE_INTERMEDIATE,)]
)
def test_for_computers(usages: tuple[x509.ObjectIdentifier, ...]) -> None:
    check_usage(certificate(*usages))


@pytest.mark.parametrize(
    ("usages", "words"),
    [
        ((SERVER,), "client1 is not for authentication of clients"),
        ((SERVER, IKE_INTERMEDIATE), "not for authentication of clients"),
        ((CLIENT, CARD), "is a user's"),
        ((CLIENT, CMC_RA), "is a registrar's"),
    ],
)
def test_of_somebody_else(usages: tuple[x509.ObjectIdentifier, ...], words: str) -> None:
    with pytest.raises(TrustError, match=words) as caught:
        check_usage(certificate(*usages))
    assert caught.value.problem == WRONG_USAGE
