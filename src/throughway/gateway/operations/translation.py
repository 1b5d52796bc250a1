"""The way to hosts that have only IPv4: DNS64 answers, tayga has device and routes and works."""

import asyncio
from collections.abc import Iterable

from throughway.catalogue.translation import DNS64_BROKEN, NAT64_BROKEN
from throughway.gateway.operations.names import PORT, asks
from throughway.gateway.operations.parts import Parts
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.config import GatewayConfig, NAT64Config
from throughway.model.findings import Component
from throughway.model.status import TranslationStatus
from throughway.net import nat64

ECHO_TIME = 2.0
"""Seconds in which tayga answers; it needs a fraction of a millisecond."""


def checks(parts: Parts) -> tuple[Check, ...]:
    """Return the checks."""

    async def look_at_dns64() -> Iterable[Found] | str:
        return await _look_at_dns64(parts.config(), parts.translation())

    async def look_at_nat64() -> Iterable[Found] | str:
        return await _look_at_nat64(_configured(parts.config()), parts.translation())

    def wanted() -> str:
        return "" if parts.config().nat64 is not None else "no [nat64] is configured"

    return (
        Check(
            name="dns64",
            title="DNS64",
            component=Component.NAMES,
            problems=(DNS64_BROKEN,),
            look=look_at_dns64,
            wanted=lambda: wanted() or _asked_already(parts.config()),
        ),
        Check(
            name="nat64",
            title="NAT64",
            component=Component.NAMES,
            problems=(NAT64_BROKEN,),
            look=look_at_nat64,
            wanted=wanted,
        ),
    )


def _configured(config: GatewayConfig) -> NAT64Config:
    assert config.nat64 is not None
    return config.nat64


def _addresses(config: GatewayConfig) -> list[tuple[str, int]]:
    """Return where it listens, without what is asked as a server of the policy: told once."""
    rules = config.publish.nrpt if config.publish is not None else ()
    asked = {(server, PORT) for rule in rules for server in rule.servers}
    return [place for place in _configured(config).listen if place not in asked]


def _asked_already(config: GatewayConfig) -> str:
    return "" if _addresses(config) else "it is asked as a DNS server of the intranet: see dns"


async def _look_at_dns64(
    config: GatewayConfig, known: tuple[TranslationStatus, ...]
) -> Iterable[Found] | str:
    """Ask it at each of its addresses for what the intranet's servers know."""
    listen = _addresses(config)
    rules = config.publish.nrpt if config.publish is not None else ()
    name = next((rule.namespace.lstrip(".") for rule in rules if rule.servers), "") or "."
    answers = await asyncio.gather(*(asks(address, name, port) for address, port in listen))
    listening = {address for status in known for address in status.listening}
    silent = [
        # The same keys as those under which its keeper tells of it: one problem is told once.
        Found(
            DNS64_BROKEN,
            f"{address} port {port}: {why}",
            "servers" if address in listening else "listen",
        )
        for (address, port), why in zip(listen, answers, strict=True)
        if why
    ]
    return silent or f"{', '.join(address for address, _ in listen)} answers"


async def _look_at_nat64(
    config: NAT64Config, known: tuple[TranslationStatus, ...]
) -> Iterable[Found] | str:
    if not known:
        raise CannotTell("it was configured after the gateway's start: restart the gateway")
    (status,) = known
    if not status.running:
        return [Found(NAT64_BROKEN, status.last_error or "it is not started yet")]
    if not nat64.exists(config.interface):
        return [Found(NAT64_BROKEN, f"{config.interface} is gone")]
    if not nat64.connected(config):
        return [Found(NAT64_BROKEN, f"routes do not lead to {config.interface}")]
    if not nat64.leads(config):
        words = f"another route or rule takes what is for {config.prefix} away from"
        return [Found(NAT64_BROKEN, f"{words} {config.interface}, see `ip -6 route; ip -6 rule`")]
    if not await nat64.answers(config, ECHO_TIME):
        return [Found(NAT64_BROKEN, f"tayga (process {status.pid}) does not answer: it hangs")]
    return f"tayga translates {config.prefix}"
