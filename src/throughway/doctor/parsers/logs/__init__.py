"""Event logs and the logs of the connectivity assistants."""

from throughway.doctor.parsers.logs import (
    connectivity_assistant,
    event_text,
    event_xml,
    evtx,
    get_winevent,
)

PARSERS = (
    evtx.PARSER,
    event_xml.PARSER,
    event_text.PARSER,
    get_winevent.PARSER,
    connectivity_assistant.PARSER,
)
