"""Facts about IPsec: associations, their failures, and whether failures are audited."""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.facts.base import Fact


class Mode(StrEnum):
    """The part of a negotiation."""

    MAIN = "main mode"
    QUICK = "quick mode"
    EXTENDED = "extended mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityAssociation(Fact):
    """One association: ``netsh advfirewall monitor show mmsa|qmsa``, Get-NetIPsec…ModeSA."""

    QUESTION = "Which IPsec associations are there?"
    COLLECT = (
        "netsh advfirewall monitor show mmsa",
        "netsh advfirewall monitor show qmsa",
    )

    mode: Mode
    local: str | None = None
    remote: str | None = None
    auth1: str | None = None
    auth2: str | None = None
    offer: str | None = None
    local_id: str | None = None
    remote_id: str | None = None
    health_certificate: bool | None = None
    when: str | None = None
    """As printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSecurityAssociations(Fact):
    """The command said that there is none."""

    QUESTION = SecurityAssociation.QUESTION
    COLLECT = SecurityAssociation.COLLECT

    mode: Mode | None
    """None where the command is not known: the answer is the same for both modes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPolicy(Fact):
    """One subcategory of ``auditpol /get``."""

    QUESTION = "Are failures of IPsec audited?"
    COLLECT = ('auditpol /get /category:"Logon/Logoff"',)

    mode: Mode
    success: bool | None = None
    failure: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationFailure(Fact):
    """A security event 4652, 4653, 4654 or 4984, or an error in a trace."""

    QUESTION = "Which IPsec negotiations failed, and why?"
    COLLECT = (
        'wevtutil qe Security /q:"*[System[(EventID=4653 or EventID=4654 or EventID=4984)]]"'
        " /f:xml /c:200 /rd:true",
    )

    mode: Mode
    event: int | None = None
    when: str | None = None
    local: str | None = None
    remote: str | None = None
    error_code: int | None = None
    """13801 and its kin, where the reason is a number or a text that is known."""
    reason: str = ""
    """As printed."""
    failure_point: str | None = None
    """local or remote computer, by form."""
    state: str = ""
    role: str | None = None
    """initiator or responder."""
    authentication: str = ""
    """certificate, kerberos, ntlm, … where it is known."""
    local_certificate: str = ""
    remote_certificate: str = ""
    """Thumbprints."""
    local_name: str = ""
    remote_name: str = ""
    """The principals; "" where none was authenticated."""
    answered: bool | None = None
    """False: the other side never sent anything (its cookie is zero)."""
    times: int = 1
    """How often it stands in the log; this is the newest of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationSuccess(Fact):
    """A security event 4650, 4651 or 5451: an association came up."""

    QUESTION = NegotiationFailure.QUESTION
    COLLECT = NegotiationFailure.COLLECT

    mode: Mode
    event: int | None = None
    when: str | None = None
    local: str | None = None
    remote: str | None = None
    authentication: str = ""
