"""IKE and AuthIP messages as they are seen without keys (RFC 2408, RFC 7296, [MS-AIPS], [MS-IKEE]).

All three share the header and the chain of payloads; AuthIP is told by its exchange types. Numbers
and names are in :mod:`throughway.wire.ike_names`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from throughway.model.errors import WireError
from throughway.wire.ike_names import (
    AH_TRANSFORMS,
    AUTHENTICATIONS,
    AUTHIP_EXCHANGES,
    ESP_TRANSFORMS,
    EXCHANGES,
    NOTIFIES_V1,
    NOTIFIES_V2,
    STATUS_NOTIFIES,
    TRANSFORMS_V1,
    TRANSFORMS_V2,
    Protocol,
    vendor_name,
)

PORT, NAT_T_PORT = 500, 4500
HEADER_LENGTH = 28
MAXIMUM_PAYLOADS = 64
"""Payloads of one message; Windows sends a dozen vendor IDs."""
MAXIMUM_PROPOSALS = 64
MAXIMUM_TRANSFORMS = 256
"""Transforms of one proposal; the rest is not looked at."""
MAXIMUM_ATTRIBUTES = 64
"""Attributes of one transform; the rest is not looked at."""
NON_ESP_MARKER = bytes(4)
"""In front of IKE on port 4500 (RFC 3948, section 2.2)."""
KEEPALIVE = b"\xff"
"""RFC 3948, section 2.3."""

_HEADER = struct.Struct("!8s8sBBBBII")
_ENCRYPTED_V1 = 0x01
_RESPONSE_V2 = 0x20
_CODE_LENGTH = 4
_SITUATION_LENGTH = 8
"""Bytes of domain of interpretation and situation in front of proposals (RFC 2408, 3.4)."""
_IKE, _ESP = 1, 3
_KEY_LENGTH_PHASE_1, _KEY_LENGTH_PHASE_2, _KEY_LENGTH_V2 = 14, 6, 14
"""Attributes with bits of the key (RFC 2409, appendix A; RFC 2407, 4.5; RFC 7296, 3.3.5)."""


class PayloadType(IntEnum):
    """Payloads that are read, of all three protocols."""

    SA = 1
    NOTIFY_V1 = 11
    DELETE_V1 = 12
    VENDOR_ID_V1 = 13
    SA_V2 = 33
    NOTIFY_V2 = 41
    VENDOR_ID_V2 = 43
    ENCRYPTED_V2 = 46
    ENCRYPTED_FRAGMENT_V2 = 53
    GSS_API = 0x81
    FRAGMENT_V1 = 0x84
    CRYPTO = 0x85
    AUTH = 0x87


_VENDOR_IDS = frozenset({PayloadType.VENDOR_ID_V1, PayloadType.VENDOR_ID_V2})
_ENCRYPTED = frozenset({PayloadType.ENCRYPTED_V2, PayloadType.ENCRYPTED_FRAGMENT_V2})


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload without its header."""

    type: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """What one side tells the other beside the negotiation."""

    type: int
    name: str
    protocol: int
    """0 none, 1 IKE, 2 AH, 3 ESP; AuthIP: 1 main or extended mode, 2 quick mode."""
    spi: bytes = b""
    data: bytes = b""
    windows_error: int | None = None
    """The error code of Windows, where this notify carries one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One proposal of a security association, shallow."""

    number: int
    protocol: int
    """1 IKE, 2 AH, 3 ESP."""
    transforms: tuple[str, ...]
    """Algorithms by their names; one text for each transform."""


