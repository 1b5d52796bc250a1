"""The vici session, against a charon made of a few packets."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from vici.protocol import Message, Packet

from tests.net.iphttps_world import end_server
from tests.patience import PATIENCE
from throughway.model.errors import IPsecError
from throughway.net.vici import FULL_PAUSE, Section, Session

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def packet(kind: int, name: str = "", message: Section | None = None) -> bytes:
    body = bytes((kind,))
    if name:
        body += bytes((len(name),)) + name.encode()
    body += bytes(Message.serialize(message or {}))
    return struct.pack("!I", len(body)) + body


async def request_of(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return await reader.readexactly(length)


def with_charon(
    directory: Path, answer: Answer, scenario: Callable[[Session], Awaitable[None]]
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
            await reader.read()
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_unix_server(serve, str(directory / "vici"))
        try:
            async with asyncio.timeout(PATIENCE), Session(directory / "vici") as session:
                await scenario(session)
        finally:
            await end_server(server)

    asyncio.run(run())


def says(*packets: bytes) -> Answer:
    """Return a charon that answers each request with the next packet."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for data in packets:
            await request_of(reader)
            writer.write(data)

    return answer


def test_a_request_is_answered(tmp_path: Path) -> None:
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request_of(reader))
        writer.write(packet(Packet.CMD_RESPONSE, "", {"daemon": "charon-systemd"}))

    async def scenario(session: Session) -> None:
        assert await session.request("version") == {"daemon": b"charon-systemd"}

    with_charon(tmp_path, answer, scenario)
    assert requests == [Packet.request("version", b"")]


def test_a_refusal_carries_charons_words(tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        with pytest.raises(IPsecError, match="load-conn: no such thing"):
            await session.request("load-conn", {"x": {}})

    refusal = {"success": "no", "errmsg": "no such thing"}
    with_charon(tmp_path, says(packet(Packet.CMD_RESPONSE, "", refusal)), scenario)


def test_an_unknown_command_is_an_error(tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        with pytest.raises(IPsecError, match="does not know"):
            await session.request("fly")

    with_charon(tmp_path, says(packet(Packet.CMD_UNKNOWN)), scenario)


def test_a_stream_yields_until_the_answer(tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        found = [line["n"] async for line in session.stream("list-sas", "list-sa")]
        assert found == [b"1", b"2"]

    events = packet(Packet.EVENT, "list-sa", {"n": "1"}) + packet(Packet.EVENT, "list-sa", {"n": 2})
    answer = says(packet(Packet.EVENT_CONFIRM), events + packet(Packet.CMD_RESPONSE))
    with_charon(tmp_path, answer, scenario)


def test_a_stream_that_ends_badly_raises_after_its_lines(tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        lines = []
        stream = session.stream("initiate", "control-log")
        lines.append((await anext(stream))["msg"])
        with pytest.raises(IPsecError, match="not today"):
            await anext(stream)
        assert lines == [b"hm"]

    refusal = packet(Packet.CMD_RESPONSE, "", {"success": "no", "errmsg": "not today"})
    event = packet(Packet.EVENT, "control-log", {"msg": "hm"})
    with_charon(tmp_path, says(packet(Packet.EVENT_CONFIRM), event + refusal), scenario)


def test_events_of_a_subscription(tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        await session.subscribe("ike-updown")
        async for name, message in session.events():
            assert (name, message) == ("ike-updown", {"up": b"yes"})
            return

    event = packet(Packet.EVENT, "ike-updown", {"up": "yes"})
    with_charon(tmp_path, says(packet(Packet.EVENT_CONFIRM) + event), scenario)


@pytest.mark.parametrize(
    "garbage", [b"\0\0\0\0", b"\xff\xff\xff\xff", struct.pack("!I", 4) + b"\x01\x03\x09x"]
)
def test_garbage_is_an_ipsec_error(tmp_path: Path, garbage: bytes) -> None:
    async def scenario(session: Session) -> None:
        with pytest.raises(IPsecError):
            await session.request("version")

    with_charon(tmp_path, says(garbage), scenario)


def test_a_charon_that_goes_away_is_an_ipsec_error(tmp_path: Path) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.close()

    async def scenario(session: Session) -> None:
        with pytest.raises(IPsecError) as caught:
            await session.request("version")
        assert caught.value.problem == "ipsec-daemon-down"

    with_charon(tmp_path, leave, scenario)


def test_no_charon_at_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(IPsecError) as caught:
            async with Session(tmp_path / "none"):
                pass
        assert caught.value.problem == "ipsec-daemon-down"

    asyncio.run(scenario())


def test_a_charon_that_hangs_is_waited_for(tmp_path: Path) -> None:
    """Its queue is full: that is no connection that has ended."""
    path = tmp_path / "vici"

    async def scenario() -> None:
        with socket.socket(socket.AF_UNIX) as charon, socket.socket(socket.AF_UNIX) as first:
            charon.bind(str(path))
            charon.listen(0)
            first.connect(str(path))

            async def version() -> Section:
                async with Session(path) as session:
                    return await session.request("version")

            asked = asyncio.create_task(version())
            charon.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(PATIENCE):
                with socket.socket(socket.AF_UNIX) as second:
                    second.setblocking(False)
                    with pytest.raises(BlockingIOError):
                        second.connect(str(path))
                await asyncio.sleep(2 * FULL_PAUSE)
                assert not asked.done()
                (await loop.sock_accept(charon))[0].close()
                peer, _ = await loop.sock_accept(charon)
                with peer:
                    await loop.sock_recv(peer, 100)
                    await loop.sock_sendall(peer, packet(1, message={"version": "5.9.8"}))
                    assert await asked == {"version": b"5.9.8"}

    asyncio.run(scenario())
