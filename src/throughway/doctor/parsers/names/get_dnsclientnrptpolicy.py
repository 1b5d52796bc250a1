r"""``Get-DnsClientNrptPolicy [-Effective]``, as a list, a table or any other form.

Sample (shortened)::

    Namespace                        : .corp.example.com
    QueryPolicy                      : QueryIPv6Only
    SecureNameQueryFallback          : FallbackPrivate
    DirectAccessDnsServers           : {2001:db8:1::2, 2001:db8:2::20,
                                       2001:db8:6::6}
    DirectAccessEnabled              : True
    DirectAccessProxyType            : NoProxy
    NameServers                      :
    DnsSecValidationRequired         :

Without ``-Effective`` DirectAccessEnabled and QueryPolicy stay empty even for DirectAccess rules;
``Format-List *`` and tables begin with the aliases DA, DADnsServers, DnsSec.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NRPTRule, NRPTTable, PolicyView

_EFFECTIVE = re.compile(r"-eff", re.IGNORECASE)
_ERROR = re.compile(r"Get-DnsClientNrptPolicy\s*:.{0,200}?WIN32\s+(\d{1,5})", re.I | re.DOTALL)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the rules, then the table as a whole."""
    rules = [_rule(record, evidence) for record in records.read(evidence) if _is_rule(record)]
    view = _view(evidence, rules)
    for rule in rules:
        yield replace(rule, view=view)
    error = _ERROR.search(evidence.text)
    if rules or error or not evidence.text.strip():
        yield NRPTTable(
            source=evidence.at(evidence.first_line, evidence.command),
            view=view,
            rules=len(rules),
            error_code=int(error[1]) if error else None,
        )


def _is_rule(record: records.Record) -> bool:
    return any(name in record for name in ("namespace", "directaccessdnsservers", "dadnsservers"))


def _rule(record: records.Record, evidence: Evidence) -> NRPTRule:
    servers = _addresses(record, "directaccessdnsservers", "dadnsservers")
    name_servers = _addresses(record, "nameservers")
    enabled = record.boolean("directaccessenabled")
    return NRPTRule(
        source=record.source(evidence, "namespace"),
        view=PolicyView.POLICY,
        namespaces=record.items("namespace"),
        directaccess=_directaccess(
            record.boolean("da") if enabled is None else enabled, servers, name_servers
        ),
        dns_servers=servers,
        name_servers=name_servers,
        proxy=record.word("directaccessproxytype"),
        dnssec_required=record.boolean("dnssecvalidationrequired"),
        ipsec_required=record.boolean("directaccessqueryipsecrequired"),
    )


def _directaccess(
    enabled: bool | None, servers: tuple[str, ...] | None, name_servers: tuple[str, ...] | None
) -> bool | None:
    if servers:
        return True
    return False if name_servers and not enabled else enabled


def _addresses(record: records.Record, *names: str) -> tuple[str, ...] | None:
    """Return the servers of the first property that is there, as addresses where they are."""
    for name in names:
        items = record.items(name)
        if items is not None:
            return tuple(numbers.address(item) or item for item in items)
    return None


def _view(evidence: Evidence, rules: list[NRPTRule]) -> PolicyView:
    if _EFFECTIVE.search(evidence.command) or "effective" in evidence.file.lower():
        return PolicyView.EFFECTIVE
    # Only the effective table says of a rule that DirectAccess is enabled.
    if any(
        rule.directaccess is not None and not rule.name_servers and not rule.dns_servers
        for rule in rules
    ):
        return PolicyView.EFFECTIVE
    return PolicyView.POLICY


def signature(head: str) -> int:
    """Score the head of a text."""
    if "securenamequeryfallback" in head and "directaccessdnsservers" in head:
        return CERTAIN
    if "dadnsservers" in head or ("directaccessproxytype" in head and "querypolicy" in head):
        return CERTAIN
    return LIKELY if "get-dnsclientnrptpolicy :" in head else 0


PARSER = Parser(
    name="Get-DnsClientNrptPolicy",
    parse=parse,
    command=re.compile(r"\bGet-DnsClientNrptPolicy", re.IGNORECASE),
    signature=signature,
)
