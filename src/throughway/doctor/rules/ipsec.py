"""Procedure P3: why the IPsec tunnels do not come up."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
