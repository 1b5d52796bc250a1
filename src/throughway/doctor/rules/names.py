"""Rules about the name resolution policy and what it does to names."""

import ipaddress
import re
from itertools import islice

from throughway.catalogue import names as catalogue
from throughway.catalogue import translation
from throughway.catalogue.on_windows import names as windows
from throughway.doctor.rule import Rule
from throughway.doctor.rules.iphttps import host_of
from throughway.doctor.rules.tables import covering, in_force
from throughway.model.evidence import Role
from throughway.model.facts.base import Host
from throughway.model.facts.domain import DomainController
from throughway.model.facts.names import (
    DAClientExperience,
    DAConnectionStatus,
    DNSClientState,
    NCSIPolicy,
    NRPTRule,
    NRPTTable,
    PolicyView,
)
from throughway.model.facts.network import NameLookup, PingResult, PortTest
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus
from throughway.model.findings import Confidence, Finding

_ALL = "."
_DNS64 = re.compile(r":3333::1$")
"""How the address ends that DirectAccess gives to its DNS64."""
_NAT64 = 0x7777_0000_0000
"""Bits 48 to 95 of the addresses it gives to hosts behind NAT64."""
_BROKEN_TABLE = 9572
"""The error with which Windows refuses a table (0x2564)."""
_BYPASS = ("noproxy", "bypass", "direct", "umgehen", "ignor", "omitir", "\u7ed5\u8fc7")
"""What a rule says when its names are reached without a proxy."""

_NAMES_SAID = 12
"""Names of a table that a sentence can hold."""

Where = tuple[DNSClientState | DAConnectionStatus | IPHTTPSInterface, ...]
"""What shows where the client is, or believes to be."""


def no_directaccess_rule(table: NRPTTable, rules: tuple[NRPTRule, ...]) -> Finding | None:
    """There are rules, but none names an intranet DNS server."""
    if table.rules == 0 or table.inside or table.error_code:
        return None
    if any(rule.dns_servers or rule.directaccess or _is_half_read(rule) for rule in rules):
        return None
    all_names = (name for rule in rules for name in rule.namespaces or ())
    names = ", ".join((*islice(all_names, _NAMES_SAID), *("…" for _ in islice(all_names, 1))))
    return Finding(
        problem=catalogue.NRPT_NO_DIRECTACCESS_RULE,
        summary=f"None of the rules ({names}) names a DirectAccess DNS server.",
        confidence=_how_sure(table, rules),
        reason="every rule that was printed stands without DirectAccess settings",
        evidence=tuple(rule.source for rule in rules),
    )


def _how_sure(table: NRPTTable, rules: tuple[NRPTRule, ...]) -> Confidence:
    if any(_ALL in (rule.namespaces or ()) and rule.name_servers for rule in rules):
        # Another program's rule for all names is the nearer cause.
        return Confidence.POSSIBLE
    return Confidence.LIKELY if table.view is PolicyView.RULE else Confidence.CERTAIN


def _is_half_read(rule: NRPTRule) -> bool:
    """Whether its form of print, or a cut, left out for which names or to which servers it is."""
    return rule.namespaces is None or (rule.dns_servers is None and not rule.name_servers)


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


def missing(table: NRPTTable, rules: tuple[NRPTRule, ...], host: Host) -> Finding | None:
    """What the policy delivered was printed, and it is nothing."""
    if table.view is not PolicyView.POLICY or table.rules or table.error_code or table.inside:
        return None
    if any(rule.view is not PolicyView.RULE or rule.dns_servers for rule in rules):
        return None
    sure = Confidence.CERTAIN if host.role is Role.CLIENT else Confidence.LIKELY
    return Finding(
        problem=catalogue.NRPT_MISSING,
        summary="The name resolution policy table is empty.",
        confidence=sure if table.source.text else Confidence.POSSIBLE,
        reason=(
            "the table was printed without a rule"
            if table.source.text
            else "the output is empty; the command may have failed instead"
        ),
        evidence=(table.source,),
    )


def not_configured(state: DNSClientState, rules: tuple[NRPTRule, ...]) -> Finding | None:
    """The DNS client says that it was given no settings of DirectAccess."""
    if state.configured is not False or any(rule.dns_servers for rule in rules):
        return None
    return Finding(
        problem=catalogue.NRPT_MISSING,
        summary="The DNS client has no settings of DirectAccess.",
        confidence=Confidence.LIKELY,
        reason="the DNS client says so; whether this machine is meant to be a client it does not",
        evidence=(state.source,),
    )


