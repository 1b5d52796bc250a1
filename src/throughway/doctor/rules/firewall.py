"""Rules about the Windows firewall and its connection security rules."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