@dataclass(frozen=True, slots=True)
class GSSToken:
    """A step of AuthIP's authentication ([MS-AIPS] 2.2.3.1)."""

    status: int
    """0, or the error of the one that sends it."""
    flags: int
    token: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, as far as it is in the clear."""

    protocol: Protocol
    initiator_spi: bytes
    responder_spi: bytes
    exchange: int
    exchange_name: str
    encrypted: bool
    """Whether (what matters of) the content cannot be seen."""
    response: bool | None
    """Only IKEv2 says so."""
    message_id: int
    length: int
    """Of the whole message, which may be more than was captured."""
    payloads: tuple[Payload, ...] = ()
    notifies: tuple[Notify, ...] = ()
    vendors: tuple[str, ...] = ()
    """Names, or the bytes in hexadecimal where they are not known."""
    proposals: tuple[Proposal, ...] = ()
    authentication: tuple[int, ...] = ()
    """Methods that AuthIP offers ([MS-AIPS] 2.2.3.4)."""
    tokens: tuple[GSSToken, ...] = ()
    cut_off: bool = False
    """Whether payloads are missing: an IP fragment, or captured with a short length."""

    @property
    def windows_error(self) -> int | None:
        """The first error code that the message carries."""
        for notify in self.notifies:
            if notify.windows_error is not None:
                return notify.windows_error
        return next((token.status for token in self.tokens if token.status), None)


def unwrap(datagram: bytes, port: int) -> bytes | None:
    """Return the IKE message of a datagram on either port; None for ESP and keepalives."""
    if port != NAT_T_PORT:
        return datagram
    if len(datagram) > len(NON_ESP_MARKER) and datagram.startswith(NON_ESP_MARKER):
        return datagram[len(NON_ESP_MARKER) :]
    return None


def esp_spi(data: bytes) -> int:
    """Return the SPI of an ESP packet (RFC 4303, section 2.1)."""
    if len(data) < 8:
        raise WireError(f"ESP packet of {len(data)} bytes")
    spi = int.from_bytes(data[:4], "big")
    if spi == 0:
        raise WireError("ESP packet with SPI 0")
    return spi


def parse_ike(data: bytes) -> Message:
    """Read one message; one that is cut off as far as it goes."""
    if len(data) < HEADER_LENGTH:
        raise WireError(f"IKE header of {len(data)} bytes")
    initiator, responder, first, version, exchange, flags, number, length = _HEADER.unpack_from(
        data
    )
    if version >> 4 not in (1, 2) or length < HEADER_LENGTH or initiator == bytes(8):
        raise WireError(f"no IKE message: version {version:#04x}, {length} bytes")
    protocol = _protocol(version, exchange)
    hidden = protocol is not Protocol.IKEV2 and bool(flags & _ENCRYPTED_V1)
    body = data[HEADER_LENGTH:length]
    payloads, cut_off = _payloads(b"" if hidden else body, first, len(data) < length)
    return Message(
        protocol=protocol,
        initiator_spi=initiator,
        responder_spi=responder,
        exchange=exchange,
        exchange_name=exchange_name(protocol, exchange),
        encrypted=hidden or any(payload.type in _ENCRYPTED for payload in payloads),
        response=bool(flags & _RESPONSE_V2) if protocol is Protocol.IKEV2 else None,
        message_id=number,
        length=length,
        payloads=payloads,
        notifies=tuple(_notifies(protocol, payloads)),
        vendors=tuple(vendor_name(p.body) for p in payloads if p.type in _VENDOR_IDS),
        proposals=tuple(_proposals(payloads)),
        authentication=tuple(m for p in payloads if p.type == PayloadType.AUTH for m in _auth(p)),
        tokens=tuple(parse_gss(p.body) for p in payloads if p.type == PayloadType.GSS_API),
        cut_off=cut_off and not hidden,
    )


def build_ike(message: Message) -> bytes:
    """Write a message of its header and its payloads."""
    version = 0x20 if message.protocol is Protocol.IKEV2 else 0x10
    flags = _RESPONSE_V2 if message.response else 0
    if message.encrypted and message.protocol is not Protocol.IKEV2:
        flags |= _ENCRYPTED_V1
    body, following = b"", 0
    for payload in reversed(message.payloads):
        head = struct.pack("!BBH", following, 0, 4 + len(payload.body))
        body = head + payload.body + body
        following = payload.type
    fields = (message.initiator_spi, message.responder_spi, following, version, message.exchange)
    length = HEADER_LENGTH + len(body)
    return _HEADER.pack(*fields, flags, message.message_id, length) + body


def exchange_name(protocol: Protocol, exchange: int) -> str:
    """Return the name of an exchange type."""
    return EXCHANGES[protocol].get(exchange, f"exchange {exchange}")


def parse_gss(body: bytes) -> GSSToken:
    """Read AuthIP's GSS-API payload ([MS-AIPS] 2.2.3.1)."""
    if len(body) < 5:
        raise WireError(f"GSS-API payload of {len(body)} bytes")
    return GSSToken(int.from_bytes(body[:4], "big"), body[4], body[5:])


