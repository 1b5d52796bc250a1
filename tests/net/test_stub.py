"""The stub's own port, flooded: bounded, fair, and never in the way of what comes next."""

import asyncio
import contextlib
import socket

import dns.message
import dns.rcode

from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.net.ports import BATCH
from throughway.net.resolver import Resolver
from throughway.net.stub import StubListener
from throughway.proto.nrpt import Situation

STUB = "127.0.88.7"


def test_more_than_a_batch_is_answered_and_garbage_between_does_no_harm() -> None:
    async def scenario() -> None:
        port = free_port(STUB)
        resolver = Resolver()
        resolver.set_situation(Situation(effective=False))  # no server: SERVFAIL at once
        listener = StubListener(resolver, STUB, port)
        await listener.start()
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            client.connect((STUB, port))
            wanted = set(range(2 * BATCH))
            for number in wanted:
                client.send(dns.message.make_query("a.example", "A", id=number).to_wire())
                client.send(b"\xff" * (number % 30))
            loop = asyncio.get_running_loop()
            while wanted:
                data = await asyncio.wait_for(loop.sock_recv(client, 512), PATIENCE)
                if data[3] & 0xF == dns.rcode.SERVFAIL and len(data) > 12:
                    wanted.discard(dns.message.from_wire(data).id)
        finally:
            client.close()
            await listener.close()
            await resolver.close()
            with contextlib.suppress(OSError):
                await listener.close()

    asyncio.run(scenario())
