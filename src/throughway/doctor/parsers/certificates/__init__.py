"""Certificates, revocation lists, and what Windows makes of them."""

from throughway.doctor.parser import Parser
from throughway.doctor.parsers.certificates import (
    certutil_dump,
    certutil_store,
    certutil_urlcache,
    certutil_verify,
    files,
    get_childitem_cert,
)

PARSERS: tuple[Parser, ...] = (
    certutil_store.PARSER,
    certutil_verify.PARSER,
    certutil_urlcache.PARSER,
    certutil_dump.PARSER,
    get_childitem_cert.PARSER,
    files.PARSER,
)