def parse_notify_v1(body: bytes, protocol: Protocol = Protocol.IKEV1) -> Notify:
    """Read a notify of IKEv1 or AuthIP, which has flags for the size of the SPI."""
    if len(body) < 8:
        raise WireError(f"IKE notify of {len(body)} bytes")
    about, size, kind = struct.unpack_from("!BBH", body, 4)
    if protocol is Protocol.AUTHIP:
        size = 0
    if len(body) < 8 + size:
        raise WireError("IKE notify is cut off")
    data = body[8 + size :]
    name = NOTIFIES_V1[protocol].get(kind, f"notify {kind}")
    error = _status(data) if kind == STATUS_NOTIFIES[protocol] else None
    spi = body[8 : 8 + size]
    return Notify(type=kind, name=name, protocol=about, spi=spi, data=data, windows_error=error)


def parse_notify_v2(body: bytes) -> Notify:
    """Read a notify of IKEv2 (RFC 7296, section 3.10)."""
    if len(body) < 4 or len(body) < 4 + body[1]:
        raise WireError("IKE notify is cut off")
    about, size, kind = struct.unpack_from("!BBH", body)
    spi, data = body[4 : 4 + size], body[4 + size :]
    name = NOTIFIES_V2.get(kind, f"notify {kind}")
    error = _status(data) if kind == STATUS_NOTIFIES[Protocol.IKEV2] else None
    return Notify(type=kind, name=name, protocol=about, spi=spi, data=data, windows_error=error)


def _protocol(version: int, exchange: int) -> Protocol:
    if version >> 4 == 2:
        return Protocol.IKEV2
    return Protocol.AUTHIP if exchange in AUTHIP_EXCHANGES else Protocol.IKEV1


def _payloads(body: bytes, kind: int, short: bool) -> tuple[tuple[Payload, ...], bool]:
    """Cut the chain; return whether its end is missing as well."""
    found: list[Payload] = []
    while kind and body:
        if len(found) >= MAXIMUM_PAYLOADS:
            raise WireError(f"more than {MAXIMUM_PAYLOADS} IKE payloads")
        following, length = body[0], int.from_bytes(body[2:4], "big")
        if not 4 <= length <= len(body):
            if short:
                return tuple(found), True
            raise WireError(f"IKE payload of {length} bytes, {len(body)} are left")
        found.append(Payload(kind, body[4:length]))
        # What an encrypted payload names is inside of it (RFC 7296, section 3.14).
        kind = 0 if kind in _ENCRYPTED else following
        body = body[length:]
    return tuple(found), short and kind != 0


def _notifies(protocol: Protocol, payloads: tuple[Payload, ...]) -> Iterator[Notify]:
    for payload in payloads:
        if protocol is Protocol.IKEV2:
            if payload.type == PayloadType.NOTIFY_V2:
                yield parse_notify_v2(payload.body)
        elif payload.type == PayloadType.NOTIFY_V1:
            yield parse_notify_v1(payload.body, protocol)


