"""A name's spelling as a second number: letters in random case (draft-vixie-dnsext-dns0x20).

A server copies the question into its answer, so who did not see the question must guess the case
of every letter besides the number and the port (RFC 5452). Some servers do not copy it as it was.
"""

from collections.abc import Callable


def spelled(name: bytes, random_bits: Callable[[int], int]) -> bytes:
    """Return a name of the wire with the case of its letters drawn anew."""
    lower = name.lower()
    # Lengths of labels are below every letter, so both ways of writing differ in letters only.
    small = int.from_bytes(lower, "big")
    letters = small ^ int.from_bytes(name.upper(), "big")
    return (small ^ (random_bits(8 * len(name)) & letters)).to_bytes(len(name), "big")


def same_but_for_case(one: bytes, other: bytes) -> bool:
    """Compare two questions of the wire: their names in any case, type and class exactly."""
    return one[:-4].lower() == other[:-4].lower() and one[-4:] == other[-4:]
