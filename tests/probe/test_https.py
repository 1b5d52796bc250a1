"""The way of a client, at one address."""

import asyncio
from pathlib import Path

from tests.net.iphttps_world import NAME
from tests.probe.probe_world import HOME, gateway, make, speaking, write
from throughway.model.probing import HTTPSeen
from throughway.probe.https import Visit, lenient_context, visit
from throughway.probe.target import parse_target

ROOT = make("Test Root", ca=True)
MIDDLE = make("Test Middle", ROOT, ca=True)


def test_the_chain_is_seen_as_it_was_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = write(tmp_path, make(NAME, MIDDLE, names=[NAME]), MIDDLE, ROOT)
        async with gateway(files) as port:
            mine = Visit(HTTPSeen(address=HOME))
            await visit(parse_target(f"{NAME}:{port}"), mine, lenient_context(), NAME)
        assert len(mine.chain) == 3
        assert mine.seen.tls.startswith("TLSv1.3")
        assert mine.seen.accepted
        for seconds in (
            mine.seen.connect_seconds,
            mine.seen.tls_seconds,
            mine.seen.answer_seconds,
            mine.seen.advertisement_seconds,
        ):
            assert seconds is not None
            assert seconds >= 0

    asyncio.run(scenario())


def test_a_connection_that_ends_in_the_handshake() -> None:
    async def scenario() -> None:
        async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)

        async with speaking(shut) as port:
            mine = Visit(HTTPSeen(address=HOME))
            await visit(parse_target(f"{NAME}:{port}"), mine, lenient_context(), NAME)
        assert mine.seen.trouble is not None
        assert mine.seen.trouble.problem == "iphttps-connection-reset"
        assert mine.seen.connect_seconds is not None
        assert mine.seen.tls_seconds is None

    asyncio.run(scenario())


async def _head_without_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-A: %s\r\n" % (b"a" * 4096))
        await writer.drain()


def test_a_head_without_end_is_said() -> None:
    async def scenario() -> None:
        async with speaking(_head_without_end) as port:
            mine = Visit(HTTPSeen(address=HOME))
            await visit(parse_target(f"http://{NAME}:{port}/x"), mine, lenient_context(), "")
        assert (mine.seen.status, mine.seen.accepted) == (200, False)
        assert mine.seen.trouble is not None
        assert "bytes" in mine.seen.trouble.words

    asyncio.run(scenario())
