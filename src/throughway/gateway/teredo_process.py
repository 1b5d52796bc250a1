"""The process that serves Teredo for the gateway, to anybody: it is nobody itself.

Run by :mod:`throughway.gateway.teredo` as ``python -m throughway.gateway.teredo_process FD``.
Device and sockets it is given as file descriptors; before the first datagram is read it has
renounced every capability.
"""

import sys
from ipaddress import IPv4Address

from throughway.gateway.channel import (
    Ask,
    Message,
    Ready,
    Report,
    ServeTeredo,
    Stop,
    Totals,
    adopt,
)
from throughway.gateway.ordered_process import EXIT_WELL, OrderedProcess, main
from throughway.model.errors import ThroughwayError
from throughway.net import privileges
from throughway.net.teredo_server import TeredoServer
from throughway.net.tun import TUN
from throughway.proto.teredo.server import Socket
from throughway.wire.ipv6 import parse_address


class TeredoProcess(OrderedProcess):
    """The process, from its first order to the end of the channel."""

    what = "Teredo"

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._server: TeredoServer | None = None

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()

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


if __name__ == "__main__":
    sys.exit(main(TeredoProcess))
