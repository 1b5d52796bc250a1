"""The PROXY protocol, versions 1 and 2: what a load balancer says before a connection's bytes.

"The PROXY protocol", Willy Tarreau, 2020/03/05: section 2.1 (human-readable), 2.2 (binary).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from throughway.model.errors import WireError

MAX_V1 = 107
"""Octets of the longest line, CRLF included (section 2.1)."""
MAX_V2 = 4096
"""Octets of a whole header. The addresses and all fields there are have a tenth of it; the length
field could promise 64 KiB, for which nobody shall make us wait."""
MAX_TLVS = 64
"""Fields of one header, those within a field included."""

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_HEAD = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0, 1
_UNSPEC, _INET, _INET6, _UNIX = 0, 1, 2, 3
_STREAM = 1
_LONGEST_UNIX = 216
_TLV_SSL = 0x20
_SSL_HEAD = struct.Struct("!BI")
_SSL_VERSION, _SSL_CN, _SSL_CIPHER = 0x21, 0x22, 0x23
_CLIENT_SSL, _CLIENT_CERT_CONN, _CLIENT_CERT_SESS = 0x01, 0x02, 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTLS:
    """What the sender says of the TLS that ended with it (PP2_TYPE_SSL, section 2.2.6)."""

    version: str = ""
    cipher: str = ""
    common_name: str = ""
    """Of the client's certificate."""
    certificate: bool = False
    """Whether the client showed one, on this connection or on the one that was resumed."""
    verify: int = 0
    """What became of it: an error number of OpenSSL's; 0: nothing was wrong, or there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyHeader:
    """Who the client is."""

    version: int
    local: bool = False
    """The connection is the sender's own: a health check (LOCAL)."""
    source: str = ""
    """Address; "": the sender does not know it (UNKNOWN, AF_UNSPEC, AF_UNIX)."""
    source_port: int = 0
    destination: str = ""
    destination_port: int = 0
    tls: ClientTLS | None = None
    """None: the sender says nothing of TLS."""


def parse_proxy_header(data: bytes) -> tuple[ProxyHeader, int] | None:
    """Read the header at the begin of a stream; return it with its length.

    None: more bytes are needed. The answer depends on the bytes alone, not on how they came.
    Raises :exc:`WireError` as soon as it cannot become a header any more.
    """
    if _V2.startswith(data[: len(_V2)]):
        return _parse_v2(data) if len(data) >= _V2_HEAD.size else None
    if _V1.startswith(data[: len(_V1)]):
        return _parse_v1(data)
    raise WireError("no PROXY protocol header")


def build_v1(source: str, source_port: int, destination: str, destination_port: int) -> bytes:
    """Write the human-readable header."""
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {source_port} {destination_port}\r\n".encode()


def _parse_v1(data: bytes) -> tuple[ProxyHeader, int] | None:
    end = data.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(data) >= MAX_V1:
            raise WireError(f"a PROXY line has at most {MAX_V1} octets")
        return None
    length = end + 2
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":  # whatever follows must be ignored (section 2.1)
        return ProxyHeader(version=1), length
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise WireError("not a PROXY line: PROXY TCP4|TCP6|UNKNOWN, two addresses, two ports")
    kind: type[IPv4Address | IPv6Address] = IPv4Address if words[1] == b"TCP4" else IPv6Address
    try:
        source, destination = (kind(word.decode("ascii")) for word in words[2:4])
    except ValueError as error:
        raise WireError(f"not an address in a PROXY line: {error}") from error
    return ProxyHeader(
        version=1,
        source=_text(source),
        source_port=_port(words[4]),
        destination=_text(destination),
        destination_port=_port(words[5]),
    ), length


def _port(word: bytes) -> int:
    if not (
        word.isdigit()
        and len(word) <= 5
        and int(word) <= 0xFFFF
        and str(int(word)) == word.decode()
    ):
        raise WireError("not a port in a PROXY line")
    return int(word)


