"""The process that serves Teredo for the gateway, to anybody: it is nobody itself.

Run by :mod:`throughway.gateway.teredo` as ``python -m throughway.gateway.teredo_process FD``.
Device and sockets it is given as file descriptors; before the first datagram is read it has
renounced every capability.
"""

import asyncio
import os
import signal
import sys
from ipaddress import IPv4Address

from throughway.gateway.channel import (
    Ask,
    Channel,
    Failed,
    Message,
    Ready,
    Report,
    ServeTeredo,
    Stop,
    Totals,
    adopt,
)
from throughway.gateway.worker import EXIT_FAILED, EXIT_WELL
from throughway.model.errors import ThroughwayError
from throughway.net import privileges
from throughway.net.teredo_server import TeredoServer
from throughway.net.tun import TUN
from throughway.proto.teredo.server import Socket
from throughway.wire.ipv6 import parse_address


class TeredoProcess:
    """The process, from its first order to the end of the channel."""

    def __init__(self, descriptor: int) -> None:
        self._server: TeredoServer | None = None
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._channel = Channel(adopt(descriptor), self._take, lambda: self._end(EXIT_FAILED))

    async def run(self) -> int:
        """Serve until told to stop, or until the gateway is gone; return the exit code."""
        code = await self._over
        if self._server is not None:
            self._server.close()
        self._channel.close()
        return code

    def _take(self, message: Message) -> None:
        match message:
            case ServeTeredo() if self._server is None:
                try:
                    self._serve(message)
                except (ThroughwayError, OSError, ValueError) as error:
                    self._fail(str(error))
            case Ask(number):
                self._report(number)
            case Stop():
                self._end(EXIT_WELL)

    def _serve(self, order: ServeTeredo) -> None:
        tun = TUN(order.tun, order.interface, udp=order.udp)
        sockets = {Socket(name): adopt(descriptor) for name, descriptor in order.sockets}
        for sock in sockets.values():
            sock.setblocking(False)
        server = TeredoServer(
            IPv4Address(order.address).packed,
            frozenset(map(parse_address, order.endpoints)),
            sockets,
            tun,
            on_device_lost=self._fail,
        )
        privileges.renounce()
        privileges.end_with_parent()
        server.start()
        self._server = server
        self._channel.send(Ready(str(tun.pump)))

    def _report(self, number: int) -> None:
        totals, count = Totals(), 0
        if self._server is not None:
            machine = self._server.machine
            traffic, count = machine.traffic, len(machine.relay.peers)
            drops = tuple((why, n) for why, n in sorted(machine.drops.items()) if n)
            totals = Totals(traffic.advertisements, traffic.bytes_in, traffic.bytes_out, drops)
        self._channel.send(Report(number=number, state="serving", count=count, totals=totals))

    def _fail(self, why: str) -> None:
        self._channel.send(Failed("Teredo", why, fatal=True))
        self._end(EXIT_FAILED)

    def _end(self, code: int) -> None:
        if not self._over.done():
            self._over.set_result(code)


async def live(descriptor: int) -> int:
    """Serve for the gateway on the channel of this descriptor."""
    return await TeredoProcess(descriptor).run()


def main() -> int:
    """Run the process; what ends the gateway from a terminal is for the gateway to pass on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    return asyncio.run(live(int(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
