"""Drive a :class:`throughway.proto.proxy.connect.Tunnel` over a socket."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.net.dial import Dial
from throughway.net.tls import transport_error
from throughway.proto.proxy.connect import (
    SILENT,
    UNREACHABLE,
    ConnectionWanted,
    TicketWanted,
    Tunnel,
    TunnelFailed,
    TunnelOpened,
)
from throughway.proto.proxy.schemes import Credentials, Means, Memory

TUNNEL_TIME = 60.0
"""Seconds for all requests and connections of one tunnel together."""
LATE = 2.0
"""Seconds without an answer after which a proxy is asked whether it is there at all."""
LIFE_TIME = 3.0
"""Seconds that it has to answer that: what it is asked is nothing that takes time."""
_QUESTION = b"OPTIONS * HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
"""RFC 9110, section 9.3.7: about the server itself. Any answer will do."""
_CHUNK = 16 * 1024
_MEANS = Means(random=os.urandom, wall_time=time.time)

Ticket = Callable[[str], Awaitable[bytes]]
"""Return a Negotiate token for a proxy by its name; raises ThroughwayError."""
OnSilent = Callable[[TransportError], None]
"""Hears that a proxy does not seem to be there, while its answer is still waited for."""


async def no_ticket(host: str) -> bytes:
    """Have no Kerberos."""
    raise ThroughwayError(f"there is no Kerberos for {host}")


@dataclass(slots=True)
class ProxyServer:
    """A proxy, what it may know of us, and what it has taught us."""

    host: str
    port: int
    credentials: Credentials = field(default_factory=Credentials)
    source: str = ""
    """Who named it, in a word or two for people."""
    memory: Memory = field(default_factory=Memory)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


async def silence(proxy: ProxyServer, dial: Dial) -> TransportError | None:
    """Ask a proxy whether it is there; return what is to be said when it is not.

    One that hangs still has a kernel, which takes connections and what is sent over them.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LIFE_TIME):
            with await dial(proxy.host, proxy.port) as sock:
                await loop.sock_sendall(sock, _QUESTION % str(proxy).encode("ascii", "replace"))
                await loop.sock_recv(sock, _CHUNK)
    except TimeoutError:
        words = f"proxy {proxy}: it takes connections and answers nothing"
        return TransportError(Stage.PROXY, words, windows_code=0x274C, problem=UNREACHABLE)
    except (TransportError, OSError) as error:
        return _unreachable(error)
    return None


def _unreachable(error: TransportError | OSError) -> TransportError:
    cause = transport_error(error, Stage.CONNECT)
    problem = cause.problem if cause.problem == "internet-down" else UNREACHABLE
    return TransportError(Stage.PROXY, str(cause), windows_code=cause.windows_code, problem=problem)


async def open_tunnel(
    proxy: ProxyServer,
    host: str,
    port: int,
    *,
    dial: Dial,
    ticket: Ticket = no_ticket,
    on_silent: OnSilent = lambda error: None,
) -> socket.socket:
    """Return a socket that leads through ``proxy`` to ``host``; ``dial`` connects to the proxy.

    Raises :exc:`TransportError` of :attr:`Stage.PROXY`.
    """
    attempt = _Attempt(proxy, host, port, dial, ticket, on_silent)
    try:
        async with asyncio.timeout(TUNNEL_TIME):
            return await attempt.run()
    except TimeoutError as error:
        attempt.close()
        words = f"proxy {proxy}: no tunnel within {TUNNEL_TIME:g} s"
        raise TransportError(
            Stage.PROXY, words, windows_code=0x274C, problem=UNREACHABLE
        ) from error
    except BaseException:
        attempt.close()
        raise
    finally:
        attempt.settle()


class _Attempt:
    """One tunnel being made."""

    def __init__(
        self,
        proxy: ProxyServer,
        host: str,
        port: int,
        dial: Dial,
        ticket: Ticket,
        on_silent: OnSilent,
    ) -> None:
        self._proxy, self._dial, self._ticket = proxy, dial, ticket
        self._on_silent = on_silent
        self._machine = Tunnel(
            host, port, credentials=proxy.credentials, memory=proxy.memory, means=_MEANS
        )
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._doubt: asyncio.Task[None] | None = None
        self._silence: TransportError | None = None
        """What is to be said of a proxy that is not there."""

    def settle(self) -> None:
        """Ask no more whether the proxy is there."""
        if self._doubt is not None:
            self._doubt.cancel()

    def close(self) -> None:
        """End the connection."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    async def run(self) -> socket.socket:
        """Pump until there is a tunnel or none can be."""
        machine = self._machine
        machine.start(self._loop.time())
        while True:
            while (event := machine.next_event()) is not None:
                match event:
                    case ConnectionWanted():
                        await self._connect()
                    case TicketWanted():
                        await self._get_ticket()
                    case TunnelOpened():
                        sock, self._socket = self._socket, None
                        assert sock is not None
                        return sock
                    case TunnelFailed(error):
                        late = error.problem == SILENT
                        raise (self._silence if late else None) or self._named(error)
            if self._socket is not None:
                await self._exchange(self._socket)

    async def _connect(self) -> None:
        self.close()
        proxy = self._proxy
        try:
            self._socket = await self._dial(proxy.host, proxy.port)
        except (TransportError, OSError) as error:
            self._machine.connection_lost(_unreachable(error), self._loop.time())
        else:
            self._machine.connection_made(self._loop.time())
            if self._doubt is None:
                self._doubt = self._loop.create_task(self._ask_late())

    async def _ask_late(self) -> None:
        await asyncio.sleep(LATE)
        self._silence = await silence(self._proxy, self._dial)
        if self._silence is not None:
            self._on_silent(self._silence)

    async def _get_ticket(self) -> None:
        try:
            token = await self._ticket(self._proxy.host)
        except ThroughwayError as error:
            self._look_for_end()
            self._machine.ticket_failed(str(error), self._loop.time())
        else:
            self._look_for_end()
            self._machine.receive_ticket(token, self._loop.time())

    def _look_for_end(self) -> None:
        """Notice a proxy that did not wait for the ticket."""
        if self._socket is None:
            return
        try:
            ended = not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._machine.receive_data(b"", self._loop.time())

    async def _exchange(self, sock: socket.socket) -> None:
        """Write what is due; read once."""
        try:
            async with asyncio.timeout_at(self._machine.timer_at()):
                await self._loop.sock_sendall(sock, self._machine.data_to_send())
                data = await self._loop.sock_recv(sock, _CHUNK)
        except TimeoutError:
            self._machine.handle_timer(self._loop.time())
        except OSError as error:
            lost = transport_error(error, Stage.PROXY)
            self._machine.connection_lost(lost, self._loop.time())
        else:
            self._machine.receive_data(data, self._loop.time())

    def _named(self, error: TransportError) -> TransportError:
        return TransportError(
            error.stage,
            f"proxy {self._proxy}: {error}",
            windows_code=error.windows_code,
            problem=error.problem,
        )
