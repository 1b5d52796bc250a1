"""The gateway's own services: listener, IKE daemon, store."""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address

from throughway.catalogue.host import FILES_EXHAUSTED, FILES_NOT_WRITABLE
from throughway.catalogue.iphttps import LISTENER_DOWN
from throughway.catalogue.ipsec import DAEMON_DOWN
from throughway.health.checking import CannotTell, Check, Found
from throughway.health.folders import unwritable
from throughway.model.config import GatewayConfig
from throughway.model.errors import IPsecError
from throughway.model.findings import Component
from throughway.net.listeners import endpoints_of
from throughway.net.tls import unverified_context
from throughway.pki.fields import url_host

CONNECT_TIME = 2.0
"""Seconds in which the own listener takes a connection, before it counts as hung."""
ROOM = 16 * 1024 * 1024
"""Octets that must be left where state is kept: an audit of some hours."""


def checks(
    config: Callable[[], GatewayConfig],
    version: Callable[[], Awaitable[str]],
    descriptors: Callable[[], str] = str,
) -> tuple[Check, ...]:
    """Return the checks.

    ``version`` asks the IKE daemon for its version, IPsecError when gone; ``descriptors`` says why
    no file can be opened, "" when one can.
    """

    async def look_at_listener() -> Iterable[Found] | str:
        iphttps = config().iphttps
        host = url_host(iphttps.url)
        endpoints = endpoints_of(iphttps)
        tls = (True,) * len(iphttps.listen) + (False,) * len(endpoints)  # an ADC may end it
        answers = await asyncio.gather(
            *(_accepts(*whom, host if by else "") for whom, by in zip(endpoints, tls, strict=False))
        )
        down = [
            Found(LISTENER_DOWN, f"{address} port {port}: {why}", f"{address} {port}")
            for (address, port), why in zip(endpoints, answers, strict=True)
            if why
        ]
        verb = "takes" if len(endpoints) == 1 else "take"
        return down or f"{', '.join(f'{a} port {p}' for a, p in endpoints)} {verb} connections"

    async def look_at_ike() -> Iterable[Found] | str:
        try:
            async with asyncio.timeout(CONNECT_TIME):
                return f"charon {await version()}"
        except TimeoutError:
            return [Found(DAEMON_DOWN, "charon is there, but does not answer: it hangs")]
        except IPsecError as error:
            raise CannotTell(str(error)) from None  # its keeper tells of that

    return (
        Check(
            name="listener",
            title="IP-HTTPS listener",
            component=Component.IPHTTPS,
            problems=(LISTENER_DOWN,),
            look=look_at_listener,
        ),
        Check(
            name="ike",
            title="IKE daemon",
            component=Component.IPSEC,
            problems=(DAEMON_DOWN,),
            look=look_at_ike,
        ),
        *_machine(config, descriptors),
    )


def _machine(
    config: Callable[[], GatewayConfig], descriptors: Callable[[], str]
) -> tuple[Check, ...]:
    """Return the checks of what the machine gives: room on its disk, and open files."""

    async def look_at_store() -> Iterable[Found] | str:
        folders = (config().state_directory, config().runtime_directory)
        return (
            list(await asyncio.to_thread(lambda: list(unwritable(folders, ROOM))))
            or "there is room"
        )

    async def look_at_descriptors() -> Iterable[Found] | str:
        why = descriptors()
        return [Found(FILES_EXHAUSTED, why)] if why else "files can be opened"

    return (
        Check(
            name="store",
            title="State on the disk",
            component=Component.HOST,
            problems=(FILES_NOT_WRITABLE,),
            look=look_at_store,
        ),
        Check(
            name="descriptors",
            title="File descriptors",
            component=Component.HOST,
            problems=(FILES_EXHAUSTED,),
            look=look_at_descriptors,
        ),
    )


async def _accepts(address: str, port: int, host: str) -> str:
    """Shake hands with a listener of our own; return why that fails, "" when it does not.

    A connection alone proves little: the kernel takes those for a worker that hangs. ``host``: ""
    where nobody speaks TLS.
    """
    whom = ip_address(address.partition("%")[0])
    local = address if not whom.is_unspecified else {4: "127.0.0.1", 6: "::1"}[whom.version]
    try:
        async with asyncio.timeout(CONNECT_TIME):
            _reader, writer = await asyncio.open_connection(
                local,
                port,
                ssl=unverified_context() if host else None,
                server_hostname=host or None,
            )
    except TimeoutError:
        return "no answer"
    except ssl.SSLError as error:
        return f"no TLS: {error.reason or error}"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    writer.transport.abort()
    return ""
