"""The processes that carry the sessions: made, watched, and made again when one ends.

Device, addresses and listening sockets stay with the gateway. A worker that ends takes its own
sessions with it and nothing else: connections that arrive meanwhile wait in the socket's backlog
for the next one, which has the same /64.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from throughway.gateway.channel import (
    Ask,
    Change,
    Channel,
    Closed,
    DropAll,
    DropSession,
    Failed,
    LimitReached,
    LimitSessions,
    Message,
    Opened,
    Ready,
    Refused,
    Report,
    Serve,
    Sessions,
    Stop,
    Totals,
    pair,
)
from throughway.gateway.credentials import read_credentials, revoked_serials
from throughway.gateway.occupancy import Occupancy
from throughway.model.config import MAX_WORKERS, ADCConfig, IPHTTPSServerConfig, Spread
from throughway.model.errors import Stage, TransportError
from throughway.model.status import SessionStatus, WorkerStatus
from throughway.net.listeners import endpoints_of, listen
from throughway.net.process import STOP_TIMEOUT, death_of
from throughway.net.steering import steer
from throughway.net.tun import TUN, configure_gateway, is_configured, open_tun
from throughway.proto.router import Link, links_within

START_TIMEOUT = 20.0
"""Seconds for all workers to be ready when the gateway starts."""
HEARTBEAT = 2.0
"""Seconds between two questions to each worker."""
SILENT_AFTER = 2 * HEARTBEAT
"""Seconds without an answer after which a worker may be ended when somebody asks for that."""
HUNG_AFTER = 10.0
"""Seconds without an answer after which a worker is killed; one that is beginning has
:data:`START_TIMEOUT` more."""
REPORT_TIMEOUT = 2.0
"""Seconds that a status waits for the workers."""
STEADY_AFTER = 1.0
"""Seconds that a worker must have served to be started again at once; one that ends before that is
started later each time."""
RESTART_PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a start, by how many have failed in a row."""
SHARE_PAUSE = 0.05
"""Seconds in which changes are gathered before the room for sessions is shared out anew."""


class State(StrEnum):
    """Of a worker."""

    STARTING = "starting"
    SERVING = "serving"
    DOWN = "down"


class Owner(Protocol):
    """Who hears what the workers tell."""

    def session_opened(self, session: SessionStatus) -> None:
        """A client is there."""

    def session_closed(self, session: SessionStatus, reason: str) -> None:
        """It is gone; not told of the sessions of a worker that has ended."""

    def limit_reached(self, source: str) -> None:
        """A source wanted more than there is."""

    def client_refused(self, peer: str, problem: str, reason: str) -> None:
        """A client was refused for who it is; not of all in a flood."""

    def worker_ended(self, worker: WorkerStatus) -> None:
        """A worker ended by itself; it is being started again."""

    def worker_serves(self, worker: WorkerStatus) -> None:
        """It is there, for the first time or again."""

    def link_mended(self, worker: WorkerStatus) -> None:
        """Its device was deleted or set down by somebody, and is again as it was made."""

    def failed(self, what: str, error: BaseException | None) -> None:
        """A bug of ours."""


class WorkerError(Exception):
    """What a worker could only put in words."""


