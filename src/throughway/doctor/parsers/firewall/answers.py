"""What ``netsh advfirewall`` answers in place of a list: nothing matches, or no service.

The sentences are translated; they are known by the nouns that stand in them, and only where the
whole output is such a sentence.
"""

import re
from collections.abc import Iterator

from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.network import ServiceState

_MAXIMUM_LINES = 4
"""Lines of an output that is only a message."""
_MAXIMUM_MESSAGE = 2000
"""Characters of such an output, blank lines among them."""
_FIREWALL = ("firewall", "pare-feu", "cortafuegos", "\u9632\u706b", "\u30d5\u30a1\u30a4\u30a2")
_SERVICE = re.compile(
    "service|dienst|servi[czs]|tj\u00e4nst|us\u0142ug|\u0441\u043b\u0443\u0436\u0431"
    "|\u670d\u52a1|\u670d\u52d9|\u30b5\u30fc\u30d3\u30b9",
    re.IGNORECASE,
)
_ERROR = re.compile(
    "error|fehler|erreur|errore|erro\\b|fout|fel\\b|b\u0142\u0105d|\u043e\u0448\u0438\u0431"
    "|\u51fa\u9519|\u9519\u8bef|\u932f\u8aa4|\u30a8\u30e9\u30fc",
    re.IGNORECASE,
)
_RULE = re.compile(
    "\\brules?\\b|\\bregeln?\\b|r\u00e8gles?|\\breglas?\\b|\\bregol[ae]\\b|\\bregras?\\b"
    "|\\bregels?\\b|regu\u0142|\u043f\u0440\u0430\u0432\u0438\u043b|\u89c4\u5219|\u898f\u5247"
    "|\u30eb\u30fc\u30eb",
    re.IGNORECASE,
)
_ASSOCIATIONS = re.compile("(?<![A-Za-z])SAs?(?![A-Za-z])|security association", re.ASCII)
_NO_RULES = "No rules match the specified criteria"
_NAME = re.compile(r"\bname\s{0,4}=\s{0,4}(\"[^\"\n]{1,200}\"|\S{1,200})", re.IGNORECASE)


def mentions(evidence: Evidence, *words: str) -> bool:
    """Whether the command, or the name of the file, holds one of these words."""
    told = f"{evidence.command} {evidence.file.rpartition('/')[2]}".lower()
    return any(word in told for word in words)


def service_down(evidence: Evidence) -> Iterator[Fact]:
    """Yield that the firewall's service does not run, when the output says nothing else."""
    source = _message(evidence)
    if source is None:
        return
    text = evidence.text.lower()
    if any(word in text for word in _FIREWALL) and _SERVICE.search(text) and _ERROR.search(text):
        yield ServiceState(source=source, name="mpssvc", running=False)


def says_service_down(head: str) -> bool:
    """Whether a text in lower case is nothing but that sentence."""
    if len(head) > _MAXIMUM_MESSAGE or _is_field(head):
        return False
    return any(word in head for word in _FIREWALL) and any(service_down(Evidence("", head)))


def no_rules(evidence: Evidence) -> Source | None:
    """Return where the output says that no rule matches; settings may stand before it."""
    if _NO_RULES in evidence.text:
        line = next((item for item in evidence.lines() if _NO_RULES in item[1]), None)
        return evidence.at(*line) if line else None
    source = _message(evidence)
    return source if source and _RULE.search(evidence.text) and not _is_error(evidence) else None


def no_associations(evidence: Evidence) -> Source | None:
    """Return where the output says that no association matches."""
    source = _message(evidence)
    known = _ASSOCIATIONS.search(evidence.text) and not _is_error(evidence)
    return source if source and known else None


def wanted(evidence: Evidence) -> str:
    """Return the rule's name that was asked for; "" where it was all of them."""
    match = _NAME.search(evidence.command)
    name = match[1].strip('"') if match else ""
    return "" if name.lower() == "all" else name


def _message(evidence: Evidence) -> Source | None:
    """Return the first line of an output that is nothing but a sentence or two."""
    if len(evidence.text) > _MAXIMUM_MESSAGE:
        return None
    lines = [(number, line) for number, line in evidence.lines() if line.strip()]
    if not 0 < len(lines) <= _MAXIMUM_LINES or any(_is_field(line) for _, line in lines):
        return None
    return evidence.at(*lines[0])


def _is_field(line: str) -> bool:
    """Whether a line has a label or a number, as no sentence of these has."""
    return any(mark in line for mark in (":", "\uff1a", "---")) or any(c.isdigit() for c in line)


def _is_error(evidence: Evidence) -> bool:
    return bool(_ERROR.search(evidence.text))
