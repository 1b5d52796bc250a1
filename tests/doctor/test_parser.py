"""How the parser for a piece of evidence is found."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.model.evidence import Evidence

TUNNEL = "Role : client\nLast Error Code : 0x0\nInterface Status : IPHTTPS interface active\n"
STATUS = "Status    : Error\nSubstatus : NameResolutionFailure\n"


def names(text: str, file: str = "x.txt", command: str = "") -> list[str]:
    return [parser.name for parser in find(Evidence(file, text, command=command), PARSERS)]


def test_by_content_whatever_its_name() -> None:
    assert names(TUNNEL) == ["netsh interface httpstunnel show interfaces"]
    assert names(STATUS, "ipconfig.log") == ["Get-DAConnectionStatus"]


def test_by_the_command_that_was_typed() -> None:
    assert names("待\n", command="netsh int teredo sh st") == ["netsh interface teredo show state"]


def test_by_the_name_of_the_file_when_the_content_says_nothing() -> None:
    named = names("Error: 0x80092013\n", "netsh-interface-httpstunnel-show-interfaces.txt")
    assert named == ["netsh interface httpstunnel show interfaces"]


def test_two_outputs_in_one_text_are_both_read() -> None:
    assert len(names(TUNNEL + "\n" + STATUS)) == 2


def test_what_is_not_known_has_no_parser() -> None:
    assert names("Dear Sir, nothing works.\n") == []
    assert find(Evidence("x.bin", content=b"\x00\x01\x02\x03"), PARSERS) == []


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_a_parser_says_nothing_of_nothing(parser: object) -> None:
    from throughway.doctor.parser import Parser

    assert isinstance(parser, Parser)
    assert list(parser.parse(Evidence("x.txt"))) == [] or parser.name == "Get-DnsClientNrptPolicy"


def test_names_are_unique() -> None:
    assert len({parser.name for parser in PARSERS}) == len(PARSERS)
