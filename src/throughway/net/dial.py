"""Connect to a name: resolve it, then try its addresses with short head starts (RFC 8305).

The seam for other ways to a server: anything of the type :data:`Dial` can take the place of
:class:`Dialer`, such as one that asks an HTTP proxy for a tunnel.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from throughway.model.errors import Stage, TransportError
from throughway.net.link import tune
from throughway.net.tls import transport_error

HEAD_START = 0.25
"""Seconds an address has before the next one is tried too (RFC 8305, section 5)."""
RESOLVE_TIMEOUT = 5.0
"""Seconds for the name."""
CONNECT_TIMEOUT = 10.0
"""Seconds for all addresses together; TCP repeats a lost SYN after 1 and 3 seconds."""
SMALL_SEGMENT = 512
"""Octets: with its headers this fits everywhere (RFC 791: 576)."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Return the addresses of a name, best first."""
Dial = Callable[[str, int], Awaitable[socket.socket]]
"""Return a connected, non-blocking socket; raises TransportError."""


class Dialer:
    """Connects directly. ``mark`` is put on the packets, so that rules keep them off the link.

    ``small()``: whether both ends shall send small segments only.
    """

    def __init__(
        self, resolve: Resolve, *, mark: int = 0, small: Callable[[], bool] = lambda: False
    ) -> None:
        self._resolve = resolve
        self._mark = mark
        self._small = small

    async def __call__(self, host: str, port: int) -> socket.socket:
        """Connect to the first address that answers."""
        addresses = await self._addresses(host)
        errors: list[OSError] = []
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await self._race(addresses, port, errors)
        except TimeoutError as error:
            raise _failed(host, port, [*errors, error]) from error
        except OSError as error:
            raise _failed(host, port, errors or [error]) from error

    async def _addresses(self, host: str) -> Sequence[str]:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT):
                addresses = await self._resolve(host)
            if not addresses:
                raise socket.gaierror(socket.EAI_NODATA, "no address")
        except (OSError, UnicodeError, TransportError) as error:
            if isinstance(error, TimeoutError):
                error = socket.gaierror(socket.EAI_AGAIN, "timeout")
            if isinstance(error, UnicodeError):  # a name that the DNS cannot have: of IDNA
                error = socket.gaierror(socket.EAI_NONAME, "no name")
            cause = transport_error(error, Stage.RESOLVE)
            raise _about(f"{host} cannot be resolved", cause) from error
        return addresses

    async def _race(
        self, addresses: Sequence[str], port: int, errors: list[OSError]
    ) -> socket.socket:
        """Start one attempt after the other; the first that succeeds ends the rest."""
        waiting = list(reversed(addresses))
        running: set[asyncio.Task[socket.socket]] = set()
        try:
            while waiting or running:
                if waiting:
                    running.add(asyncio.ensure_future(self._connect(waiting.pop(), port)))
                done, running = await asyncio.wait(
                    running,
                    timeout=HEAD_START if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        done.discard(task)
                        return task.result()
                    if not isinstance(error, OSError):
                        raise error
                    errors.append(error)
            raise errors[0]
        finally:
            await _give_up(running)

    async def _connect(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            tune(sock)
            if self._mark:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._mark)
            if self._small():
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        return sock


async def _give_up(tasks: set[asyncio.Task[socket.socket]]) -> None:
    """End attempts which lost the race, also one which won in the same moment."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()


_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


def _failed(host: str, port: int, errors: Sequence[OSError]) -> TransportError:
    """Report the error that says most: one from a machine that could be reached, if any."""
    telling = [error for error in errors if error.errno not in _UNREACHABLE]
    cause = transport_error((telling or errors)[0], Stage.CONNECT)
    return _about(f"{host} port {port} cannot be reached", cause)


def _about(what: str, cause: TransportError) -> TransportError:
    return TransportError(
        cause.stage,
        f"{what}: {cause}",
        windows_code=cause.windows_code,
        problem=cause.problem,
    )
