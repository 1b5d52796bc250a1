"""6to4 on the gateway: its two endpoints, for clients with any public IPv4 address.

The kernel carries the packets where it has ``sit``; else an unprivileged process does
(:mod:`throughway.gateway.carrier`), which is made again when it ends. Device and sockets are made
here. It is no relay: nothing passes but what is for an endpoint, or from one.
"""

import asyncio
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from ipaddress import IPv4Address
from typing import Protocol

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
    pair,
)
from throughway.gateway.workers import words_of
from throughway.model.config import Carrier, SixToFourServerConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.status import SixToFourServerStatus
from throughway.net import netlink, sit
from throughway.net.process import STOP_TIMEOUT, death_of
from throughway.net.sixtofour import open_socket, own_addresses
from throughway.net.tun import TUN, configure_tunnel, open_tun
from throughway.wire.ipv6 import parse_address
from throughway.wire.sixtofour import embedded_address

PAUSES = (0.0, 0.2, 1.0, 5.0)
"""Seconds before a start, by how many have failed in a row."""
STEADY_AFTER = 1.0
"""Seconds that it must have served to be started again at once."""
HEARTBEAT = 2.0
"""Seconds between two looks at process, device and addresses."""
HUNG_AFTER = 10.0
"""Seconds without an answer after which the process is killed."""
START_TIME = 20.0
"""Seconds more until the first one: where every core is busy Python takes long to begin."""
REPORT_TIMEOUT = 2.0
"""Seconds that a status waits for the counters."""
CLIENTS = "2002::/16"
STARTING, SERVING, DOWN = "starting", "serving", "down"
_PROBLEM = "sixtofour-interface-down"


class Owner(Protocol):
    """Who hears how it is."""

    def sixtofour_serves(self, status: SixToFourServerStatus) -> None:
        """It carries packets, for the first time or again."""

    def sixtofour_down(self, error: TransportError) -> None:
        """It does not; it is being tried again."""