class Workers:
    """All workers of a gateway."""

    def __init__(
        self, config: IPHTTPSServerConfig, owner: Owner, *, routes: tuple[str, ...], file: str = ""
    ) -> None:
        """``routes`` are told to the clients; ``file`` is the configuration's, for errors.

        Raises ConfigError when certificate or key cannot be used.
        """
        self.config = config
        self._owner = owner
        self._routes = routes
        self._file = file
        self._credentials = read_credentials(config, file)
        self._workers: list[_Worker] = []
        self._occupancy = Occupancy(self._drop_session)
        self._shared: asyncio.TimerHandle | None = None
        self._heart: asyncio.Task[None] | None = None

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Return the names of the links' devices."""
        return interfaces(self.config)

    def open(self) -> None:
        """Make the devices with their addresses; raises TransportError."""
        for number, name in enumerate(self.interfaces):
            link = Link.within(self.config.prefix, number)
            self._workers.append(worker := _Worker(number, link, open_tun(name), self))
            configure_gateway(worker.tun, worker.addresses)

    async def start(self) -> None:
        """Listen, start all workers and wait until they serve; raises TransportError."""
        groups = shared_listeners(self.config, len(self._workers))
        for worker, listeners in zip(self._workers, groups, strict=True):
            worker.listeners = listeners
            worker.start()
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await asyncio.gather(*(worker.first.wait() for worker in self._workers))
        except TimeoutError:
            ends = {worker.last_end for worker in self._workers if worker.last_end}
            why = "; ".join(sorted(ends)) or "they do not answer"
            raise TransportError(
                Stage.LINK, f"workers do not start: {why}", problem="iphttps-listener-down"
            ) from None
        self._heart = asyncio.get_running_loop().create_task(self._beat())

    def reload(self, config: IPHTTPSServerConfig) -> tuple[str, ...]:
        """Take another certificate, other limits, another authentication mode.

        Returns the names of changed settings that need a restart. Raises ConfigError.
        """
        credentials = read_credentials(config, self._file)
        fixed = ("url", "listen", "prefix", "interface", "workers", "spread")
        kept = {key: getattr(self.config, key) for key in fixed}
        changed = tuple(f"iphttps.{key}" for key in fixed if getattr(config, key) != kept[key])
        adc = _adc_after(self.config.adc, config.adc)
        if adc != config.adc:
            changed += ("iphttps.adc.listen",)
        self.config, self._credentials = replace(config, adc=adc, **kept), credentials
        for worker in self._workers:
            worker.change(Change(config=self._config_of(worker), credentials=credentials))
        self._occupancy.revoke(revoked_serials(credentials))
        self.share_soon()
        return changed

    def drop_all(self, reason: str) -> None:
        """Drop all clients; those of ours come back at once, over a new link."""
        for worker in self._workers:
            worker.send(DropAll(reason))

    async def restart_silent(self) -> str:
        """End the workers that do not answer; each is started again at once."""
        silent = [worker for worker in self._workers if worker.silent(SILENT_AFTER)]
        for worker in silent:
            worker.kill("it did not answer, and somebody asked for another one")
        if not silent:
            return "every worker answers"
        return f"ended, and started again: {', '.join(str(w.number) for w in silent)}"

    def status(self) -> tuple[WorkerStatus, ...]:
        """Return how the workers are."""
        return tuple(worker.status() for worker in self._workers)

    @property
    def pump(self) -> str:
        """Return which packet pump is used, and why."""
        return next((worker.pump for worker in self._workers if worker.pump), "")

    async def report(self, *, sessions: bool = True) -> tuple[SessionStatus, ...]:
        """Bring the counters up to date, and return the open sessions where they are asked for.

        Those of a worker that does not answer in time are missing.
        """
        serving = [worker for worker in self._workers if worker.state is State.SERVING]
        asked = [asyncio.ensure_future(worker.ask(sessions=sessions)) for worker in serving]
        if asked:
            _, late = await asyncio.wait(asked, timeout=REPORT_TIMEOUT)
            for question in late:
                question.cancel()
        return tuple(
            self._named(worker, session)
            for worker, question in zip(serving, asked, strict=True)
            if question.done() and not question.cancelled()
            for session in question.result()
        )

    async def close(self) -> None:
        """End all sessions in order, then the workers; the devices go last."""
        if self._heart is not None:
            self._heart.cancel()
        if self._shared is not None:
            self._shared.cancel()
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        for worker in self._workers:
            worker.release()
        self._workers.clear()

    # For the workers

    def order_for(self, worker: "_Worker") -> Serve:
        """Return a worker's first order."""
        return Serve(
            config=self._config_of(worker),
            credentials=self._credentials,
            routes=self._routes,
            interface=worker.tun.name,
            udp=worker.tun.udp,
            tun=worker.tun.fd,
            listeners=tuple(listener.fileno() for listener in worker.listeners),
        )

    def heard(self, worker: "_Worker", message: Message) -> None:
        """Pass on what a worker tells."""
        match message:
            case Ready():
                self._owner.worker_serves(worker.status())
                self.share_soon()
            case Opened(session):
                self._owner.session_opened(self._named(worker, session))
                allowed = self.config.sessions_per_certificate
                self._occupancy.opened(worker.number, session, allowed)
                self.share_soon()
            case Closed(session, reason):
                self._occupancy.closed(worker.number, session)
                self._owner.session_closed(self._named(worker, session), reason)
                self.share_soon()
            case Refused(peer, problem, reason):
                self._owner.client_refused(peer, problem, reason)
            case LimitReached(source):
                self._owner.limit_reached(source)
            case Failed(what, error, fatal) if not fatal:
                self._owner.failed(f"worker {worker.number}: {what}", WorkerError(error))

    def ended(self, worker: "_Worker") -> None:
        """Pass on that a worker has ended by itself."""
        self._occupancy.ended(worker.number)
        self._owner.worker_ended(worker.status())
        self.share_soon()

    def mend_link(self, worker: "_Worker") -> None:
        """Make a worker's device as it was, where somebody has changed it; raises TransportError.

        A process cannot be given another device: it ends, and the next one has it.
        """
        if is_configured(worker.tun, worker.addresses):
            return
        if worker.tun.gone:
            if worker.running:
                worker.kill(f"the interface {worker.tun.name} is gone")
                return
            worker.tun.close()
            worker.tun = open_tun(worker.tun.name)
        configure_gateway(worker.tun, worker.addresses)
        self._owner.link_mended(worker.status())

    def _drop_session(self, worker: int, session: int, reason: str) -> None:
        self._workers[worker].send(DropSession(session, reason))

    def share_soon(self) -> None:
        """Share out the room for sessions, once the rush is over."""
        if self._shared is None:
            self._shared = asyncio.get_running_loop().call_later(SHARE_PAUSE, self._share)

    def _share(self) -> None:
        """Let each worker have all the room that the others leave: none knows the whole."""
        self._shared = None
        free = max(0, self.config.max_sessions - sum(w.count for w in self._workers))
        for worker in self._workers:
            worker.limit(worker.count + free)

    def _named(self, worker: "_Worker", session: SessionStatus) -> SessionStatus:
        """Give a session an id that no other worker's has."""
        number = session.id * len(self._workers) + worker.number
        return replace(session, id=number, worker=worker.number)

    def _config_of(self, worker: "_Worker") -> IPHTTPSServerConfig:
        return replace(self.config, prefix=worker.link.text, interface=worker.tun.name)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            for worker in self._workers:
                worker.feel_pulse()
                try:
                    self.mend_link(worker)
                except (TransportError, OSError) as error:
                    worker.kill(str(error))  # seen, and tried again at its next start


