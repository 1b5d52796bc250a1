"""The RADIUS server on loopback which charon asks about round 2 (RFC 2865, RFC 3579).

It drives one :class:`throughway.proto.authoriser.Authoriser` a conversation: users prove
themselves by tickets, computers by tickets or, where that is configured, by EAP-MSCHAPv2, which
is passed on (:mod:`throughway.net.radius_relay`). Which connection of charon's a conversation is
for says NAS-Port-Id, and so which account goes with the certificate. Every packet must
carry a right Message-Authenticator (the secret is made anew at every start); what does not is
dropped without an answer, as RFC 3579 section 3.2 asks.
"""

import asyncio
import secrets
import struct
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AccessRequest, AuthPacket
from pyrad.packet import PacketError as MalformedPacket

from throughway.model.errors import ThroughwayError, TrustError, WireError
from throughway.net.radius_relay import (
    MISMATCH,
    SECRET_WRONG,
    UNREACHABLE,
    Relay,
    RelayedConversation,
    Step,
)
from throughway.net.user_tls import Chain, UserTLS
from throughway.proto.authoriser import (
    CONVERSATION_TIMEOUT,
    END_STATES,
    USER_REFUSED,
    Authoriser,
    FlightReceived,
    Method,
    State,
    TokenReceived,
    UserAccepted,
    UserRefused,
    is_person,
    same_principal,
)
from throughway.wire import mschapv2
from throughway.wire.eap import EAPCode, EAPPacket, EAPType, build_eap, parse_eap
from throughway.wire.mppe import RECV_KEY, SEND_KEY, VENDOR, build_mppe_key

# Attribute numbers; names would need a dictionary, which pyrad is happy to do without.
NAS_PORT, STATE, CALLING_STATION_ID, EAP_MESSAGE, MESSAGE_AUTHENTICATOR = 5, 24, 31, 79, 80
NAS_PORT_ID = 87

MAX_CONVERSATIONS = 256
"""Under way at once; more cannot be while charon has fewer threads than that."""
MAX_ANSWERS = 1024
"""Kept for retransmitted requests (RFC 5080 section 2.2.2)."""
_CODES = {State.ACCEPTED: AccessAccept, State.REFUSED: AccessReject}
"""By the end of a conversation; until then each packet is a challenge."""
_CHUNK = 253
"""Bytes of one attribute's value (RFC 2865 section 5)."""
_MESSAGE_AUTHENTICATOR_LENGTH = 16

