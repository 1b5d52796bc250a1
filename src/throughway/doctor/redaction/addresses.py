"""IP addresses that keep their kind, their length and what they share with others.

Addresses with a common beginning (at octets, at hexadecimal digits) have one afterwards. Private,
link-local, shared, multicast, documentation, 6to4, Teredo, ISATAP and NAT64 addresses stay such;
what is embedded in them is the same address as where it stands alone. Interface identifiers are
the same under every prefix. Well-known addresses and masks stay.
"""

import ipaddress
from functools import lru_cache

from throughway.doctor.redaction.pseudonyms import Pseudonyms

_KEPT_V4 = frozenset(
    {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "192.88.99.1", "131.107.255.255"}
)
_KEPT_V6 = frozenset(
    ipaddress.IPv6Address(text)
    for text in (
        *("2001:4860:4860::8888", "2001:4860:4860::8844", "2606:4700:4700::1111"),
        *("2606:4700:4700::1001", "2620:fe::fe", "2620:fe::9"),
    )
)
_KEPT_FIRST = frozenset({0, 10, 127, *range(224, 256)})
_KEPT_TWO = frozenset({100, 169, 172, 192, 198, 203})
"""First octets under which private, shared and documentation networks lie: the second stays."""
_CLASSES = (range(1, 10), range(10, 16), range(16, 100), range(100, 255))
"""Octets that are as long as each other in decimal and in hexadecimal."""
_DIGITS = tuple(range(16))
_NOT_ZERO = tuple(range(1, 16))
_TEREDO = 0x20010000
_SIXTOFOUR = 0x2002
_MARKS = frozenset({0x3333, 0x7777, 0x5EFE})
"""Groups by which DirectAccess and ISATAP are known."""
_SMALL = 0x10
"""Interface identifiers below this were given by hand and tell nothing."""


