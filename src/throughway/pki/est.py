"""Enrolment over Secure Transport (RFC 7030, RFC 8951): its words and messages, on both ends."""

import base64
import binascii
import importlib
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from throughway.model.errors import WireError

BASE = "/.well-known/est"
CACERTS, CSRATTRS = f"{BASE}/cacerts", f"{BASE}/csrattrs"
ENROL, RENEW = f"{BASE}/simpleenroll", f"{BASE}/simplereenroll"
POLICY = "/.well-known/throughway/policy"
"""Where a computer that joins finds the deployment's policy bundle; no part of EST."""

USER = "/.well-known/throughway/user"
"""Where a registration authority asks for a user's certificate; no part of EST."""
PRINCIPAL, LIFE = "throughway-principal", "throughway-life"
"""Headers of that: the user, and for how many seconds."""

DEFAULT_PORT = 8443
"""443 is IP-HTTPS's, and whoever serves that must not have the authority's key."""

CERTIFICATES = "application/pkcs7-mime; smime-type=certs-only"
REQUEST = "application/pkcs10"
ATTRIBUTES = "application/csrattrs"

PROBLEM = "throughway-problem"
"""Header of a refusal: the code of the catalogue's problem."""
CERTIFICATE, PROOF = "throughway-certificate", "throughway-proof"
"""Headers of a renewal: a certificate that cannot be shown in TLS, since it is a server's, and
its key's signature of the request (base64)."""

MAX_CERTIFICATES = 64 * 1024
"""Bytes of an answer."""

CSR_ATTRIBUTES = bytes.fromhex(
    # RFC 7030, 4.5.2: id-ecPublicKey with the curve P-256, and ecdsa-with-SHA256.
    "3021301506072a8648ce3d0201310a06082a8648ce3d03010706082a8648ce3d040302"
)


def preload() -> None:
    """Load now what is loaded only by those who need it."""
    importlib.import_module("cryptography.hazmat.primitives.serialization.pkcs7")


def build_certificates(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return a certs-only message (RFC 5272, 4.1), base64."""
    from cryptography.hazmat.primitives.serialization import pkcs7  # large; who waits has it not

    return encode(pkcs7.serialize_certificates(list(certificates), Encoding.DER))


def parse_certificates(body: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of an answer, at least one."""
    from cryptography.hazmat.primitives.serialization import pkcs7

    try:
        found = pkcs7.load_der_pkcs7_certificates(decode(body))
    except (ValueError, TypeError) as error:
        raise WireError("the answer is no certs-only message") from error
    if not found:
        raise WireError("the answer has no certificate")
    return tuple(found)


def encode(data: bytes) -> bytes:
    """Return base64 as bodies have it."""
    return base64.encodebytes(data)


def decode(body: bytes) -> bytes:
    """Return what a body in base64 says; white space does not count (RFC 8951, 3.1)."""
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise WireError("it is not base64") from None


def build_authorization(name: str, token: str) -> str:
    """Return the header by which a token is shown (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode("ascii")


def parse_authorization(header: str) -> str:
    """Return the token, "" where there is none: as a password (RFC 7617) or bearer (RFC 6750)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except ValueError:
        return ""
    return text.partition(":")[2]
