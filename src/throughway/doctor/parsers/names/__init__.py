"""The name resolution policy, the DNS client, the location of a client."""

from throughway.doctor.parsers.names import (
    get_daclientexperienceconfiguration,
    get_daconnectionstatus,
    get_dnsclientnrptglobal,
    get_dnsclientnrptpolicy,
    get_dnsclientnrptrule,
    get_ncsipolicyconfiguration,
    netsh_dnsclient,
    netsh_namespace,
)

PARSERS = (
    get_daconnectionstatus.PARSER,
    get_dnsclientnrptpolicy.PARSER,
    get_dnsclientnrptglobal.PARSER,
    get_dnsclientnrptrule.PARSER,
    netsh_namespace.PARSER,
    netsh_dnsclient.PARSER,
    get_ncsipolicyconfiguration.PARSER,
    get_daclientexperienceconfiguration.PARSER,
)
