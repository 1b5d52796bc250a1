"""A worker of the gateway: one process, one TUN device, one /64, its share of the sessions.

Run by :mod:`throughway.gateway.workers` as ``python -m throughway.gateway.worker FD``. All that it
needs it is given: device and listening sockets as file descriptors, key and certificate as text
over the channel. Before the first byte of a stranger arrives it is nobody, without capabilities.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from throughway.gateway.channel import (
    Ask,
    Change,
    Channel,
    Closed,
    DropAll,
    Failed,
    LimitReached,
    LimitSessions,
    Message,
    Opened,
    Ready,
    Report,
    Serve,
    Stop,
    Totals,
    adopt,
)
from throughway.model.errors import ThroughwayError
from throughway.model.status import SessionStatus
from throughway.net import privileges
from throughway.net.iphttps_server import IPHTTPSServer
from throughway.net.tls import context_of
from throughway.net.tun import TUN

EXIT_WELL, EXIT_FAILED = 0, 1


class Worker:
    """The process, from its first order to the end of the channel."""

    def __init__(self, descriptor: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._unforeseen)
        self._server: IPHTTPSServer | None = None
        self._opened_count = 0
        self._over: asyncio.Future[int] = self._loop.create_future()
        self._channel = Channel(adopt(descriptor), self._take, self._orphaned)

    async def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        code = await self._over
        if self._server is not None:
            await self._server.close()
        self._channel.close()
        return code

    def _take(self, message: Message) -> None:
        try:
            self._obey(message)
        except (ThroughwayError, OSError) as error:
            fatal = self._server is None
            self._channel.send(Failed(type(message).__name__, str(error), fatal=fatal))
            if fatal:
                self._end(EXIT_FAILED)

    def _obey(self, message: Message) -> None:
        match message, self._server:
            case Serve() as order, None:
                self._serve(order)
            case Stop(), _:
                self._end(EXIT_WELL)
            case Change(config=config, credentials=credentials), IPHTTPSServer() as server:
                server.reload(config, context_of(credentials))
            case LimitSessions(count), IPHTTPSServer() as server:
                server.limit_sessions(count)
            case DropAll(reason), IPHTTPSServer() as server:
                server.drop_all(reason)
            case Ask(number, sessions), IPHTTPSServer() as server:
                self._report(server, number, sessions=sessions)

    def _serve(self, order: Serve) -> None:
        tun = TUN(order.tun, order.interface, udp=order.udp)
        server = IPHTTPSServer(
            order.config,
            tun,
            tls=context_of(order.credentials),
            routes=order.routes,
            on_opened=self._opened,
            on_closed=lambda session, why: self._channel.send(Closed(session, why), news=True),
            on_limit=lambda source: self._channel.send(LimitReached(source), news=True),
        )
        privileges.renounce()
        server.start([adopt(descriptor) for descriptor in order.listeners])
        self._server = server
        self._channel.send(Ready(server.packet_pump))

    def _report(self, server: IPHTTPSServer, number: int, *, sessions: bool) -> None:
        self._channel.send(
            Report(
                number=number,
                state=str(server.state),
                count=len(server.machine.sessions),
                totals=self._totals(server),
                sessions=server.sessions() if sessions else (),
            )
        )

    def _totals(self, server: IPHTTPSServer) -> Totals:
        received, sent = server.traffic()
        return Totals(
            self._opened_count,
            received,
            sent,
            tuple((str(reason), count) for reason, count in sorted(server.drops.items())),
            tuple((str(reason), count) for reason, count in sorted(server.refusals.items())),
        )

    def _opened(self, session: SessionStatus) -> None:
        self._opened_count += 1
        self._channel.send(Opened(session), news=True)

    def _orphaned(self) -> None:
        """The gateway is gone; nobody would restart or stop us."""
        self._end(EXIT_FAILED)

    def _end(self, code: int) -> None:
        if not self._over.done():
            self._over.set_result(code)

    def _unforeseen(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._channel.send(Failed(context.get("message", "unforeseen"), repr(error)), news=True)


async def live(descriptor: int) -> int:
    """Be a worker on the channel of this descriptor."""
    return await Worker(descriptor).run()


def main() -> int:
    """Run the process; what ends the gateway from a terminal is for the gateway to pass on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    return asyncio.run(live(int(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
