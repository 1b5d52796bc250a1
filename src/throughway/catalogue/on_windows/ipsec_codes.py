"""Which problem an error of an IKE or AuthIP negotiation stands for, and how surely."""

from collections.abc import Mapping
from types import MappingProxyType

from throughway.catalogue import ipsec
from throughway.catalogue import ipsec_certificate as certificate
from throughway.catalogue.on_windows.codes import Meaning
from throughway.catalogue.on_windows.firewall import KEYING_SERVICE_STOPPED
from throughway.model.findings import Confidence, Problem

_OTHER_SIDE = "the other side gave the negotiation up, as it does when it refuses the credentials"
_POLICY = "the code says that no policy fits; usual when one side has an old one"


def _likely(problem: Problem, reason: str) -> Meaning:
    return Meaning(problem, Confidence.LIKELY, reason)


def _possible(problem: Problem, reason: str) -> Meaning:
    return Meaning(problem, Confidence.POSSIBLE, reason)


_MEANINGS: Mapping[int, Meaning] = MappingProxyType(
    {
        13801: _likely(
            ipsec.AUTH_FAILURE_UNSPECIFIED, "the code says that, and not which credential it was"
        ),
        13802: _possible(ipsec.POLICY_MISMATCH, "the code says that proposals were not accepted"),
        13805: Meaning(ipsec.NEGOTIATION_TIMEOUT),
        13806: Meaning(certificate.NO_MACHINE_CERT),
        13807: _possible(ipsec.AUTH_FAILURE_UNSPECIFIED, _OTHER_SIDE),
        13813: Meaning(ipsec.NEGOTIATION_TIMEOUT),
        13817: Meaning(certificate.CRL_UNREACHABLE),
        13818: _likely(
            certificate.CERT_MISSING_CLIENT_AUTH, "the code says that the usage does not fit"
        ),
        13819: _possible(certificate.CERT_WRONG_CHAIN, "the code says that the type does not fit"),
        13820: Meaning(certificate.CERT_NO_PRIVATE_KEY),
        13822: _possible(ipsec.POLICY_MISMATCH, "the code says that the key exchange failed"),
        13825: _likely(ipsec.POLICY_MISMATCH, _POLICY),
        13827: _likely(ipsec.USER_REFUSED, "the code says that Kerberos failed"),
        13847: _likely(
            certificate.NO_MACHINE_CERT, "the code says that the other side sent no certificate"
        ),
        13848: Meaning(certificate.CRL_UNREACHABLE),
        13850: _likely(ipsec.POLICY_MISMATCH, _POLICY),
        13868: Meaning(ipsec.POLICY_MISMATCH),
        13875: _possible(
            ipsec.AUTH_FAILURE_UNSPECIFIED, "the code says that a signature was not accepted"
        ),
        13883: _likely(KEYING_SERVICE_STOPPED, "the code says that negotiation is switched off"),
        13886: _likely(ipsec.NEGOTIATION_TIMEOUT, "the code says that the other side fell silent"),
        13887: Meaning(certificate.CERT_WRONG_CHAIN),
        13905: _likely(
            ipsec.HEALTH_CERTIFICATE_MISSING,
            "with DirectAccess the code means a missing health certificate; where none is "
            "demanded, a group that the computer or user is not in",
        ),
        13906: Meaning(ipsec.SMART_CARD_REQUIRED),
        13907: _possible(ipsec.SMART_CARD_REQUIRED, "the code allows other credentials as well"),
        13908: _likely(ipsec.SMART_CARD_REQUIRED, "the code names strong credentials"),
    }
)
_CREDENTIALS = frozenset({13801, 13807, 13816})


def of_negotiation(code: int, *, second_round: bool, authentication: str) -> Meaning | None:
    """Return what a code means; in the second round it is about the account or the user.

    Codes that are no fault (a renewal, a cookie, an association that expired) mean nothing.
    """
    if second_round and code in _CREDENTIALS:
        word = authentication.lower()
        if "ntlm" in word:
            return _likely(ipsec.COMPUTER_ACCOUNT_REFUSED, "NTLMv2 of the second round failed")
        if "kerb" in word:
            return _likely(ipsec.USER_REFUSED, "Kerberos of the second round failed")
    return _MEANINGS.get(code)