Address = tuple[str, int]
RequestKey = tuple[Address, int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An account that has proven itself, at the moment before it comes in."""

    principal: str
    """A user's or a computer's, with its realm."""
    connection: str
    """charon's name of it, hence of tunnel and computer."""
    address: str
    """Of the client's end of the tunnel."""
    unique_id: int


Admit = Callable[[Login], Awaitable[None]]
"""Asked last: raises TrustError about who may not come in all the same."""


async def admit_anybody(_login: Login) -> None:
    """Let everybody in who has proven himself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A user was refused; for the audit and for people."""

    principal: str
    reason: str
    problem: str
    unique_id: int
    """charon's number of the IKE_SA; 0 when it did not say."""
    peer: str
    """Address (and port) of the client."""
    alerted: bool = False
    """Whether the client was told by an alert of TLS, and may have gone without another word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCertificates:
    """How users are accepted by certificates.

    ``begin`` makes the handshake with a client; ``judge`` says whose a chain is that OpenSSL has
    found good, or raises TrustError.
    """

    begin: Callable[[], UserTLS]
    judge: Callable[[Chain], Awaitable[str]]
    on_opened: Callable[[str, Chain], None] = lambda connection, chain: None
    """Hears which of charon's connections a chain has opened."""


@dataclass(slots=True)
class _Conversation:
    machine: Authoriser
    state: bytes
    unique_id: int
    peer: str
    connection: str = ""
    relayed: RelayedConversation | None = None
    tls: UserTLS | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class UserAuthoriser(asyncio.DatagramProtocol):
    """Accepts users, and computers, by their tickets; users by their certificates, too.

    ``accept`` takes a token and returns the principal that it proves, or raises TrustError; it
    may block, being called in a thread. ``account_of`` returns the only account that may prove
    itself on a connection, "" where any user may. ``admit`` is awaited last. ``methods`` are
    open to users, the first is what they are asked for. ``on_relayed`` hears whether the servers
    of ``relay`` answer.
    """

    def __init__(
        self,
        *,
        realm: str,
        accept: Callable[[bytes], str],
        admit: Admit = admit_anybody,
        account_of: Callable[[str], str] = lambda connection: "",
        relay: Relay | None = None,
        certificates: UserCertificates | None = None,
        methods: tuple[Method, ...] = (Method.TICKET,),
        on_relayed: Callable[[ThroughwayError | None], None] = lambda error: None,
        on_accepted: Callable[[str], None] = lambda principal: None,
        on_refused: Callable[[Refusal], None] = lambda refusal: None,
    ) -> None:
        self.secret = secrets.token_hex(16)
        self._realm = realm
        self._accept = accept
        self._admit = admit
        self._account_of = account_of
        self._relay = relay
        self._certificates = certificates
        self._methods = methods
        self._on_relayed = on_relayed
        self._on_accepted = on_accepted
        self._on_refused = on_refused
        self._transport: asyncio.DatagramTransport | None = None
        self._conversations: OrderedDict[bytes, _Conversation] = OrderedDict()
        self._answers: OrderedDict[RequestKey, bytes | None] = OrderedDict()
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, address: Address = ("127.0.0.1", 0)) -> Address:
        """Listen; return address and port."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=address)
        host, port = transport.get_extra_info("sockname")[:2]
        return host, port

    async def stop(self) -> None:
        """Listen no more; conversations under way end unanswered."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._transport is not None:
            self._transport.close()
        tasks = [task for c in self._conversations.values() for task in c.tasks]
        await asyncio.gather(*tasks, return_exceptions=True)
        self._conversations.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python's own is no subclass of what it is, before 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: Address) -> None:
        request = self._verified(data)
        if request is None:
            return
        key = (address, request.id, request.authenticator)
        if key in self._answers:
            if answer := self._answers[key]:
                self._send(answer, address)
            return
        conversation = self._conversation(request)
        if conversation is None:
            return
        self._answers[key] = None
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)
        packet = b"".join(request[EAP_MESSAGE])
        if conversation.relayed is not None or self._wants_relay(conversation, packet):
            self._spawn(conversation, self._pass_on(conversation, packet, request, address))
        else:
            conversation.machine.receive_data(packet)
            self._pump(conversation, request, address)
        self._arm()

    def _verified(self, data: bytes) -> AuthPacket | None:
        """Return a request which can only come from our charon, or None."""
        try:
            request = AuthPacket(secret=self.secret.encode(), packet=data)
            codes = request.get(MESSAGE_AUTHENTICATOR) or []
            if request.code != AccessRequest or EAP_MESSAGE not in request or len(codes) != 1:
                return None
            if len(codes[0]) != _MESSAGE_AUTHENTICATOR_LENGTH:
                return None
            return request if request.verify_message_authenticator() else None
        except (MalformedPacket, ValueError, struct.error):
            return None

    def _conversation(self, request: AuthPacket) -> _Conversation | None:
        """Return the conversation that a request belongs to; a new one if it names none."""
        if STATE in request:
            return self._conversations.get(bytes(request[STATE][0]))
        if len(self._conversations) >= MAX_CONVERSATIONS:
            return None
        now = asyncio.get_running_loop().time()
        connection = _value(request, NAS_PORT_ID).decode(errors="replace")
        methods = (Method.TICKET,) if self._account_of(connection) else self._methods
        conversation = _Conversation(
            Authoriser(realm=self._realm, now=now, methods=methods),
            secrets.token_bytes(16),
            int.from_bytes(_value(request, NAS_PORT), "big"),
            _value(request, CALLING_STATION_ID).decode(errors="replace"),
            connection,
        )
        self._conversations[conversation.state] = conversation
        return conversation

    def _pump(self, conversation: _Conversation, request: AuthPacket, address: Address) -> None:
        """Bring the outside in step with the machine; run after every input."""
        while event := conversation.machine.next_event():
            match event:
                case TokenReceived(_, token):
                    judge = self._judge(conversation, token, request, address)
                    self._spawn(conversation, judge)
                case FlightReceived(_, flight):
                    self._spawn(conversation, self._shake(conversation, flight, request, address))
                case UserAccepted(identity):
                    self._on_accepted(identity)
                case UserRefused():
                    self._on_refused(_refusal(event, conversation))
        if packet := conversation.machine.data_to_send():
            code = _CODES.get(conversation.machine.state, AccessChallenge)
            keys = _session_keys(conversation.tls) if code == AccessAccept else {}
            self._answer(conversation, request, address, code, packet, keys)
        if conversation.machine.state in END_STATES:
            self._conversations.pop(conversation.state, None)

    async def _judge(
        self, conversation: _Conversation, token: bytes, request: AuthPacket, address: Address
    ) -> None:
        """Find out whom a token proves; one that time has overtaken has ended already."""
        machine = conversation.machine
        try:
            initiator = await asyncio.to_thread(self._accept, token)
            await self._look_at(initiator, conversation)
        except TrustError as error:
            machine.refuse(str(error), error.problem or USER_REFUSED)
        except ThroughwayError as error:
            machine.refuse(str(error), getattr(error, "problem", "") or USER_REFUSED)
        else:
            machine.accept(initiator)
        self._pump(conversation, request, address)

    async def _look_at(self, initiator: str, conversation: _Conversation) -> None:
        """See that a proven principal goes with the certificate, and may come in."""
        account = self._account_of(conversation.connection)
        if account and initiator.casefold() != f"{account}@{self._realm}".casefold():
            reason = f"the certificate of {account} came with {initiator}"
            raise TrustError(reason, problem=MISMATCH)
        if not account and not is_person(initiator):
            reason = f"{initiator} is the account of a computer or of a service, no user's"
            raise TrustError(reason, problem=USER_REFUSED)
        if same_principal(conversation.machine.identity, initiator):
            await self._admit(_login(initiator, conversation))

    async def _shake(
        self, conversation: _Conversation, flight: bytes, request: AuthPacket, address: Address
    ) -> None:
        """Go on with the TLS handshake; once it is over, find out whose the certificate is."""
        machine, certificates = conversation.machine, self._certificates
        assert certificates is not None
        tls = conversation.tls
        try:
            if tls is None:
                conversation.tls = tls = certificates.begin()
            if answer := await asyncio.to_thread(tls.receive, flight):
                machine.send_tls(answer)
            elif tls.finished:
                initiator = await certificates.judge(tls.chain())
                await self._look_at(initiator, conversation)
                machine.accept(initiator)
                if machine.state is State.ACCEPTED:
                    certificates.on_opened(conversation.connection, tls.chain())
            else:
                machine.refuse("a TLS handshake that does not go on", USER_REFUSED)
        except ThroughwayError as error:
            problem = getattr(error, "problem", "") or USER_REFUSED
            if tls is not None and not tls.finished and (alert := tls.pending()):
                machine.condemn(alert, str(error), problem)
            else:
                machine.refuse(str(error), problem)
        self._pump(conversation, request, address)

    def _wants_relay(self, conversation: _Conversation, packet: bytes) -> bool:
        """Say whether a computer has no ticket and would prove its password instead."""
        account = self._account_of(conversation.connection)
        if self._relay is None or not account:
            return False
        if conversation.machine.state is not State.AWAITING_TOKEN:
            return False
        try:
            answer = parse_eap(packet)
        except WireError:
            return False
        return answer.type == EAPType.NAK and mschapv2.TYPE in answer.data

    async def _pass_on(
        self, conversation: _Conversation, packet: bytes, request: AuthPacket, address: Address
    ) -> None:
        account = self._account_of(conversation.connection)
        step = Step(AccessReject, build_eap(EAPPacket(EAPCode.FAILURE, packet[1])))
        try:
            if conversation.relayed is None:
                assert self._relay is not None
                conversation.relayed = self._relay.begin(account, conversation.peer)
                step = await conversation.relayed.begin(packet[1])
            else:
                step = await conversation.relayed.step(packet)
            self._on_relayed(None)
            if step.code == AccessAccept:
                await self._admit(_login(f"{account}@{self._realm}", conversation))
        except ThroughwayError as error:
            step = Step(AccessReject, build_eap(EAPPacket(EAPCode.FAILURE, packet[1])))
            self._refuse_relayed(conversation, account, error)
        if step.code == AccessAccept:
            self._on_accepted(f"{account}@{self._realm}")
        if step.code != AccessChallenge:
            self._conversations.pop(conversation.state, None)
        self._answer(conversation, request, address, step.code, step.eap, step.keys)

    def _refuse_relayed(
        self, conversation: _Conversation, account: str, error: ThroughwayError
    ) -> None:
        problem = getattr(error, "problem", "") or USER_REFUSED
        if problem in (UNREACHABLE, SECRET_WRONG):
            self._on_relayed(error)
        refused = UserRefused(account, str(error), problem)
        self._on_refused(_refusal(refused, conversation))

    def _spawn(self, conversation: _Conversation, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        conversation.tasks.add(task)
        task.add_done_callback(conversation.tasks.discard)

    def _answer(
        self,
        conversation: _Conversation,
        request: AuthPacket,
        address: Address,
        code: int,
        packet: bytes,
        keys: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        reply = request.CreateReply()
        reply.code = code
        for number, (kind, key) in enumerate(keys.items()):
            salt = bytes((secrets.randbelow(128), number))  # differ in one packet: RFC 2548 2.4.2
            hidden = build_mppe_key(key, self.secret.encode(), request.authenticator, salt)
            reply[VENDOR, kind] = [hidden]
        reply[EAP_MESSAGE] = [packet[i : i + _CHUNK] for i in range(0, len(packet), _CHUNK)]
        if code == AccessChallenge:
            reply[STATE] = [conversation.state]
        reply.add_message_authenticator()
        answer = reply.ReplyPacket()
        self._answers[address, request.id, request.authenticator] = answer
        self._send(answer, address)

    def _send(self, answer: bytes, address: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, address)

    def _arm(self) -> None:
        if self._sweeper is None and self._conversations:
            oldest = next(iter(self._conversations.values())).machine.timer_at()
            loop = asyncio.get_running_loop()
            when = loop.time() + CONVERSATION_TIMEOUT if oldest is None else oldest
            self._sweeper = loop.call_at(when, self._sweep)

    def _sweep(self) -> None:
        """End the conversations whose time is over; charon has given them up long ago."""
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        for conversation in tuple(self._conversations.values()):
            conversation.machine.handle_timer(now)
            conversation.machine.data_to_send()  # nobody waits for it any more
            while event := conversation.machine.next_event():
                if isinstance(event, UserRefused):
                    self._on_refused(_refusal(event, conversation))
            if conversation.machine.state in END_STATES:
                self._conversations.pop(conversation.state)
        self._arm()


def _login(principal: str, conversation: _Conversation) -> Login:
    return Login(
        principal=principal,
        connection=conversation.connection,
        # charon writes the port behind it: 2001:db8::1[4500].
        address=conversation.peer.partition("[")[0],
        unique_id=conversation.unique_id,
    )


def _session_keys(tls: UserTLS | None) -> Mapping[int, bytes]:
    """Return the halves of the master session key of EAP-TLS, as RADIUS carries them."""
    if tls is None:
        return {}
    key = tls.session_key()
    return {RECV_KEY: key[:32], SEND_KEY: key[32:]}


def _refusal(event: UserRefused, conversation: _Conversation) -> Refusal:
    return Refusal(
        principal=event.identity,
        reason=event.reason,
        problem=event.problem,
        unique_id=conversation.unique_id,
        peer=conversation.peer,
        alerted=conversation.machine.state is State.CONDEMNED,
    )


def _value(request: AuthPacket, attribute: int) -> bytes:
    return bytes((request.get(attribute) or [b""])[0])
