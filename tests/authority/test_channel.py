"""What the two halves say to each other."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.authority import channel
from throughway.authority.channel import Asker, connect, pack, parse_message, text, unpack
from throughway.control.codec import JSON, encode_line
from throughway.model.errors import ThroughwayError, TrustError, WireError

Reply = Callable[[dict[str, JSON]], dict[str, JSON]]


@contextlib.asynccontextmanager
async def linked(reply: Reply | None) -> AsyncIterator[Asker]:
    """Return an asker whose other end replies so."""
    ours, theirs = socket.socketpair()
    reader, writer = await connect(ours)
    far_reader, far_writer = await connect(theirs)
    asker = Asker(writer)

    async def answer() -> None:
        while line := await far_reader.readline():
            if reply is not None:
                message = parse_message(line)
                far_writer.write(encode_line({"id": message["id"]} | reply(message)))

    async def hear() -> None:
        while line := await reader.readline():
            asker.take(parse_message(line))

    tasks = [asyncio.create_task(answer()), asyncio.create_task(hear())]
    try:
        yield asker
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in (writer, far_writer):
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()


def asked(reply: Reply | None, ask: Callable[[Asker], Awaitable[bytes]]) -> bytes:
    async def run() -> bytes:
        async with linked(reply) as asker:
            return await ask(asker)

    return asyncio.run(run())


def test_questions_and_answers() -> None:
    def reply(message: dict[str, JSON]) -> dict[str, JSON]:
        assert (message["do"], message["source"]) == ("enrol", "192.0.2.1")
        return {"result": pack(unpack(message, "request") + unpack(message, "secret"))}

    assert asked(reply, lambda a: a.enrol(b"\x00q", b"\xffs", "192.0.2.1")) == b"\x00q\xffs"


def test_refusals_keep_their_problem() -> None:
    with pytest.raises(TrustError, match="why") as told:
        asked(lambda _: {"error": "why", "problem": "x-y"}, lambda a: a.renew(b"", b"", b"", ""))
    assert told.value.problem == "x-y"
    with pytest.raises(ThroughwayError, match="not now"):
        asked(lambda _: {"error": "not now", "problem": ""}, lambda a: a.policy())


def test_silence_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "ANSWER_TIMEOUT", 0.05)
    with pytest.raises(ThroughwayError, match="in time"):
        asked(None, lambda a: a.policy())


def test_answers_that_nobody_waits_for_are_passed_over() -> None:
    async def run() -> None:
        async with linked(None) as asker:
            strange: list[dict[str, JSON]] = [{"id": 99, "result": ""}, {"id": "x"}, {}]
            for message in strange:
                asker.take(message)

    asyncio.run(run())


@given(st.binary(max_size=60))
def test_garbage_is_no_message(data: bytes) -> None:
    with contextlib.suppress(WireError):
        message = parse_message(data)
        with contextlib.suppress(WireError):
            text(message, "do")
            unpack(message, "request")
