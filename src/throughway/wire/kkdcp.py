"""Kerberos through HTTPS ([MS-KKDCP] 2.2), and as much of KDC requests as a careful proxy reads.

What is not exactly as RFC 4120 (section 5.4.1) has it is refused.
"""

from dataclasses import dataclass

from throughway.model.errors import WireError
from throughway.wire.der import (
    APPLICATION,
    CONTEXT,
    GENERAL_STRING,
    INTEGER,
    OCTETS,
    SEQUENCE,
    fields,
    read,
    tagged,
    whole,
)

AS_REQ, TGS_REQ = 10, 12
"""Application tags, RFC 4120 section 5.10."""
MAX_MESSAGE = 64 * 1024
"""Octets; a ticket with a large PAC has 12,000 ([MS-KILE] 3.3.5.6.4 allows no more than 65,535)."""
LENGTH_PREFIX = 4
"""Octets before a message over TCP (RFC 4120 section 7.2.2); in HTTPS too."""


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
    parts = fields(whole(data, SEQUENCE))
    message = whole(parts.get(0, b""), OCTETS)
    length = int.from_bytes(message[:LENGTH_PREFIX], "big")
    if length != len(message) - LENGTH_PREFIX or not length:
        raise WireError(f"a Kerberos message that claims {length} of {len(message)} bytes")
    realm = _text(whole(parts[1], GENERAL_STRING)) if 1 in parts else ""
    return ProxyMessage(message=message[LENGTH_PREFIX:], realm=realm)


def build_proxy_message(message: ProxyMessage) -> bytes:
    """Build a KDC-PROXY-MESSAGE."""
    framed = len(message.message).to_bytes(LENGTH_PREFIX, "big") + message.message
    content = tagged(CONTEXT, tagged(OCTETS, framed))
    if message.realm:
        content += tagged(CONTEXT | 1, tagged(GENERAL_STRING, message.realm.encode()))
    return tagged(SEQUENCE, content)


def parse_kdc_request(data: bytes) -> KDCRequest:
    """Parse an AS-REQ or TGS-REQ, as far as :class:`KDCRequest` says."""
    kind = data[0] ^ APPLICATION if data else 0
    if kind not in (AS_REQ, TGS_REQ):
        raise WireError("no AS-REQ and no TGS-REQ")
    request = fields(whole(whole(data, APPLICATION | kind), SEQUENCE))
    version, number = (whole(request.get(n, b""), INTEGER) for n in (1, 2))
    if version != b"\x05" or number != bytes((kind,)):
        raise WireError("a Kerberos message that contradicts itself")
    body = fields(whole(request.get(4, b""), SEQUENCE))
    return KDCRequest(
        kind=kind,
        client=_principal(body[1]) if 1 in body else "",
        realm=_text(whole(body.get(2, b""), GENERAL_STRING)),
        service=_principal(body[3]) if 3 in body else "",
    )


def _principal(data: bytes) -> str:
    """Return a PrincipalName's components (RFC 4120 section 5.2.2)."""
    rest = whole(fields(whole(data, SEQUENCE)).get(1, b""), SEQUENCE)
    names = []
    while rest:
        tag, value, rest = read(rest)
        if tag != GENERAL_STRING:
            raise WireError("a principal whose names are no strings")
        names.append(_text(value))
    # A slash inside of a component would make two principals look like one.
    if not names or any("/" in name for name in names):
        raise WireError("a principal without a plain name")
    return "/".join(names)


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    if not text.isprintable() or "\ufffd" in text:
        raise WireError("a name that is no text")
    return text
