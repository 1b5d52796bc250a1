r"""Cut one pasted text that holds several commands into its parts.

A part begins where a prompt is followed by a command (``C:\>netsh …``, ``PS C:\Users\x> Get-…``,
``netsh interface teredo>show state``, ``$ ping …``), or where a known command stands on a line of
its own, as in a heading of a collecting script.
"""

import json
import re
import string
from collections.abc import Iterator
from dataclasses import replace

from throughway.model.evidence import Evidence, lines_of

_COMMANDS = (
    "netsh|ipconfig|ping|tracert|nslookup|nltest|certutil|auditpol|gpresult|systeminfo|reg|route"
    "|net|sc|w32tm|dfsrmig|wevtutil|klist|whoami|hostname|ver|tracert|pathping|arp|dsregcmd"
)
_CMDLETS = "get|test|resolve|find|show|add|set|new|remove"
_VERBS = rf"{_COMMANDS}|(?:{_CMDLETS})-[A-Za-z0-9]{{2,60}}"
_BEGIN_SO = frozenset(verb[:2] for verb in f"{_COMMANDS}|{_CMDLETS}".split("|"))
"""The first letters of every command: of the other lines none needs a closer look."""
_BEFORE_BARE = '#=*-_[(<" '
_BEGINNING = re.compile(
    r"(?:"
    r"(?:\[[^\]\n]{1,80}\]:[ ]?)?PS[ ][^>\n]{1,250}>[ ]?(?P<powershell>[^\n]*)"
    r"|(?:Administrator: ?)?[A-Za-z]:(?:\\[^<>|\n]{0,250})?>[ ]?(?P<cmd>[^\n]*)"
    r"|(?P<context>netsh(?: [a-z0-9]+){0,4})>[ ]?(?P<netsh>[^\n]*)"
    rf"|(?:[^\s>$#]{{0,60}}[$#>])[ ]?(?P<shell>(?:{_VERBS})\b[^\n]*)"
    rf"|[{re.escape(_BEFORE_BARE)}]{{0,80}}(?P<bare>(?:{_VERBS})(?:[ \t|][^\n]*)?)"
    r")$",
    re.IGNORECASE,
)
_FIRST = frozenset(string.ascii_letters + '[$#>=*-_(<"~')
"""What the line of a command begins with."""
_MAXIMUM_PROMPT = 1000
"""Characters of a line with a prompt and a command; longer ones are output."""
_ORNAMENT = ' \t=*#-_])>":'
_MAXIMUM_BARE = 160
"""Characters of a line that may be a bare command; longer ones are prose or output."""
_BARE = re.compile(
    r"(?:netsh[ ]+(?:int|adv|nam|dns|winh|http|trace)"
    r"|ipconfig([ ]+/\w+)?$|systeminfo$|hostname$|reg[ ]+query[ ]|route[ ]+print"
    r"|net[ ]+(?:view|start)\b|sc(?:\.exe)?[ ]+query|certutil[ ]+-|auditpol[ ]+/|gpresult[ ]+/"
    r"|nltest[ ]+/|w32tm[ ]+/|dfsrmig[ ]+/|ping[ ]+\S+$|tracert[ ]+\S|nslookup[ ]+\S+$"
    r"|wevtutil[ ]+|(?:Get|Test|Resolve|Find)-[A-Za-z]+\d?[A-Za-z]*(?:[ ]+[-|\"'$({].*)?$)",
    re.IGNORECASE,
)


def cut(evidence: Evidence) -> list[Evidence]:
    """Return the parts, each with its command where one is known; a whole text is one part."""
    beginnings = list(_beginnings(evidence.text))
    if not beginnings or _is_document(evidence.text):
        return [evidence]
    first = replace(evidence, text=evidence.text[: beginnings[0][0]])
    parts = [first] if first.text.strip() else []
    line, at = evidence.first_line, 0
    ends = [start for start, _, _ in beginnings[1:]] + [len(evidence.text)]
    for (_, output, command), end in zip(beginnings, ends, strict=True):
        line += evidence.text.count("\n", at, output) * evidence.step
        at = output
        text = evidence.text[output:end]
        # A command that printed nothing says something, unless the copy was only cut off there.
        if text.strip() or (command and end < len(evidence.text)):
            parts.append(replace(evidence, text=text, first_line=line, command=command))
    return parts


def _is_document(text: str) -> bool:
    """Whether it is JSON from end to end: commands that stand in it are its values."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _beginnings(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where a command's line starts, where its output starts, and the command."""
    start = 0
    for line in lines_of(text):
        end = start + len(line) + 1
        stripped = line.strip()
        if _may_begin(stripped) and (match := _BEGINNING.match(stripped)):
            command = _command(match)
            if command is not None:
                yield start, min(end, len(text)), command
        start = end


def _may_begin(line: str) -> bool:
    """Whether a line may be that of a command; it is asked of every line."""
    if line[:1] not in _FIRST or len(line) > _MAXIMUM_PROMPT:
        return False
    if ">" in line or "$" in line or "#" in line:
        return True
    return line.lstrip(_BEFORE_BARE)[:2].lower() in _BEGIN_SO


def _command(match: re.Match[str]) -> str | None:
    """Return the command of a line; "" for an empty prompt, None when it is none at all."""
    bare = match["bare"]
    if bare is not None:
        bare = bare.strip(_ORNAMENT)
        fits = len(bare) <= _MAXIMUM_BARE and " : " not in bare and _BARE.match(bare)
        return " ".join(bare.split()) if fits else None
    if match["netsh"] is not None:
        return f"{match['context']} {match['netsh']}".strip()
    given: str = match["powershell"] or match["cmd"] or match["shell"] or ""
    return " ".join(given.split())
