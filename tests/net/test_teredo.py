"""Sockets and batches of Teredo, on the loopback."""

import asyncio
import errno
import select
import socket
import sys
import time

import pytest

from tests.net.iphttps_world import FakeTUN, packet
from tests.patience import PATIENCE
from throughway.net.teredo import DATAGRAMS_AT_ONCE, Alarm, cut, open_socket, receive, send, write
from throughway.wire.teredo import Mapping

LOOPBACK = socket.inet_aton("127.0.0.1")
SO_MEMINFO = 55
"""Of Linux's socket.h: what a socket holds in memory; first what waits to be read."""
ONE = packet("2001:db8::1", "2001:db8::2")
TWO = packet("2001:db8::3", "2001:db8::4", b"12345678")


def await_datagrams(sock: socket.socket, count: int) -> None:
    """Wait until as many datagrams of a size are there: on a busy machine not all are at once."""

    def held() -> int:
        return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4), sys.byteorder)

    assert select.select([sock], [], [], PATIENCE)[0]
    with open_socket("127.0.0.1") as one, open_socket("127.0.0.1") as other:
        send(one, b"1", Mapping(LOOPBACK, other.getsockname()[1]))
        assert select.select([other], [], [], PATIENCE)[0]
        each = int.from_bytes(other.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4), sys.byteorder)
    deadline = time.monotonic() + PATIENCE
    while held() < count * each:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_batch_of_datagrams() -> None:
    with open_socket("127.0.0.1") as here, open_socket("127.0.0.1") as there:
        target = Mapping(LOOPBACK, there.getsockname()[1])
        for number in range(DATAGRAMS_AT_ONCE + 1):
            assert send(here, bytes([number]), target) == ""
        await_datagrams(there, DATAGRAMS_AT_ONCE + 1)
        source = Mapping(LOOPBACK, here.getsockname()[1])
        first = list(receive(there))
        assert first == [(bytes([n]), source) for n in range(DATAGRAMS_AT_ONCE)]
        assert list(receive(there)) == [(bytes([DATAGRAMS_AT_ONCE]), source)]
        assert list(receive(there)) == []


def test_what_cannot_leave_is_said() -> None:
    with open_socket("127.0.0.1") as here:
        assert send(here, b"", Mapping(b"\xff\xff\xff\xff", 1)) != ""


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(OSError, match="assign") as caught:
        open_socket("192.0.2.1", 3544)
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_packets_of_a_device_are_cut_and_written() -> None:
    assert list(cut(ONE + TWO)) == [ONE, TWO]
    assert list(cut(memoryview(ONE + TWO)[: len(ONE)])) == [ONE]
    assert list(cut(ONE + b"rubbish")) == [ONE]
    assert list(cut(b"")) == []

    async def scenario() -> None:
        tun = FakeTUN()
        assert write(tun, []) == 0
        assert write(tun, [ONE, TWO]) == 0
        assert await tun.received() == ONE
        assert await tun.received() == TWO
        tun.close()

    asyncio.run(scenario())


def test_one_alarm_set_many_times() -> None:
    async def scenario() -> None:
        rung: list[float] = []
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def ring() -> None:
            rung.append(loop.time())
            done.set()

        alarm = Alarm(ring)
        alarm.set(loop.time() + 3600)
        due = loop.time() + 0.01
        alarm.set(due)
        alarm.set(due)
        await asyncio.wait_for(done.wait(), PATIENCE)
        alarm.set(loop.time() + 0.01)
        alarm.set(None)
        await asyncio.sleep(0.05)
        assert len(rung) == 1

    asyncio.run(scenario())
