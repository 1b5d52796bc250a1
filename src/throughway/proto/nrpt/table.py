"""The Name Resolution Policy Table: which DNS servers a name belongs to ([MS-GPNRPT])."""

from collections.abc import Iterable

from throughway.model.policy import NRPTRule
from throughway.wire.dns import Labels, labels_of


class Table:
    """Rules, found by name: an exact name beats a suffix, a longer suffix a shorter, "." is last.

    Of two rules for the same namespace the first counts.
    """

    def __init__(self, rules: Iterable[NRPTRule] = ()) -> None:
        """Raises :exc:`WireError` for a namespace that is no domain name."""
        self._names: dict[Labels, NRPTRule] = {}
        self._suffixes: dict[Labels, NRPTRule] = {}
        self.rules = tuple(rules)
        for rule in self.rules:
            suffix = rule.namespace.startswith(".")
            table = self._suffixes if suffix else self._names
            table.setdefault(labels_of(rule.namespace), rule)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.rules == other.rules

    def __hash__(self) -> int:
        return hash(self.rules)

    def match(self, labels: Labels) -> NRPTRule | None:
        """Return the rule for a name given in labels of lower case."""
        if exact := self._names.get(labels):
            return exact
        # The last round is the empty suffix: the rule for any name.
        for cut in range(len(labels) + 1):
            if rule := self._suffixes.get(labels[cut:]):
                return rule
        return None

    def match_name(self, name: str) -> NRPTRule | None:
        """Return the rule for a name as people write it."""
        return self.match(labels_of(name))
