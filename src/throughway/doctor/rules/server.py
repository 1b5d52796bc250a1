"""Procedure P4: Operations Status and the configuration of the server."""

from throughway.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
