"""The client's driver: what it does with socket, device and timer. The whole is in tests/client."""

import asyncio

from tests.net.iphttps_world import FakeTUN, packet, wait_for
from throughway.net.teredo_client import TeredoClient
from throughway.proto.teredo.client import Event, State, StateChanged


def test_it_asks_refuses_packets_and_ends() -> None:
    async def scenario() -> None:
        told: list[Event] = []
        tun = FakeTUN()
        # Loopback: whatever the machine's network is, nothing leaves it and nobody answers.
        client = TeredoClient(bytes((127, 0, 0, 1)), tun, on_event=told.append)
        client.start()
        assert told == [StateChanged(State.PROBE_PRIMARY)]
        tun.kernel.send(packet("2001:db8::1", "2001:db8::2"))
        await wait_for(lambda: client.machine.drops["not qualified"] == 1)
        assert client.bytes_out == 40
        client.network_changed()
        client.close()
        client.close()
        assert client.machine.state is State.OFFLINE
        client.network_changed()
        assert len(told) == 1
        tun.close()

    asyncio.run(scenario())
