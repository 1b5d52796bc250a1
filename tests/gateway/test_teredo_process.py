"""The process that serves Teredo, ordered about by hand; with a device it runs in test_teredo."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest

from tests.net.iphttps_world import FakeTUN, wait_for
from throughway.gateway.channel import (
    Ask,
    Channel,
    Failed,
    Message,
    Ready,
    Report,
    ServeTeredo,
    Stop,
    pair,
)
from throughway.net.teredo import open_socket
from throughway.proto.teredo.server import Socket


class Process:
    """A server and what it has said."""

    def __init__(self, process: "subprocess.Popen[bytes]", channel: Channel) -> None:
        self.process, self.channel = process, channel
        self.heard: list[Message] = []

    async def hear(self, kind: type[Message]) -> Message:
        await wait_for(lambda: any(isinstance(m, kind) for m in self.heard))
        return next(m for m in self.heard if isinstance(m, kind))

    async def code(self) -> int:
        await wait_for(lambda: self.process.poll() is not None)
        return self.process.wait()


@asynccontextmanager
async def serving(*, endpoint: str = "2002:836b:2::836b:2") -> AsyncIterator[Process]:
    tun = FakeTUN("teredo0")
    ours, theirs = pair()
    with ExitStack() as stack:
        sockets = {at: stack.enter_context(open_socket("127.0.0.1")) for at in Socket}
        process = subprocess.Popen(  # noqa: ASYNC220 (it takes a millisecond)
            [sys.executable, "-m", "throughway.gateway.teredo_process", str(theirs.fileno())],
            pass_fds=(theirs.fileno(), tun.fd, *(sock.fileno() for sock in sockets.values())),
            stderr=subprocess.PIPE,
        )
        theirs.close()
        heard: list[Message] = []
        channel = Channel(ours, heard.append, lambda: None)
        one = Process(process, channel)
        one.heard = heard
        channel.send(
            ServeTeredo(
                address="131.107.0.2",
                endpoints=(endpoint,),
                interface="teredo0",
                udp=True,
                tun=tun.fd,
                sockets=tuple((str(at), sock.fileno()) for at, sock in sockets.items()),
            )
        )
        try:
            yield one
        finally:
            channel.close()
            process.kill()
            process.communicate()
            tun.close()


@pytest.mark.lab
def test_it_serves_reports_and_stops() -> None:
    async def scenario() -> None:
        async with serving() as process:
            ready = await process.hear(Ready)
            assert isinstance(ready, Ready)
            process.channel.send(Ask(7, sessions=False))
            report = await process.hear(Report)
            assert isinstance(report, Report)
            assert (report.number, report.count, report.totals.bytes_in) == (7, 0, 0)
            process.channel.send(Stop())
            assert await process.code() == 0

    asyncio.run(scenario())


@pytest.mark.lab
def test_an_order_that_cannot_be_followed_ends_it() -> None:
    async def scenario() -> None:
        async with serving(endpoint="none") as process:
            failed = await process.hear(Failed)
            assert isinstance(failed, Failed)
            assert failed.fatal
            assert await process.code() == 1

    asyncio.run(scenario())


@pytest.mark.lab
def test_without_its_gateway_it_ends() -> None:
    async def scenario() -> None:
        async with serving() as process:
            await process.hear(Ready)
            process.channel.close()
            assert await process.code() == 1

    asyncio.run(scenario())
