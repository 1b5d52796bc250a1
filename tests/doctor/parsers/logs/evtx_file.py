"""Writes event logs as Windows keeps them: a file header, one chunk, a record for each event.

Every record holds its whole XML in binary form; names and values stand where they are used.
"""

import struct
import zlib
from collections.abc import Sequence
from xml.etree import ElementTree

FILE_HEADER = 4096
CHUNK = 65536
CHUNK_HEADER = 512
FILETIME = 133_500_000_000_000_000
FRAGMENT = bytes.fromhex("0f010100")
END, CLOSE, EMPTY, ELEMENT, VALUE, ATTRIBUTE = 0x04, 0x02, 0x03, 0x01, 0x05, 0x06
MORE = 0x40
NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"


def event_log(events: Sequence[str]) -> bytes:
    """Return an EVTX file with these events, each given as XML."""
    chunk = bytearray(CHUNK_HEADER)
    last = CHUNK_HEADER
    for number, xml in enumerate(events, 1):
        last = len(chunk)
        chunk += _record(number, ElementTree.fromstring(xml), last)
    free = len(chunk)
    assert free <= CHUNK
    chunk[:56] = struct.pack(
        "<8sQQQQIIII",
        b"ElfChnk\0",
        1,
        len(events),
        1,
        len(events),
        128,
        last,
        free,
        zlib.crc32(bytes(chunk[CHUNK_HEADER:])),
    )[:56]
    chunk[120:128] = struct.pack("<II", 0, zlib.crc32(bytes(chunk[:120] + chunk[128:512])))
    head = struct.pack(
        "<8sQQQIHHHH", b"ElfFile\0", 0, 0, len(events) + 1, 128, 1, 3, FILE_HEADER, 1
    ).ljust(120, b"\0")
    head += struct.pack("<II", 0, zlib.crc32(head))
    return head.ljust(FILE_HEADER, b"\0") + bytes(chunk).ljust(CHUNK, b"\0")


def _record(number: int, root: ElementTree.Element, at: int) -> bytes:
    body = FRAGMENT + _element(root, at + 24 + len(FRAGMENT)) + b"\0"
    size = 24 + len(body) + 4
    return (
        struct.pack("<IIQQ", 0x2A2A, size, number, FILETIME + number)
        + body
        + struct.pack("<I", size)
    )


def _element(element: ElementTree.Element, at: int) -> bytes:
    attributes = dict(element.attrib)
    if element.tag.startswith("{"):
        namespace, _, name = element.tag[1:].partition("}")
        if name == "Event":
            attributes = {"xmlns": namespace, **attributes}
    else:
        name = element.tag
    head_size = 1 + 4
    out = _name(name, at + head_size)
    if attributes:
        listed = b""
        where = at + head_size + len(out) + 4
        for left, (key, value) in zip(
            range(len(attributes) - 1, -1, -1), attributes.items(), strict=True
        ):
            token = ATTRIBUTE | (MORE if left else 0)
            listed += bytes([token]) + _name(key, where + len(listed) + 1) + _value(value)
        out += struct.pack("<I", len(listed)) + listed
    if not len(element) and not element.text:
        out += bytes([EMPTY])
    else:
        out += bytes([CLOSE])
        if element.text and element.text.strip():
            out += _value(element.text)
        for child in element:
            out += _element(child, at + head_size + len(out))
        out += bytes([END])
    token = ELEMENT | (MORE if attributes else 0)
    return bytes([token]) + struct.pack("<I", len(out)) + out


def _name(name: str, at: int) -> bytes:
    """A name stands where it is first used: at the offset after its own offset."""
    text = name.encode("utf-16-le")
    return struct.pack("<IIHH", at + 4, 0, 0, len(name)) + text + b"\0\0"


def _value(text: str) -> bytes:
    return bytes([VALUE, 0x01]) + struct.pack("<H", len(text)) + text.encode("utf-16-le")
