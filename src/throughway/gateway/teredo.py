"""Teredo on the gateway: server and relay at two consecutive public IPv4 addresses.

An unprivileged process serves (:mod:`throughway.gateway.teredo_process`), which is made again when
it ends. Device, route and sockets are made here. What comes by it ends at the IPsec endpoints.
"""

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from ipaddress import IPv4Address
from typing import Protocol

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
    pair,
)
from throughway.gateway.workers import words_of
from throughway.model.config import TeredoServerConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.status import TeredoServerStatus
from throughway.net import netlink
from throughway.net.process import STOP_TIMEOUT, death_of
from throughway.net.teredo_server import open_sockets
from throughway.net.tun import TUN, configure_tunnel, open_tun
from throughway.wire.teredo import secondary_address

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
CLIENTS = "2001::/32"
STARTING, SERVING, DOWN = "starting", "serving", "down"
STOPPED, SECOND_MISSING = "teredo-server-stopped", "teredo-second-address-missing"


class Owner(Protocol):
    """Who hears how it is."""

    def teredo_serves(self, status: TeredoServerStatus) -> None:
        """It serves, for the first time or again."""

    def teredo_down(self, error: TransportError) -> None:
        """It does not; it is being tried again."""


class TeredoGateway:
    """Server and relay from :meth:`start` to :meth:`stop`."""

    def __init__(
        self, config: TeredoServerConfig, endpoints: tuple[str, ...], owner: Owner
    ) -> None:
        self._config = config
        self._endpoints = endpoints
        self._owner = owner
        self._primary = IPv4Address(config.address).packed
        second = IPv4Address(secondary_address(self._primary))
        self._addresses = (config.address, str(second))
        self._state = DOWN
        self._tun: TUN | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._life: asyncio.Task[None] | None = None
        self._questions: dict[int, asyncio.Future[None]] = {}
        self._number = self._clients = self._restarts = 0
        self._before, self._totals = Totals(), Totals()
        self._since = self._answered_at = self._served_at = 0.0
        self._known_end = self._last_end = ""

    def start(self) -> None:
        """Begin; what cannot be done is told, and tried again."""
        self._state = STARTING
        self._life = asyncio.get_running_loop().create_task(self._live())

    async def stop(self) -> None:
        """End it and leave nothing behind."""
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
        await self._end_process()
        self._forget_process()
        if self._tun is not None:
            self._tun.close()
            self._tun = None
        self._state = DOWN

    async def report(self) -> TeredoServerStatus:
        """Bring the counters up to date, and return how it is."""
        if self._channel is not None and self._state == SERVING:
            self._number += 1
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._questions[self._number] = answer
            self._tell(Ask(self._number, sessions=False))
            await asyncio.wait([answer], timeout=REPORT_TIMEOUT)
        return self.status()

    def status(self) -> TeredoServerStatus:
        """Return how it is, as far as is known now."""
        totals = self._before + self._totals
        return TeredoServerStatus(
            state=self._state,
            interface=self._config.interface,
            addresses=self._addresses,
            clients=self._clients,
            pid=self._process.pid if self._process is not None else 0,
            since=self._since,
            answered=totals.opened,
            bytes_in=totals.bytes_in,
            bytes_out=totals.bytes_out,
            drops=totals.drops,
            restarts=self._restarts,
            last_end=self._last_end,
        )

    # Its life

    async def _live(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            self._state, self._served_at = STARTING, 0.0
            try:
                error = _down(await self._serve())
            except OSError as failure:
                error = _down(str(failure))
            except TransportError as failure:
                error = failure if failure.problem == SECOND_MISSING else _down(str(failure))
            await self._end_process()
            steady = self._served_at and loop.time() - self._served_at > STEADY_AFTER
            failures = 0 if steady else failures + 1
            self._restarts += bool(self._served_at)
            self._state, self._last_end, self._since = DOWN, str(error), time.time()
            self._before, self._totals, self._clients = self._before + self._totals, Totals(), 0
            self._forget_process()
            self._owner.teredo_down(error)

    async def _serve(self) -> str:
        """Serve for as long as that goes well; return why it is over."""
        self._check_addresses()
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
                self._check_addresses()
                self._keep_route(self._tun)
                if self._tun.gone:
                    return f"the interface {self._tun.name} is gone"
                if loop.time() - self._answered_at > HUNG_AFTER:
                    return f"it did not answer for {HUNG_AFTER:g} s"
                self._tell(Ask(0, sessions=False))
        assert self._process is not None
        return self._known_end or words_of(self._process.wait())

    def _keep_route(self, tun: TUN) -> None:
        """Lead to clients again where somebody has set the device down and up."""
        with suppress(OSError):  # down or gone: what looks at it tells
            netlink.add_route(netlink.Route(prefix=CLIENTS, interface=tun.name))

    def _check_addresses(self) -> None:
        own = {str(address.address) for address in netlink.addresses()}
        for address, problem in zip(self._addresses, (STOPPED, SECOND_MISSING), strict=True):
            if address not in own:
                why = f"{address} is no address of this machine"
                raise TransportError(Stage.LINK, why, problem=problem)

    # The process

    def _spawn(self, tun: TUN) -> "subprocess.Popen[bytes]":
        with ExitStack() as stack:
            sockets = open_sockets(self._primary)
            for sock in sockets.values():
                stack.enter_context(sock)
            ours, theirs = pair()
            stack.enter_context(theirs)
            numbers = {str(at): sock.fileno() for at, sock in sockets.items()}
            module = "throughway.gateway.teredo_process"
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", module, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno(), tun.fd, *numbers.values()],
                    cwd="/",
                )
            except OSError:
                ours.close()
                raise
        self._known_end = ""
        self._channel = Channel(ours, self._take, lambda: None)
        self._tell(
            ServeTeredo(
                address=self._config.address,
                endpoints=self._endpoints,
                interface=tun.name,
                udp=tun.udp,
                tun=tun.fd,
                sockets=tuple(numbers.items()),
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
                self._state, self._since = SERVING, time.time()
                self._served_at = asyncio.get_running_loop().time()
                self._owner.teredo_serves(self.status())
            case Report(number=number, count=count, totals=totals):
                self._totals, self._clients = totals, count
                if (question := self._questions.pop(number, None)) and not question.done():
                    question.set_result(None)
            case Failed(error=error):
                self._known_end = error

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


def _down(why: str) -> TransportError:
    return TransportError(Stage.LINK, why, problem=STOPPED)
