"""Rules about the certificate of IP-HTTPS and its revocation lists."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
