"""DNS messages: as much as a forwarder needs, and answers for those who diagnose.

RFC 1035 (section 4), RFC 2782, RFC 6891, RFC 8914. Messages pass through the stub as they are, but
for their number: only the header, the question and the presence of EDNS are read for it, and the
only answers made here are refusals. :func:`parse_answer` reads the answer section as well.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from throughway.model.errors import WireError

HEADER_LENGTH = 12
MAXIMUM_LABEL = 63
MAXIMUM_NAME = 255
"""Octets of a whole name on the wire (RFC 1035, section 2.3.4)."""
MAXIMUM_RECORDS = 256
"""Records that are walked through in one message; more is no honest message of a stub client."""

MAXIMUM_POINTERS = 32
"""Compression pointers followed in one name: no honest name needs more than it has labels."""
TYPE_A = 1
TYPE_CNAME = 5
TYPE_SOA = 6
TYPE_PTR = 12
TYPE_AAAA = 28
TYPE_SRV = 33
TYPE_DNAME = 39
TYPE_OPT = 41
TYPE_RRSIG = 46
CLASS_IN = 1

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)

EDE_NETWORK_ERROR = 23
"""INFO-CODE of RFC 8914, section 4.24."""
SMALLEST_PAYLOAD = 512
"""Octets that everybody takes by UDP (RFC 1035, section 2.3.4)."""
_OPTION_EDE = 15
SAFE_PAYLOAD = 1232
"""UDP payload we say to take: fits any path without fragments (DNS flag day 2020)."""
_RESPONSE = 0x8000
_TRUNCATED = 0x0200
_RECURSION_DESIRED = 0x0100
_RECURSION_AVAILABLE = 0x0080
_AUTHENTIC = 0x0020
_CHECKING_DISABLED = 0x0010
_OPCODE = 0x7800
_LONGEST_TEXT = 4 * MAXIMUM_NAME
"""Characters of a name as people see it: what is no ASCII takes four."""
_POINTER = 0xC0
"""The upper bits of a compression pointer (RFC 1035, section 4.1.4)."""

_TYPE_AND_CLASS = struct.Struct("!HH")

Labels = tuple[bytes, ...]


class Question(NamedTuple):
    """What is asked; the name in lower case, label by label, without the root.

    A tuple, as :class:`Message` is: two are made for each query, and these are made fastest.
    """

    labels: Labels
    type: int
    klass: int

    @property
    def name(self) -> str:
        """The name for people."""
        return name_of(self.labels)


@dataclass(frozen=True, slots=True)
class Service:
    """The value of an SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One record of the answer section."""

    name: str
    type: int
    ttl: int
    """Seconds."""
    value: str | Service | bytes
    """An address, the name of a CNAME, a service; the bytes of what is not read here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A message with its answer section."""

    message: "Message"
    records: tuple[Resource, ...]
    cut_off: bool = False
    """Whether records are missing: the answer was truncated, or not captured whole."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses, of whatever name in a chain of aliases."""
        return tuple(
            record.value
            for record in self.records
            if record.type in (TYPE_A, TYPE_AAAA) and isinstance(record.value, str)
        )


class Message(NamedTuple):
    """Header and question of a message."""

    id: int
    flags: int
    question: Question
    question_end: int
    """Offset of what follows the question."""
    opt: int = 0
    """Offset of the type of the OPT record of a query, 0: it has none."""
    payload: int = SMALLEST_PAYLOAD
    """Octets of UDP payload that the asker takes (RFC 6891, section 6.2.3)."""

    @property
    def edns(self) -> bool:
        return self.opt > 0

    @property
    def response(self) -> bool:
        return bool(self.flags & _RESPONSE)

    @property
    def opcode(self) -> int:
        return (self.flags & _OPCODE) >> 11

    @property
    def rcode(self) -> int:
        return self.flags & 0xF

    @property
    def truncated(self) -> bool:
        return bool(self.flags & _TRUNCATED)


