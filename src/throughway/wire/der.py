"""DER (X.690), as much of it as Kerberos' messages need: no library for three levels of sequences.

Parsing raises :exc:`WireError` for whatever is not exactly as expected.
"""

from throughway.model.errors import WireError

INTEGER, BIT_STRING, OCTETS, GENERAL_STRING, SEQUENCE = 0x02, 0x03, 0x04, 0x1B, 0x30
GENERALIZED_TIME = 0x18
APPLICATION, CONTEXT = 0x60, 0xA0
"""Added to the number of a constructed, explicit tag."""


def fields(data: bytes) -> dict[int, bytes]:
    """Return the content of a sequence's context-tagged fields; each once, in order."""
    found: dict[int, bytes] = {}
    while data:
        tag, value, data = read(data)
        number = tag ^ CONTEXT
        if number >= 0x1F or number <= max(found, default=-1):
            raise WireError(f"a field of tag {tag:#x} out of place")
        found[number] = value
    return found


def whole(data: bytes, tag: int) -> bytes:
    """Return the content of the one value that ``data`` is."""
    found, value, rest = read(data)
    if found != tag or rest:
        raise WireError(f"tag {found:#x} where {tag:#x} belongs")
    return value


def read(data: bytes) -> tuple[int, bytes, bytes]:
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


def tagged(tag: int, content: bytes) -> bytes:
    """Return a value in DER."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content
