"""The first message of SPNEGO (RFC 4178, section 4.2.1) around a Kerberos token."""

SPNEGO = bytes.fromhex("06062b0601050502")
"""1.3.6.1.5.5.2, in DER."""
KERBEROS = bytes.fromhex("06092a864886f712010202")
"""1.2.840.113554.1.2.2, in DER."""
_APPLICATION, _SEQUENCE, _OCTETS = 0x60, 0x30, 0x04
_INIT = _MECHANISMS = 0xA0
_TOKEN = 0xA2


def build_init(token: bytes) -> bytes:
    """Return a NegTokenInit that offers Kerberos alone and carries its token already."""
    mechanisms = _tagged(_MECHANISMS, _tagged(_SEQUENCE, KERBEROS))
    content = mechanisms + _tagged(_TOKEN, _tagged(_OCTETS, token))
    return _tagged(_APPLICATION, SPNEGO + _tagged(_INIT, _tagged(_SEQUENCE, content)))


def _tagged(tag: int, content: bytes) -> bytes:
    """Write tag, length and content, X.690 section 8.1.3."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
