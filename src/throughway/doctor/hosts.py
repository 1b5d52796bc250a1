"""Whose evidence is it? Several machines may be in one bundle.

Folders tell machines apart when the same kind of thing stands in two of them, or when they name
different computers; within a folder the names that outputs print, and then the role they show.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from throughway.doctor.reading import Read
from throughway.model.evidence import Platform, Role, Source
from throughway.model.facts.base import Fact, Host
from throughway.model.facts.capture import Capture
from throughway.model.facts.certificates import Certificate, Store
from throughway.model.facts.names import DAConnectionStatus
from throughway.model.facts.network import ComputerName
from throughway.model.facts.server import RemoteAccessConfiguration
from throughway.model.facts.transition import IPHTTPSInterface, TeredoState

_ONE_EACH = (IPHTTPSInterface, TeredoState, ComputerName, RemoteAccessConfiguration)
"""Of these a machine has one; two folders that both hold one are two machines."""
_SERVER_WORDS = ("server", "srv", "gateway", "edge")
_CLIENT_WORDS = ("client", "laptop", "workstation", "notebook")


@dataclass
class _Group:
    """Evidence that belongs together."""

    folder: str
    read: list[Read] = field(default_factory=list)

    def names(self) -> set[str]:
        return {f.name.lower() for f in self.facts() if isinstance(f, ComputerName)}

    def roles(self) -> set[Role]:
        return {role for f in self.facts() if (role := f.role_shown) is not None}

    def kinds(self) -> set[type[Fact]]:
        return {type(f) for f in self.facts()} & set(_ONE_EACH)

    def facts(self) -> Iterable[Fact]:
        return (fact for item in self.read for fact in item.facts)


def tell_apart(read: Sequence[Read]) -> list[tuple[Host, list[Fact]]]:
    """Return each machine with its facts; captures, which are of a network, are with every one."""
    groups = _merge(_by_folder(read))
    parts = [part for group in groups for part in _by_name(group)]
    machines = [machine for part in parts for machine in _by_role(part)]
    several = len(machines) > 1
    return [_machine(group, role, several) for group, role in machines]


def _by_folder(read: Sequence[Read]) -> list[_Group]:
    folders = [item.evidence.file.split("/")[:-1] for item in read]
    common = _common_length(folders)
    groups: dict[str, _Group] = {}
    for item, folder in zip(read, folders, strict=True):
        name = folder[common] if len(folder) > common else ""
        groups.setdefault(name, _Group(name)).read.append(item)
    return list(groups.values())


def _common_length(folders: Sequence[Sequence[str]]) -> int:
    """Return how many levels all the files share."""
    if not folders:
        return 0
    length = 0
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        length += 1
    return length


def _merge(groups: list[_Group]) -> list[_Group]:
    """Put folders together that are only topics of one machine."""
    if len(groups) < 2:
        return groups
    names = [group.names() for group in groups]
    distinct = len(set().union(*names)) > 1
    seen: set[type[Fact]] = set()
    for group in groups:
        kinds = group.kinds()
        distinct = distinct or bool(kinds & seen)
        seen |= kinds
    if distinct or len(set().union(*(group.roles() for group in groups))) > 1:
        return groups
    whole = _Group("")
    for group in groups:
        whole.read += group.read
    return [whole]


def _by_name(group: _Group) -> list[_Group]:
    """Split a folder whose outputs name several computers; files go by the names in theirs."""
    names = group.names()
    if len(names) < 2:
        return [group]
    parts = {name: _Group(name) for name in sorted(names)}
    current = next(iter(parts))
    for item in group.read:
        own = [f.name.lower() for f in item.facts if isinstance(f, ComputerName)]
        told = [name for name in parts if name in item.evidence.file.lower()]
        current = (own or told or [current])[0]
        parts[current].read.append(item)
    return list(parts.values())


def _by_role(group: _Group) -> list[tuple[_Group, Role | None]]:
    """Split what shows a client and a server at once."""
    roles = group.roles()
    if len(roles) < 2:
        return [(group, next(iter(roles), None))]
    parts = {role: _Group(f"{group.folder}/{role}".strip("/")) for role in Role}
    current = Role.CLIENT
    previous = ""
    for item in group.read:
        if item.evidence.file != previous:
            current, previous = Role.CLIENT, item.evidence.file
        current = _role_of(item) or current
        parts[current].read.append(item)
    return [(parts[role], role) for role in Role]


def _role_of(item: Read) -> Role | None:
    """Return the role that this very evidence shows, or that its name says."""
    for fact in item.facts:
        if role := fact.role_shown:
            return role
    name = item.evidence.file.lower()
    if any(word in name for word in _SERVER_WORDS):
        return Role.SERVER
    return Role.CLIENT if any(word in name for word in _CLIENT_WORDS) else None


def _machine(group: _Group, role: Role | None, several: bool) -> tuple[Host, list[Fact]]:
    facts = list(_standing(group.read))
    named = [f for f in facts if isinstance(f, ComputerName)]
    name = named[0].name if named else group.folder if several else ""
    source = named[0].source if named else _first_source(facts)
    linux = any(fact.PLATFORM is Platform.LINUX for fact in facts)
    platform = Platform.LINUX if linux else Platform.WINDOWS
    return Host(source=source, name=name, role=role, platform=platform), facts


def _standing(read: Sequence[Read]) -> Iterator[Fact]:
    """Yield the facts but states that a later output of the same session shows to be over."""
    later: set[tuple[str, object]] = set()
    kept: list[list[Fact]] = []
    for item in reversed(read):
        places = [
            (item.evidence.file, _place(item, f)) if _is_state(f) else None for f in item.facts
        ]
        kept.append([f for f, p in zip(item.facts, places, strict=True) if p not in later])
        later |= {place for place in places if place is not None}
    for facts in reversed(kept):
        yield from facts


def _place(item: Read, fact: Fact) -> object:
    """Return what a later state must share; without prompts two machines may be in one text."""
    return type(fact), "typed" if item.evidence.command else fact.role_shown


def _is_state(fact: Fact) -> bool:
    if isinstance(fact, TeredoState):
        return fact.state is not None
    if isinstance(fact, IPHTTPSInterface):
        return fact.status is not None
    return isinstance(fact, DAConnectionStatus) and fact.status is not None


def _first_source(facts: Sequence[Fact]) -> Source:
    return facts[0].source if facts else Source("")


def with_captures(machines: list[tuple[Host, list[Fact]]]) -> list[tuple[Host, list[Fact]]]:
    """Let what was seen on the network count for every client; for servers where there is none.

    What a capture on a server shows is how its clients fare: told of both it would be told twice.
    """
    shared = [fact for _, facts in machines for fact in facts if _is_captured(fact)]
    # A capture that lies by itself is no machine beside those that speak.
    machines = [one for one in machines if not one[1] or not all(map(_is_captured, one[1]))] or (
        machines
    )
    clients = [host for host, _ in machines if host.role is not Role.SERVER]
    told = []
    for host, facts in machines:
        if clients and host not in clients:
            told.append((host, [fact for fact in facts if not _is_captured(fact)]))
        else:
            own = {fact for fact in facts if _is_captured(fact)}
            told.append((host, facts + [fact for fact in shared if fact not in own]))
    return told


def _is_captured(fact: Fact) -> bool:
    if isinstance(fact, Certificate):
        return fact.store is Store.CAPTURE
    return type(fact).__module__ == Capture.__module__
