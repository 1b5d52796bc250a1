"""Rules about what the Network Connectivity Assistant says."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
