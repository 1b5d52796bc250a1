"""The DirectAccess server: its configuration and Operations Status."""

from throughway.doctor.parsers.server import (
    get_remoteaccess,
    get_remoteaccesshealth,
    operations_status,
)

PARSERS = (
    get_remoteaccess.PARSER,
    get_remoteaccesshealth.PARSER,
    operations_status.PARSER,
)
