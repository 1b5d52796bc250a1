"""The process that is the KDC proxy, for anybody outside: it is nobody itself.

Run by :mod:`throughway.gateway.kdc` as ``python -m throughway.gateway.kdc_process FD``, FD being
the listening socket. Its input is JSON, one line each: first the settings, then the accounts that
may ask, anew each time they change; with its end the process ends.
"""

import asyncio
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from throughway.net import privileges
from throughway.net.kdc_proxy import KDC_PORT, KDC_TIMEOUT, KDCProxy
from throughway.net.tls import server_context
from throughway.net.webserver import WebServer
from throughway.wire.kkdcp import MAX_MESSAGE

FOUND_FOR = 60.0
"""Seconds for which an answer of the DNS is used."""
MAX_LINE = 16 * 1024 * 1024
"""Octets: the accounts of as many computers as one gateway serves."""


class Finder:
    """Where the realm's KDCs are: as configured, or by SRV records."""

    def __init__(self, domain: str, servers: list[str]) -> None:
        self._domain = domain
        self._servers = [(server, KDC_PORT) for server in servers]
        self._found: list[tuple[str, int]] = []
        self._until = 0.0

    async def find(self) -> list[tuple[str, int]]:
        """Return names and ports, best first."""
        if self._servers:
            return self._servers
        if time.monotonic() >= self._until:
            self._found = await asyncio.to_thread(_look_up, self._domain) or self._found
            self._until = time.monotonic() + FOUND_FOR
        return self._found


def _look_up(domain: str) -> list[tuple[str, int]]:
    import dns.exception
    import dns.resolver

    try:
        answer = dns.resolver.resolve(f"_kerberos._tcp.{domain}", "SRV", lifetime=KDC_TIMEOUT)
    except dns.exception.DNSException:
        return []
    records = sorted(answer, key=lambda r: (r.priority, -r.weight, str(r.target)))
    return [(str(record.target).rstrip("."), int(record.port)) for record in records[:8]]


async def serve(descriptor: int) -> None:
    """Serve until the input ends."""
    reader = asyncio.StreamReader(limit=MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    settings: dict[str, Any] = json.loads(await reader.readline())
    tls = server_context(Path(settings["certificate"]), Path(settings["key"]))
    finder = Finder(settings["domain"], settings["servers"])
    await finder.find()  # what the resolver imports is imported now
    privileges.renounce()
    privileges.end_with_parent()
    proxy = KDCProxy(realm=settings["realm"], service=settings["service"], find=finder.find)
    proxy.allow(settings["accounts"])
    server = WebServer(
        socket.socket(fileno=descriptor),
        proxy.respond,
        key="kdc_proxy.listen",
        tls=tls,
        body_limit=MAX_MESSAGE,
    )
    await server.start()
    print("serving", flush=True)
    while line := await reader.readline():
        proxy.allow(json.loads(line))
    await server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
