"""The RADIUS server, asked over loopback as charon asks."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket

from tests.patience import PATIENCE
from throughway.model.errors import TrustError
from throughway.net.radius import (
    CALLING_STATION_ID,
    EAP_MESSAGE,
    MAX_CONVERSATIONS,
    NAS_PORT,
    STATE,
    Admit,
    Login,
    Refusal,
    UserAuthoriser,
    admit_anybody,
)
from throughway.proto.authoriser import CONVERSATION_TIMEOUT
from throughway.wire.eap import EAPCode, EAPPacket, EAPType, build_eap, parse_eap

ALICE = "alice@CORP.EXAMPLE.COM"
TOKEN = bytes(range(256)) * 4


def accept(token: bytes) -> str:
    if token != TOKEN:
        raise TrustError("the token is no Kerberos AP-REQ", problem="ipsec-user-refused")
    return ALICE


class Peer:
    """charon's side of one conversation."""

    def __init__(self, authoriser: UserAuthoriser, address: tuple[str, int]) -> None:
        self._secret = authoriser.secret.encode()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(address)

    def request(self, eap: EAPPacket, state: list[bytes] | None = None) -> AuthPacket:
        packet = AuthPacket(secret=self._secret)
        data = build_eap(eap)
        packet[EAP_MESSAGE] = [data[i : i + 253] for i in range(0, len(data), 253)]
        packet[NAS_PORT] = [(42).to_bytes(4, "big")]
        packet[CALLING_STATION_ID] = [b"2001:db8::1[4500]"]
        if state is not None:
            packet[STATE] = state
        packet.add_message_authenticator()
        return packet

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.socket, 4096)

    async def ask(self, request: AuthPacket) -> AuthPacket:
        self.socket.send(request.RequestPacket())
        data = await self.receive()
        reply = request.CreateReply(packet=data)
        assert request.VerifyReply(reply, data, enforce_ma=True)
        return reply

    async def converse(self, identity: str, token: bytes) -> AuthPacket:
        first = EAPPacket(EAPCode.RESPONSE, 0, EAPType.IDENTITY, identity.encode())
        challenge = await self.ask(self.request(first))
        assert challenge.code == AccessChallenge
        question = parse_eap(b"".join(challenge[EAP_MESSAGE]))
        assert question.type == EAPType.GTC
        answer = EAPPacket(EAPCode.RESPONSE, question.identifier, EAPType.GTC, token)
        return await self.ask(self.request(answer, challenge[STATE]))


@contextlib.asynccontextmanager
async def serving(
    accept: Callable[[bytes], str] = accept,
    admit: Admit = admit_anybody,
) -> AsyncIterator[tuple[UserAuthoriser, Peer, list[Refusal]]]:
    refusals: list[Refusal] = []
    authoriser = UserAuthoriser(
        realm="CORP.EXAMPLE.COM", accept=accept, admit=admit, on_refused=refusals.append
    )
    peer = Peer(authoriser, await authoriser.start())
    try:
        yield authoriser, peer, refusals
    finally:
        peer.socket.close()
        await authoriser.stop()


def test_a_user_with_a_good_token_is_accepted() -> None:
    async def scenario() -> None:
        async with serving() as (_, peer, refusals):
            reply = await peer.converse(ALICE, TOKEN)
            assert reply.code == AccessAccept
            assert parse_eap(b"".join(reply[EAP_MESSAGE])).code is EAPCode.SUCCESS
            assert refusals == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("identity", "token", "reason"),
    [
        (ALICE, b"junk", "the token is no Kerberos AP-REQ"),
        ("bob@CORP.EXAMPLE.COM", TOKEN, f"the ticket is {ALICE}'s"),
    ],
)
def test_another_is_refused_and_the_reason_stays_here(
    identity: str, token: bytes, reason: str
) -> None:
    async def scenario() -> None:
        async with serving() as (_, peer, refusals):
            reply = await peer.converse(identity, token)
            assert reply.code == AccessReject
            assert parse_eap(b"".join(reply[EAP_MESSAGE])).code is EAPCode.FAILURE
            assert refusals == [
                Refusal(
                    principal=identity,
                    reason=reason,
                    problem="ipsec-user-refused",
                    unique_id=42,
                    peer="2001:db8::1[4500]",
                )
            ]

    asyncio.run(scenario())


