"""Teredo: a small server on loopback here; miredo's own in test_netcheck's namespaces."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from tests.clock import pass_time
from tests.patience import PATIENCE
from throughway.probe import teredo
from throughway.probe.teredo import TeredoVisit, ask_teredo
from throughway.wire.icmpv6 import PrefixInformation, RouterAdvertisement, build_icmpv6
from throughway.wire.ipv6 import parse_address, parse_packet
from throughway.wire.teredo import Mapping, TeredoPacket, build_teredo, parse_teredo

FIRST, SECOND = "127.0.71.1", "127.0.71.2"


def answer(data: bytes, peer: tuple[str, int]) -> tuple[bytes, bool]:
    """Return what a server says, and whether it says it from its other address."""
    packet = parse_teredo(data)
    assert packet.authentication is not None
    source = parse_packet(packet.packet).source
    prefix = parse_address("2001:0:7f00:4701::")
    told = RouterAdvertisement(
        prefixes=(
            PrefixInformation(
                prefix=prefix, length=64, on_link=False, autonomous=True, valid=9, preferred=9
            ),
        )
    )
    back = build_icmpv6(told, source=parse_address("fe80::1"), destination=source)
    origin = Mapping(socket.inet_aton(peer[0]), peer[1])
    whole = TeredoPacket(packet=back, authentication=packet.authentication, origin=origin)
    return build_teredo(whole), bool(source[8] & 0x80)


@pytest.mark.parametrize("cone", [True, False])
def test_a_server_with_two_addresses(monkeypatch: pytest.MonkeyPatch, cone: bool) -> None:
    """The kernel's loopback is a cone; without one, answers from the other address are lost."""

    async def scenario() -> TeredoVisit:
        loop = asyncio.get_running_loop()
        socks = []
        port = 0
        for address in (FIRST, SECOND):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.bind((address, port))
            port = sock.getsockname()[1]
            socks.append(sock)
        monkeypatch.setattr(teredo, "PORT", port)

        lost: list[bytes] = []
        read: set[bytes] = set()

        def all_is_said() -> None:
            """Nothing comes any more once two answers are read and two are lost, each twice."""
            if len(read) == 2 and len(lost) == 4:
                pass_time()

        def serve(number: int) -> None:
            data, peer = socks[number].recvfrom(2048)
            reply, other = answer(data, peer)
            if cone or not other:
                socks[1 - number if other else number].sendto(reply, peer)
            else:
                lost.append(reply)
                all_is_said()
            socks[number].sendto(b"garbage", peer)

        def take(data: bytes, host: str, asked: Sequence[teredo._Asked]) -> None:
            really_take(data, host, asked)
            read.update(each.nonce for each in asked if each.answer is not None)
            all_is_said()

        really_take = teredo._take
        monkeypatch.setattr(teredo, "_take", take)
        for number, sock in enumerate(socks):
            loop.add_reader(sock, serve, number)
        visit = TeredoVisit()
        try:
            await ask_teredo((FIRST, SECOND), visit, wait=PATIENCE)
        finally:
            for sock in socks:
                loop.remove_reader(sock)
                sock.close()
        return visit

    visit = asyncio.run(scenario())
    found = {(seen.address, seen.cone): seen.answered_from for seen in visit.seen}
    assert found == {
        (FIRST, False): FIRST,
        (SECOND, False): SECOND,
        (FIRST, True): SECOND if cone else "",
        (SECOND, True): FIRST if cone else "",
    }
    plain = [seen for seen in visit.seen if not seen.cone]
    assert {seen.mapping for seen in plain} == {visit.local}
    assert {seen.prefix for seen in plain} == {"2001:0:7f00:4701::/64"}


def test_nobody_answers() -> None:
    visit = TeredoVisit()
    asyncio.run(ask_teredo((FIRST,), visit, wait=0.1))
    assert [seen.answered for seen in visit.seen] == [False, False]
