"""The DirectAccess server: its configuration and Operations Status."""

from throughway.doctor.parsers.server import (
    get_remoteaccess,
    get_remoteaccessconnectionstatistics,
    get_remoteaccesshealth,
    operations_status,
)

PARSERS = (
    get_remoteaccess.PARSER,
    get_remoteaccesshealth.PARSER,
    get_remoteaccessconnectionstatistics.PARSER,
    operations_status.PARSER,
)
