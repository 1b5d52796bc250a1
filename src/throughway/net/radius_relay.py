"""EAP-MSCHAPv2 of computer accounts, passed on to RADIUS servers that can ask the domain.

charon asks our own RADIUS server (:mod:`throughway.net.radius`), which for these conversations
is a client in turn (RFC 2865, RFC 3579): FreeRADIUS with winbind, or Microsoft's NPS. Each
answer must carry both authenticators, whatever the server's own rules are (CVE-2024-3596). What
the account may do is not the server's to say: it proves a password, no more.
"""

import asyncio
import secrets
import struct
from dataclasses import dataclass, field

from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket
from pyrad.packet import PacketError as MalformedPacket

from throughway.model.config import RADIUSConfig
from throughway.model.errors import ConfigError, Stage, TransportError, TrustError, WireError
from throughway.net.files import read_secret
from throughway.wire import mschapv2
from throughway.wire.eap import EAPCode, EAPPacket, EAPType, build_eap, parse_eap
from throughway.wire.mppe import RECV_KEY, SEND_KEY, VENDOR, parse_mppe_key

USER_NAME, STATE, VENDOR_SPECIFIC, CALLING_STATION_ID = 1, 24, 26, 31
NAS_IDENTIFIER, PROXY_STATE, NAS_PORT_TYPE, EAP_MESSAGE = 32, 33, 61, 79
VIRTUAL = (5).to_bytes(4, "big")
"""NAS-Port-Type of a tunnel (RFC 2865 section 5.41)."""
CHUNK = 253
MAX_PACKET = 4096
MAX_STEPS = 16
"""Packets to the server in one conversation; EAP-MSCHAPv2 takes three."""

COMPUTER_REFUSED = "ipsec-computer-account-refused"
MISMATCH = "ipsec-account-certificate-mismatch"
UNREACHABLE = "radius-server-unreachable"
SECRET_WRONG = "radius-secret-wrong"

_FAILURES = {
    647: ("access-account-disabled", "is disabled in the domain"),
    648: (COMPUTER_REFUSED, "has an expired password"),
    691: (COMPUTER_REFUSED, "has another password in the domain, or does not exist there"),
}
"""Of the Windows error numbers in a Failure, [MS-CHAP] 2.2.6."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a server has answered."""

    code: int
    eap: bytes
    keys: dict[int, bytes] = field(default_factory=dict, repr=False)
    """Of an Access-Accept: the session keys by their vendor type."""


class Relay:
    """The servers, and the secret shared with them."""

    def __init__(self, config: RADIUSConfig) -> None:
        """ConfigError when the secret cannot be read."""
        self._config = config
        try:
            self.secret = read_secret(config.secret).strip(b"\r\n")
        except ValueError as error:
            raise ConfigError(str(config.secret), "radius.secret", str(error)) from None

    def begin(self, account: str, peer: str) -> "RelayedConversation":
        """Begin a conversation that can only prove ``account``."""
        return RelayedConversation(self._config, self.secret, account, peer)