class Addresses:
    """Replacements of addresses under one key."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._octet = lru_cache(maxsize=65_536)(self._new_octet)
        self._group = lru_cache(maxsize=65_536)(self._new_group)

    def v4(self, text: str) -> str:
        """Return what stands for an IPv4 address; what is none stays as it is."""
        octets = [int(part) for part in text.split(".")]
        if text in _KEPT_V4 or max(octets) > 255 or octets[0] in _KEPT_FIRST - {10}:
            return text
        if any(len(part) > 1 and part.startswith("0") for part in text.split(".")):
            return text
        return ".".join(map(str, self._v4_octets(octets)))

    def v6(self, text: str) -> str:
        """Return what stands for an IPv6 address, written as it was; what is none stays."""
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            return text
        if address in _KEPT_V6:
            return text
        groups = [int.from_bytes(address.packed[at : at + 2]) for at in range(0, 16, 2)]
        return _written_like(text, self._groups(groups))

    def network(self, text: str) -> str:
        """Return what stands for ADDRESS/LENGTH; a network stays one without bits of hosts."""
        address, _, length = text.partition("/")
        new = self.v6(address) if ":" in address else self.v4(address)
        try:
            ipaddress.ip_network(text)
            return f"{ipaddress.ip_network(f'{new}/{length}', strict=False)}"
        except ValueError:
            return f"{new}/{length}"

    def _v4_octets(self, octets: list[int]) -> list[int]:
        if ".".join(map(str, octets)) in _KEPT_V4 or octets[0] in _KEPT_FIRST - {10}:
            return octets
        kept = 2 if octets[0] in _KEPT_TWO else 1 if octets[0] == 10 else 0
        new = octets[:kept]
        for place in range(kept, 4):
            new.append(self._octet(octets[place], ".".join(map(str, octets[:place]))))
        return new

    def _new_octet(self, value: int, before: str) -> int:
        for numbers in _CLASSES:
            if value in numbers:
                special = _KEPT_FIRST | _KEPT_TWO if not before else frozenset[int]()
                choices = tuple(number for number in numbers if number not in special)
                return self._pseudonyms.permuted(value, choices, f"v4/{before}")
        return value

    def _groups(self, groups: list[int]) -> list[int]:
        first = groups[0]
        if first == _SIXTOFOUR:
            return self._sixtofour(groups)
        if first << 16 | groups[1] == _TEREDO:
            return self._teredo(groups)
        if first >> 8 == 0xFF or first & 0xFFC0 == 0xFEC0:
            return groups
        if not any(groups[:5]):
            return [*groups[:6], *self._embedded(groups[6:])] if groups[5] else groups
        return [*self._prefix(groups[:4]), *self._identifier(groups[4:], groups)]

    def _prefix(self, groups: list[int]) -> list[int]:
        if groups[0] & 0xFFC0 == 0xFE80 or groups[:2] == [0x64, 0xFF9B]:
            return groups
        kept = 2 if groups[:2] == [0x2001, 0xDB8] else 1
        new = list(groups[:kept])
        if groups[0] >> 8 in {0xFC, 0xFD}:
            new = [groups[0] & 0xFF00 | self._group(groups[0] & 0xFF, "ula")]
        for place in range(kept, 4):
            new.append(self._group(groups[place], str(groups[:place])))
        return new

    def _identifier(self, groups: list[int], whole: list[int]) -> list[int]:
        isatap = groups[0] in {0, 0x200} and groups[1] == 0x5EFE
        nat64 = 0x7777 in whole[2:6] or whole[:2] == [0x64, 0xFF9B]
        if isatap or (nat64 and not any(groups[:2] if whole[:2] == [0x64, 0xFF9B] else ())):
            return [*groups[:2], *self._embedded(groups[2:])]
        if not any(groups[:3]) and groups[3] < _SMALL:
            return groups
        if groups[1] & 0xFF == 0xFF and groups[2] >> 8 == 0xFE:
            return self._from_mac(groups)
        return [self._group(group, f"id{place}") for place, group in enumerate(groups)]

    def _from_mac(self, groups: list[int]) -> list[int]:
        """Replace what is made from a hardware address; its maker and the mark of it stay."""
        serial = self._group(0x100 | groups[2] & 0xFF, "mac") & 0xFF
        return [groups[0], groups[1], 0xFE00 | serial, self._group(groups[3], "mac")]

    def _sixtofour(self, groups: list[int]) -> list[int]:
        prefix = self._embedded(groups[1:3])
        if groups[6:] == groups[1:3]:
            return [groups[0], *prefix, *groups[3:6], *prefix]
        return [groups[0], *prefix, groups[3], *self._identifier(groups[4:], groups)]

    def _teredo(self, groups: list[int]) -> list[int]:
        client = self._embedded([group ^ 0xFFFF for group in groups[6:]])
        server = self._embedded(groups[2:4])
        return [*groups[:2], *server, *groups[4:6], *(group ^ 0xFFFF for group in client)]

    def _embedded(self, groups: list[int]) -> list[int]:
        octets = [groups[0] >> 8, groups[0] & 0xFF, groups[1] >> 8, groups[1] & 0xFF]
        new = self._v4_octets(octets)
        return [new[0] << 8 | new[1], new[2] << 8 | new[3]]

    def _new_group(self, value: int, context: str) -> int:
        """Replace digit by digit, so that what begins alike does so afterwards."""
        if value in _MARKS or value == 0:
            return value
        text = f"{value:x}"
        new = ""
        for place, digit in enumerate(text):
            choices = _DIGITS if place else _NOT_ZERO
            chosen = self._pseudonyms.permuted(
                int(digit, 16), choices, f"v6/{context}/{len(text)}/{text[:place]}"
            )
            new += f"{chosen:x}"
        return int(new, 16)


def _written_like(text: str, groups: list[int]) -> str:
    """Return the groups in the form of a text: where it is shortened, padded, large, dotted."""
    if "." not in text:
        return _written(text, groups)
    rest = text.rpartition(":")[0]
    octets = (group >> shift & 0xFF for group in groups[6:] for shift in (8, 0))
    dotted = ".".join(map(str, octets))
    return _written(rest if rest != ":" else "::", groups[:6]).rstrip(":") + (
        f"::{dotted}" if rest.endswith(":") else f":{dotted}"
    )


def _written(text: str, groups: list[int]) -> str:
    before, shortened, after = text.partition("::")
    head = [part for part in before.split(":") if part]
    tail = [part for part in after.split(":") if part]
    first = [_digits(group, part) for group, part in zip(groups, head, strict=False)]
    last = [
        _digits(group, part)
        for group, part in zip(groups[len(groups) - len(tail) :], tail, strict=True)
    ]
    return ":".join(first) + shortened + ":".join(last)


def _digits(group: int, like: str) -> str:
    text = f"{group:x}".zfill(len(like))
    return text.upper() if like.upper() == like and not like.isdecimal() else text
