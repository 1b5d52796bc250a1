"""Whether a ruleset of nftables is sure to drop a packet, from what ``nft -j list ruleset`` says.

Three-valued: a match on what is not known of the packet may hold or not, so a packet is *dropped*
only where every reading of the ruleset drops it. Who acts on that raises no false alarm about
rules that he does not understand.

Source: libnftables-json(5); nft(8) for the order of hooks and the meaning of verdicts.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from typing import Any

MAX_DEPTH = 16
"""Jumps within jumps; the kernel takes as many (NFT_JUMP_STACK_SIZE)."""
MAX_STEPS = 100_000
"""Rules that are walked for one packet; more is no ruleset of a person."""
HOOKS = {
    "input": ("prerouting", "input"),
    "forward": ("prerouting", "forward", "postrouting"),
    "output": ("output", "postrouting"),
}
"""Through which hooks a packet goes that is for this machine, for others, or from it."""
_FAMILIES = {"ipv4": ("inet", "ip"), "ipv6": ("inet", "ip6")}
_TRANSPORT = {"tcp": ("tcp",), "udp": ("udp",), "th": ("tcp", "udp"), "icmpv6": ("ipv6-icmp",)}
_NETWORK = {"ip": "ipv4", "ip6": "ipv6"}
_ICMPV6 = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
    "nd-redirect": 137,
}
_META = {"iifname": "iif", "iif": "iif", "oifname": "oif", "oif": "oif", "mark": "mark"}

_Value = str | int
_Body = Mapping[str, Any]


class RulesetError(ValueError):
    """What was given is no listing of a ruleset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What is known of a packet; what is None may be anything."""

    hook: str
    """``input``, ``forward`` or ``output``."""
    version: str = "ipv6"
    protocol: str | None = None
    """As nft names it: ``tcp``, ``udp``, ``ipv6-icmp``, ``esp``."""
    iif: str | None = None
    oif: str | None = None
    source: str | None = None
    destination: str | None = None
    sport: int | None = None
    dport: int | None = None
    icmp_type: int | None = None
    state: str | None = None
    """Of its connection: ``new``, ``established``, ``untracked``."""
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Where a packet ends."""

    family: str
    table: str
    chain: str
    handle: int | None
    """The rule's; None: it is the policy of the chain."""

    def __str__(self) -> str:
        rule = "its policy" if self.handle is None else f"rule {self.handle}"
        return f"table {self.family} {self.table}, chain {self.chain}, {rule}"


class _End(Enum):
    """How the walk through a chain ends."""

    PASS = auto()
    MAYBE = auto()
    CONTINUE = auto()


@dataclass(frozen=True, slots=True)
class _Chain:
    name: str
    hook: str = ""
    policy: str = "accept"
    filters: bool = False
    rules: list[_Body] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Table:
    family: str
    name: str
    chains: dict[str, _Chain] = field(default_factory=dict)
    sets: dict[str, Sequence[Any]] = field(default_factory=dict)


class Ruleset:
    """The tables of a machine, but for those whose name begins with one of ``own``."""

    def __init__(self, listing: str | bytes, own: tuple[str, ...] = ()) -> None:
        self._tables = tuple(t for t in _parse(listing) if not t.name.startswith(own or ("\0",)))

    def dropped(self, packet: Packet) -> Dropped | None:
        """Return where the packet is sure to end; None when some reading lets it through."""
        for table, chain, hook in self._met(packet):
            end = _Walk(table, packet, hook).through(chain)
            if isinstance(end, Dropped):
                return end
        return None

    def _met(self, packet: Packet) -> Iterator[tuple[_Table, _Chain, str]]:
        for table in self._tables:
            if table.family in _FAMILIES[packet.version]:
                for chain in table.chains.values():
                    if chain.filters and chain.hook in HOOKS[packet.hook]:
                        yield table, chain, chain.hook


