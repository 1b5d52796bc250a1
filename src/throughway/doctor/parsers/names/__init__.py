"""The name resolution policy, the DNS client, the location of a client."""

from throughway.doctor.parsers.names import (
    get_daconnectionstatus,
    get_dnsclientnrptpolicy,
    get_dnsclientnrptrule,
)

PARSERS = (
    get_daconnectionstatus.PARSER,
    get_dnsclientnrptpolicy.PARSER,
    get_dnsclientnrptrule.PARSER,
)
