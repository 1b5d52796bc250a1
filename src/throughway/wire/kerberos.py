"""Asking a KDC whether it is there and what time it has, without any secret (RFC 4120).

An AS-REQ without pre-authentication for a name that nobody has is answered by a KRB-ERROR, which
bears the KDC's clock: one datagram each way.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from throughway.model.errors import WireError
from throughway.wire.der import (
    APPLICATION,
    BIT_STRING,
    CONTEXT,
    GENERAL_STRING,
    GENERALIZED_TIME,
    INTEGER,
    SEQUENCE,
    fields,
    tagged,
    whole,
)

AS_REQ, KRB_ERROR = 10, 30
"""Message types and application tags, section 5.10."""
AES256, AES128 = 18, 17
"""Encryption types, RFC 3962."""
NT_PRINCIPAL, NT_SRV_INST = 1, 2
LONGEST_INTEGER = 4
"""Octets; error codes and microseconds are 32 bits wide (section 5.2.4)."""
_FOREVER = b"20370913024805Z"
"""What clients ask for that want a ticket as long as they can get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KDCError:
    """KRB-ERROR, section 5.9.1."""

    code: int
    """Section 7.5.9: 6 is C_PRINCIPAL_UNKNOWN, 25 PREAUTH_REQUIRED, 68 WRONG_REALM."""
    time: datetime
    """The KDC's clock, UTC."""
    realm: str


def build_as_request(client: str, realm: str, nonce: int) -> bytes:
    """Build an AS-REQ without pre-authentication (section 5.4.1); ``nonce`` has 31 bits."""
    body = (
        _field(0, tagged(BIT_STRING, bytes(5))),
        _field(1, _principal(NT_PRINCIPAL, client)),
        _field(2, _string(realm)),
        _field(3, _principal(NT_SRV_INST, "krbtgt", realm)),
        _field(5, tagged(GENERALIZED_TIME, _FOREVER)),
        _field(7, _integer(nonce)),
        _field(8, tagged(SEQUENCE, _integer(AES256) + _integer(AES128))),
    )
    request = (
        _field(1, _integer(5)),
        _field(2, _integer(AS_REQ)),
        _field(4, tagged(SEQUENCE, b"".join(body))),
    )
    return tagged(APPLICATION | AS_REQ, tagged(SEQUENCE, b"".join(request)))


def parse_error(data: bytes) -> KDCError:
    """Parse a KRB-ERROR, as far as :class:`KDCError` says."""
    error = fields(whole(whole(data, APPLICATION | KRB_ERROR), SEQUENCE))
    if whole(error.get(1, b""), INTEGER) != bytes((KRB_ERROR,)):
        raise WireError("a Kerberos message that contradicts itself")
    text = whole(error.get(4, b""), GENERALIZED_TIME)
    try:
        time = datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise WireError("a KRB-ERROR without a time") from None
    micro = _number(error[5]) if 5 in error else 0
    if not 0 <= micro < 1_000_000:
        raise WireError("a KRB-ERROR with microseconds that are none")
    realm = whole(error.get(9, b""), GENERAL_STRING).decode("utf-8", "replace")
    return KDCError(
        code=_number(error.get(6, b"")), time=time.replace(microsecond=micro), realm=realm
    )


def _number(data: bytes) -> int:
    content = whole(data, INTEGER)
    if not 1 <= len(content) <= LONGEST_INTEGER:
        raise WireError("a number that is too wide")
    return int.from_bytes(content, "big", signed=True)


def _field(number: int, value: bytes) -> bytes:
    return tagged(CONTEXT | number, value)


def _integer(number: int) -> bytes:
    return tagged(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def _string(text: str) -> bytes:
    return tagged(GENERAL_STRING, text.encode())


def _principal(kind: int, *names: str) -> bytes:
    """Section 5.2.2."""
    strings = tagged(SEQUENCE, b"".join(map(_string, names)))
    return tagged(SEQUENCE, _field(0, _integer(kind)) + _field(1, strings))
