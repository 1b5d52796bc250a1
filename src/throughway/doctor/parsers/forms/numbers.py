"""Numbers, addresses and words that stand in outputs, whatever surrounds them."""

import ipaddress
import re

_HEXADECIMAL = re.compile(r"0[x\u00d7]([0-9a-f]{1,8})\b", re.IGNORECASE)
"""Web pages make a sign of multiplication of the x."""
_DECIMAL = re.compile(r"-?[0-9]{1,11}\b")
_ADDRESS = re.compile(r"\s*[0-9a-f]*[.:][0-9a-f.:]*\s*(?:[(\uff08%].*)?", re.IGNORECASE | re.DOTALL)
_COLONS, _DOTS = 2, 3
"""The least that an address of version 6 and of version 4 has."""
_MARKS = re.compile(r"[(\uff08%].*$")
UNSIGNED = 1 << 32

TRUE = frozenset(
    {"true", "yes", "enabled", "enable", "on", "1", "ja", "oui", "s\u00ed", "si", "\u662f"}
)
FALSE = frozenset({"false", "no", "disabled", "disable", "off", "0", "nein", "non", "\u5426"})


def error_code(text: str) -> int | None:
    """Return a code, hexadecimal or signed or unsigned decimal, as an unsigned number."""
    if match := _HEXADECIMAL.search(text):
        return int(match[1], 16)
    if match := _DECIMAL.match(text.strip()):
        return int(match[0]) % UNSIGNED
    return None


def boolean(text: str) -> bool | None:
    """Return what a word for yes or no says; None for any other word."""
    word = text.strip().lower()
    return True if word in TRUE else False if word in FALSE else None


def integer(text: str) -> int | None:
    """Return the number that a value begins with."""
    match = _DECIMAL.match(text.strip())
    return int(match[0]) if match else None


def address(text: str) -> str | None:
    """Return an IP address without zone and mark ("(Preferred)"), in its short form."""
    if text.count(":") < _COLONS and text.count(".") < _DOTS:
        return None
    if not _ADDRESS.fullmatch(text):
        return None
    try:
        return str(ipaddress.ip_address(_MARKS.sub("", text).strip()))
    except ValueError:
        return None


def is_global_ipv6(text: str) -> bool:
    """Whether IP-HTTPS counts the address as global: 2000::/3 or fc00::/7."""
    try:
        parsed = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    top = int(parsed) >> 120
    return 0x20 <= top <= 0x3F or top in {0xFC, 0xFD}