def parse_message(data: bytes) -> Message:
    """Read header, the one question, and whether there is an OPT record."""
    identifier, flags, questions, answers, authorities, additional = _header(data)
    if questions != 1:
        raise WireError(f"DNS message with {questions} questions")
    question, end = _question(data)
    # A truncated answer may end within a record; nothing behind the question is needed of it.
    records = answers + authorities + additional
    opt = _find_opt(data, end, records) if records and not flags & _RESPONSE else 0
    if not opt:
        return Message(identifier, flags, question, end)
    payload = int.from_bytes(data[opt + 2 : opt + 4], "big")
    return Message(identifier, flags, question, end, opt, max(payload, SMALLEST_PAYLOAD))


def build_query(identifier: int, labels: Labels, record_type: int) -> bytes:
    """Return a recursive query with EDNS."""
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    header = struct.pack("!6H", identifier, _RECURSION_DESIRED, 1, 0, 0, 1)
    return header + name + struct.pack("!HH", record_type, CLASS_IN) + _opt(b"")


def build_refusal(query: bytes, rcode: int, text: str = "") -> bytes | None:
    """Return an answer that only refuses; None when there is nothing that could be answered.

    ``text`` goes along as an Extended DNS Error "Network Error" when the query had EDNS.
    """
    if len(query) < HEADER_LENGTH or query[2] & 0x80:
        return None
    identifier, flags = struct.unpack_from("!HH", query)
    kept = flags & (_OPCODE | _RECURSION_DESIRED | _CHECKING_DISABLED)
    answer = _RESPONSE | kept | _RECURSION_AVAILABLE | rcode
    try:
        message = parse_message(query)
    except WireError:
        return struct.pack("!6H", identifier, answer, 0, 0, 0, 0)
    head = struct.pack("!6H", identifier, answer, 1, 0, 0, int(message.edns))
    body = query[HEADER_LENGTH : message.question_end]
    if not message.edns:
        return head + body
    error = struct.pack("!H", EDE_NETWORK_ERROR) + text.encode()
    option = struct.pack("!HH", _OPTION_EDE, len(error)) + error if text else b""
    return head + body + _opt(option)


def with_id(data: bytes, identifier: int) -> bytes:
    """Return the message under another number."""
    return identifier.to_bytes(2, "big") + data[2:]


def with_payload(query: bytes, opt: int, payload: int) -> bytes:
    """Return the query with another payload in the OPT record, whose type is at ``opt``."""
    return query[: opt + 2] + payload.to_bytes(2, "big") + query[opt + 4 :]


def build_truncated(answer: bytes, question_end: int) -> bytes:
    """Return the answer without its records, to be asked for again by TCP."""
    flags = int.from_bytes(answer[2:4], "big") | _TRUNCATED
    head = struct.pack("!HHHH", flags, 1, 0, 0) + b"\0\0"
    return answer[:2] + head + answer[HEADER_LENGTH:question_end]


def build_empty(answer: bytes, question_end: int) -> bytes:
    """Return the answer without its records: the name has none of this type (RFC 2308, 2.2)."""
    flags = int.from_bytes(answer[2:4], "big") & ~(_TRUNCATED | _AUTHENTIC)
    head = struct.pack("!HHHH", flags, 1, 0, 0) + b"\0\0"
    return answer[:2] + head + answer[HEADER_LENGTH:question_end]


def parse_addresses(data: bytes) -> tuple[str, ...]:
    """Return all addresses in the answer section, in order."""
    answer = parse_answer(data)
    if answer.cut_off:
        raise WireError("DNS record cut off")
    return answer.addresses


