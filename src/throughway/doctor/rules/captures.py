"""Rules about what was seen on the network."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
