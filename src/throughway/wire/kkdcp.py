"""Kerberos through HTTPS ([MS-KKDCP] 2.2), and as much of KDC requests as a careful proxy reads.

DER is read by hand: three levels of RFC 4120's KDC-REQ (section 5.4.1) need no library, and what
is not exactly as expected is refused.
"""

from dataclasses import dataclass

from throughway.model.errors import WireError

AS_REQ, TGS_REQ = 10, 12
"""Application tags, RFC 4120 section 5.10."""
MAX_MESSAGE = 64 * 1024
"""Octets; a ticket with a large PAC has 12,000 ([MS-KILE] 3.3.5.6.4 allows no more than 65,535)."""
LENGTH_PREFIX = 4
"""Octets before a message over TCP (RFC 4120 section 7.2.2); in HTTPS too."""

_INTEGER, _OCTETS, _GENERAL_STRING, _SEQUENCE = 0x02, 0x04, 0x1B, 0x30
_APPLICATION, _CONTEXT = 0x60, 0xA0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyMessage:
    """KDC-PROXY-MESSAGE."""

    message: bytes
    """As it goes over TCP, but for the length before it."""
    realm: str = ""
    """Of the KDC that it is for; answers do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KDCRequest:
    """What a proxy must know of a request."""

    kind: int
    """:data:`AS_REQ` or :data:`TGS_REQ`."""
    client: str
    """The name in an AS-REQ, its components joined by slashes; "" in a TGS-REQ."""
    realm: str
    service: str


def parse_proxy_message(data: bytes) -> ProxyMessage:
    """Parse a KDC-PROXY-MESSAGE."""
    if len(data) > MAX_MESSAGE:
        raise WireError(f"a KDC-PROXY-MESSAGE of {len(data)} bytes")
    fields = _fields(_whole(data, _SEQUENCE))
    message = _whole(fields.get(0, b""), _OCTETS)
    length = int.from_bytes(message[:LENGTH_PREFIX], "big")
    if length != len(message) - LENGTH_PREFIX or not length:
        raise WireError(f"a Kerberos message that claims {length} of {len(message)} bytes")
    realm = _text(_whole(fields[1], _GENERAL_STRING)) if 1 in fields else ""
    return ProxyMessage(message=message[LENGTH_PREFIX:], realm=realm)


def build_proxy_message(message: ProxyMessage) -> bytes:
    """Build a KDC-PROXY-MESSAGE."""
    framed = len(message.message).to_bytes(LENGTH_PREFIX, "big") + message.message
    fields = _tagged(_CONTEXT, _tagged(_OCTETS, framed))
    if message.realm:
        fields += _tagged(_CONTEXT | 1, _tagged(_GENERAL_STRING, message.realm.encode()))
    return _tagged(_SEQUENCE, fields)


def parse_kdc_request(data: bytes) -> KDCRequest:
    """Parse an AS-REQ or TGS-REQ, as far as :class:`KDCRequest` says."""
    kind = data[0] ^ _APPLICATION if data else 0
    if kind not in (AS_REQ, TGS_REQ):
        raise WireError("no AS-REQ and no TGS-REQ")
    request = _fields(_whole(_whole(data, _APPLICATION | kind), _SEQUENCE))
    version, number = (_whole(request.get(n, b""), _INTEGER) for n in (1, 2))
    if version != b"\x05" or number != bytes((kind,)):
        raise WireError("a Kerberos message that contradicts itself")
    body = _fields(_whole(request.get(4, b""), _SEQUENCE))
    return KDCRequest(
        kind=kind,
        client=_principal(body[1]) if 1 in body else "",
        realm=_text(_whole(body.get(2, b""), _GENERAL_STRING)),
        service=_principal(body[3]) if 3 in body else "",
    )


def _principal(data: bytes) -> str:
    """Return a PrincipalName's components (RFC 4120 section 5.2.2)."""
    rest = _whole(_fields(_whole(data, _SEQUENCE)).get(1, b""), _SEQUENCE)
    names = []
    while rest:
        tag, value, rest = _read(rest)
        if tag != _GENERAL_STRING:
            raise WireError("a principal whose names are no strings")
        names.append(_text(value))
    # A slash inside of a component would make two principals look like one.
    if not names or any("/" in name for name in names):
        raise WireError("a principal without a plain name")
    return "/".join(names)


def _fields(data: bytes) -> dict[int, bytes]:
    """Return the context-tagged fields of a sequence; each once, in order."""
    found: dict[int, bytes] = {}
    while data:
        tag, value, data = _read(data)
        number = tag ^ _CONTEXT
        if number >= 0x1F or number <= max(found, default=-1):
            raise WireError(f"a field of tag {tag:#x} out of place")
        found[number] = value
    return found


def _whole(data: bytes, tag: int) -> bytes:
    """Return the content of the one value that ``data`` is."""
    found, value, rest = _read(data)
    if found != tag or rest:
        raise WireError(f"tag {found:#x} where {tag:#x} belongs")
    return value


def _read(data: bytes) -> tuple[int, bytes, bytes]:
    """Return tag and content of the first value, and what follows it."""
    if len(data) < 2:
        raise WireError("DER that ends early")
    length, at = data[1], 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 3 or len(data) < at + size:
            raise WireError("DER with a length that cannot be")
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    if len(data) < at + length:
        raise WireError(f"DER that claims {length} of {len(data) - at} bytes")
    return data[0], data[at : at + length], data[at + length :]


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    if not text.isprintable() or "\ufffd" in text:
        raise WireError("a name that is no text")
    return text
