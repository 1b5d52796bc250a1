"""The relay follows the policy; what passes through it is tests/net/test_relay.py's."""

import asyncio
import socket
from dataclasses import replace

from tests.client.test_registration import CONFIG, POLICY
from throughway.client.forced import Forced
from throughway.model.policy import TransportsPolicy
from throughway.net.relay import PORT

STUB = "127.0.87.1"
PROXY = replace(
    POLICY,
    transports=TransportsPolicy(force_tunnel=True, force_tunnel_proxy="http://[::1]:9"),
)
WITHOUT = replace(POLICY, transports=TransportsPolicy(force_tunnel=True))


def test_the_relay_is_there_exactly_while_the_policy_wants_it() -> None:
    told: list[str] = []

    async def run() -> None:
        forced = Forced(replace(CONFIG, stub_address=STUB), told.append)
        assert forced.relay is None
        await forced.update(PROXY)
        assert forced.relay == (STUB, PORT)
        _, writer = await asyncio.open_connection(STUB, PORT)
        writer.close()
        await forced.update(PROXY)
        await forced.update(WITHOUT)
        assert forced.relay is None
        await forced.update(POLICY)
        await forced.close()
        with socket.create_server((STUB, PORT)):
            await forced.update(PROXY)
            assert forced.relay is None
        await forced.update(PROXY)
        assert forced.relay == (STUB, PORT)
        await forced.close()

    asyncio.run(run())
    assert any("Address already in use" in one for one in told)
