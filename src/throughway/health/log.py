"""Logs: structured, one event a line, without secrets and without floods.

Events go to standard error; a daemon may bind an output (journald, a file) that takes them
instead, or too.
"""

import asyncio
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from throughway.catalogue import find
from throughway.health.log_limit import LeftOut, Limiter
from throughway.health.tracker import Change
from throughway.model.config import LogLevel
from throughway.model.findings import Severity


@contextmanager
def _absent(module: str) -> Iterator[None]:
    """Let a module not be found meanwhile by others that do without it."""
    there = sys.modules.pop(module, None)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if there is not None:
            sys.modules[module] = there


with _absent("rich"):  # for consoles, which no daemon has: it would be 4 MiB of each
    import structlog

MAXIMUM_VALUE = 500
"""Characters of one value; what a peer sends must not fill the log."""
MORE = "more of these"
"""The event that says how many lines of one kind were left out."""
_SECRETS = frozenset(
    {"password", "passwd", "passphrase", "secret", "token", "key", "pin", "ticket"}
    | {"nt_hash", "ccache", "session_key", "private_key", "authorization", "cookie"}
)
_SECRET_TEXT = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*"
    r"|(?P<name>\b(?:password|passwd|passphrase|secret|token|pin|nt_hash)=)[^\s,;&]+"
    r"|(?P<scheme>\b(?:Basic|Bearer|Negotiate|NTLM) )[A-Za-z0-9+/=_~.-]{12,}"
    r"|(?P<url>://)[^/\s:@]*:[^/\s@]*@",
    re.IGNORECASE | re.DOTALL,
)
_NOT_LOGGED = "(not logged)"
_LEVEL_OF = {Severity.CRITICAL: LogLevel.ERROR, Severity.WARNING: LogLevel.WARNING}

Output = Callable[[Mapping[str, Any]], bool]
"""Takes an event; says whether standard error is spared."""


class _Pipe:
    """What this process does with its events."""

    def __init__(self) -> None:
        self.output: Output | None = None
        self.limiter = Limiter()
        self.timer: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None

    def limit(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:  # noqa: ANN401 - structlog's
        """Let an event pass, or count it."""
        if event["event"] == MORE:
            return event
        self.flush()
        if self.limiter.take(dict(event), time.monotonic()):
            return event
        self._arm()
        raise structlog.DropEvent

    def flush(self) -> None:
        """Tell what was left out."""
        for left_out in self.limiter.due(time.monotonic()):
            _say(left_out)

    def give(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:  # noqa: ANN401 - structlog's
        """Hand an event to the output; standard error gets it where that does not take it."""
        if self.output is not None and self.output(event):
            raise structlog.DropEvent
        return event

    def _arm(self) -> None:
        """Have the count told also when nothing more comes; without a loop the next event does."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        at = self.limiter.timer_at()
        if at is None or (self.timer is not None and self.timer[0] is loop):
            return
        self.timer = loop, loop.call_later(max(0.0, at - time.monotonic()) + 0.01, self._on_timer)

    def _on_timer(self) -> None:
        self.timer = None
        self.flush()
        if self.limiter.timer_at() is not None:
            self._arm()


_pipe = _Pipe()


def configure(level: LogLevel = LogLevel.INFO, output: Output | None = None) -> None:
    """Begin: events of this level and worse go to standard error, or where ``output`` has them."""
    _pipe.output, _pipe.limiter = output, Limiter()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            bound,
            _pipe.limit,
            _pipe.give,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event"], drop_missing=True
            ),
        ],
        wrapper_class=_wrapper(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def set_level(level: LogLevel) -> None:
    """Tell more, or less, from now on."""
    structlog.configure(wrapper_class=_wrapper(level))


def logger(component: str) -> Any:  # noqa: ANN401 - structlog's lazy proxy
    """Return the logger of a component."""
    return structlog.get_logger(component=component)


def left_out() -> int:
    """Return how many lines floods have kept out of the log."""
    return _pipe.limiter.left_out


def tell_change(logger: Any, change: Change) -> None:  # noqa: ANN401 - structlog's lazy proxy
    """Log that a problem is there, as bad as it is, or over."""
    word, level = "problem is over", LogLevel.INFO
    if change.held:
        word, level = "problem", _LEVEL_OF.get(find(change.code).severity, level)
    getattr(logger, level)(word, code=change.code, detail=change.detail)


def bound(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Cut values to length, keep each event on one line, and let no secret through."""
    for key, value in list(event.items()):
        if value is None:
            del event[key]
        elif key in _SECRETS:
            event[key] = _NOT_LOGGED
        elif not isinstance(value, int | float | bool | None):
            text = _SECRET_TEXT.sub(_hidden, str(value))
            text = "".join(c if c.isprintable() else " " for c in text)
            event[key] = text if len(text) <= MAXIMUM_VALUE else text[:MAXIMUM_VALUE] + "…"
    return event


def _hidden(match: re.Match[str]) -> str:
    """Keep what the secret was, and where it stood."""
    return f"{match['name'] or match['scheme'] or match['url'] or ''}{_NOT_LOGGED}" + (
        "@" if match["url"] else ""
    )


def _say(left_out: LeftOut) -> None:
    last = {k: v for k, v in left_out.last.items() if k not in ("timestamp", "level", "event")}
    say = getattr(structlog.get_logger(), str(left_out.last["level"]))
    of, seconds = left_out.last["event"], round(left_out.seconds)
    say(MORE, of=of, count=left_out.count, seconds=seconds, **last)


def _wrapper(level: LogLevel) -> Any:  # noqa: ANN401 - a class that structlog makes
    return structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])
