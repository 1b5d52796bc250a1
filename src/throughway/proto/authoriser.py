"""The authoriser's half of one EAP conversation: identity, proof, verdict.

Two kinds of proof are taken. The "token card" of EAP-GTC (RFC 3748 sections 5.1 and 5.6) is a
GSS-API token, a Kerberos AP-REQ (RFC 4121 section 4.1): a ticket. EAP-TLS (RFC 5216) proves a
user's certificate: a smart card's, or one that a one-time code was given for. Driven by
``net/radius``: EAP packets of the peer come by :meth:`Authoriser.receive_data`, the verdict
by :meth:`Authoriser.accept` or :meth:`Authoriser.refuse`.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from throughway.model.errors import LocalProtocolError, WireError
from throughway.proto.eap_tls import Fragments
from throughway.wire.eap import EAPCode, EAPPacket, EAPType, build_eap, parse_eap

MAX_IDENTITY = 256
"""Bytes; the longest principal that Active Directory makes is shorter."""
MAX_TOKEN = 3584
"""Bytes; what fits into one RADIUS packet (RFC 2865 section 3) beside the other attributes."""
CONVERSATION_TIMEOUT = 30.0
"""Seconds from first to last packet; a slow smart card signs in two."""
PROMPT = b"GSS-API token"
USER_REFUSED = "ipsec-user-refused"
SMART_CARD_REQUIRED = "ipsec-smart-card-required"


class Method(Enum):
    """How a user proves himself; the values are types of EAP."""

    TICKET = EAPType.GTC
    CERTIFICATE = EAPType.TLS


class State(Enum):
    """Where the conversation is."""

    AWAITING_IDENTITY = auto()
    AWAITING_TOKEN = auto()
    AWAITING_TLS = auto()
    JUDGING = auto()
    """What the peer sent is being looked at outside: a token, or a flight of TLS."""
    CONDEMNED = auto()
    """Refused already; the peer is being told why, by an alert of TLS."""
    ACCEPTED = auto()
    REFUSED = auto()


END_STATES = (State.ACCEPTED, State.REFUSED)


class Input(Enum):
    """What can happen to the conversation."""

    RECEIVE_IDENTITY = auto()
    """From a peer who is to begin with a ticket."""
    RECEIVE_IDENTITY_FOR_TLS = auto()
    RECEIVE_TOKEN = auto()
    RECEIVE_TLS = auto()
    RECEIVE_FRAGMENT = auto()
    """Of a flight of TLS, of which there is more to come, or to be sent."""
    RECEIVE_WISH_FOR_TOKEN = auto()
    RECEIVE_WISH_FOR_TLS = auto()
    """A Nak which names another method that is open to the peer."""
    RECEIVE_GARBAGE = auto()
    TIMEOUT = auto()
    SEND_TLS = auto()
    CONDEMN = auto()
    ACCEPT = auto()
    REFUSE = auto()


PEER_INPUTS = tuple(i for i in Input if i is Input.TIMEOUT or i.name.startswith("RECEIVE"))

# What is not named here refuses while the peer is waited for, and changes nothing once a verdict
# is being found or was given; only a verdict nobody waits for is our own error.
_EXPECTED: dict[tuple[State, Input], State] = {
    (State.AWAITING_IDENTITY, Input.RECEIVE_IDENTITY): State.AWAITING_TOKEN,
    (State.AWAITING_IDENTITY, Input.RECEIVE_IDENTITY_FOR_TLS): State.AWAITING_TLS,
    (State.AWAITING_TOKEN, Input.RECEIVE_TOKEN): State.JUDGING,
    (State.AWAITING_TOKEN, Input.RECEIVE_WISH_FOR_TLS): State.AWAITING_TLS,
    (State.AWAITING_TLS, Input.RECEIVE_TLS): State.JUDGING,
    (State.AWAITING_TLS, Input.RECEIVE_FRAGMENT): State.AWAITING_TLS,
    (State.AWAITING_TLS, Input.RECEIVE_WISH_FOR_TOKEN): State.AWAITING_TOKEN,
    (State.JUDGING, Input.TIMEOUT): State.REFUSED,
    (State.JUDGING, Input.SEND_TLS): State.AWAITING_TLS,
    (State.JUDGING, Input.CONDEMN): State.CONDEMNED,
    (State.JUDGING, Input.ACCEPT): State.ACCEPTED,
    (State.JUDGING, Input.REFUSE): State.REFUSED,
}
_AWAITING = (State.AWAITING_IDENTITY, State.AWAITING_TOKEN, State.AWAITING_TLS, State.CONDEMNED)
TRANSITIONS: dict[tuple[State, Input], State] = (
    {(state, what): State.REFUSED for state in _AWAITING for what in PEER_INPUTS}
    | {(State.JUDGING, what): State.JUDGING for what in PEER_INPUTS}
    | {(end, what): end for end in END_STATES for what in Input}
    | _EXPECTED
)


@dataclass(frozen=True, slots=True)
class TokenReceived:
    """The peer claims ``identity`` and offers ``token`` as proof; a verdict is awaited."""

    identity: str
    token: bytes


@dataclass(frozen=True, slots=True)
class FlightReceived:
    """The peer claims ``identity`` and sent this of TLS; an answer or a verdict is awaited."""

    identity: str
    flight: bytes


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


Event = TokenReceived | FlightReceived | UserAccepted | UserRefused


class Authoriser:
    """One conversation."""

    def __init__(
        self, *, realm: str, now: float, methods: tuple[Method, ...] = (Method.TICKET,)
    ) -> None:
        """``realm`` is what an identity without one is taken to belong to.

        ``methods`` are open to the peer; the first is offered, another must be asked for.
        """
        self.state = State.AWAITING_IDENTITY
        self.identity = ""
        self._realm = realm
        self._methods = methods
        self._offered = methods[0]
        self._identifier = 0
        self._deadline = now + CONVERSATION_TIMEOUT
        self._fragments = Fragments()
        self._outgoing = b""
        self._events: deque[Event] = deque()

    def receive_data(self, data: bytes) -> None:
        """Take one EAP packet from the peer."""
        try:
            packet = parse_eap(data)
        except WireError as error:
            self._receive_garbage(str(error))
            return
        if self.state is State.CONDEMNED:
            self._receive_garbage("")
        elif packet.code is not EAPCode.RESPONSE:
            self._receive_garbage(f"an EAP {packet.code.name} where a response belongs")
        elif packet.type == EAPType.IDENTITY:
            self._receive_identity(packet)
        elif packet.identifier != self._identifier:
            self._receive_garbage(f"an unexpected EAP response of type {packet.type}")
        elif packet.type == EAPType.GTC:
            self._receive_token(packet)
        elif packet.type == EAPType.TLS:
            self._receive_tls(packet)
        elif packet.type == EAPType.NAK:
            self._receive_wish(packet.data)
        else:
            self._receive_garbage(f"an unexpected EAP response of type {packet.type}")

    def send_tls(self, flight: bytes) -> None:
        """Answer a flight that came by an event."""
        self._advance(Input.SEND_TLS)
        if self.state is State.AWAITING_TLS:
            self._request(EAPType.TLS, self._fragments.send(flight))

    def condemn(self, alert: bytes, reason: str, problem: str) -> None:
        """Refuse, but let the peer have an alert of TLS before."""
        ended = self.state in END_STATES
        self._advance(Input.CONDEMN)
        if not ended:
            self._request(EAPType.TLS, self._fragments.send(alert))
            self._events.append(UserRefused(self.identity, reason, problem))

    def accept(self, initiator: str) -> None:
        """The proof is sound and is ``initiator``'s, who must be whom the peer claimed to be."""
        if self.state is State.JUDGING and not same_principal(self.identity, initiator):
            what = "ticket" if self._offered is Method.TICKET else "certificate"
            self.refuse(f"the {what} is {initiator}'s", USER_REFUSED)
            return
        ended = self.state in END_STATES
        self._advance(Input.ACCEPT)
        if not ended:
            self._outgoing = self._verdict(EAPCode.SUCCESS)
            self._events.append(UserAccepted(self.identity))

    def refuse(self, reason: str, problem: str) -> None:
        """The proof is none, or the user may not come in."""
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
        for_tls = self._offered is Method.CERTIFICATE
        self._advance(Input.RECEIVE_IDENTITY_FOR_TLS if for_tls else Input.RECEIVE_IDENTITY)
        self.identity = identity
        self._identifier = packet.identifier
        self._offer()

    def _offer(self) -> None:
        """Ask for a proof."""
        if self._offered is Method.TICKET:
            self._request(EAPType.GTC, PROMPT)
        else:
            self._request(EAPType.TLS, self._fragments.start())

    def _request(self, kind: EAPType, data: bytes) -> None:
        self._identifier = (self._identifier + 1) % 256
        self._outgoing = build_eap(EAPPacket(EAPCode.REQUEST, self._identifier, kind, data))

    def _receive_token(self, packet: EAPPacket) -> None:
        if not 0 < len(packet.data) <= MAX_TOKEN:
            self._receive_garbage(f"a token of {len(packet.data)} bytes")
            return
        if self.state is State.AWAITING_TOKEN:
            self._events.append(TokenReceived(self.identity, packet.data))
        self._end(Input.RECEIVE_TOKEN, "a token that nobody asked for", USER_REFUSED)

    def _receive_tls(self, packet: EAPPacket) -> None:
        if self.state is not State.AWAITING_TLS:
            self._end(Input.RECEIVE_TLS, "TLS that nobody asked for", USER_REFUSED)
            return
        try:
            data, whole = self._fragments.receive(packet.data)
        except WireError as error:
            self._receive_garbage(str(error))
            return
        self._advance(Input.RECEIVE_TLS if whole else Input.RECEIVE_FRAGMENT)
        if whole:
            self._events.append(FlightReceived(self.identity, data))
        else:
            self._request(EAPType.TLS, data)

    def _receive_wish(self, types: bytes) -> None:
        """Take a Nak: the peer wants to prove itself otherwise (RFC 3748 section 5.3.1)."""
        wished = [m for m in self._methods if m.value in types and m is not self._offered]
        if not wished:
            self._receive_nothing(types)
            return
        for_tls = wished[0] is Method.CERTIFICATE
        waited = self.state in (State.AWAITING_TOKEN, State.AWAITING_TLS)
        what = Input.RECEIVE_WISH_FOR_TLS if for_tls else Input.RECEIVE_WISH_FOR_TOKEN
        self._end(what, "an answer to no question", USER_REFUSED)
        if waited and self.state is not State.REFUSED:
            self._offered = wished[0]
            self._offer()

    def _receive_nothing(self, types: bytes) -> None:
        """The peer has no proof of the kinds that are open to it."""
        if Method.TICKET in self._methods:
            self._receive_garbage("the client has no ticket to offer, or refuses EAP-GTC")
            return
        came = "came with a ticket" if EAPType.GTC in types else "brought no certificate"
        reason = f"{self.identity} {came}; a smart card or a one-time code is required"
        self._end(Input.RECEIVE_GARBAGE, reason, SMART_CARD_REQUIRED)

    def _receive_garbage(self, reason: str) -> None:
        self._end(Input.RECEIVE_GARBAGE, reason, USER_REFUSED)

    def _end(self, what: Input, reason: str, problem: str) -> None:
        """Advance; should that end the conversation, say so to both sides."""
        ended, condemned = self.state in END_STATES, self.state is State.CONDEMNED
        self._advance(what)
        if not ended and self.state is State.REFUSED:
            self._outgoing = self._verdict(EAPCode.FAILURE)
            if not condemned:
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


def is_person(principal: str) -> bool:
    """Say whether a principal may be a user's.

    Accounts of computers and managed services end with ``$`` ([MS-SAMR] 3.1.1.6); a name of two
    parts is a service's (RFC 4120 section 6.2).
    """
    name = principal.rpartition("@")[0]
    return bool(name) and not name.endswith("$") and "/" not in name


def _identity(data: bytes, realm: str) -> str:
    """Return the principal that an EAP identity names, "" when it names none."""
    try:
        text = data.decode("utf-8") if len(data) <= MAX_IDENTITY else ""
    except UnicodeDecodeError:
        return ""
    if not text.isprintable() or text.startswith("@") or text.endswith("@"):
        return ""
    return text if not text or "@" in text else f"{text}@{realm}"
