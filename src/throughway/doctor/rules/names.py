"""Rules about the name resolution policy and what it does to names."""

from throughway.catalogue import names as catalogue
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role
from throughway.model.facts.names import NRPTRule, NRPTTable, PolicyView
from throughway.model.facts.network import PingResult
from throughway.model.findings import Confidence, Finding

_ALL = "."


def no_directaccess_rule(table: NRPTTable, rules: tuple[NRPTRule, ...]) -> Finding | None:
    """There are rules, but none names an intranet DNS server."""
    if table.rules == 0 or table.inside or table.error_code:
        return None
    if any(rule.dns_servers or rule.directaccess or rule.namespaces is None for rule in rules):
        return None
    names = ", ".join(name for rule in rules for name in rule.namespaces or ())
    return Finding(
        problem=catalogue.NRPT_NO_DIRECTACCESS_RULE,
        summary=f"None of the rules ({names}) names a DirectAccess DNS server.",
        confidence=(Confidence.LIKELY if table.view is PolicyView.RULE else Confidence.CERTAIN),
        reason="every rule that was printed stands without DirectAccess settings",
        evidence=tuple(rule.source for rule in rules),
    )


def stale_rule(rule: NRPTRule) -> Finding | None:
    """A rule of another program takes all names, or names that were cut off."""
    if rule.directaccess or rule.dns_servers or rule.view is PolicyView.RULE:
        return None
    if rule.namespaces is None and rule.name_servers is None:
        return Finding(
            problem=catalogue.NRPT_STALE_RULE,
            summary="The policy holds a rule that is not of DirectAccess; the rest is cut off.",
            confidence=Confidence.POSSIBLE,
            reason="such rules are made by other programs; for which names was cut off",
            evidence=(rule.source,),
        )
    if _ALL not in (rule.namespaces or ()) or not rule.name_servers:
        return None
    return Finding(
        problem=catalogue.NRPT_STALE_RULE,
        summary=(
            f"A rule that is not of DirectAccess sends all names to {', '.join(rule.name_servers)}."
        ),
        confidence=Confidence.LIKELY,
        reason="the rule stands in the evidence; VPN programs make such rules and leave them",
        evidence=(rule.source,),
    )


def app_bypasses_nrpt(pings: tuple[PingResult, ...]) -> Finding | None:
    """Windows resolves a name which a Unix program on the same machine does not."""
    resolved = {ping.target: ping for ping in pings if not ping.unix and ping.resolved}
    for ping in pings:
        if ping.unix and ping.resolved is False and ping.target in resolved:
            return Finding(
                problem=catalogue.APP_BYPASSES_NRPT,
                summary=f"Windows resolves {ping.target}, the program beside it does not.",
                confidence=Confidence.LIKELY,
                reason="both stand in the evidence; a resolver of its own explains the difference",
                evidence=(ping.source, resolved[ping.target].source),
                values=(("HOST", ping.target),),
            )
    return None


RULES = (
    Rule((catalogue.NRPT_NO_DIRECTACCESS_RULE,), no_directaccess_rule, Role.CLIENT),
    Rule((catalogue.NRPT_STALE_RULE,), stale_rule, Role.CLIENT),
    Rule((catalogue.APP_BYPASSES_NRPT,), app_bypasses_nrpt, Role.CLIENT),
)