class SixToFourServer:
    """6to4 from :meth:`start` to :meth:`stop`."""

    def __init__(
        self, config: SixToFourServerConfig, endpoints: tuple[str, ...], owner: Owner
    ) -> None:
        """``endpoints`` are of 6to4; the configuration's checks have seen to that."""
        self._config = config
        self._owner = owner
        self._addresses = tuple(
            str(IPv4Address(embedded_address(parse_address(e)))) for e in endpoints
        )
        self._endpoints = endpoints
        self._state = DOWN
        self._carrier = ""
        self._kernel = False
        self._tun: TUN | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._life: asyncio.Task[None] | None = None
        self._questions: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self._own: frozenset[bytes] = frozenset()
        self._before, self._totals = Totals(), Totals()
        self._since = self._answered_at = self._served_at = 0.0
        self._restarts = 0
        self._known_end = self._last_end = ""

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The names that devices of it may have."""
        return interfaces(self._config, len(self._endpoints))

    def start(self) -> None:
        """Begin; what cannot be done is told, and tried again."""
        sit.remove_devices(self.interfaces)  # a killed gateway's
        self._state = STARTING
        self._life = asyncio.get_running_loop().create_task(self._live())

    async def stop(self) -> None:
        """End it and leave nothing behind."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
            self._life = None
        await self._end_process()
        self._forget_process()
        if self._kernel:
            sit.remove(self._devices)
        if self._tun is not None:
            self._tun.close()
            self._tun = None
        self._state = DOWN

    async def report(self) -> SixToFourServerStatus:
        """Bring the counters up to date, and return how it is."""
        if self._channel is not None and self._state == SERVING:
            self._number += 1
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._questions[self._number] = answer
            self._channel.send(Ask(self._number, sessions=False))
            await asyncio.wait([answer], timeout=REPORT_TIMEOUT)
        return self.status()

    def status(self) -> SixToFourServerStatus:
        """Return how it is, as far as is known now."""
        totals = self._before + self._totals
        received, sent = totals.bytes_in, totals.bytes_out
        if self._kernel:
            each = [sit.traffic(device.name) for device in self._devices]
            received, sent = sum(one[0] for one in each), sum(one[1] for one in each)
        return SixToFourServerStatus(
            state=self._state,
            carrier=self._carrier,
            interfaces=self.interfaces[: None if self._kernel else 1],
            addresses=self._addresses,
            pid=self._process.pid if self._process is not None else 0,
            since=self._since,
            bytes_in=received,
            bytes_out=sent,
            drops=totals.drops,
            restarts=self._restarts,
            last_end=self._last_end,
        )

    @property
    def _devices(self) -> tuple[sit.Device, ...]:
        rows = zip(self.interfaces, self._addresses, self._endpoints, strict=True)
        return tuple(sit.Device(*row) for row in rows)

    # Its life

    async def _live(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            self._state, self._served_at = STARTING, 0.0
            try:
                why = await self._serve()
            except (TransportError, OSError) as error:
                why = str(error)
            await self._end_process()
            steady = self._served_at and loop.time() - self._served_at > STEADY_AFTER
            failures = 0 if steady else failures + 1
            self._restarts += bool(self._served_at)
            self._state, self._last_end, self._since = DOWN, why, time.time()
            self._before, self._totals = self._before + self._totals, Totals()
            self._forget_process()
            self._owner.sixtofour_down(TransportError(Stage.LINK, why, problem=_PROBLEM))

    async def _serve(self) -> str:
        """Carry packets for as long as that goes well; return why it is over."""
        self._choose()
        if why := self._missing_address():
            raise TransportError(Stage.LINK, why)
        if self._kernel:
            return await self._serve_in_kernel()
        return await self._serve_in_process()

    def _choose(self) -> None:
        """Decide who carries."""
        wanted = self._config.carrier
        if self._carrier:
            return
        if wanted is Carrier.USER:
            self._carrier = "user space: chosen by the configuration"
            return
        refusal = sit.refusal(self._config.interface)
        if not refusal:
            self._kernel, self._carrier = True, "kernel: it has sit"
        elif wanted is Carrier.KERNEL:
            raise TransportError(Stage.LINK, f"carrier = kernel, but it has no sit: {refusal}")
        else:
            self._carrier = f"user space: the kernel has no sit: {refusal}"

    async def _serve_in_kernel(self) -> str:
        sit.remove(self._devices)
        sit.make(sit.gateway_commands(self._devices), sit.render_guard(self._devices))
        self._serves()
        while True:
            await asyncio.sleep(HEARTBEAT)
            if why := self._wrong():
                return why

    async def _serve_in_process(self) -> str:
        if self._tun is None or self._tun.gone:
            if self._tun is not None:
                self._tun.close()
            self._tun = open_tun(self._config.interface)
        configure_tunnel(self._tun, ())
        netlink.add_route(netlink.Route(prefix=CLIENTS, interface=self._tun.name))
        loop = asyncio.get_running_loop()
        died = death_of(self._spawn(self._tun))
        self._answered_at = loop.time() + START_TIME
        while not died.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await died.wait()
            except TimeoutError:
                if why := self._wrong():
                    return why
                self._tell(Ask(0, sessions=False))
        assert self._process is not None
        return self._known_end or words_of(self._process.wait())

    def _missing_address(self) -> str:
        self._own = own_addresses()
        missing = [a for a in self._addresses if IPv4Address(a).packed not in self._own]
        return f"{missing[0]} is no address of this machine" if missing else ""

    def _wrong(self) -> str:
        """Say what is not as it was made."""
        if why := self._missing_address():
            return why
        if self._kernel:
            gone = [device.name for device in self._devices if not sit.exists(device.name)]
            return f"the interface {gone[0]} is gone" if gone else ""
        if self._tun is not None and self._tun.gone:
            return f"the interface {self._tun.name} is gone"
        if asyncio.get_running_loop().time() - self._answered_at > HUNG_AFTER:
            return f"it did not answer for {HUNG_AFTER:g} s"
        return ""

    # The process

    def _spawn(self, tun: TUN) -> "subprocess.Popen[bytes]":
        with ExitStack() as stack:
            sockets = [stack.enter_context(open_socket(address)) for address in self._addresses]
            ours, theirs = pair()
            stack.enter_context(theirs)
            numbers = [sock.fileno() for sock in sockets]
            command = [sys.executable, "-m", "throughway.gateway.carrier", str(theirs.fileno())]
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno(), tun.fd, *numbers],
                    cwd="/",
                )
            except OSError:
                ours.close()
                raise
        self._known_end = ""
        self._channel = Channel(ours, self._take, lambda: None)
        self._tell(
            Carry(
                interface=tun.name,
                udp=tun.udp,
                tun=tun.fd,
                endpoints=tuple(zip(self._addresses, self._endpoints, numbers, strict=True)),
                refused=tuple(str(IPv4Address(address)) for address in sorted(self._own)),
            )
        )
        return self._process

    def _tell(self, message: Message) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _take(self, message: Message) -> None:
        self._answered_at = asyncio.get_running_loop().time()
        match message:
            case Ready():
                self._serves()
            case Report(number=number, totals=totals):
                self._totals = totals
                if (question := self._questions.pop(number, None)) and not question.done():
                    question.set_result(None)
            case Failed(error=error):
                self._known_end = error

    def _serves(self) -> None:
        self._state, self._since = SERVING, time.time()
        self._served_at = asyncio.get_running_loop().time()
        self._owner.sixtofour_serves(self.status())

    async def _end_process(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        died = death_of(process)
        self._tell(Stop())
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await died.wait()
        except TimeoutError:
            process.kill()
            await died.wait()
        process.wait()

    def _forget_process(self) -> None:
        if self._channel is not None:
            self._channel.close()
        for question in self._questions.values():
            question.cancel()
        self._questions.clear()
        self._process = self._channel = None


def interfaces(config: SixToFourServerConfig, count: int = 2) -> tuple[str, ...]:
    """Return the names of the devices, one an endpoint: ``sixtofour0``, ``sixtofour1``."""
    base, digits = _INTERFACE.fullmatch(config.interface).groups()  # type: ignore[union-attr]
    first = int(digits or 0)
    return (config.interface, *(f"{base}{first + n}" for n in range(1, count)))


_INTERFACE = re.compile(r"(.*?)(\d*)")
