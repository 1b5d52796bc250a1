"""The fragments of EAP-TLS (RFC 5216 sections 2.1.5 and 3), as the server's end has them.

Driven by :class:`throughway.proto.authoriser.Authoriser`; what the octets mean is TLS's business.
"""

import struct

from throughway.model.errors import WireError

LENGTH, MORE, START = 0x80, 0x40, 0x20
"""Flags of RFC 5216 section 3.1."""
FRAGMENT = 1000
"""Octets: an IKE packet with one stays below IPv6's least MTU, 1280."""
MAX_FLIGHT = 32 * 1024
"""Octets; a chain of eight certificates of RSA keys is shorter."""


class Fragments:
    """Puts flights of TLS together, and takes them apart."""

    def __init__(self) -> None:
        self._incoming = bytearray()
        self._outgoing = b""
        self._first = False

    def start(self) -> bytes:
        """Return the data of the request that begins EAP-TLS."""
        return bytes((START,))

    def send(self, flight: bytes) -> bytes:
        """Take a flight; return the first fragment of it."""
        self._outgoing, self._first = flight, True
        return self._next()

    def receive(self, data: bytes) -> tuple[bytes, bool]:
        """Take a response's data: return (fragment or acknowledgement, False) or (flight, True)."""
        flags, content = _parsed(data)
        if self._outgoing:
            if content or flags:
                raise WireError("a fragment of EAP-TLS was not acknowledged")
            return self._next(), False
        self._incoming += content
        if len(self._incoming) > MAX_FLIGHT:
            raise WireError(f"a flight of TLS of more than {MAX_FLIGHT} bytes")
        if flags & MORE:
            return bytes((0,)), False
        flight, self._incoming = bytes(self._incoming), bytearray()
        return flight, True

    def _next(self) -> bytes:
        fragment, self._outgoing = self._outgoing[:FRAGMENT], self._outgoing[FRAGMENT:]
        flags, length = (MORE if self._outgoing else 0), b""
        if self._first and self._outgoing:
            flags |= LENGTH
            length = struct.pack("!I", len(fragment) + len(self._outgoing))
        self._first = False
        return bytes((flags,)) + length + fragment


def _parsed(data: bytes) -> tuple[int, bytes]:
    """Return flags and TLS data; the length that may stand there adds nothing."""
    if not data:
        raise WireError("EAP-TLS without flags")
    flags = data[0]
    if not flags & LENGTH:
        return flags & MORE, data[1:]
    if len(data) < 5:
        raise WireError("EAP-TLS with half a length")
    return flags & MORE, data[5:]
