"""The process that carries 6to4 for the gateway, packets of anybody: it is nobody itself.

Run by :mod:`throughway.gateway.sixtofour` as ``python -m throughway.gateway.carrier FD``. Device
and raw sockets it is given as file descriptors; before the first packet is read it has renounced
every capability.
"""

import asyncio
import os
import signal
import sys
from ipaddress import IPv4Address, IPv6Address

from throughway.gateway.channel import (
    Ask,
    Carry,
    Channel,
    Failed,
    Message,
    Ready,
    Report,
    Stop,
    Totals,
    adopt,
)
from throughway.gateway.worker import EXIT_FAILED, EXIT_WELL
from throughway.model.errors import ThroughwayError
from throughway.net import privileges
from throughway.net.sixtofour import Pipe
from throughway.net.tun import TUN
from throughway.proto.sixtofour import Budget, Gate


class CarrierProcess:
    """The process, from its first order to the end of the channel."""

    def __init__(self, descriptor: int) -> None:
        self._pipe: Pipe | None = None
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._channel = Channel(adopt(descriptor), self._take, lambda: self._end(EXIT_FAILED))

    async def run(self) -> int:
        """Carry until told to stop, or until the gateway is gone; return the exit code."""
        code = await self._over
        if self._pipe is not None:
            self._pipe.close()
        self._channel.close()
        return code

    def _take(self, message: Message) -> None:
        match message:
            case Carry() if self._pipe is None:
                try:
                    self._carry(message)
                except (ThroughwayError, OSError, ValueError) as error:
                    self._fail(str(error))
            case Ask(number):
                self._report(number)
            case Stop():
                self._end(EXIT_WELL)

    def _carry(self, order: Carry) -> None:
        own, sockets = {}, {}
        for ipv4, ipv6, descriptor in order.endpoints:
            outer = IPv4Address(ipv4).packed
            own[outer] = IPv6Address(ipv6).packed
            sockets[outer] = adopt(descriptor)
        tun = TUN(order.tun, order.interface, udp=order.udp)
        refused = frozenset(IPv4Address(address).packed for address in order.refused)
        gate = Gate(own, refused=refused, budget=Budget())
        privileges.renounce()
        privileges.end_with_parent()
        self._pipe = Pipe(gate, sockets, tun, on_device_lost=self._fail)
        self._pipe.start()
        self._channel.send(Ready(str(tun.pump)))

    def _report(self, number: int) -> None:
        totals = Totals()
        if self._pipe is not None:
            traffic, drops = self._pipe.traffic, self._pipe.gate.drops
            told = tuple((str(reason), count) for reason, count in sorted(drops.items()))
            totals = Totals(0, traffic.bytes_in, traffic.bytes_out, told)
        self._channel.send(Report(number=number, state="serving", count=0, totals=totals))

    def _fail(self, why: str) -> None:
        self._channel.send(Failed("6to4", why, fatal=True))
        self._end(EXIT_FAILED)

    def _end(self, code: int) -> None:
        if not self._over.done():
            self._over.set_result(code)


async def live(descriptor: int) -> int:
    """Carry for the gateway on the channel of this descriptor."""
    return await CarrierProcess(descriptor).run()


def main() -> int:
    """Run the process; what ends the gateway from a terminal is for the gateway to pass on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    return asyncio.run(live(int(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