def test_a_user_who_may_not_is_refused() -> None:
    async def scenario() -> None:
        async def nobody(login: Login) -> None:
            assert login.address == "2001:db8::1"
            raise TrustError(f"{login.principal} is disabled", problem="access-account-disabled")

        async with serving(admit=nobody) as (_, peer, refusals):
            assert (await peer.converse(ALICE, TOKEN)).code == AccessReject
            assert refusals[0].reason == f"{ALICE} is disabled"
            assert refusals[0].problem == "access-account-disabled"

    asyncio.run(scenario())


def test_a_request_sent_again_gets_the_same_answer_and_is_judged_once() -> None:
    async def scenario() -> None:
        judged: list[bytes] = []

        def once(token: bytes) -> str:
            judged.append(token)
            return ALICE

        async with serving(once) as (_, peer, _):
            first = EAPPacket(EAPCode.RESPONSE, 0, EAPType.IDENTITY, ALICE.encode())
            request = peer.request(first)
            challenge = await peer.ask(request)
            assert await peer.ask(request) == challenge
            answer = EAPPacket(EAPCode.RESPONSE, 1, EAPType.GTC, TOKEN)
            final = peer.request(answer, challenge[STATE])
            assert (await peer.ask(final)).code == AccessAccept
            assert (await peer.ask(final)).code == AccessAccept
            assert judged == [TOKEN]

    asyncio.run(scenario())


def test_what_is_not_charons_is_dropped_and_the_next_served() -> None:
    async def scenario() -> None:
        async with serving() as (authoriser, peer, _):
            eap = EAPPacket(EAPCode.RESPONSE, 0, EAPType.IDENTITY, ALICE.encode())
            good = peer.request(eap).RequestPacket()
            unsigned = AuthPacket(secret=authoriser.secret.encode())
            unsigned[EAP_MESSAGE] = [build_eap(eap)]
            forged = AuthPacket(secret=b"guessed")
            forged[EAP_MESSAGE] = [build_eap(eap)]
            forged.add_message_authenticator()
            strange = peer.request(eap, [b"no such state"])
            for data in (
                *(b"", b"garbage", good[:19], good[:-1], bytes([4]) + good[1:]),
                *(good[:-1] + bytes([good[-1] ^ 1]), unsigned.RequestPacket()),
                *(forged.RequestPacket(), strange.RequestPacket()),
            ):
                peer.socket.send(data)
            reply = await peer.converse(ALICE, TOKEN)
            assert reply.code == AccessAccept
            with pytest.raises(BlockingIOError):
                peer.socket.recv(4096)

    asyncio.run(scenario())


def test_conversations_are_bounded_and_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with serving() as (_, peer, refusals):
            loop = asyncio.get_running_loop()
            eap = EAPPacket(EAPCode.RESPONSE, 0, EAPType.IDENTITY, ALICE.encode())
            for _ in range(MAX_CONVERSATIONS):
                await peer.ask(peer.request(eap))
            peer.socket.send(peer.request(eap).RequestPacket())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await peer.receive()
            now = loop.time
            monkeypatch.setattr(loop, "time", lambda: now() + CONVERSATION_TIMEOUT)
            async with asyncio.timeout(PATIENCE):
                while len(refusals) < MAX_CONVERSATIONS:  # noqa: ASYNC110 - of the sweep
                    await asyncio.sleep(0)
            assert (await peer.converse(ALICE, TOKEN)).code == AccessAccept

    asyncio.run(scenario())


def test_stopping_waits_for_what_is_being_judged() -> None:
    async def scenario() -> None:
        begun, end = threading.Event(), threading.Event()

        def slow(token: bytes) -> str:
            begun.set()
            end.wait(PATIENCE)
            return ALICE

        async with serving(slow) as (_, peer, _):
            task = asyncio.create_task(peer.converse(ALICE, TOKEN))
            await asyncio.to_thread(begun.wait, PATIENCE)
            end.set()
            task.cancel()

    asyncio.run(scenario())
