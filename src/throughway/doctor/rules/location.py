"""Rules about finding out whether the client is inside."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
