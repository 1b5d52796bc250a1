"""Rules about the name resolution policy and what it does to names."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