class _Worker:
    """One worker's place: what outlives its process, and the process."""

    def __init__(self, number: int, link: Link, tun: TUN, workers: Workers) -> None:
        self.number = number
        self.link = link
        self.tun = tun
        self.listeners: tuple[socket.socket, ...] = ()
        self.state = State.DOWN
        self.first = asyncio.Event()
        """Set when it has served for the first time."""
        self.pump = ""
        self.count = 0
        self.last_end = ""
        self._workers = workers
        self._loop = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._life: asyncio.Task[None] | None = None
        self._since = 0.0
        self._restarts = 0
        self._in_a_row = 0
        self._answered_at = 0.0
        self._steady_at = 0.0
        self._limited = -1
        self._known_end = ""
        """Why the process ends, where its exit code does not say it."""
        self._questions: dict[int, asyncio.Future[tuple[SessionStatus, ...]]] = {}
        self._told: dict[int, list[SessionStatus]] = {}
        """Sessions of answers that are not whole yet."""
        self._before, self._totals = Totals(), Totals()
        """What earlier processes have counted, and what this one has."""
        self._suites: tuple[tuple[str, int], ...] = ()
        self._number = 0

    @property
    def addresses(self) -> tuple[bytes, ...]:
        """Return the gateway's own addresses on the link."""
        return self.link.link_local, self.link.address

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def start(self) -> None:
        """Begin to live: processes, one after the other."""
        self._life = self._loop.create_task(self._live())

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(RESTART_PAUSES[min(self._in_a_row, len(RESTART_PAUSES) - 1)])
            try:
                self._workers.mend_link(self)
                process = self._spawn()
            except (TransportError, OSError) as error:
                self._in_a_row += 1
                self._ended(f"cannot be started: {error}")
                continue
            await death_of(process).wait()
            steady = self.state is State.SERVING and self._loop.time() >= self._steady_at
            self._in_a_row = 0 if steady else self._in_a_row + 1
            words = words_of(process.wait())
            self._ended(self._known_end or words)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        ours, theirs = pair()
        descriptors = [theirs.fileno(), self.tun.fd, *(one.fileno() for one in self.listeners)]
        command = [sys.executable, "-m", "throughway.gateway.worker", str(theirs.fileno())]
        with theirs:
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, pass_fds=descriptors, cwd="/"
                )
            except OSError:
                ours.close()
                raise
        self._process, self.state = process, State.STARTING
        self._known_end = ""
        self._limited = -1
        self._answered_at = self._loop.time() + START_TIMEOUT
        self._channel = Channel(ours, self._take, lambda: None)
        self.send(self._workers.order_for(self))
        return process

    def _ended(self, why: str) -> None:
        self.state, self.last_end, self.count = State.DOWN, why, 0
        self._before, self._totals = self._before + self._totals, Totals()
        self._suites = ()
        self._since = time.time()
        self._restarts += 1
        self._forget_process()
        self._workers.ended(self)

    def _forget_process(self) -> None:
        if self._channel is not None:
            self._channel.close()
        for question in self._questions.values():
            question.cancel()
        self._questions.clear()
        self._told.clear()
        self._process = self._channel = None

    def _take(self, message: Message) -> None:
        self._answered_at = self._loop.time()
        match message:
            case Ready(pump):
                self.state, self.pump, self._since = State.SERVING, pump, time.time()
                self._steady_at = self._loop.time() + STEADY_AFTER
                self.first.set()
            case Opened():
                self.count += 1
            case Closed():
                self.count = max(0, self.count - 1)
            case Report():
                self.count, self._totals = message.count, message.totals
                self._suites = message.suites
                question = self._questions.pop(message.number, None)
                told = tuple(self._told.pop(message.number, ()))
                if question is not None and not question.done():
                    question.set_result(told)
            case Sessions(number, sessions):
                self._told.setdefault(number, []).extend(sessions)
            case Failed(fatal=True, error=error):
                self._known_end = error
        self._workers.heard(self, message)

    def send(self, message: Message) -> None:
        """Send an order; it is lost on a worker that is down, who gets its first one anew."""
        if self._channel is not None:
            self._channel.send(message)

    def change(self, order: Change) -> None:
        """Give it another configuration, and with that the limits which are in it."""
        self.send(order)
        self._limited = -1

    def limit(self, count: int) -> None:
        """Say how many sessions it may have, when that has changed."""
        if self.state is State.SERVING and count != self._limited:
            self._limited = count
            self.send(LimitSessions(count))

    async def ask(self, *, sessions: bool) -> tuple[SessionStatus, ...]:
        """Bring the counters up to date; return the sessions where they are asked for."""
        self._number += 1
        number = self._number
        answer: asyncio.Future[tuple[SessionStatus, ...]] = self._loop.create_future()
        self._questions[number] = answer
        self.send(Ask(number, sessions=sessions))
        try:
            return await answer
        finally:
            self._questions.pop(number, None)

    def feel_pulse(self) -> None:
        """Ask for a sign of life, and kill a process that gives none."""
        if self._process is None:
            return
        if self._loop.time() - self._answered_at > HUNG_AFTER:
            self.kill(f"it did not answer for {HUNG_AFTER:g} s")
        self.send(Ask(0, sessions=False))

    def silent(self, seconds: float) -> bool:
        """Whether there is a process that has given no sign of life for so long."""
        return self.running and self._loop.time() - self._answered_at > seconds

    def kill(self, why: str) -> None:
        """End the process by force; it is started again."""
        if self._process is not None:
            self._known_end = why
            self._process.kill()

    async def stop(self) -> None:
        """End the process in order, by force when it does not."""
        if self._life is not None:
            self._life.cancel()
        process = self._process
        if process is None:
            return
        died = death_of(process)
        self.send(Stop())
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await died.wait()
        except TimeoutError:
            process.kill()
            await died.wait()
        process.wait()
        self._forget_process()

    def release(self) -> None:
        """Give back what outlives a process."""
        for listener in self.listeners:
            listener.close()
        self.tun.close()

    def status(self) -> WorkerStatus:
        """Return how it is."""
        totals = self._before + self._totals
        return WorkerStatus(
            number=self.number,
            state=self.state,
            interface=self.tun.name,
            prefix=self.link.text,
            pid=self._process.pid if self._process is not None else 0,
            since=self._since,
            sessions=self.count,
            opened=totals.opened,
            opening=totals.opening,
            bytes_in=totals.bytes_in,
            bytes_out=totals.bytes_out,
            drops=totals.drops,
            refusals=totals.refusals,
            advertised=totals.advertised,
            suites=self._suites,
            restarts=self._restarts,
            last_end=self.last_end,
        )


