"""The authoriser's half of one EAP conversation: identity, token card, verdict.

The "token card" of EAP-GTC (RFC 3748 sections 5.1 and 5.6) is a GSS-API token, a Kerberos
AP-REQ (RFC 4121 section 4.1): the user proves himself by a ticket. Driven by
``net/radius``: EAP packets of the peer come by :meth:`Authoriser.receive_data`, the verdict
on the token by :meth:`Authoriser.accept` or :meth:`Authoriser.refuse`.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from throughway.model.errors import LocalProtocolError, WireError
from throughway.wire.eap import EAPCode, EAPPacket, EAPType, build_eap, parse_eap

MAX_IDENTITY = 256
"""Bytes; the longest principal that Active Directory makes is shorter."""
MAX_TOKEN = 3584
"""Bytes; what fits into one RADIUS packet (RFC 2865 section 3) beside the other attributes."""
CONVERSATION_TIMEOUT = 30.0
"""Seconds from first to last packet; both answers come from the client's charon at once."""
PROMPT = b"GSS-API token"
USER_REFUSED = "ipsec-user-refused"


class State(Enum):
    """Where the conversation is."""

    AWAITING_IDENTITY = auto()
    AWAITING_TOKEN = auto()
    JUDGING = auto()
    ACCEPTED = auto()
    REFUSED = auto()


END_STATES = (State.ACCEPTED, State.REFUSED)


class Input(Enum):
    """What can happen to the conversation."""

    RECEIVE_IDENTITY = auto()
    RECEIVE_TOKEN = auto()
    RECEIVE_GARBAGE = auto()
    TIMEOUT = auto()
    ACCEPT = auto()
    REFUSE = auto()


PEER_INPUTS = (Input.RECEIVE_IDENTITY, Input.RECEIVE_TOKEN, Input.RECEIVE_GARBAGE, Input.TIMEOUT)

# Every transition there is. What comes too late changes nothing; an answer to another question
# than the one that was asked refuses; only a verdict nobody waits for is our own error.
TRANSITIONS: dict[tuple[State, Input], State] = {
    (State.AWAITING_IDENTITY, Input.RECEIVE_IDENTITY): State.AWAITING_TOKEN,
    (State.AWAITING_IDENTITY, Input.RECEIVE_TOKEN): State.REFUSED,
    (State.AWAITING_IDENTITY, Input.RECEIVE_GARBAGE): State.REFUSED,
    (State.AWAITING_IDENTITY, Input.TIMEOUT): State.REFUSED,
    (State.AWAITING_TOKEN, Input.RECEIVE_IDENTITY): State.REFUSED,
    (State.AWAITING_TOKEN, Input.RECEIVE_TOKEN): State.JUDGING,
    (State.AWAITING_TOKEN, Input.RECEIVE_GARBAGE): State.REFUSED,
    (State.AWAITING_TOKEN, Input.TIMEOUT): State.REFUSED,
    (State.JUDGING, Input.RECEIVE_IDENTITY): State.JUDGING,
    (State.JUDGING, Input.RECEIVE_TOKEN): State.JUDGING,
    (State.JUDGING, Input.RECEIVE_GARBAGE): State.JUDGING,
    (State.JUDGING, Input.TIMEOUT): State.REFUSED,
    (State.JUDGING, Input.ACCEPT): State.ACCEPTED,
    (State.JUDGING, Input.REFUSE): State.REFUSED,
} | {(end, what): end for end in END_STATES for what in Input}


@dataclass(frozen=True, slots=True)
class TokenReceived:
    """The peer claims ``identity`` and offers ``token`` as proof; a verdict is awaited."""

    identity: str
    token: bytes


@dataclass(frozen=True, slots=True)
class UserAccepted:
    """The conversation ended well."""

    identity: str


@dataclass(frozen=True, slots=True)
class UserRefused:
    """The conversation ended; the peer learns nothing of the reason."""

    identity: str
    reason: str
    problem: str


Event = TokenReceived | UserAccepted | UserRefused


