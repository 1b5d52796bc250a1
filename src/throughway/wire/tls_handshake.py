"""TLS handshake messages in the clear (RFC 5246, section 7.4; RFC 8446, section 4; RFC 6066).

From TLS 1.3 on, only the two hellos are; up to 1.2, certificates and requests for them as well.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from throughway.model.errors import WireError

MAXIMUM_CERTIFICATES = 32
"""Certificates of one chain."""
MAXIMUM_AUTHORITIES = 4096
"""Names in one request for a certificate; a Windows server sends its whole trusted list."""

NULL_SUITES: dict[int, str] = {
    0x0000: "TLS_NULL_WITH_NULL_NULL",
    0x0001: "TLS_RSA_WITH_NULL_MD5",
    0x0002: "TLS_RSA_WITH_NULL_SHA",
    0x002C: "TLS_PSK_WITH_NULL_SHA",
    0x002D: "TLS_DHE_PSK_WITH_NULL_SHA",
    0x002E: "TLS_RSA_PSK_WITH_NULL_SHA",
    0x003B: "TLS_RSA_WITH_NULL_SHA256",
    0x00B0: "TLS_PSK_WITH_NULL_SHA256",
    0x00B1: "TLS_PSK_WITH_NULL_SHA384",
    0x00B4: "TLS_DHE_PSK_WITH_NULL_SHA256",
    0x00B5: "TLS_DHE_PSK_WITH_NULL_SHA384",
    0x00B8: "TLS_RSA_PSK_WITH_NULL_SHA256",
    0x00B9: "TLS_RSA_PSK_WITH_NULL_SHA384",
    0xC001: "TLS_ECDH_ECDSA_WITH_NULL_SHA",
    0xC006: "TLS_ECDHE_ECDSA_WITH_NULL_SHA",
    0xC00B: "TLS_ECDH_RSA_WITH_NULL_SHA",
    0xC010: "TLS_ECDHE_RSA_WITH_NULL_SHA",
    0xC015: "TLS_ECDH_anon_WITH_NULL_SHA",
    0xC039: "TLS_ECDHE_PSK_WITH_NULL_SHA",
    0xC03A: "TLS_ECDHE_PSK_WITH_NULL_SHA256",
    0xC03B: "TLS_ECDHE_PSK_WITH_NULL_SHA384",
    0xC0B4: "TLS_SHA256_SHA256",
    0xC0B5: "TLS_SHA384_SHA384",
}
"""Suites which protect nothing from being read (IANA's registry of cipher suites)."""

_NO_SUITES = frozenset({0x00FF, 0x5600})
"""Signals in the list of suites: renegotiation (RFC 5746), fallback (RFC 7507)."""

VERSIONS = {
    0x0002: "SSL 2.0",
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}

_HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random value that makes a ServerHello a HelloRetryRequest (RFC 8446, section 4.1.3)."""
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS = 0, 16, 43
_HOST_NAME = 0


class HandshakeType(IntEnum):
    """The messages that are told apart; others are plain numbers."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    CERTIFICATE_STATUS = 22
    SSL2_CLIENT_HELLO = 0x100
    """No number of TLS: the hello of SSL 2.0, which has a form of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """What the client offers."""

    type = HandshakeType.CLIENT_HELLO

    version: int
    """The version field, which TLS 1.3 leaves at 1.2."""
    versions: tuple[int, ...]
    """All that are offered, without GREASE (RFC 8701); the version field where no list is."""
    suites: tuple[int, ...]
    """Without GREASE and without signals."""
    server_name: str | None = None
    protocols: tuple[str, ...] = ()
    """Of ALPN (RFC 7301)."""
    session: bytes = b""
    """The session to be resumed; TLS 1.3 fills it with chance."""

    @property
    def null_suites(self) -> tuple[int, ...]:
        """Those of the suites that encrypt nothing."""
        return tuple(suite for suite in self.suites if suite in NULL_SUITES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """What the server has chosen."""

    type = HandshakeType.SERVER_HELLO

    version: int
    """What is spoken from here on."""
    suite: int
    retry: bool = False
    """Whether it is a HelloRetryRequest: the client shall offer something else."""
    protocol: str = ""
    """Of ALPN; TLS 1.3 says it under keys."""
    session: bytes = b""

    @property
    def null_suite(self) -> bool:
        """Whether nothing will be encrypted."""
        return self.suite in NULL_SUITES


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The chain that one side shows, its own certificate first, DER."""

    type = HandshakeType.CERTIFICATE

    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """The server wants a certificate of the client."""

    type = HandshakeType.CERTIFICATE_REQUEST

    types: tuple[int, ...]
    authorities: tuple[bytes, ...]
    """Names of the authorities that it accepts, DER; none: any."""


@dataclass(frozen=True, slots=True)
class OtherMessage:
    """A message of which only the type matters."""

    type: int
    length: int


Message = ClientHello | ServerHello | Certificate | CertificateRequest | OtherMessage


def is_grease(value: int) -> bool:
    """Whether a number is one of those that mean nothing (RFC 8701)."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def parse_handshake(kind: int, body: bytes) -> Message:
    """Read one message without its header."""
    match kind:
        case HandshakeType.CLIENT_HELLO:
            return parse_client_hello(body)
        case HandshakeType.SSL2_CLIENT_HELLO:
            return parse_ssl2_client_hello(body)
        case HandshakeType.SERVER_HELLO:
            return parse_server_hello(body)
        case HandshakeType.CERTIFICATE:
            return parse_certificate(body)
        case HandshakeType.CERTIFICATE_REQUEST:
            return parse_certificate_request(body)
        case _:
            return OtherMessage(kind, len(body))


class _Cursor:
    """Cuts vectors with lengths in front of them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise WireError("TLS message is cut off")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Take a piece that has its length, of ``size`` bytes, in front."""
        return self.take(self.number(size))


def parse_client_hello(body: bytes) -> ClientHello:
    """Read a ClientHello (RFC 8446, section 4.1.2)."""
    cursor = _Cursor(body)
    version = cursor.number(2)
    cursor.take(32)
    session = cursor.vector(1)
    suites = _numbers(cursor.vector(2))
    cursor.vector(1)
    extensions = _extensions(cursor)
    return ClientHello(
        version=version,
        versions=_supported_versions(extensions) or (version,),
        suites=tuple(s for s in suites if s not in _NO_SUITES and not is_grease(s)),
        server_name=_server_name(extensions.get(_SERVER_NAME)),
        protocols=_protocols(extensions.get(_ALPN)),
        session=session,
    )


def parse_ssl2_client_hello(body: bytes) -> ClientHello:
    """Read the hello of SSL 2.0, which offers newer versions as well (RFC 6101, appendix E)."""
    if len(body) < 9:
        raise WireError("SSL 2.0 hello is cut off")
    kind, version, suites, session, _ = struct.unpack_from("!BHHHH", body)
    if kind != 1 or len(body) < 9 + suites or suites % 3:
        raise WireError("no SSL 2.0 hello")
    listed = (int.from_bytes(body[at : at + 3], "big") for at in range(9, 9 + suites, 3))
    return ClientHello(
        version=version,
        versions=(version,),
        # Above 0xFFFF are the suites of SSL 2.0 itself.
        suites=tuple(s for s in listed if s <= 0xFFFF and s not in _NO_SUITES),
        session=body[9 + suites : 9 + suites + session],
    )


def parse_server_hello(body: bytes) -> ServerHello:
    """Read a ServerHello or HelloRetryRequest (RFC 8446, section 4.1.3)."""
    cursor = _Cursor(body)
    version = cursor.number(2)
    random = cursor.take(32)
    session = cursor.vector(1)
    suite = cursor.number(2)
    cursor.take(1)
    extensions = _extensions(cursor)
    selected = extensions.get(_SUPPORTED_VERSIONS, b"")
    return ServerHello(
        version=int.from_bytes(selected, "big") if len(selected) == 2 else version,
        suite=suite,
        retry=random == _HELLO_RETRY,
        protocol="".join(_protocols(extensions.get(_ALPN))[:1]),
        session=session,
    )


def parse_certificate(body: bytes) -> Certificate:
    """Read a chain as TLS up to 1.2 sends it (RFC 5246, section 7.4.2)."""
    whole = _Cursor(_Cursor(body).vector(3))
    chain: list[bytes] = []
    while whole:
        if len(chain) >= MAXIMUM_CERTIFICATES:
            raise WireError(f"chain of more than {MAXIMUM_CERTIFICATES} certificates")
        chain.append(whole.vector(3))
    return Certificate(chain=tuple(chain))


def parse_certificate_request(body: bytes) -> CertificateRequest:
    """Read a request as TLS up to 1.2 sends it (RFC 5246, section 7.4.4).

    Before 1.2 there is no list of signature algorithms; which of both it is shows in that the
    lengths come out even.
    """
    for with_algorithms in (True, False):
        try:
            return _certificate_request(body, with_algorithms)
        except WireError:
            continue
    raise WireError("broken TLS CertificateRequest")


def _certificate_request(body: bytes, with_algorithms: bool) -> CertificateRequest:
    cursor = _Cursor(body)
    types = tuple(cursor.vector(1))
    if with_algorithms and len(cursor.vector(2)) % 2:
        raise WireError("odd list of signature algorithms")
    names = _Cursor(cursor.vector(2))
    authorities: list[bytes] = []
    while names:
        if len(authorities) >= MAXIMUM_AUTHORITIES:
            raise WireError(f"more than {MAXIMUM_AUTHORITIES} authorities")
        authorities.append(names.vector(2))
    if cursor:
        raise WireError("bytes behind the authorities")
    return CertificateRequest(types=types, authorities=tuple(authorities))


def _numbers(data: bytes) -> tuple[int, ...]:
    if len(data) % 2:
        raise WireError("odd list in a TLS hello")
    return struct.unpack(f"!{len(data) // 2}H", data)


def _extensions(cursor: _Cursor) -> dict[int, bytes]:
    """Read extensions, which old hellos end without."""
    found: dict[int, bytes] = {}
    whole = _Cursor(cursor.vector(2) if cursor else b"")
    while whole:
        kind = whole.number(2)
        found.setdefault(kind, whole.vector(2))
    return found


def _supported_versions(extensions: dict[int, bytes]) -> tuple[int, ...]:
    data = extensions.get(_SUPPORTED_VERSIONS)
    if data is None:
        return ()
    return tuple(v for v in _numbers(_Cursor(data).vector(1)) if not is_grease(v))


def _server_name(data: bytes | None) -> str | None:
    """Return the name that the client wants to speak with (RFC 6066, section 3)."""
    if not data:
        return None
    names = _Cursor(_Cursor(data).vector(2))
    while names:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            return name.decode("ascii", "backslashreplace")
    return None


def _protocols(data: bytes | None) -> tuple[str, ...]:
    if not data:
        return ()
    whole, names = _Cursor(_Cursor(data).vector(2)), []
    while whole:
        names.append(whole.vector(1).decode("ascii", "backslashreplace"))
    return tuple(names)


def build_client_hello(hello: ClientHello) -> bytes:
    """Write a ClientHello with its handshake header; its random value is zeros."""
    name = (hello.server_name or "").encode("ascii")
    extensions = b""
    if name:
        entry = struct.pack("!BH", _HOST_NAME, len(name)) + name
        extensions += _extension(_SERVER_NAME, struct.pack("!H", len(entry)) + entry)
    if hello.versions != (hello.version,):
        listed = struct.pack(f"!{len(hello.versions)}H", *hello.versions)
        extensions += _extension(_SUPPORTED_VERSIONS, bytes((len(listed),)) + listed)
    if hello.protocols:
        listed = b"".join(bytes((len(p),)) + p.encode() for p in hello.protocols)
        extensions += _extension(_ALPN, struct.pack("!H", len(listed)) + listed)
    suites = struct.pack(f"!H{len(hello.suites)}H", 2 * len(hello.suites), *hello.suites)
    session = bytes((len(hello.session),)) + hello.session
    body = hello.version.to_bytes(2, "big") + bytes(32) + session + suites + b"\x01\x00"
    if extensions:
        body += struct.pack("!H", len(extensions)) + extensions
    return bytes((HandshakeType.CLIENT_HELLO,)) + len(body).to_bytes(3, "big") + body


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack("!HH", kind, len(data)) + data