def corrupt(table: NRPTTable) -> Finding | None:
    """Windows refuses to show the table."""
    if table.error_code != _BROKEN_TABLE:
        return None
    return Finding(
        problem=catalogue.NRPT_CORRUPT,
        summary=f"The name resolution policy table is refused with error {_BROKEN_TABLE} (0x2564).",
        reason="the error says exactly this",
        evidence=(table.source,),
    )


def not_effective(table: NRPTTable, rules: tuple[NRPTRule, ...], where: Where) -> Finding | None:
    """The policy has rules of DirectAccess, none holds, and the client is outside."""
    if table.view is not PolicyView.EFFECTIVE or table.error_code or table.inside:
        return None
    given = [r for r in rules if r.dns_servers and r.view is not PolicyView.EFFECTIVE]
    holding = [r for r in rules if r.view is PolicyView.EFFECTIVE and r.dns_servers]
    if not given or holding or not outside(where):
        return None
    return Finding(
        problem=catalogue.NRPT_NOT_EFFECTIVE,
        summary="The client is outside and has rules of DirectAccess, but none is in effect.",
        confidence=Confidence.LIKELY,
        reason="both tables were printed, and only the effective one lacks the rules",
        evidence=(table.source, given[0].source),
    )


def switched_off(state: DNSClientState) -> Finding | None:
    """The DNS client is outside, configured, and yet not enabled."""
    if state.inside is not False or not state.configured or state.enabled is not False:
        return None
    return Finding(
        problem=catalogue.NRPT_NOT_EFFECTIVE,
        summary="The DNS client is outside, but its DirectAccess settings are disabled.",
        reason="the DNS client says so itself",
        evidence=(state.source,),
    )


def policy_overrides_local(rule: NRPTRule, rules: tuple[NRPTRule, ...]) -> Finding | None:
    """A local rule is stored, and the table in force does not have it."""
    if rule.view is not PolicyView.RULE or rule.by_policy is not False or not rule.namespaces:
        return None
    listed = [r for r in rules if r.view is PolicyView.EFFECTIVE or r.by_policy]
    if not listed or any(r.namespaces is None for r in listed):
        return None
    known = {name.lower() for r in listed for name in r.namespaces or ()}
    lost = [name for name in rule.namespaces if name.lower() not in known]
    if not lost:
        return None
    return Finding(
        problem=windows.NRPT_POLICY_OVERRIDES_LOCAL,
        summary=f"The local rule for {', '.join(lost)} is not in force beside those of a policy.",
        confidence=Confidence.LIKELY,
        reason="the local rule is stored, but what holds are only the rules of a policy",
        evidence=(rule.source, listed[0].source),
    )


def exclusion_breaks_rule(
    rules: tuple[NRPTRule, ...],
    given: tuple[NCSIPolicy | DAClientExperience | DomainController, ...],
) -> Finding | None:
    """A name that the client must ask inside is exempted."""
    table = in_force(rules)
    locations = {host_of(f.location_url) for f in given if isinstance(f, NCSIPolicy)}
    for fact in given:
        for name in _names_inside(fact) - locations:
            rule = covering(name, table)
            suffix = covering(name, tuple(r for r in table if r.dns_servers))
            if rule is None or suffix is None or not rule.exempts:
                continue
            return Finding(
                problem=windows.NRPT_EXCLUSION_BREAKS_RULE,
                summary=(
                    f"{name} is of the intranet, but the rule for "
                    f"{', '.join(rule.namespaces or ())} exempts it."
                ),
                reason="the name is one that the client needs inside, and no narrower rule has it",
                evidence=(rule.source, suffix.source, fact.source),
                values=(("NAME", name),),
            )
    return None


def dnssec_required(
    rule: NRPTRule, lookups: tuple[NameLookup, ...], pings: tuple[PingResult, ...]
) -> Finding | None:
    """A rule demands validated answers, and a name of it does not resolve."""
    if not rule.dnssec_required:
        return None
    tried = [(look.name, look.source, look.failed) for look in lookups if _through_nrpt(look)]
    tried += [(p.target, p.source, p.resolved is False) for p in pings if not p.unix]
    for name, source, failed in tried:
        if failed and covering(name.lower().rstrip("."), (rule,)):
            return Finding(
                problem=windows.NRPT_DNSSEC_REQUIRED,
                summary=f"{name} does not resolve, and its rule demands DNSSEC.",
                confidence=Confidence.LIKELY,
                reason="rule and failure stand in the evidence; the name may be missing as well",
                evidence=(rule.source, source),
                values=(("HOST", name),),
            )
    return None


