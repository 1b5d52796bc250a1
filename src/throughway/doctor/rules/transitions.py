"""Rules about Teredo, 6to4 and ISATAP."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