def _adc_after(old: ADCConfig | None, new: ADCConfig | None) -> ADCConfig | None:
    """Return what can be had of another configuration; its sockets are those of the start."""
    return old if old is None or new is None else replace(new, listen=old.listen)


def count_of(config: IPHTTPSServerConfig) -> int:
    """Return how many workers a configuration asks for."""
    most = min(MAX_WORKERS, links_within(config.prefix))
    return config.workers or min(len(os.sched_getaffinity(0)), most)


def interfaces(config: IPHTTPSServerConfig) -> tuple[str, ...]:
    """Return the names of the workers' devices: ``iphttps0``, ``iphttps1``, …"""
    base, digits = _INTERFACE.fullmatch(config.interface).groups()  # type: ignore[union-attr]
    first = int(digits or 0)
    count = count_of(config)
    return (config.interface, *(f"{base}{first + n}" for n in range(1, count)))


_INTERFACE = re.compile(r"(.*?)(\d*)")


def shared_listeners(
    config: IPHTTPSServerConfig, count: int
) -> tuple[tuple[socket.socket, ...], ...]:
    """Listen for each worker on all addresses; raises TransportError."""
    with ExitStack() as stack:
        groups = []
        for _ in range(count):
            group = listen(endpoints_of(config), shared=count > 1)
            groups.append(tuple(stack.enter_context(listener) for listener in group))
        stack.pop_all()
    if count > 1 and config.spread is Spread.ADDRESS:
        # What comes from an ADC has its address: that is spread by connection.
        for listener in groups[0][: len(config.listen)]:
            steer(listener, count)
    return tuple(groups)


def words_of(code: int) -> str:
    """Say how a process ended."""
    return f"killed by signal {-code}" if code < 0 else f"it ended with code {code}"
