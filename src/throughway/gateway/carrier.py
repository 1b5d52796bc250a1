"""The process that carries 6to4 for the gateway, packets of anybody: it is nobody itself.

Run by :mod:`throughway.gateway.sixtofour` as ``python -m throughway.gateway.carrier FD``. Device
and raw sockets it is given as file descriptors; before the first packet is read it has renounced
every capability.
"""

import sys
from ipaddress import IPv4Address, IPv6Address

from throughway.gateway.channel import (
    Ask,
    Carry,
    Message,
    Ready,
    Report,
    Stop,
    Totals,
    adopt,
)
from throughway.gateway.ordered_process import EXIT_WELL, OrderedProcess, main
from throughway.model.errors import ThroughwayError
from throughway.net import privileges
from throughway.net.sixtofour import Pipe
from throughway.net.tun import TUN
from throughway.proto.sixtofour import Budget, Gate


class CarrierProcess(OrderedProcess):
    """The process, from its first order to the end of the channel."""

    what = "6to4"

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._pipe: Pipe | None = None

    async def _close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()

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


if __name__ == "__main__":
    sys.exit(main(CarrierProcess))