class _Walk:
    """One packet on its way through a base chain."""

    def __init__(self, table: _Table, packet: Packet, hook: str) -> None:
        self._table, self._packet, self._hook = table, packet, hook
        self._steps = 0

    def through(self, chain: _Chain) -> _End | Dropped:
        """Walk the base chain."""
        end = self._walk(chain, 0)
        if end is _End.CONTINUE:
            if chain.policy == "drop":
                return Dropped(self._table.family, self._table.name, chain.name, None)
            return _End.PASS
        return end

    def _walk(self, chain: _Chain, depth: int) -> _End | Dropped:
        if depth > MAX_DEPTH:
            return _End.MAYBE
        for rule in chain.rules:
            self._steps += 1
            if self._steps > MAX_STEPS:
                return _End.MAYBE
            try:
                end = self._rule(chain, rule, depth)
            except (LookupError, TypeError, ValueError, AttributeError):
                return _End.MAYBE  # a rule of a form that is not known here
            if end is not None:
                return end
        return _End.CONTINUE

    def _rule(self, chain: _Chain, rule: _Body, depth: int) -> _End | Dropped | None:
        """Return how the walk ends with this rule; None when it goes on to the next one."""
        sure = True
        for statement in rule.get("expr", ()):
            kind, body = _statement(statement)
            if kind == "match":
                matches = self._matches(body)
                if matches is False:
                    return None
                sure = sure and matches is True
            elif kind in {"limit", "xt", "quota", "connlimit", ""}:
                sure = False
            elif kind == "vmap":
                return self._mapped(chain, rule, body, sure=sure, depth=depth)
            elif kind in _VERDICTS:
                return self._verdict(chain, rule, statement, sure=sure, depth=depth)
        return None

    def _mapped(
        self, chain: _Chain, rule: _Body, body: _Body, *, sure: bool, depth: int
    ) -> _End | Dropped | None:
        value = self._known(body["key"])
        pairs = self._elements(body["data"])
        if value is None or pairs is None:
            return _End.MAYBE
        if value is False:
            return None
        for key, verdict in pairs:
            found = self._equals(value, key)
            if found is None:
                return _End.MAYBE
            if found:
                return self._verdict(chain, rule, verdict, sure=sure, depth=depth)
        return None

    def _verdict(
        self,
        chain: _Chain,
        rule: _Body,
        verdict: _Body,
        *,
        sure: bool,
        depth: int,
    ) -> _End | Dropped | None:
        ((kind, body),) = verdict.items()
        if kind in {"drop", "reject"}:
            if not sure:
                return None  # if it does not end here, what follows decides
            return Dropped(self._table.family, self._table.name, chain.name, rule.get("handle"))
        if kind in {"jump", "goto"}:
            return self._jump(kind, body, sure=sure, depth=depth)
        if not sure or kind == "queue":
            return _End.MAYBE
        return _End.PASS if kind == "accept" else _End.CONTINUE

    def _jump(self, kind: str, body: _Body, *, sure: bool, depth: int) -> _End | Dropped | None:
        target = self._table.chains.get(body["target"])
        if target is None:
            return _End.MAYBE
        end = self._walk(target, depth + 1)
        if end is _End.CONTINUE:
            return None if kind == "jump" or not sure else _End.CONTINUE
        if sure:
            return end
        return None if isinstance(end, Dropped) else _End.MAYBE

    def _matches(self, body: _Body) -> bool | None:
        value = self._known(body["left"])
        if value is None or value is False:
            return value
        found = self._equals(value, body["right"])
        if body["op"] in {"==", "in"}:
            return found
        if body["op"] == "!=":
            return None if found is None else not found
        return None

    def _known(self, left: object) -> _Value | bool | None:
        """Return what a match looks at; False where the packet has none of that, None: unknown."""
        if not isinstance(left, dict) or len(left) != 1:
            return None
        ((kind, body),) = left.items()
        if not isinstance(body, dict):
            return None
        if kind == "payload":
            return self._payload(body.get("protocol", ""), body.get("field", ""))
        if kind == "ct" and body.get("key") == "state" and "dir" not in body:
            return self._packet.state
        return self._meta(body.get("key", "")) if kind == "meta" else None

    def _meta(self, key: str) -> _Value | None:
        if key == "l4proto":
            return self._packet.protocol
        if key == "nfproto":
            return self._packet.version
        if key == "protocol":
            return next(name for name, v in _NETWORK.items() if v == self._packet.version)
        if self._hook == "prerouting" and _META.get(key) == "oif":
            return None
        return getattr(self._packet, _META[key]) if key in _META else None

    def _payload(self, protocol: str, name: str) -> _Value | bool | None:
        packet = self._packet
        if protocol in _NETWORK:
            if _NETWORK[protocol] != packet.version:
                return False
            fields = {"saddr": packet.source, "daddr": packet.destination}
            fields |= {"protocol": packet.protocol, "nexthdr": packet.protocol}
            return fields.get(name)
        if protocol in _TRANSPORT:
            if packet.protocol is None:
                return None
            if packet.protocol not in _TRANSPORT[protocol]:
                return False
            ports = {"sport": packet.sport, "dport": packet.dport, "type": packet.icmp_type}
            return ports.get(name)
        return None

    def _elements(self, right: object) -> Sequence[Any] | None:
        if isinstance(right, str) and right.startswith("@"):
            return self._table.sets.get(right[1:])
        if isinstance(right, dict) and isinstance(right.get("set"), list):
            found: list[Any] = right["set"]
            return found
        return right if isinstance(right, list) else None

    def _equals(self, value: _Value | bool, right: object) -> bool | None:
        """Say whether a value is what stands on the right side, or among it."""
        elements = self._elements(right)
        if elements is not None:
            return _any(self._equals(value, element) for element in elements)
        if isinstance(right, dict):
            if "elem" in right:
                return self._equals(value, right["elem"].get("val"))
            if "prefix" in right:
                return _within(value, right["prefix"])
            if "range" in right:
                return _between(value, *right["range"])
            return None
        if isinstance(right, str) and right.startswith("@"):
            return None
        if isinstance(right, str) and right.endswith("*") and isinstance(value, str):
            return value.startswith(right[:-1])
        return _same(value, right)


