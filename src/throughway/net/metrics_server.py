"""Answers Prometheus: the daemon's figures and those of its process, over http at ``/metrics``."""

import os
import resource
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus

from throughway.net.webserver import Answer, Heard, WebServer, plain
from throughway.wire.exposition import CONTENT_TYPE, Family, Kind, build_exposition

PATH = b"/metrics"
STARTED = time.time()


class MetricsServer:
    """Answers scrapes; ``take`` gives the figures of this moment."""

    def __init__(
        self, address: tuple[str, int], take: Callable[[], Awaitable[Iterable[Family]]]
    ) -> None:
        self._take = take
        self._server = WebServer(address, self._respond, key="metrics.listen")

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return self._server.port

    async def start(self) -> None:
        """Listen; raises :exc:`ConfigError` when the address cannot be had."""
        await self._server.start()

    async def close(self) -> None:
        """Stop listening and end what is being served."""
        await self._server.close()

    async def _respond(self, heard: Heard) -> Answer:
        if heard.request.target.partition(b"?")[0] != PATH:
            return plain(HTTPStatus.NOT_FOUND, f"only {PATH.decode()} is here")
        if heard.request.method not in {b"GET", b"HEAD"}:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, "GET it", allow="GET, HEAD")
        body = build_exposition([*await self._take(), *of_process()])
        return Answer(HTTPStatus.OK, {"content-type": CONTENT_TYPE}, body)


def of_process() -> Iterator[Family]:
    """Yield what Prometheus' own libraries tell of a process, by the same names."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm", encoding="ascii") as statm:
        resident = int(statm.read().split()[1]) * resource.getpagesize()
    yield Family("process_resident_memory_bytes", "Of the daemon itself.").add(resident)
    seconds = round(usage.ru_utime + usage.ru_stime, 6)
    yield Family("process_cpu_seconds_total", "Used so far.", Kind.COUNTER).add(seconds)
    yield Family("process_open_fds", "File descriptors.").add(len(os.listdir("/proc/self/fd")))
    yield Family("process_start_time_seconds", "Since 1970.").add(STARTED)
