"""What gateway and worker say to each other arrives whole, however it is cut."""

import asyncio
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.net.iphttps_world import wait_for
from tests.patience import PATIENCE
from throughway.control.codec import encode_line, to_json
from throughway.gateway import channel as module
from throughway.gateway.channel import (
    Ask,
    Change,
    Channel,
    Closed,
    DropAll,
    DropSession,
    Failed,
    LimitReached,
    LimitSessions,
    Message,
    Opened,
    Ready,
    Refused,
    Report,
    Serve,
    Sessions,
    Stop,
    Totals,
    pair,
    parse,
)
from throughway.model.config import (
    ADCConfig,
    Assertion,
    AuthenticationMode,
    IPHTTPSServerConfig,
    Spread,
)
from throughway.model.errors import WireError
from throughway.model.status import SessionStatus
from throughway.net.tls import Credentials

CONFIG = IPHTTPSServerConfig(
    url="https://da.example.com/IPHTTPS",
    listen=(("192.0.2.1", 443), ("2001:db8::1", 443)),
    certificate=Path("/etc/throughway/gateway.crt"),
    key=Path("/etc/throughway/gateway.key"),
    prefix="2001:db8:da:1000::/59",
    authentication=AuthenticationMode.CERTIFICATES,
    client_ca=Path("/etc/throughway/root.crt"),
    client_crls=(Path("/etc/throughway/clients.crl"),),
    adc=ADCConfig(
        listen=(("10.0.0.2", 8080),),
        addresses=("10.0.0.1/32",),
        client_certificate=Assertion.PROXY_PROTOCOL,
    ),
    spread=Spread.CONNECTION,
)
CREDENTIALS = Credentials(certificate="-----BEGIN\n…", key="a secret\n", client_ca="")
SESSION = SessionStatus(id=7, peer="[2001:db8::9]:4711", since=1.5, addresses=("2001:db8::c1",))
TOTALS = Totals(3, 100, 200, (("nobody", 2), ("spoofed", 1)), (("timeout", 1),), 4)
MESSAGES: tuple[Message, ...] = (
    Serve(
        config=CONFIG,
        credentials=CREDENTIALS,
        routes=("2001:db8::1/128",),
        interface="iphttps0",
        udp=True,
        tun=5,
        listeners=(6, 7),
    ),
    Change(config=CONFIG, credentials=CREDENTIALS),
    LimitSessions(3),
    DropSession(7, "because"),
    DropAll("because"),
    Ask(1, sessions=True),
    Stop(),
    Ready("native: super-packets"),
    Opened(SESSION),
    Closed(SESSION, "reset"),
    Refused("192.0.2.7:1", "iphttps-client-cert-none", "the client showed no certificate"),
    LimitReached("192.0.2.7"),
    Failed("Serve", "no", fatal=True),
    Sessions(1, (SESSION, SESSION)),
    Report(number=1, state="listen", count=1, totals=TOTALS, suites=(("TLSv1.3 X", 1),)),
)


def line(message: Message) -> bytes:
    return encode_line([type(message).__name__, to_json(message)])


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_every_message_comes_back(message: Message) -> None:
    assert parse(line(message).rstrip(b"\n")) == message


def test_a_key_is_not_shown_by_accident() -> None:
    assert "a secret" not in repr(MESSAGES[0])
    assert "a secret" not in repr(MESSAGES[1])


def test_totals_of_two_processes_add_up() -> None:
    more = Totals(1, 1, 1, (("multicast", 5), ("spoofed", 1)), advertised=1)
    drops = (("multicast", 5), ("nobody", 2), ("spoofed", 2))
    both = Totals(4, 101, 201, drops, (("timeout", 1),), 5)
    assert TOTALS + more == more + TOTALS == both
    assert TOTALS + Totals() == TOTALS


@given(st.binary(max_size=60))
def test_garbage_is_refused_in_order(data: bytes) -> None:
    with pytest.raises(WireError):
        parse(data)


def test_unknown_messages_are_refused() -> None:
    with pytest.raises(WireError):
        parse(b'["Obey", {}]')


@given(st.lists(st.integers(1, 400), max_size=20))
def test_any_cut_gives_the_same_messages(cuts: list[int]) -> None:
    data = b"".join(line(message) for message in MESSAGES)

    async def scenario() -> list[Message]:
        heard: list[Message] = []
        ours, theirs = pair()
        end = Channel(theirs, heard.append, lambda: None)
        with ours:
            offset = 0
            for size in (*cuts, len(data)):
                ours.sendall(data[offset : offset + size])
                offset += size
                if offset - size < len(data):
                    end._read()
            await wait_for(lambda: len(heard) == len(MESSAGES))
        end.close()
        return heard

    assert asyncio.run(scenario()) == list(MESSAGES)


def test_the_end_of_the_other_end_is_told_once() -> None:
    async def scenario() -> int:
        told = asyncio.Event()
        count = 0

        def lost() -> None:
            nonlocal count
            count += 1
            told.set()

        ours, theirs = pair()
        end = Channel(ours, lambda _message: None, lost)
        theirs.close()
        end.send(Stop())
        await asyncio.wait_for(told.wait(), PATIENCE)
        assert end.closed
        end.send(Stop())
        end.close()
        return count

    assert asyncio.run(scenario()) == 1


def test_news_are_dropped_when_nobody_reads_but_orders_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "QUEUE_LIMIT", 4096)

    async def scenario() -> None:
        ours, theirs = pair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        end = Channel(ours, lambda _message: None, lambda: None)
        for _ in range(5000):
            end.send(Opened(SESSION), news=True)
        assert end.lost > 1000
        assert len(end._unsent) < 4096 + len(line(Opened(SESSION)))
        end.send(Stop())
        heard: list[Message] = []
        other = Channel(theirs, heard.append, lambda: None)
        await wait_for(lambda: Stop() in heard)
        assert len(heard) == 5001 - end.lost
        end.close()
        other.close()

    asyncio.run(scenario())


def test_a_message_without_an_end_ends_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was taken over must not fill the gateway's memory."""
    monkeypatch.setattr(module, "MAX_LINE", 1000)

    async def scenario() -> None:
        loop, told, lost = asyncio.get_running_loop(), [], []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        ours, theirs = pair()
        channel = Channel(ours, lambda message: None, lambda: lost.append(True))
        theirs.send(b"x" * 1001)
        await wait_for(lambda: bool(lost))
        assert channel.closed
        assert not channel._received
        await wait_for(lambda: bool(told))
        assert isinstance(told[0], WireError)
        theirs.close()

    asyncio.run(scenario())