def dns_server_silent(
    rule: NRPTRule, lookups: tuple[NameLookup, ...], where: Where
) -> Finding | None:
    """A server of the rule was asked and gave no answer in time."""
    if not rule.dns_servers or inside(where):
        return None
    asked = [look for look in lookups if _asked_of(look, rule)]
    silent = [look for look in asked if look.timed_out]
    if not silent or any(look.addresses for look in asked):
        return None
    look = silent[0]
    direct = look.server in rule.dns_servers
    question = f"the question for {look.name}" if look.name else "a question"
    return Finding(
        problem=catalogue.NRPT_DNS_SERVER_UNREACHABLE,
        summary=f"{', '.join(rule.dns_servers)} did not answer {question}.",
        confidence=Confidence.CERTAIN if direct else Confidence.LIKELY,
        reason="the question ran out of time" + ("" if direct else ", and the rule has its name"),
        evidence=(look.source, rule.source),
        values=(("DNS", rule.dns_servers[0]), *((("NAME", look.name),) if look.name else ())),
    )


def dns_server_unreachable(
    rule: NRPTRule, pings: tuple[PingResult, ...], lookups: tuple[NameLookup, ...], where: Where
) -> Finding | None:
    """None of the rule's servers answers a ping, and no answer of theirs was seen."""
    servers = set(rule.dns_servers or ())
    tried = [p for p in pings if (p.address or p.target) in servers and p.replied is not None]
    if not tried or any(p.replied for p in tried) or inside(where):
        return None
    if any(look.addresses for look in lookups if _asked_of(look, rule)):
        return None
    return Finding(
        problem=catalogue.NRPT_DNS_SERVER_UNREACHABLE,
        summary=f"The rule's DNS server {tried[0].address or tried[0].target} answers no ping.",
        confidence=Confidence.LIKELY,
        reason="pings pass outside of IPsec, so that silence means there is no way to the server",
        evidence=(*(p.source for p in tried), rule.source),
        values=(("DNS", tried[0].address or tried[0].target),),
    )


def dns64_broken(rule: NRPTRule, lookup: NameLookup) -> Finding | None:
    """DNS64 was asked for all addresses of a name and answered only with those of IPv4."""
    server = lookup.server or ""
    if server not in (rule.dns_servers or ()) or not _DNS64.search(server):
        return None
    if not lookup.addresses or not lookup.both_kinds:
        return None
    if any(":" in address for address in lookup.addresses):
        return None
    return Finding(
        problem=translation.DNS64_BROKEN,
        summary=f"{server} gives {lookup.name} only {lookup.addresses[0]}, and no IPv6 address.",
        confidence=Confidence.LIKELY,
        reason="the server is the DNS64 of DirectAccess, which is to make an IPv6 address of it",
        evidence=(lookup.source, rule.source),
    )


def nat64_broken(
    tests: tuple[PortTest | PingResult, ...],
    lookups: tuple[NameLookup, ...],
    rules: tuple[NRPTRule, ...],
) -> Finding | None:
    """DNS64 answers, and none of the addresses it made is reached."""
    tried = [test for test in tests if _is_translated(test.address)]
    answered = any(
        _is_translated(address) and any(_asked_of(look, rule) for rule in rules)
        for look in lookups
        for address in look.addresses
    )
    if not tried or not answered or any(_reached(test) is not False for test in tried):
        return None
    several = len({test.address for test in tried}) > 1
    return Finding(
        problem=translation.NAT64_BROKEN,
        summary=f"DNS64 answers, but {tried[0].target} ({tried[0].address}) is not reached.",
        confidence=Confidence.LIKELY if several else Confidence.POSSIBLE,
        reason=(
            "none of several hosts behind NAT64 answers"
            if several
            else "the host itself may be down or may refuse"
        ),
        evidence=tuple(test.source for test in tried),
    )


def force_tunnel_without_proxy(rule: NRPTRule) -> Finding | None:
    """The rule for all names sends them inside and names no proxy."""
    proxy = (rule.proxy or "").lower()
    if _ALL not in (rule.namespaces or ()) or not rule.dns_servers or not proxy:
        return None
    if not any(word in proxy for word in _BYPASS):
        return None
    return Finding(
        problem=windows.FORCE_TUNNEL_WITHOUT_PROXY,
        summary=f"All names are asked of {', '.join(rule.dns_servers)}, and no proxy is named.",
        confidence=Confidence.POSSIBLE,
        reason="whether NAT64 leads out of the intranet the evidence does not say",
        evidence=(rule.source,),
    )