def parse_answer(data: bytes) -> Answer:
    """Read a message with its answers; those behind a cut are missing, others must be right."""
    message = parse_message(data)
    _, _, _, answers, _, _ = _header(data)
    offset, records, cut_off = message.question_end, [], answers > MAXIMUM_RECORDS
    names = _Names(data)
    for _ in range(min(answers, MAXIMUM_RECORDS)):
        if not _holds_record(data, offset):
            cut_off = True
            break
        record, offset = _resource(data, offset, names)
        if record is not None:
            records.append(record)
    return Answer(message, tuple(records), cut_off)


class Record(NamedTuple):
    """One record of any section, without its value."""

    section: int
    """0 answer, 1 authority, 2 additional."""
    name: str
    type: int
    klass: int
    ttl: int
    ttl_offset: int
    target: str
    """What a CNAME or DNAME points to."""
    minimum: int
    """Of an SOA: the time to live of negative answers (RFC 2308, section 4)."""


def parse_records(data: bytes) -> list[Record]:
    """Read all records of a whole answer; OPT is passed over."""
    offset = parse_message(data).question_end
    counts = _header(data)[3:]
    if sum(counts) > MAXIMUM_RECORDS:
        raise WireError(f"DNS answer with {sum(counts)} records")
    names, records = _Names(data), []
    for section, count in enumerate(counts):
        for _ in range(count):
            name = names.read(offset)
            offset = _skip_name(data, offset)
            kind, klass, length = _record(data, offset)
            begin, end = offset + 10, offset + 10 + length
            if kind != TYPE_OPT:
                ttl = int.from_bytes(data[offset + 4 : offset + 8], "big")
                target = names.read(begin) if kind in (TYPE_CNAME, TYPE_DNAME) else ""
                minimum = int.from_bytes(data[end - 4 : end], "big") if kind == TYPE_SOA else 0
                records.append(Record(section, name, kind, klass, ttl, offset + 4, target, minimum))
            offset = end
    return records


def name_of(labels: Labels) -> str:
    """Return a name for people."""
    return ".".join(label.decode("ascii", "backslashreplace") for label in labels) or "."


def labels_of(name: str) -> Labels:
    """Return the labels of a name as configured; names beyond ASCII become A-labels.

    Raises :exc:`WireError` when it is no domain name.
    """
    text = name.strip().strip(".")
    try:
        # IDNA only where needed: its tables cost memory and it refuses names like "_msdcs".
        encoded = text.encode("ascii") if text.isascii() else text.encode("idna")
    except UnicodeError as error:
        raise WireError(f"{name!r} is no domain name: {error}") from error
    labels = tuple(encoded.lower().split(b".")) if encoded else ()
    if any(not 0 < len(label) <= MAXIMUM_LABEL for label in labels):
        raise WireError(f"{name!r} is no domain name: a label is empty or too long")
    if sum(len(label) + 1 for label in labels) + 1 > MAXIMUM_NAME:
        raise WireError(f"{name!r} is no domain name: too long")
    return labels


def _header(data: bytes) -> tuple[int, ...]:
    if len(data) < HEADER_LENGTH:
        raise WireError(f"DNS message of {len(data)} bytes, needs {HEADER_LENGTH}")
    return struct.unpack_from("!6H", data)


def _question(data: bytes) -> tuple[Question, int]:
    labels, offset, total = [], HEADER_LENGTH, len(data)
    # Lengths of labels are below every letter. The first name of a message has nothing to point
    # to: no compression here.
    lower = data.lower()
    while True:
        if offset >= total:
            raise WireError("DNS message cut off")
        size = data[offset]
        if size == 0:
            break
        if size > MAXIMUM_LABEL:
            raise WireError("DNS question with a compressed or unknown label")
        following = offset + 1 + size
        if following > total or following - HEADER_LENGTH >= MAXIMUM_NAME:
            raise WireError("DNS question cut off or too long")
        labels.append(lower[offset + 1 : following])
        offset = following
    end = offset + 5
    if total < end:
        raise WireError("DNS question cut off")
    kind, klass = _TYPE_AND_CLASS.unpack_from(data, offset + 1)
    return Question(tuple(labels), kind, klass), end


