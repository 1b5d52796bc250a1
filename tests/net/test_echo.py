"""Echo requests to a real kernel."""

import asyncio

import pytest

from tests.patience import PATIENCE
from throughway.net.echo import echo, open_echo


@pytest.mark.lab
def test_this_computer_answers_itself() -> None:
    async def scenario() -> None:
        with open_echo() as sock:
            async with asyncio.timeout(PATIENCE):
                await echo(sock, "::1")

    asyncio.run(scenario())


@pytest.mark.lab
def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(OSError, match="No such device"):
        open_echo(interface="nowhere0")
