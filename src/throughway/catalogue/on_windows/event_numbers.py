"""What the events in Windows' logs mean that an administrator of DirectAccess meets."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from throughway.catalogue import ipsec
from throughway.catalogue import ipsec_certificate as certificate
from throughway.model.findings import Problem

_SECURITY = "Security"
_READ_THE_REASON = "the failure reason and the error number in it say which"


class WindowsEvent(NamedTuple):
    """One kind of event."""

    log: str
    meaning: str
    reading: str = ""
    """How to read it further."""
    problems: tuple[Problem, ...] = ()
    """What it may stand for."""


EVENTS: Mapping[int, WindowsEvent] = MappingProxyType(
    {
        4646: WindowsEvent(_SECURITY, "the service met what looks like flooding by IKE"),
        4650: WindowsEvent(
            _SECURITY,
            "a main mode was negotiated, without extended mode; no certificate was used",
        ),
        4651: WindowsEvent(
            _SECURITY, "a main mode was negotiated, without extended mode, with a certificate"
        ),
        4652: WindowsEvent(
            _SECURITY,
            "a main mode negotiation with a certificate failed",
            _READ_THE_REASON,
            (
                ipsec.AUTH_FAILURE_UNSPECIFIED,
                certificate.NO_MACHINE_CERT,
                ipsec.NEGOTIATION_TIMEOUT,
            ),
        ),
        4653: WindowsEvent(
            _SECURITY,
            "a main mode negotiation failed",
            _READ_THE_REASON,
            (
                certificate.NO_MACHINE_CERT,
                ipsec.AUTH_FAILURE_UNSPECIFIED,
                ipsec.NEGOTIATION_TIMEOUT,
                ipsec.POLICY_MISMATCH,
            ),
        ),
        4654: WindowsEvent(
            _SECURITY,
            "a quick mode negotiation failed",
            _READ_THE_REASON,
            (ipsec.POLICY_MISMATCH, ipsec.NEGOTIATION_TIMEOUT),
        ),
        4655: WindowsEvent(_SECURITY, "a main mode association has ended; no fault by itself"),
        4710: WindowsEvent(_SECURITY, "the IPsec services were disabled"),
        4960: WindowsEvent(_SECURITY, "a packet was changed on its way and dropped"),
        4961: WindowsEvent(_SECURITY, "a packet came twice and was dropped"),
        4963: WindowsEvent(_SECURITY, "a packet came in plain where protection is demanded"),
        4965: WindowsEvent(
            _SECURITY, "a packet of an association that is not known; usual after a restart"
        ),
        4976: WindowsEvent(_SECURITY, "a message of main mode was wrong"),
        4977: WindowsEvent(_SECURITY, "a message of quick mode was wrong"),
        4978: WindowsEvent(_SECURITY, "a message of extended mode was wrong"),
        4979: WindowsEvent(_SECURITY, "main and extended mode associations are up"),
        4980: WindowsEvent(_SECURITY, "main and extended mode associations are up"),
        4981: WindowsEvent(_SECURITY, "main and extended mode associations are up"),
        4982: WindowsEvent(_SECURITY, "main and extended mode associations are up"),
        4983: WindowsEvent(
            _SECURITY,
            "an extended mode negotiation with a certificate failed; its main mode was deleted",
            _READ_THE_REASON,
            (ipsec.USER_REFUSED, ipsec.COMPUTER_ACCOUNT_REFUSED),
        ),
        4984: WindowsEvent(
            _SECURITY,
            "an extended mode negotiation failed: the user's or the computer account's "
            "credentials, or their authorisation; its main mode was deleted",
            _READ_THE_REASON,
            (
                ipsec.USER_REFUSED,
                ipsec.COMPUTER_ACCOUNT_REFUSED,
                ipsec.HEALTH_CERTIFICATE_MISSING,
                ipsec.SMART_CARD_REQUIRED,
            ),
        ),
        5049: WindowsEvent(_SECURITY, "a security association of IPsec was deleted"),
        5451: WindowsEvent(_SECURITY, "a quick mode association is up"),
        5452: WindowsEvent(_SECURITY, "a quick mode association has ended; no fault by itself"),
        5453: WindowsEvent(
            _SECURITY,
            "a negotiation failed because the keying service does not run",
            "start ikeext",
        ),
    }
)
"""By number. What the logs of single services hold is told by their own text."""
