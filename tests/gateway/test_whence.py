"""From an inner address to the place on the Internet."""

import asyncio

import pytest

from throughway.gateway import whence as module
from throughway.gateway.whence import Origin, Whence, split_peer
from throughway.model.errors import Stage, TransportError
from throughway.model.status import SessionStatus
from throughway.wire.ipv6 import format_address
from throughway.wire.teredo import Mapping, TeredoAddress, build_teredo_address

PREFIX = "2001:db8:da:1000::/59"
SESSION = SessionStatus(
    id=1, peer="198.51.100.7:50123", since=0, addresses=("2001:db8:da:1001::5",)
)
MAPPING = Mapping(bytes([198, 51, 100, 9]), 40000)
TEREDO = format_address(build_teredo_address(TeredoAddress(bytes([131, 107, 0, 2]), 0, MAPPING)))


class Workers:
    """Has sessions, and counts the questions."""

    def __init__(self, *sessions: SessionStatus) -> None:
        self.sessions = sessions
        self.asked = 0

    async def __call__(self) -> tuple[SessionStatus, ...]:
        self.asked += 1
        return self.sessions


@pytest.mark.parametrize(
    ("inner", "origin"),
    [
        ("2001:db8:f1::2", Origin("native", "2001:db8:f1::2", 4500)),
        ("2002:c633:6408::1", Origin("6to4", "198.51.100.8")),
        (TEREDO, Origin("teredo", "198.51.100.9", 40000)),
        ("2001:db8:da:1001::5", Origin("iphttps", "198.51.100.7", 50123)),
        ("2001:db8:da:1001::6", Origin("iphttps", "")),
        ("nonsense", Origin("", "nonsense", 4500)),
    ],
)
def test_each_transport_has_its_place(inner: str, origin: Origin) -> None:
    assert asyncio.run(Whence(PREFIX, Workers(SESSION)).find(inner, 4500)) == origin


def test_the_workers_are_asked_once_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_INTERVAL", 0.0)
    workers = Workers(SESSION)
    whence = Whence(PREFIX, workers)

    async def scenario() -> None:
        for _ in range(5):
            await whence.find("2001:db8:da:1001::5", 4500)
        assert workers.asked == 1
        # Whoever has the address next is asked for anew.
        whence.closed(SESSION)
        await whence.find("2001:db8:da:1001::5", 4500)
        assert workers.asked == 2

    asyncio.run(scenario())


def test_workers_that_do_not_answer_are_no_failure() -> None:
    async def sessions() -> tuple[SessionStatus, ...]:
        raise TransportError(Stage.LINK, "no")

    found = asyncio.run(Whence(PREFIX, sessions).find("2001:db8:da:1001::5", 4500))
    assert found == Origin("iphttps", "")


def test_peers_have_address_and_port() -> None:
    assert split_peer("192.0.2.1:5000") == ("192.0.2.1", 5000)
    assert split_peer("[2001:db8::1]:5000") == ("2001:db8::1", 5000)
