"""The command by which a part is made anew."""

import asyncio
import os

import pytest

from throughway.control.codec import Command, CommandRefused
from throughway.control.mending import COMMAND, mend
from throughway.control.server import Peer, Request


def request(part: str, uid: int = 0) -> Request:
    return Request(Command(COMMAND, {"part": part}), Peer(os.getpid(), uid, uid))


async def _done() -> str:
    return "it was ended and is started again"


def test_a_part_is_mended() -> None:
    answer = asyncio.run(mend(request("ike"), {"ike": _done}))
    assert answer == {"part": "ike", "done": "it was ended and is started again"}


def test_only_root_may() -> None:
    with pytest.raises(CommandRefused, match="only root"):
        asyncio.run(mend(request("ike", uid=1000), {"ike": _done}))


def test_parts_that_there_are_not_are_refused() -> None:
    with pytest.raises(CommandRefused, match="'moon' is none of ike") as error:
        asyncio.run(mend(request("moon"), {"ike": _done}))
    assert error.value.code == "unknown-part"