def _statement(statement: object) -> tuple[str, _Body]:
    """Return kind and body of a statement; "" as kind where it is none that is known here."""
    if not isinstance(statement, dict) or len(statement) != 1:
        return "", {}
    ((kind, body),) = statement.items()
    return str(kind), body if isinstance(body, dict) else {}


_VERDICTS = frozenset({"accept", "drop", "reject", "jump", "goto", "return", "queue"})


def _any(answers: Iterable[bool | None]) -> bool | None:
    unsure = False
    for answer in answers:
        if answer:
            return True
        unsure = unsure or answer is None
    return None if unsure else False


def _same(value: object, right: object) -> bool | None:
    if isinstance(value, int) and isinstance(right, str):
        number = _ICMPV6.get(right)
        return None if number is None else number == value
    if isinstance(value, str) and isinstance(right, str) and (":" in value or "." in value):
        try:
            return ip_address(value) == ip_address(right)
        except ValueError:
            return value == right
    return value == right if type(value) is type(right) else None


def _within(value: object, prefix: _Body) -> bool | None:
    try:
        return ip_address(str(value)) in ip_network(f"{prefix['addr']}/{prefix['len']}", False)
    except (ValueError, KeyError):
        return None


def _between(value: object, first: object, last: object) -> bool | None:
    low, high = _ordered(first), _ordered(last)
    here = _ordered(value)
    if low is None or high is None or here is None:
        return None
    if not low[0] == high[0] == here[0]:
        return None
    return low[1] <= here[1] <= high[1]


def _ordered(value: object) -> tuple[str, int] | None:
    """Return a value as what can be compared with its like."""
    if isinstance(value, int):
        return "number", value
    if isinstance(value, str):
        if value in _ICMPV6:
            return "number", _ICMPV6[value]
        try:
            address = ip_address(value)
        except ValueError:
            return None
        return f"address {address.version}", int(address)
    return None


def _parse(listing: str | bytes) -> Iterable[_Table]:
    try:
        objects = json.loads(listing)["nftables"]
        tables: dict[tuple[str, str], _Table] = {}
        for one in objects:
            ((kind, body),) = one.items()
            if kind == "table":
                family, name = body["family"], body["name"]
                # A dormant table is there and asked nothing.
                if "dormant" not in body.get("flags", ()):
                    tables[family, name] = _Table(family, name)
            elif kind in {"chain", "set", "map", "rule"}:
                table = tables.get((body["family"], body["table"]))
                if table is not None:
                    _add(table, kind, body)
        return tables.values()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RulesetError(f"not the JSON of a ruleset: {error}") from None


def _add(table: _Table, kind: str, body: _Body) -> None:
    if kind == "chain":
        table.chains[body["name"]] = _Chain(
            body["name"],
            body.get("hook", ""),
            body.get("policy", "accept"),
            body.get("type") == "filter",
        )
    elif kind == "rule":
        table.chains[body["chain"]].rules.append(body)
    else:
        table.sets[body["name"]] = body.get("elem", [])
