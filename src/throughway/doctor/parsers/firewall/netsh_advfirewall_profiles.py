r"""``netsh advfirewall show allprofiles|currentprofile``, ``… monitor show currentprofile``.

Sample::

    Public Profile Settings:
    ----------------------------------------------------------------------
    State                                 ON
    Firewall Policy                       BlockInbound,AllowOutbound
    LocalFirewallRules                    N/A (GPO-store only)
    …
    Ok.

The monitor prints the profiles in use only, with the names of their networks::

    Public Profile:
    ----------------------------------------------------------------------
    Coffee House
    Ok.

Headings and states are translated, the words of the policy are not: the state is the row before
it. Where no heading is understood, three blocks are Domain, Private and Public in this order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.firewall import answers, words
from throughway.doctor.parsers.forms import labelled
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import FirewallProfile

_POLICY = re.compile(
    r"(?:(Block|Allow)Inbound(?:Always)?),?\s?(Block|Allow)Outbound", re.IGNORECASE
)
_COLUMNS = re.compile(r"\t+| {2,}")
_SETTINGS = (
    *(
        "settings",
        "einstellungen",
        "param\u00e8tres",
        "configuraci",
        "configura\u00e7",
        "\u8bbe\u7f6e",
    ),
    *("\u8a2d\u5b9a", "impostazioni", "instellingen", "inst\u00e4llningar", "ustawienia"),
    "\u043f\u0430\u0440\u0430\u043c\u0435\u0442\u0440",
)
_OTHERS = ("local", "inbound", "remote", "unicast", "log", "file", "maxfile")
"""Beginnings of the labels that are the same in every language."""
_STATE = re.compile(r"State\s+(?:ON|OFF)$", re.IGNORECASE)
_OKAY = re.compile("(?:ok|o\\.k)\\.?$|\u786e\u5b9a|aceptar|D.accord", re.IGNORECASE)
_MAXIMUM_BLOCKS = 500
"""Headings that are looked at; an output has seven."""
_MAXIMUM_HEADING = 80
"""Characters; a longer line is prose."""


@dataclass(slots=True)
class _Block:
    """A heading and what stands under it."""

    heading: str
    source: Source
    lines: list[tuple[int, str]] = field(default_factory=list)

    def policy(self) -> int | None:
        """Return which line holds the policy."""
        return next((i for i, (_, line) in enumerate(self.lines) if _POLICY.search(line)), None)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`FirewallProfile` for each block."""
    yield from answers.service_down(evidence)
    current = True if answers.mentions(evidence, "currentprofile", "current profile") else None
    blocks = list(islice(_blocks(evidence), _MAXIMUM_BLOCKS))
    found = [fact for block in blocks if (fact := _settings(block, current, evidence))]
    if len(found) == len(words.PROFILES) and not any(fact.name for fact in found):
        names = [name for name, _ in words.PROFILES]
        found = [replace(fact, name=name) for fact, name in zip(found, names, strict=True)]
    yield from found
    yield from (fact for block in blocks if (fact := _in_use(block)))


def _blocks(evidence: Evidence) -> Iterator[_Block]:
    block: _Block | None = None
    for number, line in evidence.lines():
        text = line.strip()
        if not text or labelled.is_rule(line):
            continue
        if _is_heading(text):
            if block is not None:
                yield block
            block = _Block(text.rstrip(":\uff1a \u00a0"), evidence.at(number, line))
        elif block is not None:
            block.lines.append((number, text))
    if block is not None:
        yield block


def _is_heading(text: str) -> bool:
    ends = text.endswith((":", "\uff1a")) and len(text) <= _MAXIMUM_HEADING
    return ends and not _COLUMNS.search(text)


def _settings(block: _Block, current: bool | None, evidence: Evidence) -> FirewallProfile | None:
    """Read the settings of a profile."""
    at = block.policy()
    name = words.profile(block.heading)
    if at is None:
        first = block.lines[0] if block.lines else None
        if not name or first is None or (on := _state(first[1])) is None:
            return None
        return FirewallProfile(source=evidence.at(*first), name=name, enabled=on, current=current)
    state = _state_row(block, at)
    policy = _POLICY.search(block.lines[at][1])
    return FirewallProfile(
        source=evidence.at(*state) if state else block.source,
        name=name,
        enabled=_state(state[1]) if state else None,
        current=current,
        inbound=policy[1].lower() if policy else None,
        outbound=policy[2].lower() if policy else None,
    )


def _state_row(block: _Block, at: int) -> tuple[int, str] | None:
    """Return the row before the policy; where rows are in disorder, the one called State."""
    if at and not block.lines[at - 1][1].lower().startswith(_OTHERS):
        return block.lines[at - 1]
    return next((row for row in block.lines if _STATE.match(row[1])), None)


def _state(row: str) -> bool | None:
    """Return what the last column of a row says."""
    return words.is_on(_COLUMNS.split(row)[-1].rpartition(" ")[2])


def _in_use(block: _Block) -> FirewallProfile | None:
    """Read a block of the monitor: the profile is in use by these networks."""
    name = words.profile(block.heading)
    lower = block.heading.lower()
    if not name or any(word in lower for word in _SETTINGS) or block.policy() is not None:
        return None
    if block.lines and _state(block.lines[0][1]) is not None and len(block.lines) > 2:
        return None
    networks = tuple(line for _, line in block.lines if not _OKAY.match(line))
    return FirewallProfile(source=block.source, name=name, current=True, networks=networks)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "outbound" in head and ("blockinbound" in head or "allowinbound," in head):
        return CERTAIN
    if answers.says_service_down(head):
        return LIKELY
    in_use = any(f"{name} profile" in head for name in ("domain", "private", "public"))
    if in_use and ("profile:\n---" in head or "profile settings:" in head):
        return CERTAIN
    return 0


PARSER = Parser(
    name="netsh advfirewall show allprofiles",
    parse=parse,
    command=re.compile(r"\badv\w*\s+(?:mon\w*\s+)?sh\w*\s+(?:\w*prof|firewall\b)", re.IGNORECASE),
    signature=signature,
)
