"""Logs: structured, one event a line, on standard error (which systemd hands to the journal)."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

MAXIMUM_VALUE = 500
"""Characters of one value; what a peer sends must not fill the log."""
_SECRETS = frozenset({"password", "secret", "token", "key", "nt_hash", "ccache", "session_key"})


def configure(*, debug: bool = False) -> None:
    """Send events of level info (or debug) and above to standard error."""
    level = logging.DEBUG if debug else logging.INFO
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            bound,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event"], drop_missing=True
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(component: str) -> Any:  # noqa: ANN401 - structlog's lazy proxy
    """Return the logger of a component."""
    return structlog.get_logger(component=component)


def bound(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Cut values to length, keep each event on one line, and let no secret through."""
    for key, value in list(event.items()):
        if value is None:
            del event[key]
        elif key in _SECRETS:
            event[key] = "(not logged)"
        elif not isinstance(value, int | float | bool | None):
            text = "".join(c if c.isprintable() else " " for c in str(value))
            event[key] = text if len(text) <= MAXIMUM_VALUE else text[:MAXIMUM_VALUE] + "…"
    return event
