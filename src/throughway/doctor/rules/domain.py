"""Rules about the domain: controllers, their records, Kerberos, the clock."""

from throughway.catalogue import domain as catalogue
from throughway.catalogue import host
from throughway.catalogue.on_windows.domain import DC_SITE_RECORDS_MISSING
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role
from throughway.model.facts.domain import DomainController, TimeOffset
from throughway.model.facts.names import NRPTRule
from throughway.model.facts.network import NameLookup, NetworkShare, PortTest
from throughway.model.findings import Confidence, Finding

_NONE_FOUND = frozenset({1355, 1311, 1212, 1722})
"""No such domain, no logon servers, invalid name of a domain, no answer."""
_TIME_SKEW = 1398
_MAXIMUM_SKEW = 300.0
"""Seconds that Kerberos lets clocks differ."""
_KERBEROS = 88
_RECORDS = "_ldap._tcp.dc._msdcs."


def dc_unreachable(
    controller: DomainController, controllers: tuple[DomainController, ...]
) -> Finding | None:
    """The locator finds none."""
    if controller.found or controller.error_code not in _NONE_FOUND:
        return None
    found = any(other.found for other in controllers)
    return Finding(
        problem=catalogue.DC_UNREACHABLE,
        summary=f"The machine finds no domain controller (error {controller.error_code}).",
        confidence=Confidence.POSSIBLE if found else Confidence.CERTAIN,
        reason=(
            "another search found one" if found else "the search for a controller says exactly this"
        ),
        evidence=(controller.source,),
    )


def site_records_missing(
    lookup: NameLookup, rules: tuple[NRPTRule, ...], controllers: tuple[DomainController, ...]
) -> Finding | None:
    """The intranet's DNS has no locator record without a site."""
    if not lookup.name.lower().startswith(_RECORDS) or not lookup.failed or lookup.timed_out:
        return None
    inside = lookup.through_nrpt or any(lookup.server in (r.dns_servers or ()) for r in rules)
    if not inside or any(c.found for c in controllers):
        return None
    name = lookup.name[len(_RECORDS) :]
    return Finding(
        problem=DC_SITE_RECORDS_MISSING,
        summary=f"{name} has no record of a domain controller without a site.",
        confidence=Confidence.LIKELY,
        reason="the intranet's DNS was asked for it, and answered that there is none",
        evidence=(lookup.source,),
        values=(("DOMAIN", name),),
    )


def kerberos_unreachable(
    test: PortTest, controllers: tuple[DomainController, ...]
) -> Finding | None:
    """Port 88 does not accept connections."""
    if test.port != _KERBEROS or test.succeeded is not False:
        return None
    known = any(_is_same(test, c) for c in controllers if c.found)
    return Finding(
        problem=catalogue.KERBEROS_UNREACHABLE,
        summary=f"Port 88 of {test.target} accepts no connections.",
        confidence=Confidence.CERTAIN if known else Confidence.LIKELY,
        reason=(
            "it is the port of a controller that was found"
            if known
            else "the test stands in the evidence; whether it is a controller does not"
        ),
        evidence=(test.source,),
        values=(("DC", test.target),),
    )


def clock_skew(offset: TimeOffset) -> Finding | None:
    """The clock is further off than Kerberos suffers."""
    if abs(offset.seconds) <= _MAXIMUM_SKEW:
        return None
    of = f" from {offset.reference}" if offset.reference else ""
    return Finding(
        problem=host.CLOCK_SKEW,
        summary=f"The clock differs by {abs(offset.seconds):.0f} seconds{of}.",
        reason="the difference was measured",
        evidence=(offset.source,),
    )


def kerberos_clock_skew(failed: DomainController | NetworkShare) -> Finding | None:
    """Windows refuses because of the clocks."""
    if failed.error_code != _TIME_SKEW:
        return None
    return Finding(
        problem=catalogue.KERBEROS_CLOCK_SKEW,
        summary=f"The clocks of this machine and of the domain differ (error {_TIME_SKEW}).",
        reason="the error says exactly this",
        evidence=(failed.source,),
    )


def _is_same(test: PortTest, controller: DomainController) -> bool:
    name = (controller.name or "").lower()
    return test.target.lower() == name or test.address == controller.address is not None


RULES = (
    Rule((host.CLOCK_SKEW,), clock_skew),
    Rule((catalogue.DC_UNREACHABLE,), dc_unreachable),
    Rule((DC_SITE_RECORDS_MISSING,), site_records_missing, Role.CLIENT),
    Rule((catalogue.KERBEROS_UNREACHABLE,), kerberos_unreachable),
    Rule((catalogue.KERBEROS_CLOCK_SKEW,), kerberos_clock_skew),
)
