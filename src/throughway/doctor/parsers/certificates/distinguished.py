"""Names, thumbprints and identifiers of certificates, as several commands print them."""

import re
from datetime import datetime

from throughway.doctor.parsers.forms import dates
from throughway.model.facts.certificates import Store

NAME = re.compile(r"(?:CN|DC|OU|O|C|E|L|S|ST|SN|SERIALNUMBER|STREET|T|G)\s?=\s?\S", re.IGNORECASE)
"""The beginning of a distinguished name."""
_HEXADECIMAL = re.compile(r"[0-9a-f]+$")
_IDENTIFIER = re.compile(r"\(([0-2](?:\.[0-9]{1,10}){3,20})\)")
_NUMBERS = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10}){3,}")
_EARLIEST = 1950
"""No certificate is older than the format that holds its dates."""
_STORES = {
    "my": Store.MACHINE,
    "root": Store.ROOT,
    "authroot": Store.ROOT,
    "ca": Store.INTERMEDIATE,
}


def hexadecimal(text: str) -> str:
    """Return a serial number or a hash in lower case without blanks; "" when it is none."""
    digits = "".join(text.lower().split())
    return digits if _HEXADECIMAL.match(digits) else ""


def thumbprint(text: str) -> str:
    """Return a SHA-1 hash; "" when it is something else."""
    digits = hexadecimal(text)
    return digits if len(digits) == 40 else ""


def moment(text: str) -> datetime | None:
    """Return the date that a value begins with; None for numbers and identifiers alike."""
    if not text[:1].isdigit() or _NUMBERS.match(text):
        return None
    found = dates.moment(text)
    return found if found and found.year >= _EARLIEST else None


def identifiers(text: str) -> tuple[str, ...]:
    """Return the object identifiers that stand in parentheses."""
    return tuple(_IDENTIFIER.findall(text))


def store(name: str, *, user: bool = False) -> Store:
    """Return which store a name means: My, Root, CA, LocalMachine\\My, …"""
    lower = name.strip().strip('"').lower().rstrip("\\")
    found = _STORES.get(re.split(r"[\\/]", lower)[-1], Store.UNKNOWN)
    if found is Store.MACHINE and (user or "currentuser" in lower):
        return Store.USER
    return found
