"""Rules about group policy: whether client and server have their configuration."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
