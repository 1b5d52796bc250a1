"""How large packets may be: over loopback, and to a server that loses large ones."""

import asyncio
from pathlib import Path

import pytest

from tests.clock import pass_time
from tests.net.iphttps_world import NAME
from tests.patience import PATIENCE
from tests.probe.probe_world import HOME, gateway, make, speaking, write
from throughway.model.network import PathSeen
from throughway.probe import path
from throughway.probe.path import look_at_path


def test_a_path_that_takes_all(tmp_path: Path) -> None:
    async def scenario() -> PathSeen:
        async with gateway(write(tmp_path, make(NAME, names=[NAME]))) as port:
            return await look_at_path(HOME, port, NAME)

    seen = asyncio.run(scenario())
    assert seen.mtu is not None
    assert seen.mtu >= 1500
    assert seen.mss is not None
    assert (seen.small_passes, seen.large_passes) == (True, True)


def test_large_packets_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a filter does it: what is long is never answered."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(65536)
        if 0 < len(hello) < path.PADDING:
            writer.write(bytes.fromhex("15030100020228"))
            await writer.drain()
        await reader.read()
        if 0 < len(hello) < path.PADDING:
            pass_time()  # the small one has had its answer: the other waits for nothing

    async def scenario() -> PathSeen:
        async with speaking(speak) as port:
            return await look_at_path(HOME, port, NAME)

    monkeypatch.setattr(path, "TRY_TIME", PATIENCE)
    seen = asyncio.run(scenario())
    assert (seen.small_passes, seen.large_passes) == (True, False)


def test_nobody_there() -> None:
    seen = asyncio.run(look_at_path(HOME, 1, NAME))
    assert (seen.mss, seen.small_passes, seen.large_passes) == (None, False, None)
