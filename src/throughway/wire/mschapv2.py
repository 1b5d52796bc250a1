"""EAP-MSCHAPv2 as far as one who passes it on must read it ([MS-CHAP] 2.2).

Whose password is being proven stands in the response, not in the EAP identity: who ties
accounts to certificates has to look there.
"""

import re

from throughway.model.errors import WireError

TYPE = 26
"""Of EAP."""
CHALLENGE, RESPONSE, SUCCESS, FAILURE, CHANGE_PASSWORD = 1, 2, 3, 4, 7
MAX_NAME = 256
_RESPONSE_NAME = 54
"""Where the name begins: opcode, identifier, length, size, 49 octets of response."""
_ERROR = re.compile(rb"^E=(\d{1,10})(?:\s|$)")


def parse_opcode(data: bytes) -> int:
    """Return what kind of message the data of an EAP packet of :data:`TYPE` is."""
    if not data:
        raise WireError("an EAP-MSCHAPv2 message without an opcode")
    return data[0]


def parse_response_name(data: bytes) -> str:
    """Return the account that a Response names."""
    if len(data) <= _RESPONSE_NAME - 1 or data[0] != RESPONSE or data[4] != 49:
        raise WireError(f"no EAP-MSCHAPv2 response: {len(data)} bytes")
    length = int.from_bytes(data[2:4], "big")
    name = data[_RESPONSE_NAME:length]
    if not _RESPONSE_NAME < length <= len(data) or len(name) > MAX_NAME:
        raise WireError(f"an EAP-MSCHAPv2 response that claims {length} of {len(data)} bytes")
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise WireError("an EAP-MSCHAPv2 response whose name is no text") from None


def parse_failure_code(data: bytes) -> int:
    """Return the Windows error number of a Failure, such as 647; 0 when it says none."""
    match = _ERROR.match(data[4:]) if data[:1] == bytes((FAILURE,)) else None
    return int(match[1]) if match else 0