def _status(data: bytes) -> int | None:
    """Return the error code of a status notify; quick mode has its Message ID in front of it."""
    if len(data) >= 2 * _CODE_LENGTH:
        data = data[_CODE_LENGTH:]
    return int.from_bytes(data[:_CODE_LENGTH], "big") if len(data) >= _CODE_LENGTH else None


def _auth(payload: Payload) -> Iterator[int]:
    """Yield the methods of AuthIP's Auth payload, each with two bytes of flags behind it."""
    for at in range(0, len(payload.body) - 3, 4):
        yield int.from_bytes(payload.body[at : at + 2], "big")


def _proposals(payloads: tuple[Payload, ...]) -> Iterator[Proposal]:
    for payload in payloads:
        if payload.type == PayloadType.SA_V2:
            yield from _read_proposals(payload.body, TRANSFORMS_V2)
        elif payload.type == PayloadType.SA:
            yield from _read_proposals(payload.body[_SITUATION_LENGTH:], None)


def _read_proposals(body: bytes, names: dict[int, dict[int, str]] | None) -> Iterator[Proposal]:
    """Read proposals of IKEv2, or of IKEv1 where there are no names of transform types."""
    for _ in range(MAXIMUM_PROPOSALS):
        if not body:
            return
        if len(body) < 8:
            raise WireError("IKE proposal is cut off")
        length, number, protocol, size = struct.unpack_from("!HBBB", body, 2)
        if not 8 + size <= length <= len(body):
            raise WireError(f"IKE proposal of {length} bytes")
        transforms = tuple(_transforms(body[8 + size : length], protocol, names))
        yield Proposal(number=number, protocol=protocol, transforms=transforms)
        body = body[length:]


def _transforms(
    body: bytes, protocol: int, names: dict[int, dict[int, str]] | None
) -> Iterator[str]:
    for _ in range(MAXIMUM_TRANSFORMS):
        if not body:
            return
        length = int.from_bytes(body[2:4], "big")
        if not 8 <= length <= len(body):
            raise WireError(f"IKE transform of {length} bytes")
        attributes = dict(_attributes(body[8:length]))
        if names is None:
            yield _transform_v1(protocol, body[5], attributes)
        else:
            yield _transform_v2(names, body[4], int.from_bytes(body[6:8], "big"), attributes)
        body = body[length:]


def _attributes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield type and value of attributes (RFC 2408, section 3.3)."""
    for _ in range(MAXIMUM_ATTRIBUTES):
        if len(data) < 4:
            return
        kind, value = struct.unpack_from("!HH", data)
        if kind & 0x8000:
            yield kind & 0x7FFF, value
            data = data[4:]
        else:
            yield kind, int.from_bytes(data[4 : 4 + min(value, 8)], "big")
            data = data[4 + value :]


def _transform_v1(protocol: int, kind: int, attributes: dict[int, int]) -> str:
    """Write a transform: of phase 1 by its attributes, of phase 2 by its number."""
    if protocol == _IKE:
        parts = [
            names.get(attributes[attribute], str(attributes[attribute]))
            for attribute, names in TRANSFORMS_V1.items()
            if attribute in attributes
        ]
        size = attributes.get(_KEY_LENGTH_PHASE_1)
    else:
        names = ESP_TRANSFORMS if protocol == _ESP else AH_TRANSFORMS
        parts = [names.get(kind, str(kind))]
        parts += [AUTHENTICATIONS.get(attributes[5], str(attributes[5]))] if 5 in attributes else []
        size = attributes.get(_KEY_LENGTH_PHASE_2)
    if size and parts:
        parts[0] += f"-{size}"
    return "/".join(parts)


def _transform_v2(
    names: dict[int, dict[int, str]], kind: int, number: int, attributes: dict[int, int]
) -> str:
    name = names.get(kind, {}).get(number, f"{kind}:{number}")
    size = attributes.get(_KEY_LENGTH_V2)
    return f"{name}-{size}" if size else name
