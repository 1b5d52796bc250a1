"""What is behind an error of the link: the way out, the DNS, or what the DNS says."""

import asyncio

from tests.net.iphttps_world import wait_for
from throughway.client.beyond import DNS_INVENTS, DNS_SILENT, DOWN, INSIDE, SILENT, Beyond
from throughway.model.errors import Stage, TransportError
from throughway.net.resolver import TRY_AGAIN

HOST = "da.example.net"
LOST = TransportError(Stage.LINK, "no sign of life", problem=SILENT)
BLOCKED = TransportError(Stage.CONNECT, "no answer", problem=SILENT)
UNREACHABLE = TransportError(
    Stage.CONNECT, "the host cannot be reached", windows_code=0x2751, problem=SILENT
)
REFUSED = TransportError(Stage.CONNECT, "refused", problem="iphttps-connection-refused")
UNASKED = TransportError(Stage.RESOLVE, "nobody", windows_code=TRY_AGAIN, problem="unresolvable")
NO_SUCH = TransportError(Stage.RESOLVE, "no such name", windows_code=11001, problem="x")


class DNS:
    """Answers or is silent; silence takes until somebody lets go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error = NO_SUCH
        self.records: dict[str, tuple[str, ...]] = {}
        """By the end of the name."""
        self.answering = asyncio.Event()
        self.known: list[TransportError] = []

    async def resolve(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        await self.answering.wait()
        for end, addresses in self.records.items():
            if name.endswith(end):
                return addresses
        raise self.error

    def beyond(self) -> Beyond:
        return Beyond(lambda: HOST, self.resolve, self.known.append)


async def finished(beyond: Beyond) -> None:
    """Return when nothing is asked any more."""
    assert beyond._asking is not None
    await beyond._asking


def test_a_link_that_dies_while_the_dns_is_silent() -> None:
    async def scenario() -> None:
        dns = DNS()
        beyond = dns.beyond()
        beyond.ask()
        beyond.ask()
        await wait_for(lambda: len(dns.asked) > 1)
        assert beyond.judged(LOST).problem == DOWN
        dns.error = UNASKED
        dns.answering.set()
        await finished(beyond)
        assert beyond.judged(UNASKED).problem == DOWN
        await finished(beyond)
        assert beyond.judged(BLOCKED).problem == DOWN
        await finished(beyond)
        assert beyond.judged(REFUSED) is REFUSED
        assert dns.known == []
        await beyond.stop()
        assert len(dns.asked) == 6
        assert sum(name.endswith(f".{HOST}") for name in dns.asked) == 3

    asyncio.run(scenario())


def test_a_router_that_is_not_there() -> None:
    """The DNS may answer all the same: on the own link it needs no router."""

    async def scenario() -> None:
        dns, routers = DNS(), ["192.0.2.1"]
        dns.answering.set()
        sure: list[bool] = []

        def router(unreachable: bool) -> str:
            sure.append(unreachable)
            return routers[-1]

        beyond = Beyond(lambda: HOST, dns.resolve, dns.known.append, router)
        for error in (BLOCKED, UNASKED, UNREACHABLE, LOST):
            judged = beyond.judged(error)
            assert judged.problem == DOWN
            assert str(judged).startswith("the router of this network, 192.0.2.1, does not answer")
            await finished(beyond)
        assert {error.problem for error in dns.known} <= {DOWN}
        assert sure == [False, False, True, True], "the kernel's own word is enough"
        assert beyond.judged(REFUSED) is REFUSED, "that came from beyond it"
        assert beyond.judged(BLOCKED, direct=False) is BLOCKED, "it is a proxy who says so"
        routers.append("")
        assert beyond.judged(BLOCKED) is BLOCKED
        await beyond.stop()

    asyncio.run(scenario())


def test_a_gateway_that_alone_is_silent_is_to_blame() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.answering.set()
        beyond = dns.beyond()
        beyond.ask()
        await finished(beyond)
        assert beyond.judged(LOST) is LOST
        await finished(beyond)
        assert dns.known == []
        await beyond.stop()

    asyncio.run(scenario())


def test_what_is_known_later_is_told_then_and_taken_back_when_it_is_over() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.error = UNASKED
        dns.answering.set()
        beyond = dns.beyond()
        assert beyond.judged(BLOCKED) is BLOCKED
        await wait_for(lambda: dns.known)
        assert dns.known[0].problem == DOWN
        dns.error = NO_SUCH
        assert beyond.judged(BLOCKED).problem == DOWN
        await wait_for(lambda: len(dns.known) > 1)
        assert dns.known[1] is BLOCKED
        await beyond.stop()

    asyncio.run(scenario())


def test_without_an_address_for_the_gateway_it_is_the_dns_that_is_silent() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.error = UNASKED
        dns.answering.set()
        beyond = dns.beyond()
        assert beyond.judged(UNASKED).problem == DNS_SILENT
        await finished(beyond)
        assert dns.known == []
        # It knows others: then the servers of the gateway's zone are silent, and no more.
        dns.records = {".com": ("203.0.113.9",)}
        assert beyond.judged(UNASKED).problem == DNS_SILENT
        await finished(beyond)
        assert dns.known == [UNASKED]
        await beyond.stop()

    asyncio.run(scenario())


def test_an_address_that_every_name_has_is_made_up() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.records = {"": ("192.168.1.1",)}
        dns.answering.set()
        beyond = dns.beyond()
        await beyond.resolve(HOST)
        assert beyond.judged(REFUSED) is REFUSED
        await finished(beyond)
        assert [error.problem for error in dns.known] == [DNS_INVENTS]
        assert beyond.judged(REFUSED).problem == DNS_INVENTS
        # Of the gateway it tells the truth: then the gateway refuses.
        dns.records = {"." + HOST: ("192.168.1.1",), HOST: ("131.107.0.2",), "": ("192.168.1.1",)}
        await beyond.resolve(HOST)
        assert beyond.judged(REFUSED) is REFUSED
        await beyond.stop()

    asyncio.run(scenario())


def test_a_zone_that_answers_every_name_of_its_own_makes_nothing_up() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.records = {HOST: ("131.107.0.2",)}
        dns.answering.set()
        beyond = dns.beyond()
        await beyond.resolve(HOST)
        assert beyond.judged(REFUSED) is REFUSED
        await finished(beyond)
        assert dns.known == []
        await beyond.stop()

    asyncio.run(scenario())


def test_a_private_address_where_nobody_is_leads_inside() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.records = {f".{HOST}": (), HOST: ("10.0.1.1",)}
        dns.answering.set()
        beyond = dns.beyond()
        await beyond.resolve(HOST)
        assert beyond.judged(BLOCKED).problem == INSIDE
        assert beyond.judged(REFUSED) is REFUSED
        await finished(beyond)
        beyond.answered()
        assert beyond.judged(BLOCKED) is BLOCKED, "the gateway has answered there"
        await beyond.stop()

    asyncio.run(scenario())


def test_what_a_proxy_has_asked_for_is_not_known_here() -> None:
    async def scenario() -> None:
        dns = DNS()
        dns.records = {"": ("192.168.1.1",)}
        dns.answering.set()
        beyond = dns.beyond()
        await beyond.resolve(HOST)
        tls = TransportError(Stage.TLS, "another certificate", problem="iphttps-tls-inspected")
        assert beyond.judged(tls, direct=False) is tls
        assert beyond._asking is None
        await beyond.stop()

    asyncio.run(scenario())