class RelayedConversation:
    """One conversation with one server: the first that answers."""

    def __init__(self, config: RADIUSConfig, secret: bytes, account: str, peer: str) -> None:
        self._config = config
        self._secret = secret
        self._account = account
        self._peer = peer
        self._servers = list(config.servers)
        self._state: list[bytes] = []
        self._steps = 0
        self._failure = 0
        self._answered = False
        """Whether the client has answered a challenge, in the name of the account."""

    async def begin(self, identifier: int) -> Step:
        """Tell the server who it is: the account, whatever the client has called itself."""
        identity = EAPPacket(EAPCode.RESPONSE, identifier, EAPType.IDENTITY, self._account.encode())
        return await self._pass(build_eap(identity))

    async def step(self, eap: bytes) -> Step:
        """Pass one EAP packet on.

        Raises TransportError when no server answers, TrustError when the client's packet, the
        server's answer, or its verdict is bad.
        """
        try:
            eap = self._looked_at(eap)
        except WireError as error:
            raise TrustError(str(error), problem=COMPUTER_REFUSED) from None
        return await self._pass(eap)

    async def _pass(self, eap: bytes) -> Step:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TrustError("the conversation has no end", problem=COMPUTER_REFUSED)
        try:
            step = await self._ask(eap)
            self._note(step.eap)
            if step.code == AccessAccept and not self._answered:
                raise WireError("the RADIUS server accepts what nobody has proven")
        except WireError as error:
            raise TrustError(str(error), problem=COMPUTER_REFUSED) from None
        # A Failure without a retry is the end. The client, once it has seen it, would say nothing
        # more, and charon then knew of no refusal.
        if step.code == AccessReject or self._failure:
            reason, problem = self._verdict()
            raise TrustError(reason, problem=problem)
        return step

    def _looked_at(self, eap: bytes) -> bytes:
        """See that the client proves the account of its certificate, and no other.

        By EAP-MSCHAPv2 alone: in the tunnel of PEAP or TTLS the server would hear of an identity
        that nobody sees here, and any user's password would do for the computer's.
        """
        packet = parse_eap(eap)
        if packet.code is not EAPCode.RESPONSE:
            raise WireError(f"an EAP {packet.code.name} where a response belongs")
        if packet.type == EAPType.NAK and mschapv2.TYPE in packet.data:
            wish = bytes((mschapv2.TYPE,))
            return build_eap(EAPPacket(packet.code, packet.identifier, EAPType.NAK, wish))
        if packet.type != mschapv2.TYPE:
            raise WireError(f"an EAP response of type {packet.type} where MSCHAPv2 belongs")
        opcode = mschapv2.parse_opcode(packet.data)
        if opcode == mschapv2.RESPONSE:
            name = mschapv2.parse_response_name(packet.data).rpartition("\\")[2]
            if name.casefold() != self._account.casefold():
                reason = f"the certificate of {self._account} came with {name}"
                raise TrustError(reason, problem=MISMATCH)
            self._answered = True
        elif opcode not in (mschapv2.SUCCESS, mschapv2.FAILURE):
            raise WireError(f"EAP-MSCHAPv2 of opcode {opcode} from a client")
        return eap

    def _note(self, eap: bytes) -> None:
        """Remember why the server is going to refuse."""
        packet = parse_eap(eap)
        if packet.type == mschapv2.TYPE:
            self._failure = mschapv2.parse_failure_code(packet.data) or self._failure

    def _verdict(self) -> tuple[str, str]:
        otherwise = (COMPUTER_REFUSED, "was refused by the RADIUS server")
        problem, words = _FAILURES.get(self._failure, otherwise)
        number = f" (error {self._failure})" if self._failure else ""
        return f"{self._account} {words}{number}", problem

    async def _ask(self, eap: bytes) -> Step:
        """Ask the server of this conversation, or while there is none, one after the other."""
        wrong = False
        for server in tuple(self._servers):
            request = self._request(eap)
            try:
                answer = await ask_server(request, server, self._config.timeout)
            except WrongSecretError:
                wrong = True
                continue
            if answer is not None:
                self._servers = [server]
                return self._taken(request, answer)
        names = ", ".join(f"{host} port {port}" for host, port in self._servers)
        if wrong:
            raise TrustError(f"{names} signs with another secret", problem=SECRET_WRONG)
        raise TransportError(Stage.CONNECT, f"no answer from {names}", problem=UNREACHABLE)

    def _request(self, eap: bytes) -> AuthPacket:
        request = AuthPacket(secret=self._secret)
        # What a packet begins with is easiest to verify in constant places (CVE-2024-3596).
        request.add_message_authenticator()
        request[USER_NAME] = [self._account.encode()]
        request[NAS_IDENTIFIER] = [b"throughway"]
        request[NAS_PORT_TYPE] = [VIRTUAL]
        request[CALLING_STATION_ID] = [self._peer.encode()[:CHUNK]]
        request[PROXY_STATE] = [secrets.token_bytes(8)]
        request[EAP_MESSAGE] = [eap[i : i + CHUNK] for i in range(0, len(eap), CHUNK)]
        if self._state:
            request[STATE] = self._state
        return request

    def _taken(self, request: AuthPacket, answer: AuthPacket) -> Step:
        self._state = [bytes(value) for value in answer.get(STATE) or ()]
        eap = b"".join(answer.get(EAP_MESSAGE) or ())
        if answer.code == AccessReject and not eap:
            return Step(AccessReject, build_eap(EAPPacket(EAPCode.FAILURE, 0)))
        if answer.code not in (AccessAccept, AccessChallenge, AccessReject):
            raise WireError(f"a RADIUS answer of code {answer.code}")
        return Step(answer.code, eap, self._keys(request, answer))

    def _keys(self, request: AuthPacket, answer: AuthPacket) -> dict[int, bytes]:
        if answer.code != AccessAccept:
            return {}
        keys = {}
        for vendor, kind, value in vendor_attributes(answer.get(VENDOR_SPECIFIC) or ()):
            if vendor == VENDOR and kind in (SEND_KEY, RECV_KEY):
                keys[kind] = parse_mppe_key(value, self._secret, request.authenticator)
        if len(keys) != 2:
            raise WireError("the RADIUS server accepts without session keys")
        return keys


def vendor_attributes(values: list[bytes] | tuple[bytes, ...]) -> list[tuple[int, int, bytes]]:
    """Return vendor, type and value of what Vendor-Specific attributes hold (RFC 2865, 5.26)."""
    found = []
    for data in values:
        if len(data) < 6:
            raise WireError(f"a Vendor-Specific attribute of {len(data)} bytes")
        vendor, at = int.from_bytes(data[:4], "big"), 4
        while at < len(data):
            length = data[at + 1] if at + 1 < len(data) else 0
            if length < 2 or at + length > len(data):
                raise WireError("a Vendor-Specific attribute that does not add up")
            found.append((vendor, data[at], data[at + 2 : at + length]))
            at += length
    return found


class WrongSecretError(Exception):
    """Something answered that does not know the secret."""


class _Answers(asyncio.DatagramProtocol):
    """Waits for the one answer that proves to be the server's."""

    def __init__(self, request: AuthPacket) -> None:
        self.verified: asyncio.Future[AuthPacket] = asyncio.get_running_loop().create_future()
        self.forged = False
        self._request = request

    def datagram_received(self, data: bytes, _address: object) -> None:
        if self.verified.done() or len(data) > MAX_PACKET:
            return
        try:
            reply = self._request.CreateReply(packet=data)
            good = self._request.VerifyReply(reply, data, enforce_ma=True)
        except (MalformedPacket, ValueError, struct.error):
            good = False
        if good:
            self.verified.set_result(reply)
        else:
            self.forged = True

    def error_received(self, _error: Exception) -> None:
        """ICMP can be forged: nothing follows from it."""


async def ask_server(
    request: AuthPacket, server: tuple[str, int], seconds: float
) -> AuthPacket | None:
    """Ask one server twice; None when it is silent."""
    loop, data = asyncio.get_running_loop(), request.RequestPacket()
    try:
        transport, answers = await loop.create_datagram_endpoint(
            lambda: _Answers(request), remote_addr=server
        )
    except OSError:
        return None
    try:
        for _ in range(2):
            transport.sendto(data)
            done, _pending = await asyncio.wait({answers.verified}, timeout=seconds / 2)
            if done:
                return answers.verified.result()
    finally:
        transport.close()
    if answers.forged:
        raise WrongSecretError
    return None
