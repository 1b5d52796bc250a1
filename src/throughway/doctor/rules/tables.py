"""Which rule of the name resolution policy a name falls under."""

from throughway.model.facts.names import NRPTRule, PolicyView

_VIEWS = (PolicyView.EFFECTIVE, PolicyView.POLICY, PolicyView.RULE)
_EXACT = 1000
"""A full name goes before every suffix."""


def in_force(rules: tuple[NRPTRule, ...]) -> tuple[NRPTRule, ...]:
    """Return the rules of one table: what holds, else what was delivered, else what is stored."""
    for view in _VIEWS:
        if table := tuple(rule for rule in rules if rule.view is view):
            return table
    return ()


def covering(host: str, rules: tuple[NRPTRule, ...]) -> NRPTRule | None:
    """Return the rule with the longest namespace that covers a name."""
    best: tuple[int, NRPTRule | None] = (-1, None)
    for rule in rules:
        for namespace in rule.namespaces or ():
            name = namespace.lower()
            covers = name == "." or name == host or (name.startswith(".") and host.endswith(name))
            weight = len(name) + _EXACT * (name == host)
            if covers and weight > best[0]:
                best = (weight, rule)
    return best[1]
