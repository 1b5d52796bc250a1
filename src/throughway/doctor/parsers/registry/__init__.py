"""The registry: reg query, exports, Registry.pol."""

from throughway.doctor.parsers.registry import reg_file, reg_query, registry_pol

PARSERS = (reg_query.PARSER, reg_file.PARSER, registry_pol.PARSER)
