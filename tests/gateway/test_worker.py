"""One worker process, ordered about by hand."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.gateway.test_channel import CONFIG
from tests.net.iphttps_world import NAME, Authority, FakeTUN, wait_for
from throughway.gateway.channel import (
    Ask,
    Change,
    Channel,
    DropAll,
    Failed,
    Message,
    Ready,
    Report,
    Serve,
    Stop,
    pair,
)
from throughway.model.config import AuthenticationMode
from throughway.net.iphttps_server import listen
from throughway.net.tls import Credentials


@dataclass
class Process:
    """A worker and what it has said."""

    process: "subprocess.Popen[bytes]"
    channel: Channel
    order: Serve
    tun: FakeTUN
    heard: list[Message] = field(default_factory=list)

    async def hear(self, kind: type[Message]) -> Message:
        await wait_for(lambda: any(isinstance(m, kind) for m in self.heard))
        return next(m for m in self.heard if isinstance(m, kind))

    async def code(self) -> int:
        await wait_for(lambda: self.process.poll() is not None)
        return self.process.wait()


@asynccontextmanager
async def worker(folder: Path) -> AsyncIterator[Process]:
    issued = Authority(folder).issue(NAME)
    (listener,) = listen([("127.0.0.1", 0)])
    tun = FakeTUN("iphttps0")
    ours, theirs = pair()
    descriptors = (theirs.fileno(), tun.fd, listener.fileno())
    process = subprocess.Popen(  # noqa: ASYNC220 (it takes a millisecond)
        [sys.executable, "-m", "throughway.gateway.worker", str(theirs.fileno())],
        pass_fds=descriptors,
        stderr=subprocess.PIPE,
    )
    theirs.close()
    order = Serve(
        config=replace(
            CONFIG, prefix="2001:db8:da:1000::/64", authentication=AuthenticationMode.NONE
        ),
        credentials=Credentials(certificate=issued.pem, key=issued.key.read_text()),
        routes=(),
        interface="iphttps0",
        udp=True,
        tun=tun.fd,
        listeners=(listener.fileno(),),
    )
    heard: list[Message] = []
    made = Process(process, Channel(ours, heard.append, lambda: None), order, tun, heard)
    try:
        yield made
    finally:
        made.channel.close()
        process.kill()
        _, said = process.communicate()
        tun.close()
        listener.close()
    assert b"Traceback" not in said


def play(folder: Path, scenario: Callable[[Process], Awaitable[None]]) -> None:
    async def run() -> None:
        async with worker(folder) as made:
            await scenario(made)

    asyncio.run(run())


def test_it_serves_reports_and_stops(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(one.order)
        ready = await one.hear(Ready)
        assert isinstance(ready, Ready)
        assert ready.pump.partition(":")[0] in ("native", "pure")
        one.channel.send(DropAll("nobody is there"))
        one.channel.send(Ask(5, sessions=True))
        report = await one.hear(Report)
        assert isinstance(report, Report)
        assert (report.number, report.state, report.count) == (5, "listen", 0)
        one.channel.send(Stop())
        assert await one.code() == 0

    play(tmp_path, scenario)


def test_what_ends_a_terminal_s_programs_does_not_end_it(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(one.order)
        await one.hear(Ready)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(one.process.pid, number)
        one.channel.send(Ask(1, sessions=False))
        await one.hear(Report)
        one.channel.close()
        assert await one.code() == 1

    play(tmp_path, scenario)


@pytest.mark.parametrize("key", ["", "no key"])
def test_a_first_order_that_cannot_be_obeyed_ends_it(tmp_path: Path, key: str) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(replace(one.order, credentials=replace(one.order.credentials, key=key)))
        failed = await one.hear(Failed)
        assert isinstance(failed, Failed)
        assert failed.fatal
        assert "certificate" in failed.error
        assert await one.code() == 1

    play(tmp_path, scenario)


def test_it_ends_when_its_device_is_deleted(tmp_path: Path) -> None:
    """It would be readable without end, and every read would fail."""

    async def scenario(one: Process) -> None:
        one.channel.send(one.order)
        await one.hear(Ready)
        os.write(one.tun.fd, b"never read")
        one.tun.kernel.close()  # with something unread: an error for the next who reads
        failed = await one.hear(Failed)
        assert isinstance(failed, Failed)
        assert failed.fatal
        assert "the interface iphttps0 is gone" in failed.error
        assert await one.code() == 1

    play(tmp_path, scenario)


def test_a_later_one_leaves_it_as_it_was(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(one.order)
        await one.hear(Ready)
        wrong = replace(one.order.credentials, certificate="nothing")
        one.channel.send(Change(config=one.order.config, credentials=wrong))
        failed = await one.hear(Failed)
        assert isinstance(failed, Failed)
        assert not failed.fatal
        one.channel.send(Ask(1, sessions=False))
        await one.hear(Report)

    play(tmp_path, scenario)
