"""What a PAC script may call: the functions of Netscape's format, as browsers have them.

Pure: the clock, the addresses of this computer and the names' are given. Whatever a script gives
a function, it gets an answer: scripts are written for forgiving browsers.
"""

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

MAXIMUM_LOOK_UPS = 20
"""Names that one run may ask for; a script that wants more looks for something else."""
MAXIMUM_PATTERN = 256
"""Characters of a pattern: matching takes time, and the script's own is limited."""

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
Value = str | int | float | bool | None
T = TypeVar("T", int, tuple[int, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a script can learn of the world."""

    resolve: Callable[[str], Sequence[str]]
    """Addresses of a name, () when there are none."""
    addresses: tuple[str, ...]
    """This computer's own, the one that leads outward first."""
    wall_time: float
    zone: int = 0
    """Seconds that local time is ahead of UTC."""


class Functions:
    """The functions for one run of a script."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._left = MAXIMUM_LOOK_UPS

    def table(self) -> dict[str, Callable[..., Value]]:
        """Return the functions by the names that scripts call them by."""
        return {
            "isPlainHostName": lambda host="", *_: "." not in _text(host),
            "dnsDomainIs": lambda host="", domain="", *_: _is_below(_text(host), _text(domain)),
            "localHostOrDomainIs": _is_local,
            "isResolvable": lambda host="", *_: bool(self._of(host, 4)),
            "isResolvableEx": lambda host="", *_: bool(self._of(host)),
            "isInNet": self._is_in_net,
            "isInNetEx": self._is_in_prefix,
            "dnsResolve": lambda host="", *_: next(iter(self._of(host, 4)), None),
            "dnsResolveEx": lambda host="", *_: ";".join(self._of(host)),
            "convert_addr": lambda address="", *_: _number(_text(address)),
            "myIpAddress": self._own_address,
            "myIpAddressEx": lambda *_: ";".join(self._around.addresses),
            "dnsDomainLevels": lambda host="", *_: _text(host).count("."),
            "shExpMatch": _matches,
            "weekdayRange": self._is_weekday,
            "dateRange": self._is_date,
            "timeRange": self._is_time,
            "sortIpAddressList": lambda addresses="", *_: _sorted(_text(addresses)),
            "getClientVersion": lambda *_: "1.0",
            "alert": lambda *_: None,
        }

    def _of(self, host: Value, version: int = 0) -> list[str]:
        """Return the addresses of a name or an address, of one version or of both."""
        name = _text(host)
        try:
            found: Sequence[str] = (str(ipaddress.ip_address(name)),)
        except ValueError:
            if self._left <= 0 or not name:
                return []
            self._left -= 1
            found = self._around.resolve(name)
        return [a for a in found if not version or (":" in a) == (version == 6)]

    def _is_in_net(
        self, host: Value = "", pattern: Value = "", mask: Value = "", *_: Value
    ) -> bool:
        for address in self._of(host, 4)[:1]:
            bits = _number(_text(mask))
            return _number(address) & bits == _number(_text(pattern)) & bits
        return False

    def _is_in_prefix(self, host: Value = "", prefix: Value = "", *_: Value) -> bool:
        try:
            network = ipaddress.ip_network(_text(prefix), strict=False)
        except ValueError:
            return False
        return any(ipaddress.ip_address(address) in network for address in self._of(host))

    def _own_address(self, *_: Value) -> str:
        return next((a for a in self._around.addresses if ":" not in a), "127.0.0.1")

    # Times: the last argument may be "GMT"; one argument is that very time, two are a range.

    def _now(self, arguments: tuple[Value, ...]) -> tuple[datetime, list[Value]]:
        words = list(arguments)
        now = datetime.fromtimestamp(self._around.wall_time, UTC)
        if words and _text(words[-1]).upper() == "GMT":
            return now, words[:-1]
        return now + timedelta(seconds=self._around.zone), words

    def _is_weekday(self, *arguments: Value) -> bool:
        now, words = self._now(arguments)
        days = [_text(word).upper() for word in words]
        if not 1 <= len(days) <= 2 or any(day not in _DAYS for day in days):
            return False
        today = (now.weekday() + 1) % 7
        return _between(_DAYS.index(days[0]), today, _DAYS.index(days[-1]))

    def _is_date(self, *arguments: Value) -> bool:
        now, words = self._now(arguments)
        parts = [_date_part(word) for word in words]
        half = len(parts) // 2 if len(parts) > 1 and _is_range(parts) else len(parts)
        first, last = parts[:half], parts[half:] or parts
        kinds = [kind for kind, _ in first]
        if None in kinds or not kinds or kinds != [kind for kind, _ in last]:
            return False
        own = {"year": now.year, "month": now.month, "day": now.day}
        order = [kind for kind in ("year", "month", "day") if kind in kinds]
        begin, end = (tuple(dict(side)[kind] for kind in order) for side in (first, last))
        return _between(begin, tuple(own[kind] for kind in order), end)

    def _is_time(self, *arguments: Value) -> bool:
        now, words = self._now(arguments)
        try:
            numbers = [int(float(_text(word))) for word in words]
        except (ValueError, OverflowError):
            return False
        own = (now.hour, now.minute, now.second)
        match numbers:
            case [hour]:
                return now.hour == hour
            case [begin, end]:
                return _between((begin,), own[:1], (end - 1,)) if begin != end else True
            case [_, _, _, _] | [_, _, _, _, _, _]:
                half = len(numbers) // 2
                begin_at, end_at = tuple(numbers[:half]), tuple(numbers[half:])
                return _between(begin_at, own[:half], end_at)
        return False


def _text(value: Value) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _is_below(host: str, domain: str) -> bool:
    return host.lower().endswith(domain.lower())


def _is_local(host: Value = "", whole: Value = "", *_: Value) -> bool:
    name, full = _text(host).lower(), _text(whole).lower()
    return name == full or ("." not in name and full.partition(".")[0] == name)


def _matches(text: Value = "", pattern: Value = "", *_: Value) -> bool:
    """Match a shell's pattern; brackets are no sets there."""
    words = re.sub(r"\*+", "*", _text(pattern)[:MAXIMUM_PATTERN]).replace("[", "[[]")
    return fnmatch.fnmatchcase(_text(text), words)


def _number(address: str) -> int:
    try:
        return int(ipaddress.IPv4Address(address))
    except ValueError:
        return 0


def _sorted(addresses: str) -> str:
    """IPv6 before IPv4, as in Windows."""
    words = [word.strip() for word in addresses.split(";") if word.strip()]
    try:
        return ";".join(sorted(words, key=lambda a: ipaddress.ip_address(a).version, reverse=True))
    except ValueError:
        return ""


def _date_part(word: Value) -> tuple[str | None, int]:
    text = _text(word).upper()
    if text in _MONTHS:
        return "month", _MONTHS.index(text) + 1
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        return None, 0
    return ("day", int(text)) if int(text) <= 31 else ("year", int(text))


def _is_range(parts: list[tuple[str | None, int]]) -> bool:
    """Whether the second half is of the same kinds as the first: from, to."""
    kinds = [kind for kind, _ in parts]
    half = len(kinds) // 2
    return len(kinds) % 2 == 0 and kinds[:half] == kinds[half:]


def _between(begin: T, now: T, end: T) -> bool:
    """Whether a time lies in a range, which may run over the end of the day, week or year."""
    if begin <= end:
        return begin <= now <= end
    return now >= begin or now <= end
