"""TLS as it can be seen without keys: records, alerts, and what a stream says in the clear.

RFC 5246 (section 6.2.1, 7.2), RFC 8446 (section 5, 6), RFC 6101 (appendix E: the hello of SSL 2.0).
Handshake messages are in :mod:`throughway.wire.tls_handshake`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from throughway.model.errors import WireError
from throughway.wire.tls_handshake import (
    HandshakeType,
    Message,
    parse_handshake,
)

RECORD_HEADER_LENGTH = 5
MAXIMUM_RECORD = 16384 + 2048
"""Bytes of a record's body (RFC 5246, section 6.2.3)."""
MAXIMUM_HANDSHAKE = 1 << 18
"""Bytes of one message; certificate chains and lists of CA names are far smaller."""
MAXIMUM_MESSAGES = 256
"""Messages of one side; a handshake has a dozen."""
MAXIMUM_APPLICATION = 4096
"""Bytes of application data that are kept: the head of a request."""
_HANDSHAKE_HEADER_LENGTH = 4


class ContentType(IntEnum):
    """What a record holds."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class AlertLevel(IntEnum):
    """Whether the connection ends."""

    WARNING = 1
    FATAL = 2


ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""The names of RFC 8446, section 6 and of those before it."""


class Opening(StrEnum):
    """What the first bytes of a stream are."""

    TLS = "TLS"
    SSL2 = "SSL 2.0 hello"
    HTTP_REQUEST = "HTTP request"
    HTTP_RESPONSE = "HTTP response"
    SSH = "SSH"
    GREETING = "the greeting of a mail or file server"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Record:
    """One record, whole."""

    type: int
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Alert:
    """Why one side gives up, or that it closes."""

    level: int
    description: int

    @property
    def fatal(self) -> bool:
        return self.level == AlertLevel.FATAL

    @property
    def name(self) -> str:
        """The name of the description."""
        return ALERTS.get(self.description, f"alert {self.description}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What one side said, as far as it can be read."""

    messages: tuple[Message, ...] = ()
    """Handshake messages in the clear, in order."""
    alerts: tuple[Alert, ...] = ()
    """Those in the clear."""
    ciphered: bool = False
    """Whether it went over to its keys: a Change Cipher Spec, or encrypted records."""
    encrypted_records: int = 0
    encrypted_alerts: int = 0
    """Alerts under keys (TLS up to 1.2): nobody can tell which."""
    application: bytes = b""
    """How the application data begins, as it is in the records: clear where the suite is a NULL
    one, but for the code behind each record."""
    version: int | None = None
    """Of the first record."""
    broken: str = ""
    """Why the rest could not be read; "" where the stream just ends."""


def recognise(head: bytes) -> Opening | None:
    """Tell what a stream is by how it begins; None while that takes more bytes."""
    if len(head) < RECORD_HEADER_LENGTH:
        return (
            None if head[:1] in (b"\x16", b"\x15", b"\x80", b"") or head.isalnum() else _text(head)
        )
    if ContentType.CHANGE_CIPHER_SPEC <= head[0] <= ContentType.APPLICATION_DATA and head[1] == 3:
        return Opening.TLS
    if head[0] & 0x80 and head[2] == 1 and head[3] in (0, 2, 3):
        return Opening.SSL2
    return _text(head)


def _text(head: bytes) -> Opening:
    if head.startswith(b"HTTP/"):
        return Opening.HTTP_RESPONSE
    if head.startswith(b"SSH-"):
        return Opening.SSH
    if head[:4] in (b"220 ", b"220-", b"+OK ", b"* OK"):
        return Opening.GREETING
    method, blank, _ = head[:20].partition(b" ")
    if blank and method.isalpha() and method.isupper():
        return Opening.HTTP_REQUEST
    return Opening.OTHER


def parse_record(data: bytes, offset: int = 0) -> Record | None:
    """Read the record at ``offset``; None while it is not complete."""
    if len(data) - offset < RECORD_HEADER_LENGTH:
        return None
    kind, version, length = struct.unpack_from("!BHH", data, offset)
    known = ContentType.CHANGE_CIPHER_SPEC <= kind <= ContentType.APPLICATION_DATA
    if not known or version >> 8 != 3 or length > MAXIMUM_RECORD:
        raise WireError(f"no TLS record: type {kind}, version {version:#06x}, {length} bytes")
    begin = offset + RECORD_HEADER_LENGTH
    if len(data) < begin + length:
        return None
    return Record(kind, version, data[begin : begin + length])


def build_record(record: Record) -> bytes:
    """Write a record."""
    if len(record.body) > MAXIMUM_RECORD:
        raise WireError(f"TLS record of {len(record.body)} bytes")
    return struct.pack("!BHH", record.type, record.version, len(record.body)) + record.body


def parse_alert(body: bytes) -> Alert:
    """Read an alert in the clear."""
    if len(body) != 2 or body[0] not in (AlertLevel.WARNING, AlertLevel.FATAL):
        raise WireError(f"no TLS alert: {body[:8].hex()}")
    return Alert(body[0], body[1])


def read_stream(data: bytes) -> Stream:
    """Read what one side sent from its first byte on; an end in the middle is no error."""
    reader = _StreamReader()
    try:
        if recognise(data[:RECORD_HEADER_LENGTH]) is Opening.SSL2:
            data = reader.take_ssl2(data)
        offset = 0
        while (record := parse_record(data, offset)) is not None:
            offset += RECORD_HEADER_LENGTH + len(record.body)
            reader.take(record)
    except WireError as error:
        reader.broken = str(error)
    return reader.result()


class _StreamReader:
    """Puts handshake messages together from records."""

    def __init__(self) -> None:
        self.broken = ""
        self._messages: list[Message] = []
        self._alerts: list[Alert] = []
        self._pending = b""
        self._ciphered = False
        self._changed = False
        self._application = b""
        self._encrypted = 0
        self._encrypted_alerts = 0
        self._version: int | None = None

    def take_ssl2(self, data: bytes) -> bytes:
        """Read the hello of SSL 2.0 that old clients begin with; return what follows it."""
        length = (data[0] & 0x7F) << 8 | data[1]
        if len(data) < 2 + length:
            return b""
        self._version = 0x0002
        self._messages.append(
            parse_handshake(HandshakeType.SSL2_CLIENT_HELLO, data[2 : 2 + length])
        )
        return data[2 + length :]

    def take(self, record: Record) -> None:
        if self._version is None:
            self._version = record.version
        if record.type == ContentType.APPLICATION_DATA:
            self._ciphered = True
            self._encrypted += 1
            self._application = (self._application + record.body)[:MAXIMUM_APPLICATION]
        elif record.type == ContentType.CHANGE_CIPHER_SPEC:
            # In TLS 1.3 it means nothing (RFC 8446, section 5) and no handshake follows in clear.
            self._changed = self._ciphered = True
        elif record.type == ContentType.ALERT:
            self._take_alert(record.body)
        elif self._changed and not self._begins_message(record.body):
            self._encrypted += 1
        else:
            self._take_handshake(record.body)

    def _take_alert(self, body: bytes) -> None:
        if len(body) == 2 and not self._encrypted:
            self._alerts.append(parse_alert(body))
        else:
            self._ciphered = True
            self._encrypted_alerts += 1

    def _begins_message(self, body: bytes) -> bool:
        """Whether this is one more hello in the clear although keys were announced.

        Around a HelloRetryRequest both sides announce keys between their two hellos (RFC 8446,
        appendix D.4).
        """
        last = self._messages[-1].type if self._messages else None
        return (
            last in (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO)
            and len(body) > _HANDSHAKE_HEADER_LENGTH
            and body[0] == last
            and int.from_bytes(body[1:4], "big") == len(body) - _HANDSHAKE_HEADER_LENGTH
        )

    def _take_handshake(self, body: bytes) -> None:
        self._pending += body
        for kind, content in self._whole_messages():
            if len(self._messages) >= MAXIMUM_MESSAGES:
                raise WireError(f"more than {MAXIMUM_MESSAGES} TLS handshake messages")
            self._messages.append(parse_handshake(kind, content))

    def _whole_messages(self) -> Iterator[tuple[int, bytes]]:
        while len(self._pending) >= _HANDSHAKE_HEADER_LENGTH:
            length = int.from_bytes(self._pending[1:4], "big")
            if length > MAXIMUM_HANDSHAKE:
                raise WireError(f"TLS handshake message of {length} bytes")
            end = _HANDSHAKE_HEADER_LENGTH + length
            if len(self._pending) < end:
                return
            kind, content = self._pending[0], self._pending[_HANDSHAKE_HEADER_LENGTH:end]
            self._pending = self._pending[end:]
            yield kind, content

    def result(self) -> Stream:
        return Stream(
            messages=tuple(self._messages),
            alerts=tuple(self._alerts),
            ciphered=self._ciphered,
            encrypted_records=self._encrypted,
            encrypted_alerts=self._encrypted_alerts,
            application=self._application,
            version=self._version,
            broken=self.broken,
        )
