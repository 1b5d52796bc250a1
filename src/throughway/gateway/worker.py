"""A worker of the gateway: one process, one TUN device, one /64, its share of the sessions.

Run by :mod:`throughway.gateway.workers` as ``python -m throughway.gateway.worker FD``. All that it
needs it is given: device and listening sockets as file descriptors, key and certificate as text
over the channel. Before the first byte of a stranger arrives it is nobody, without capabilities.
"""

import asyncio
import ssl
import sys
from collections.abc import Sequence
from typing import Any

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
    adopt,
)
from throughway.gateway.ordered_process import EXIT_FAILED, EXIT_WELL, main
from throughway.model.config import Assertion, IPHTTPSServerConfig
from throughway.model.errors import ThroughwayError
from throughway.model.status import SessionStatus
from throughway.net import privileges
from throughway.net.iphttps_server import IPHTTPSServer
from throughway.net.tls import Credentials, context_of, null_context_of
from throughway.net.tun import TUN
from throughway.proto.iphttps.adc import UNTRUSTED, Judge, Verdict
from throughway.proto.iphttps.server import ClientRefused

REFUSAL_BURST, REFUSAL_RATE = 20, 5
"""Refused clients that are told by name, at once and each second; floods are only counted."""
PAGE = 100
"""Sessions that are told at once: two milliseconds in which no packet moves."""


class Worker:
    """The process, from its first order to the end of the channel."""

    def __init__(self, descriptor: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._unforeseen)
        self._server: IPHTTPSServer | None = None
        self._opened_count = 0
        self._refusals_left, self._refusals_at = float(REFUSAL_BURST), self._loop.time()
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
                server.reload(
                    config,
                    context_of(credentials),
                    null_tls=_null_context(config, credentials),
                    judge=_judge(config, credentials),
                )
            case LimitSessions(count), IPHTTPSServer() as server:
                server.limit_sessions(count)
            case DropSession(number, reason), IPHTTPSServer() as server:
                server.drop_session(number, reason)
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
            null_tls=_null_context(order.config, order.credentials),
            judge=_judge(order.config, order.credentials),
            routes=order.routes,
            on_opened=self._opened,
            on_closed=lambda session, why: self._channel.send(Closed(session, why), news=True),
            on_limit=lambda source: self._channel.send(LimitReached(source), news=True),
            on_refused=self._refused,
            on_device_lost=self._device_lost,
        )
        privileges.renounce()
        privileges.end_with_parent()
        server.start([adopt(descriptor) for descriptor in order.listeners])
        self._server = server
        self._channel.send(Ready(server.packet_pump))

    def _report(self, server: IPHTTPSServer, number: int, *, sessions: bool) -> None:
        """Send page after page; packets have their turn in between."""
        if sessions:
            self._send_page(server, number, server.session_numbers())
        else:
            self._send_report(server, number)

    def _send_page(self, server: IPHTTPSServer, number: int, left: Sequence[int]) -> None:
        page = server.sessions(left[:PAGE])
        if page:
            self._channel.send(Sessions(number, page))
        if len(left) > PAGE:
            self._loop.call_soon(self._send_page, server, number, left[PAGE:])
        else:
            self._send_report(server, number)

    def _send_report(self, server: IPHTTPSServer, number: int) -> None:
        self._channel.send(
            Report(
                number=number,
                state=str(server.state),
                count=len(server.machine.sessions),
                totals=self._totals(server),
                suites=tuple(sorted(server.machine.suites.items())),
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
            server.advertised,
            server.opening,
        )

    def _opened(self, session: SessionStatus) -> None:
        self._opened_count += 1
        self._channel.send(Opened(session), news=True)

    def _refused(self, refused: ClientRefused) -> None:
        now = self._loop.time()
        gained = (now - self._refusals_at) * REFUSAL_RATE
        self._refusals_left = min(float(REFUSAL_BURST), self._refusals_left + gained)
        self._refusals_at = now
        if self._refusals_left >= 1:
            self._refusals_left -= 1
            said = Refused(refused.peer, refused.problem, refused.reason)
            self._channel.send(said, news=True)

    def _device_lost(self, why: str) -> None:
        """Only the gateway can make another one."""
        self._channel.send(Failed("device", why, fatal=True))
        self._end(EXIT_FAILED)

    def _orphaned(self) -> None:
        """The gateway is gone; nobody would restart or stop us."""
        self._end(EXIT_FAILED)

    def _end(self, code: int) -> None:
        if not self._over.done():
            self._over.set_result(code)

    def _unforeseen(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._channel.send(Failed(context.get("message", "unforeseen"), repr(error)), news=True)


def _null_context(config: IPHTTPSServerConfig, credentials: Credentials) -> ssl.SSLContext | None:
    return null_context_of(credentials) if config.null_suites else None


def _judge(config: IPHTTPSServerConfig, credentials: Credentials) -> Judge | None:
    """Make what judges the certificates that an ADC passes on; X.509 is only for who needs it."""
    if config.adc is None:
        return None
    if not credentials.client_ca or config.adc.client_certificate is not Assertion.HEADER:
        return _distrust
    from throughway.net.certificate_judge import CertificateJudge

    return CertificateJudge(credentials)


def _distrust(_der: bytes) -> Verdict:
    return Verdict(problem=UNTRUSTED, why="no client_ca is configured")


if __name__ == "__main__":
    sys.exit(main(Worker))
