"""Rules about the certificates that open the tunnels."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