def _holds_record(data: bytes, offset: int) -> bool:
    """Whether the whole record at ``offset`` is there."""
    try:
        offset = _skip_name(data, offset)
        _record(data, offset)
    except WireError:
        if offset < len(data) and MAXIMUM_LABEL < data[offset] < _POINTER:
            raise
        return False
    return True


class _Names:
    """The names of one message; each is read once, however many point to it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: dict[int, str] = {}

    def read(self, offset: int, pointers: int = MAXIMUM_POINTERS) -> str:
        """Read a name, following pointers backwards only (RFC 1035, section 4.1.4)."""
        known = self._known.get(offset)
        if known is not None:
            return known
        parts, at = [], offset
        while (size := _byte(self._data, at)) != 0:
            if size >= _POINTER:
                target = (size & 0x3F) << 8 | _byte(self._data, at + 1)
                if target >= offset or not pointers:
                    raise WireError("DNS name that points in a circle")
                tail = self.read(target, pointers - 1)
                parts += [tail] if tail != "." else []
                break
            label = self._data[at + 1 : at + 1 + size]
            if size > MAXIMUM_LABEL or len(label) < size:
                raise WireError("DNS name cut off")
            parts.append(label.lower().decode("ascii", "backslashreplace"))
            at += size + 1
        name = ".".join(parts) or "."
        if len(name) > _LONGEST_TEXT:
            raise WireError("DNS name too long")
        self._known[offset] = name
        return name


def _resource(data: bytes, offset: int, names: _Names) -> tuple[Resource | None, int]:
    """Read one record; None when it is not of the Internet class."""
    name = names.read(offset)
    offset = _skip_name(data, offset)
    kind, klass, length = _record(data, offset)
    (ttl,) = struct.unpack_from("!I", data, offset + 4)
    begin = offset + 10
    end = begin + length
    if klass != CLASS_IN:
        return None, end
    return Resource(name, kind, ttl, _value(data, kind, begin, end, names)), end


def _value(data: bytes, kind: int, begin: int, end: int, names: _Names) -> str | Service | bytes:
    value = data[begin:end]
    if kind == TYPE_A and len(value) == 4:
        return str(IPv4Address(value))
    if kind == TYPE_AAAA and len(value) == 16:
        return str(IPv6Address(value))
    if kind == TYPE_CNAME:
        return names.read(begin)
    if kind == TYPE_SRV and len(value) > 6:
        priority, weight, port = struct.unpack_from("!HHH", value)
        return Service(priority, weight, port, names.read(begin + 6))
    return value


def _find_opt(data: bytes, offset: int, records: int) -> int:
    if records > MAXIMUM_RECORDS:
        raise WireError(f"DNS query with {records} records")
    for _ in range(records):
        offset = _skip_name(data, offset)
        kind, _, length = _record(data, offset)
        if kind == TYPE_OPT:
            return offset
        offset += 10 + length
    return 0


def _record(data: bytes, offset: int) -> tuple[int, int, int]:
    if len(data) < offset + 10:
        raise WireError("DNS record cut off")
    kind, klass, _, length = struct.unpack_from("!HHIH", data, offset)
    if len(data) < offset + 10 + length:
        raise WireError("DNS record cut off")
    return kind, klass, length


def _skip_name(data: bytes, offset: int) -> int:
    while True:
        size = _byte(data, offset)
        if size >= _POINTER:
            return offset + 2
        if size > MAXIMUM_LABEL:
            raise WireError("DNS name with an unknown label type")
        offset += size + 1
        if size == 0:
            return offset


def _byte(data: bytes, offset: int) -> int:
    if offset >= len(data):
        raise WireError("DNS message cut off")
    return data[offset]


def _opt(options: bytes) -> bytes:
    return struct.pack("!BHHIH", 0, TYPE_OPT, SAFE_PAYLOAD, 0, len(options)) + options
