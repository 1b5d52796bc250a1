"""One address: taken, refused, silent."""

import asyncio
import socket

from throughway.model.errors import Stage
from throughway.probe.connecting import trouble_of, try_to_connect


def test_taken_and_refused() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            seen = await try_to_connect("127.0.0.1", server.getsockname()[1])
            assert seen.trouble is None
        seen = await try_to_connect("127.0.0.1", 1)
        assert seen.trouble is not None
        assert seen.trouble.problem == "iphttps-connection-refused"

    asyncio.run(scenario())


def test_silence_ends_with_the_time() -> None:
    """A listener whose queue is full answers no SYN."""

    async def scenario() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            port = server.getsockname()[1]
            waiting = [socket.socket() for _ in range(4)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            seen = await try_to_connect("127.0.0.1", port, seconds=0.3)
            for sock in waiting:
                sock.close()
        assert seen.trouble is not None
        assert seen.trouble.problem == "iphttps-port-blocked"

    asyncio.run(scenario())


def test_words() -> None:
    trouble = trouble_of(ConnectionRefusedError(111, "x"), Stage.CONNECT)
    assert (trouble.words, trouble.windows_code) == ("the connection was refused", 0x274D)