class Authoriser:
    """One conversation."""

    def __init__(self, *, realm: str, now: float) -> None:
        """``realm`` is what an identity without one is taken to belong to."""
        self.state = State.AWAITING_IDENTITY
        self.identity = ""
        self._realm = realm
        self._identifier = 0
        self._deadline = now + CONVERSATION_TIMEOUT
        self._outgoing = b""
        self._events: deque[Event] = deque()

    def receive_data(self, data: bytes) -> None:
        """Take one EAP packet from the peer."""
        try:
            packet = parse_eap(data)
        except WireError as error:
            self._receive_garbage(str(error))
            return
        if packet.code is not EAPCode.RESPONSE:
            self._receive_garbage(f"an EAP {packet.code.name} where a response belongs")
        elif packet.type == EAPType.IDENTITY:
            self._receive_identity(packet)
        elif packet.type == EAPType.GTC and packet.identifier == self._identifier:
            self._receive_token(packet)
        elif packet.type == EAPType.NAK:
            self._receive_garbage("the client has no ticket to offer, or refuses EAP-GTC")
        else:
            self._receive_garbage(f"an unexpected EAP response of type {packet.type}")

    def accept(self, initiator: str) -> None:
        """The token is sound and proves ``initiator``, which must be the identity claimed."""
        if self.state is State.JUDGING and not same_principal(self.identity, initiator):
            self.refuse(f"the ticket is {initiator}'s", USER_REFUSED)
            return
        ended = self.state in END_STATES
        self._advance(Input.ACCEPT)
        if not ended:
            self._outgoing = self._verdict(EAPCode.SUCCESS)
            self._events.append(UserAccepted(self.identity))

    def refuse(self, reason: str, problem: str) -> None:
        """The token proves nothing, or the user may not come in."""
        self._end(Input.REFUSE, reason, problem)

    def data_to_send(self) -> bytes:
        """Return, and forget, the EAP packet which is due to the peer; b"" when none is."""
        data, self._outgoing = self._outgoing, b""
        return data

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return None if self.state in END_STATES else self._deadline

    def handle_timer(self, now: float) -> None:
        """Let time pass; a conversation that does not come to its end is refused."""
        if now >= self._deadline:
            self._end(Input.TIMEOUT, "the client fell silent", "ipsec-negotiation-timeout")

    def _receive_identity(self, packet: EAPPacket) -> None:
        first = self.state is State.AWAITING_IDENTITY
        identity = _identity(packet.data, self._realm)
        if first and not identity:
            self._receive_garbage("an identity that is no principal")
            return
        if not first:
            self._end(Input.RECEIVE_IDENTITY, "a second identity", USER_REFUSED)
            return
        self._advance(Input.RECEIVE_IDENTITY)
        self.identity = identity
        self._identifier = (packet.identifier + 1) % 256
        request = EAPPacket(EAPCode.REQUEST, self._identifier, EAPType.GTC, PROMPT)
        self._outgoing = build_eap(request)

    def _receive_token(self, packet: EAPPacket) -> None:
        if not 0 < len(packet.data) <= MAX_TOKEN:
            self._receive_garbage(f"a token of {len(packet.data)} bytes")
            return
        if self.state is State.AWAITING_TOKEN:
            self._events.append(TokenReceived(self.identity, packet.data))
        self._end(Input.RECEIVE_TOKEN, "a token before an identity", USER_REFUSED)

    def _receive_garbage(self, reason: str) -> None:
        self._end(Input.RECEIVE_GARBAGE, reason, USER_REFUSED)

    def _end(self, what: Input, reason: str, problem: str) -> None:
        """Advance; should that end the conversation, say so to both sides."""
        ended = self.state in END_STATES
        self._advance(what)
        if not ended and self.state is State.REFUSED:
            self._outgoing = self._verdict(EAPCode.FAILURE)
            self._events.append(UserRefused(self.identity, reason, problem))

    def _verdict(self, code: EAPCode) -> bytes:
        return build_eap(EAPPacket(code, self._identifier))

    def _advance(self, what: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} in state {self.state.name}") from None


def same_principal(one: str, other: str) -> bool:
    """Say whether two principals are the same.

    Realms are compared without regard to case, since people type domains in small letters;
    names exactly, since only Active Directory, not Kerberos, takes ``Alice`` for ``alice``.
    """
    name, _, realm = one.rpartition("@")
    other_name, _, other_realm = other.rpartition("@")
    return bool(name) and name == other_name and realm.upper() == other_realm.upper()


def _identity(data: bytes, realm: str) -> str:
    """Return the principal that an EAP identity names, "" when it names none."""
    try:
        text = data.decode("utf-8") if len(data) <= MAX_IDENTITY else ""
    except UnicodeDecodeError:
        return ""
    if not text.isprintable() or text.startswith("@") or text.endswith("@"):
        return ""
    return text if not text or "@" in text else f"{text}@{realm}"
