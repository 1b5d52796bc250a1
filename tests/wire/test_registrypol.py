"""Registry.pol files: what a client's group policy sets and removes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.registrypol import (
    MAXIMUM_NAME,
    Entry,
    RegistryType,
    Value,
    build_registry_pol,
    decode_value,
    encode_value,
    is_registry_pol,
    parse_registry_pol,
)

RULE = "Software\\Policies\\Microsoft\\Windows NT\\DNSClient\\DnsPolicyConfig\\{1}"
DWORD = bytes.fromhex(
    "50526567 01000000"
    "5b00 4100 5c00 4200 0000 3b00 5600 0000 3b00 04000000 3b00 04000000 3b00 02000000 5d00"
)
"""One entry written by hand after [MS-GPREG] 2.2.1: A\\B, V, REG_DWORD 2."""
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)


def setting(name: str, kind: RegistryType, value: Value) -> Entry:
    return Entry(RULE, name, kind, encode_value(kind, value))


def read(data: bytes) -> list[Entry]:
    return list(parse_registry_pol(data))


def test_the_form_of_the_specification() -> None:
    (entry,) = read(DWORD)
    assert (entry.key, entry.name, entry.type, entry.value) == ("A\\B", "V", RegistryType.DWORD, 2)
    assert build_registry_pol([entry]) == DWORD
    assert is_registry_pol(DWORD)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (RegistryType.SZ, "2001:db8:c0::10;2001:db8:c0::11"),
        (RegistryType.EXPAND_SZ, "%windir%"),
        (RegistryType.MULTI_SZ, (".corp.example.com", "nls.corp.example.com")),
        (RegistryType.MULTI_SZ, ()),
        (RegistryType.DWORD, 0xFFFFFFFF),
        (RegistryType.DWORD_BIG_ENDIAN, 7),
        (RegistryType.QWORD, 1 << 40),
        (RegistryType.BINARY, b"[;]\0\0]"),
    ],
)
def test_values_by_type(kind: RegistryType, value: Value) -> None:
    entry = setting("Name", kind, value)
    assert read(build_registry_pol([entry, entry])) == [entry, entry]
    assert entry.value == value


def test_what_does_not_fit_its_type_stays_bytes() -> None:
    assert decode_value(RegistryType.DWORD, b"abc") == b"abc"
    assert decode_value(RegistryType.QWORD, b"abcd") == b"abcd"
    assert decode_value(99, b"x") == b"x"
    assert decode_value(RegistryType.SZ, b"a\0b") == "a"
    with pytest.raises(WireError):
        encode_value(RegistryType.DWORD, 1 << 32)


def test_removals() -> None:
    one = Entry(RULE, "**del.GenericDNSServers", RegistryType.SZ, b" \0\0\0")
    everything = Entry(RULE, "**delvals.", RegistryType.SZ, b" \0\0\0")
    several = setting("**DeleteValues", RegistryType.SZ, "A;B")
    plain = setting("Name", RegistryType.SZ, "x")
    assert one.deleted == "GenericDNSServers"
    assert everything.deletes_all
    assert everything.deleted is None
    assert several.deleted_names == ("A", "B")
    assert (plain.deleted, plain.deletes_all, plain.deleted_names) == (None, False, ())


@given(
    st.lists(st.builds(Entry, TEXTS, TEXTS, st.integers(0, 12), st.binary(max_size=40)), max_size=5)
)
def test_files_come_back(entries: list[Entry]) -> None:
    assert read(build_registry_pol(entries)) == entries


@pytest.mark.parametrize("length", range(9, len(DWORD)))
def test_a_file_that_is_cut_off_says_where(length: int) -> None:
    with pytest.raises(WireError, match="offset"):
        read(DWORD[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PReg\2\0\0\0",
        DWORD[:8] + b"{\0",
        DWORD[:-2] + b")\0",
        DWORD[:8] + b"[\0" + b"a\0" * (MAXIMUM_NAME + 1) + b"\0\0",
        DWORD.replace(b"\4\0\0\0;\0\2", b"\xff\xff\xff\x7f;\0\2"),
    ],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        read(data)


def test_names_that_cannot_be_are_not_written() -> None:
    with pytest.raises(WireError):
        build_registry_pol([Entry("a\0b", "", 1, b"")])
