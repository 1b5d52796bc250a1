"""Certificates and revocation lists as files: DER, PEM, and PKCS #7 of either form.

The library that reads them is heavy, so it is imported only when there is such a file.
"""

from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact

MAXIMUM_FILE = 32 << 20
"""Bytes; a revocation list of a million entries is about that long."""
_BEGINNINGS = ("certificate", "x509 crl", "pkcs7", "trusted certificate", "new certificate")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the file holds."""
    from throughway.doctor.parsers.certificates import decoded

    data = _bytes(evidence)
    if data and not data.isspace():
        yield from decoded.read(evidence, data)


def _bytes(evidence: Evidence) -> bytes:
    if evidence.open is None:
        return evidence.content or evidence.text.encode()
    try:
        with evidence.open() as stream:
            data = stream.read(MAXIMUM_FILE + 1)
    except OSError as error:
        raise ParseError(str(error)) from error
    if len(data) > MAXIMUM_FILE:
        raise ParseError("the file is too large for certificates or a revocation list")
    return data


def signature(head: str) -> int:
    """Score the head of a text."""
    if "-----begin " not in head:
        return 0
    return CERTAIN if any(f"-----begin {kind}-----" in head for kind in _BEGINNINGS) else 0


def magic(content: bytes) -> bool:
    """Whether it is a DER sequence whose length may be true."""
    if content[:1] != b"\x30" or len(content) < 64 or content[1] not in {0x81, 0x82, 0x83, 0x84}:
        return False
    size = content[1] & 0x0F
    inner = content[2 + size : 3 + size]
    return inner in {b"\x30", b"\x06"}


PARSER = Parser(
    name="certificate or revocation list",
    parse=parse,
    signature=signature,
    magic=magic,
)