def outside(where: Where) -> bool:
    """Whether something shows the client outside, and nothing inside."""
    return not inside(where) and any(_is_outside(fact) for fact in where)


def inside(where: Where) -> bool:
    """Whether the client says that it is inside."""
    return any(
        (isinstance(fact, DNSClientState) and fact.inside)
        or (isinstance(fact, DAConnectionStatus) and _status(fact) == "connectedlocally")
        for fact in where
    )


def _is_outside(fact: DNSClientState | DAConnectionStatus | IPHTTPSInterface) -> bool:
    if isinstance(fact, DNSClientState):
        return fact.inside is False
    if isinstance(fact, DAConnectionStatus):
        return _status(fact) in {"connectedremotely", "error", "actionableerror"}
    return fact.status is IPHTTPSStatus.ACTIVE and fact.role is not Role.SERVER


def _status(status: DAConnectionStatus) -> str:
    return (status.status or "").lower()


def _through_nrpt(look: NameLookup) -> bool:
    return look.through_nrpt is not False


def _asked_of(look: NameLookup, rule: NRPTRule) -> bool:
    """Whether a question went to the servers of a rule: by their address or by the table."""
    if look.server is not None and look.server in (rule.dns_servers or ()):
        return True
    covered = covering(look.name.lower().rstrip("."), (rule,)) is not None
    return look.through_nrpt is True and covered


def _reached(test: PortTest | PingResult) -> bool | None:
    return test.succeeded if isinstance(test, PortTest) else test.replied


def _is_translated(address: str | None) -> bool:
    """Whether an address is within the prefix that DirectAccess gives to NAT64."""
    try:
        parsed = ipaddress.IPv6Address(address or "")
    except ValueError:
        return False
    return (int(parsed) >> 32) & 0xFFFF_FFFF_FFFF == _NAT64


def _names_inside(fact: NCSIPolicy | DAClientExperience | DomainController) -> set[str]:
    """Return the names that a client asks of the intranet to find out whether it works."""
    if isinstance(fact, NCSIPolicy):
        names = [fact.probe_host, host_of(fact.probe_url)]
    elif isinstance(fact, DAClientExperience):
        names = [host_of(item.partition(":")[2]) for item in fact.corporate_resources]
    else:
        names = [fact.name]
    return {name.lower().strip("\\. ") for name in names if name and "." in name}


RULES = (
    Rule((catalogue.NRPT_NO_DIRECTACCESS_RULE,), no_directaccess_rule, Role.CLIENT),
    Rule((catalogue.NRPT_STALE_RULE,), stale_rule, Role.CLIENT),
    Rule((catalogue.APP_BYPASSES_NRPT,), app_bypasses_nrpt, Role.CLIENT),
    Rule((catalogue.NRPT_MISSING,), missing, Role.CLIENT),
    Rule((catalogue.NRPT_MISSING,), not_configured, Role.CLIENT),
    Rule((catalogue.NRPT_CORRUPT,), corrupt, Role.CLIENT),
    Rule((catalogue.NRPT_NOT_EFFECTIVE,), not_effective, Role.CLIENT),
    Rule((catalogue.NRPT_NOT_EFFECTIVE,), switched_off, Role.CLIENT),
    Rule((windows.NRPT_POLICY_OVERRIDES_LOCAL,), policy_overrides_local, Role.CLIENT),
    Rule((windows.NRPT_EXCLUSION_BREAKS_RULE,), exclusion_breaks_rule, Role.CLIENT),
    Rule((windows.NRPT_DNSSEC_REQUIRED,), dnssec_required, Role.CLIENT),
    Rule((catalogue.NRPT_DNS_SERVER_UNREACHABLE,), dns_server_silent, Role.CLIENT),
    Rule((catalogue.NRPT_DNS_SERVER_UNREACHABLE,), dns_server_unreachable, Role.CLIENT),
    Rule((translation.DNS64_BROKEN,), dns64_broken, Role.CLIENT),
    Rule((translation.NAT64_BROKEN,), nat64_broken, Role.CLIENT),
    Rule((windows.FORCE_TUNNEL_WITHOUT_PROXY,), force_tunnel_without_proxy, Role.CLIENT),
)
