r"""``netsh namespace show policy`` and ``show effectivepolicy``: the name resolution policy table.

Sample::

    DNS Effective Name Resolution Policy Table Settings


    Settings for .corp.example.com
    ----------------------------------------------------------------------
    DirectAccess (Certification Authority)  :
    DirectAccess (IPsec)                    : disabled
    DirectAccess (DNS Servers)              : 2001:db8:7::3333:1
    DirectAccess (Proxy Settings)           : Bypass proxy

Before Windows 8 the first two are called "Certification authority" and "DNSSEC (IPsec)". The words
DirectAccess, DNS, DNSSEC and IPsec are in no language translated; the heading is translated around
the namespace. Inside, and where nothing is configured, the effective table is a note and no more.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NRPTRule, NRPTTable, PolicyView

_TYPED = re.compile(r"\bsh\w*[\s_-]+(?:(eff)|pol)", re.IGNORECASE)
_TITLES = re.compile(
    r"Name Resolution Policy Table|Richtlinientabelle|Table de (?:strat\S+|r\S+solution)"
    r"|Tabla de (?:directivas|pol\S+)|\u540d\u79f0\u89e3\u6790\u7b56\u7565\u8868",
    re.IGNORECASE,
)
_EFFECTIVE = re.compile(
    r"effective|effektiv|effecti[fv]|en vigueur|efectiv|\u6709\u6548|\u751f\u6548", re.IGNORECASE
)
_NOTE = re.compile(
    r"inactive|inaktiv|inactif|inactiv[ao]s|\u4e0d\u6d3b\u52a8|\u975e\u6d3b\u52a8", re.IGNORECASE
)
_HEADING = re.compile(
    r"(?:Settings for|Einstellungen f\u00fcr|Param\u00e8tres (?:pour|de)|"
    r"Configuraci\u00f3n (?:de|para))[ \t]+(?P<name>\S+)$"
    r"|(?P<chinese>\S+?) ?\u7684(?:\u8bbe\u7f6e|\u8a2d\u5b9a)$",
    re.IGNORECASE,
)
_NAMESPACE = re.compile(r"\.?[\w*-]+(?:\.[\w-]+)+\.?|\.[\w-]*")
_ENABLED = frozenset(
    {"enabled", "aktiviert", "activ\u00e9", "habilitado", "\u5df2\u542f\u7528", "\u542f\u7528"}
)
_DISABLED = frozenset(
    {
        "disabled",
        "deaktiviert",
        "d\u00e9sactiv\u00e9",
        "deshabilitado",
        "\u5df2\u7981\u7528",
        "\u7981\u7528",
    }
)
_SERVER = re.compile(r"[0-9a-f]*:[0-9a-f:.]+|[\w-]+(?:\.[\w-]+)+\.?", re.IGNORECASE)
_SERVERS = frozenset({"directaccess", "generic"})
"""The kinds of labels that servers stand behind."""
_PARTS = re.compile(r"[\s,;]+")


@dataclass
class _Settings:
    """The settings of one namespace while they are read."""

    rule: NRPTRule
    reading: str = ""
    """Which servers the line before gave; they may go on below."""
    addresses: dict[str, list[str]] = field(default_factory=dict)
    strange: int | None = None
    """The first line whose value is not of the form that its label promises."""

    @property
    def is_whole(self) -> bool:
        """Whether it was read as far as its servers; what was cut off before is no exemption."""
        return bool(self.addresses) or bool(self.rule.dnssec_required) or self.strange is not None

    def finished(self) -> NRPTRule:
        if self.strange is not None:
            raise ParseError("value and label do not belong together", self.strange)
        servers = self.addresses.get("directaccess")
        others = self.addresses.get("generic")
        return replace(
            self.rule,
            directaccess=True if servers else False if others else None,
            dns_servers=None if servers is None else tuple(servers),
            name_servers=None if others is None else tuple(others),
        )


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the rules, then the table as a whole."""
    table = _Table(evidence)
    rules = [
        replace(settings.finished(), view=table.view)
        for settings in table.settings
        if settings.is_whole
    ]
    yield from rules
    if rules or table.is_known:
        yield NRPTTable(
            source=table.title or evidence.at(evidence.first_line, evidence.command),
            view=table.view,
            rules=len(rules),
            inside=None if rules else table.inside,
        )


