"""The way to the Internet is missing where gateway and DNS are silent, and only there."""

import asyncio

from tests.net.iphttps_world import wait_for
from throughway.client.beyond import DOWN, SILENT, Beyond
from throughway.model.errors import Stage, TransportError
from throughway.net.resolver import TRY_AGAIN

HOST = "da.example.com"
LOST = TransportError(Stage.LINK, "no sign of life", problem=SILENT)
BLOCKED = TransportError(Stage.CONNECT, "no answer", problem=SILENT)
REFUSED = TransportError(Stage.CONNECT, "refused", problem="iphttps-connection-refused")
UNASKED = TransportError(Stage.RESOLVE, "nobody", windows_code=TRY_AGAIN, problem="unresolvable")
NO_SUCH = TransportError(Stage.RESOLVE, "no such name", windows_code=11001, problem="x")


class DNS:
    """Answers or is silent; silence takes until somebody lets go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error = NO_SUCH
        self.answering = asyncio.Event()
        self.known: list[TransportError] = []

    async def resolve(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        await self.answering.wait()
        raise self.error

    def beyond(self) -> Beyond:
        return Beyond(self.resolve, self.known.append)


def test_a_link_that_dies_while_the_dns_is_silent() -> None:
    async def scenario() -> None:
        dns = DNS()
        beyond = dns.beyond()
        beyond.ask(HOST)
        beyond.ask(HOST)
        await wait_for(lambda: dns.asked)
        assert beyond.judged(LOST, HOST).problem == DOWN
        dns.error = UNASKED
        dns.answering.set()
        assert beyond._asking is not None
        await beyond._asking
        assert beyond.judged(UNASKED, HOST).problem == DOWN
        assert beyond.judged(BLOCKED, HOST).problem == DOWN
        assert beyond.judged(REFUSED, HOST) is REFUSED
        assert beyond.judged(UNASKED, HOST) is UNASKED
        await beyond.stop()
        assert len(dns.asked) <= 3
        assert all(name.endswith(f".{HOST}") for name in dns.asked)

    asyncio.run(scenario())


def test_a_gateway_that_alone_is_silent_is_to_blame() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.answering.set()
        beyond = dns.beyond()
        beyond.ask(HOST)
        assert beyond._asking is not None
        await beyond._asking
        assert beyond.judged(LOST, HOST) is LOST
        await beyond._asking
        assert dns.known == []
        await beyond.stop()

    asyncio.run(scenario())


def test_what_is_known_later_is_told_then_and_taken_back_when_it_is_over() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.error = UNASKED
        dns.answering.set()
        beyond = dns.beyond()
        assert beyond.judged(BLOCKED, HOST) is BLOCKED
        await wait_for(lambda: dns.known)
        assert dns.known[0].problem == DOWN
        dns.error = NO_SUCH
        assert beyond.judged(BLOCKED, HOST).problem == DOWN
        await wait_for(lambda: len(dns.known) > 1)
        assert dns.known[1] is BLOCKED
        await beyond.stop()

    asyncio.run(scenario())