def _parse_v2(data: bytes) -> tuple[ProxyHeader, int] | None:
    _, command, family, size = _V2_HEAD.unpack_from(data)
    length = _V2_HEAD.size + size
    if command >> 4 != 2 or command & 15 not in (_LOCAL, _PROXY):
        raise WireError(f"PROXY protocol with version and command {command:#04x}")
    if length > MAX_V2:
        raise WireError(f"a PROXY header of {length} octets; {MAX_V2} are read")
    if len(data) < length:
        return None
    body = data[_V2_HEAD.size : length]
    if command & 15 == _LOCAL:  # what else is said must be ignored (section 2.2)
        return ProxyHeader(version=2, local=True), length
    addresses, rest = _addresses(family, body)
    return ProxyHeader(version=2, tls=_tls(rest), **addresses), length  # type: ignore[arg-type]


def _addresses(family: int, body: bytes) -> tuple[dict[str, str | int], bytes]:
    """Cut the addresses off; what is behind them are fields."""
    kind = family >> 4
    if kind == _UNSPEC:
        # Addresses of a family that is not said cannot be told from fields: none may be read.
        return {}, b""
    if family & 15 != _STREAM:
        raise WireError("a PROXY header of a connection that is not a stream")
    if kind == _UNIX:
        _need(body, _LONGEST_UNIX)
        return {}, body[_LONGEST_UNIX:]
    if kind == _INET:
        return _internet(struct.Struct("!4s4sHH"), IPv4Address, body)
    if kind == _INET6:
        return _internet(struct.Struct("!16s16sHH"), IPv6Address, body)
    raise WireError(f"a PROXY header of the unknown family {family:#04x}")


def _internet(
    form: struct.Struct, kind: type[IPv4Address | IPv6Address], body: bytes
) -> tuple[dict[str, str | int], bytes]:
    _need(body, form.size)
    source, destination, source_port, destination_port = form.unpack_from(body)
    return {
        "source": _text(kind(source)),
        "source_port": source_port,
        "destination": _text(kind(destination)),
        "destination_port": destination_port,
    }, body[form.size :]


def _text(address: IPv4Address | IPv6Address) -> str:
    """An IPv4 client of a socket for both families is still one of IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _need(body: bytes, size: int) -> None:
    if len(body) < size:
        raise WireError("the addresses of a PROXY header are cut off")


def _tls(data: bytes) -> ClientTLS | None:
    """Find the field about TLS; all others are passed over (section 2.2.1)."""
    found = [value for kind, value in _fields(data) if kind == _TLV_SSL]
    if len(found) > 1:
        raise WireError("a PROXY header that speaks twice of TLS")
    if not found:
        return None
    if len(found[0]) < _SSL_HEAD.size:
        raise WireError("PP2_TYPE_SSL is cut off")
    client, verify = _SSL_HEAD.unpack_from(found[0])
    if not client & _CLIENT_SSL:
        return None
    parts: dict[int, bytes] = {}
    for kind, value in _fields(found[0][_SSL_HEAD.size :]):
        if parts.setdefault(kind, value) is not value:
            raise WireError(f"PP2_TYPE_SSL with two fields {kind:#04x}")
    return ClientTLS(
        version=_words(parts.get(_SSL_VERSION)),
        cipher=_words(parts.get(_SSL_CIPHER)),
        common_name=_words(parts.get(_SSL_CN)),
        certificate=bool(client & (_CLIENT_CERT_CONN | _CLIENT_CERT_SESS)),
        verify=verify,
    )


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = count = 0
    while at < len(data):
        count += 1
        if count > MAX_TLVS:
            raise WireError(f"a PROXY header with more than {MAX_TLVS} fields")
        if at + 3 > len(data):
            raise WireError("a field of a PROXY header is cut off")
        kind, size = struct.unpack_from("!BH", data, at)
        at += 3
        if at + size > len(data):
            raise WireError("a field of a PROXY header is cut off")
        yield kind, data[at : at + size]
        at += size


def _words(value: bytes | None) -> str:
    """Text of the field, for people and as a key: what cannot be printed is written out."""
    text = (value or b"").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