class _Table:
    """One output, read line by line."""

    def __init__(self, evidence: Evidence) -> None:
        self.settings: list[_Settings] = []
        self.title: Source | None = None
        self.note = False
        self.inside: bool | None = None
        self._evidence = evidence
        self._effective: bool | None = None
        if typed := _TYPED.search(f"{evidence.command} {evidence.file.rpartition('/')[2]}"):
            self._effective = bool(typed[1])
        lines = [(n, text) for n, text in evidence.lines() if text and not text.isspace()]
        if lines and not evidence.text.endswith("\n") and _names_servers(lines[-1][1]):
            # It may have been cut off in the middle of an address.
            lines.pop()
        for (number, text), (_, following) in pairwise([*lines, (0, "")]):
            self._read(number, text, following)

    @property
    def view(self) -> PolicyView:
        return PolicyView.EFFECTIVE if self._effective else PolicyView.POLICY

    @property
    def is_known(self) -> bool:
        """Whether an empty table says something: which one it is must be known."""
        return (self.title is not None or self.note) and self._effective is not None

    def _read(self, number: int, text: str, following: str) -> None:
        if labelled.is_rule(text):
            return
        if name := _namespace(text.strip(), labelled.is_rule(following)):
            source = self._evidence.at(number, text)
            rule = NRPTRule(source=source, view=PolicyView.POLICY, namespaces=(name,))
            self.settings.append(_Settings(rule))
        elif self.settings or _kind(labelled.split(number, text).label.lower()):
            if not self.settings:
                # The beginning was cut off, and with it the namespace.
                source = self._evidence.at(number, text)
                self.settings.append(_Settings(NRPTRule(source=source, view=PolicyView.POLICY)))
            _read_setting(self.settings[-1], labelled.split(number, text))
        elif _TITLES.search(text):
            self.title = self._evidence.at(number, text)
            self._effective = bool(_EFFECTIVE.search(text)) or bool(self._effective)
        elif "directaccess" in text.lower():
            # The note of the effective table; some say what is, some what would be.
            self.note = self._effective = True
            self.inside = True if _NOTE.search(text) else None


def _namespace(text: str, ruled: bool) -> str | None:
    """Return the namespace of a heading: known by its words, or by the rule below it."""
    if match := _HEADING.match(text):
        return match["name"] or match["chinese"]
    if not ruled or ":" in text or "\uff1a" in text:
        return None
    found = [word for word in text.split() if _NAMESPACE.fullmatch(word)]
    return found[-1] if found else None


def _read_setting(settings: _Settings, line: labelled.Line) -> None:
    text = line.text.strip()
    continued = _addresses(text)
    if continued:
        if settings.reading:
            settings.addresses[settings.reading] += continued
        return
    label = line.label.lower()
    if not label:
        settings.reading = ""
        return
    kind = _kind(label)
    settings.reading = kind if kind in _SERVERS else ""
    if settings.reading:
        settings.addresses[kind] = servers = _servers(line.value)
        strange = any(not _SERVER.fullmatch(server) for server in servers)
    else:
        strange = bool(_addresses(line.value))
    if strange:
        settings.strange = settings.strange or line.number
    else:
        _read_switch(settings, kind, line.value)


def _kind(label: str) -> str:
    """Return what a label is about; "" where it cannot be told."""
    named = re.sub(r"[\W_]", "", label)
    if "ipsec" in named:
        return "ipsec"
    if "dnssec" in named:
        return "dnssec"
    if "proxy" in named or "\u4ee3\u7406" in named:
        return "proxy"
    if "dns" in named:
        return "directaccess" if "directaccess" in named else "generic"
    return ""


def _read_switch(settings: _Settings, kind: str, value: str) -> None:
    on = True if value.lower() in _ENABLED else False if value.lower() in _DISABLED else None
    if kind == "proxy" and value:
        settings.rule = replace(settings.rule, proxy=value)
    elif kind == "dnssec" and on is not None:
        settings.rule = replace(settings.rule, dnssec_required=on)
    elif kind == "ipsec" and on is not None:
        settings.rule = replace(settings.rule, ipsec_required=on)


def _names_servers(text: str) -> bool:
    kind = _kind(labelled.split(0, text).label.lower())
    return kind in _SERVERS or bool(_addresses(text.strip()))


def _servers(value: str) -> list[str]:
    """Return the servers of a value: addresses, or names of hosts."""
    return _addresses(value) or [part for part in _PARTS.split(value) if part]


def _addresses(text: str) -> list[str]:
    """Return the addresses of a value that consists of nothing else."""
    parts = [numbers.address(part) for part in _PARTS.split(text.strip()) if part]
    return [part for part in parts if part] if all(parts) else []


def signature(head: str) -> int:
    """Score the head of a text."""
    if "name resolution policy table settings" in head:
        return CERTAIN
    if "directaccess (" in head and "dns" in head and "---" in head:
        return CERTAIN
    return LIKELY if "directaccess" in head and "dnssec (" in head else 0


PARSER = Parser(
    name="netsh namespace show policy",
    parse=parse,
    command=re.compile(r"\bnam\w*\s+sh\w*\s+(?:eff|pol)", re.IGNORECASE),
    signature=signature,
)
