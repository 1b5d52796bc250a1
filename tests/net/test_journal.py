"""journald's datagrams: one entry each, whatever the values hold."""

import socket
import struct
from pathlib import Path

import pytest

from throughway.net.journal import MAX_ENTRY, Journal, build_entry


def test_a_value_of_one_line_stands_behind_its_name() -> None:
    assert build_entry({"MESSAGE": "hello", "PRIORITY": "6"}) == b"MESSAGE=hello\nPRIORITY=6\n"


def test_a_line_break_in_a_value_makes_no_other_field() -> None:
    value = b"refused\nPRIORITY=0"
    entry = build_entry({"MESSAGE": value.decode()})
    assert entry == b"MESSAGE\n" + struct.pack("<Q", len(value)) + value + b"\n"


@pytest.mark.parametrize("name", ["", "lower", "A=B", "A\nB", "Ä"])
def test_what_is_no_field_is_our_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="field"):
        build_entry({name: "x"})


def test_an_entry_reaches_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(path))
        journal = Journal(path)
        assert journal.present
        assert journal.send({"MESSAGE": "hello"})
        assert journald.recv(MAX_ENTRY) == b"MESSAGE=hello\n"
        journal.close()


def test_where_there_is_none_nothing_is_sent(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "none")
    assert not journal.present
    assert not journal.send({"MESSAGE": "hello"})
    assert journal.lost == 0


def test_nobody_waits_for_a_journal_that_is_full(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(path))
        journal = Journal(path)
        while journal.send({"MESSAGE": "x" * 1000}):
            pass
        assert journal.lost == 1
        journal.close()
