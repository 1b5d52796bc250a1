"""A gateway's configuration, and looks at it by single checks, without a daemon."""

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from throughway.gateway.operations.parts import Parts
from throughway.health.checking import Check, Found
from throughway.model.config import GatewayConfig, IPHTTPSServerConfig, IPsecServerConfig

LINK = "2001:db8:da:1000::/64"


def config(folder: Path, *, listen: tuple[tuple[str, int], ...] = ()) -> GatewayConfig:
    iphttps = IPHTTPSServerConfig(
        url="https://da.example.com/IPHTTPS",
        listen=listen,
        certificate=folder / "gateway.crt",
        key=folder / "gateway.key",
        prefix=LINK,
    )
    ipsec = IPsecServerConfig(
        identity="da.example.com",
        certificate=folder / "gateway.crt",
        key=folder / "gateway.key",
        ca=folder / "ca.crt",
        infrastructure_endpoint="2001:db8:1::1",
        intranet_endpoint="2001:db8:1::2",
        infrastructure_prefixes=("2001:db8:c0:1::/64",),
        intranet_prefixes=("2001:db8:c0::/48",),
    )
    return GatewayConfig(
        file=folder / "gateway.toml",
        iphttps=iphttps,
        ipsec=ipsec,
        state_directory=folder,
        runtime_directory=folder,
    )


def look(checks: Iterable[Check], name: str) -> list[tuple[str, str]] | str:
    """Return what a check has found, as codes and words."""
    (check,) = (check for check in checks if check.name == name)
    answer = asyncio.run(_look(check))
    if isinstance(answer, str):
        return answer
    assert all(found.problem in check.problems for found in answer)
    return [(found.problem.code, found.detail) for found in answer]


def only(answer: list[tuple[str, str]] | str) -> tuple[str, str]:
    """Return the one thing that was found."""
    assert not isinstance(answer, str), answer
    (found,) = answer
    return found


async def _look(check: Check) -> list[Found] | str:
    answer = await check.look()
    return answer if isinstance(answer, str) else list(answer)


class Daemon:
    """An IKE daemon that says what it is told to."""

    def __init__(self, *answers: tuple[set[str], set[str]] | Exception) -> None:
        self._answers = list(answers)

    async def version(self) -> str:
        """Say so."""
        return "5.9.8"

    async def loaded_connections(self) -> tuple[frozenset[str], frozenset[str]]:
        """Give the next answer, the last one again and again."""
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        there, wanted = answer
        return frozenset(there), frozenset(wanted)


def parts_of(gateway: GatewayConfig, **known: Any) -> Parts:  # noqa: ANN401
    """Return the parts of a gateway; ``known`` are what they say, not callables."""
    ike = known.pop("ike", Daemon((set(), set())))
    devices = known.pop("devices", ("link0",))
    said: dict[str, Any] = {name: partial(_same, value) for name, value in known.items()}
    return Parts(config=lambda: gateway, devices=lambda: devices, ike=ike, **said)


def _same(value: object) -> object:
    return value
