"""The server's driver: sockets that cannot be had, strangers, a lost device. The whole is in
tests/gateway."""

import asyncio

import pytest

from tests.net.iphttps_world import FakeTUN, packet, wait_for
from throughway.net.teredo import open_socket
from throughway.net.teredo_server import TeredoServer, open_sockets
from throughway.proto.teredo.server import Socket
from throughway.wire.ipv6 import parse_address

PRIMARY = bytes((131, 107, 0, 2))
ENDPOINT = parse_address("2002:836b:2::836b:2")


def test_an_address_that_is_not_here_is_named() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1:3544"):
        open_sockets(bytes((192, 0, 2, 1)))


def test_strangers_and_packets_for_nobody_are_counted() -> None:
    async def scenario() -> None:
        tun = FakeTUN()
        sockets = {at: open_socket("127.0.0.1") for at in Socket}
        server = TeredoServer(PRIMARY, frozenset({ENDPOINT}), sockets, tun)
        server.start()
        with open_socket("127.0.0.1") as stranger:
            stranger.sendto(b"hello", sockets[Socket.PRIMARY].getsockname())
            await wait_for(lambda: server.machine.drops["source not public"] == 1)
        tun.kernel.send(packet("2001:db8::1", "2001:db8::2"))
        await wait_for(lambda: server.machine.drops["not from an endpoint"] == 1)
        # A client that is not there: it is asked for a bubble, and the timer asks again.
        tun.kernel.send(packet("2002:836b:2::836b:2", "2001:0:836b:2:0:dfb8:7c94:ffb2"))
        await wait_for(lambda: len(server.machine.relay.peers) == 1)
        assert server.machine.timer_at() is not None
        server.close()
        for sock in sockets.values():
            sock.close()
        tun.close()

    asyncio.run(scenario())
