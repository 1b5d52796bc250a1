"""The registry: reg query, exports, Registry.pol."""

from throughway.doctor.parsers.registry import reg_query

PARSERS = (reg_query.PARSER,)
