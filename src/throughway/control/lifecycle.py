"""The life of a daemon: start, signals, an orderly end. The same for gateway and client."""

import asyncio
import contextlib
import resource
import signal
from collections.abc import Callable
from typing import Any, Protocol

from throughway.control.permission import for_root
from throughway.model.errors import ConfigError, ThroughwayError

EXIT_WELL, EXIT_FAILED, EXIT_CONFIGURATION = 0, 1, 2
STOP_TIMEOUT = 15.0
"""Seconds for an orderly end: telling every peer takes a moment, an absent one does not answer."""

DESCRIPTORS = 131072
"""File descriptors; as in the units of systemd. As many sessions as a gateway may have, and as many
connections again that are none yet."""

Report = Callable[[str, BaseException | None], None]
"""Called with what went wrong and the exception, for whoever writes the log."""


class Daemon(Protocol):
    """What is run."""

    async def start(self) -> None:
        """Begin to serve; a ThroughwayError ends the daemon at once."""

    async def reload(self) -> None:
        """SIGHUP: read the configuration anew; a ThroughwayError leaves everything as it was."""

    async def stop(self) -> None:
        """End in order, also after half a start."""

    def failed(self, what: str, error: BaseException | None) -> None:
        """Hear of a failure that nothing else has caught: a bug of ours, or a refused reload."""


def run(make: Callable[[], Daemon], report: Report) -> int:
    """Run a daemon until SIGTERM or SIGINT and return its exit code; no traceback is shown."""
    allow_descriptors()
    try:
        return asyncio.run(_live(make(), report))
    except ConfigError as error:
        for single in error.errors or (error,):
            report(f"{single}{for_root(single)}", None)
        return EXIT_CONFIGURATION
    except ThroughwayError as error:
        report(f"{error}{for_root(error)}", None)
        return EXIT_FAILED
    except OSError as error:
        # A disk that is full or read-only, a directory of somebody else.
        words = ": ".join(filter(None, (error.filename, error.strerror or str(error))))
        report(f"{words}{for_root(error)}", None)
        return EXIT_FAILED


def allow_descriptors() -> None:
    """Take as many file descriptors as we may; a shell gives 1024, fewer than there are clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _live(daemon: Daemon, report: Report) -> int:
    loop = asyncio.get_running_loop()
    ended, reloads = asyncio.Event(), asyncio.Event()

    def unforeseen(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        daemon.failed(context.get("message", "unforeseen"), context.get("exception"))

    loop.set_exception_handler(unforeseen)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, reloads.set)
    reloader: asyncio.Task[None] | None = None
    try:
        start = asyncio.ensure_future(daemon.start())
        stop_asked = asyncio.ensure_future(ended.wait())
        await asyncio.wait({start, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
        else:
            start.result()
            reloader = asyncio.ensure_future(_reload(daemon, reloads))
        await stop_asked
        return EXIT_WELL
    finally:
        if reloader is not None:
            reloader.cancel()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await daemon.stop()
        except TimeoutError:
            report(f"could not end in order within {STOP_TIMEOUT:g} s", None)


async def _reload(daemon: Daemon, reloads: asyncio.Event) -> None:
    while True:
        await reloads.wait()
        reloads.clear()
        try:
            await daemon.reload()
        except ThroughwayError as error:
            daemon.failed("the new configuration was refused", error)
        except Exception as error:  # whatever it was, the next SIGHUP is heard again
            daemon.failed("the configuration could not be reloaded", error)


async def end_task(task: "asyncio.Task[None] | None") -> None:
    """Cancel a task and wait for its end."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
