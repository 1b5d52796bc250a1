"""Rules about domain controllers, Kerberos and time."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
