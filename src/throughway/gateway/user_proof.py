"""How a gateway lets users prove themselves: tickets, smart cards, certificates for codes."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from throughway.model.config import (
    IPsecServerConfig,
    UserCertificatesConfig,
    UserProof,
    UsersConfig,
)
from throughway.model.errors import TransportError, TrustError
from throughway.model.revocation import Fault, Revocation
from throughway.net.files import read_file
from throughway.net.radius import UserCertificates
from throughway.net.revocation import PROBLEMS, Checker
from throughway.net.revocation_lists import RevocationLists
from throughway.net.user_tls import Chain, UserTLS, UserTLSSettings, make_context
from throughway.pki.pem import parse_certificates
from throughway.pki.user_certificate import Proof, check_usage, principal_of
from throughway.proto.authoriser import Method

_PROOFS: dict[UserProof, tuple[Proof, ...]] = {
    UserProof.ANY: (Proof.SMART_CARD, Proof.CODE),
    UserProof.STRONG: (Proof.SMART_CARD, Proof.CODE),
    UserProof.SMART_CARD: (Proof.SMART_CARD,),
    UserProof.CODE: (Proof.CODE,),
}

REVOKED, UNKNOWN = "user-certificate-revoked", "user-certificate-revocation-unknown"


def methods_of(users: UsersConfig) -> tuple[Method, ...]:
    """Return what is open to users; what the gateway would rather have comes first."""
    if users.require is not UserProof.ANY:
        return (Method.CERTIFICATE,)
    if users.certificates is not None:
        return Method.TICKET, Method.CERTIFICATE
    return (Method.TICKET,)


def certificates_of(
    ipsec: IPsecServerConfig, users: UsersConfig, lists: RevocationLists | None = None
) -> UserCertificates | None:
    """Return what accepts users by certificates, None where none are configured.

    Files are read for each handshake, so that a new certificate is in force at once.
    """
    wanted = users.certificates
    if wanted is None:
        return None
    proofs = _PROOFS[users.require]

    def check(certificate: x509.Certificate) -> None:
        check_usage(certificate, proofs)
        principal_of(certificate, users.realm)

    async def judge(chain: Chain) -> str:
        if lists is not None:
            await check_revocation(chain, lists, wanted.revocation)
        return principal_of(chain[0], users.realm)

    return UserCertificates(begin=lambda: UserTLS(_context(ipsec, wanted), check), judge=judge)


async def check_revocation(chain: Chain, lists: RevocationLists, policy: Revocation) -> None:
    """Raise TrustError for a chain that was revoked or, under the strong policy, may have been."""
    try:
        await Checker(lists, policy=policy).check_chain(
            [c.public_bytes(Encoding.DER) for c in chain]
        )
    except TransportError as error:
        problem = REVOKED if error.problem == PROBLEMS[Fault.REVOKED][0] else UNKNOWN
        words = str(error).partition("the server is refused: ")[2] or str(error)
        raise TrustError(words, problem=problem) from error


def _context(ipsec: IPsecServerConfig, wanted: UserCertificatesConfig) -> SSL.Context:
    try:
        own = parse_certificates(read_file(ipsec.certificate), str(ipsec.certificate))
        authorities = parse_certificates(read_file(wanted.ca), str(wanted.ca))
        key = read_file(ipsec.key)
    except ValueError as error:
        raise TrustError(str(error)) from None
    settings = UserTLSSettings(
        certificate=own[0], chain=tuple(own[1:]), key=key, authorities=tuple(authorities)
    )
    return make_context(settings)
