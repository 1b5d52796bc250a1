"""Lookups by nslookup, answered, refused and cut off."""

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import NameLookup

SERVER = "Server:  UnKnown\nAddress:  2001:db8:7:3333::1\n\n"
ANSWER = (
    "Non-authoritative answer:\nName:    web.corp.example.com\nAddresses:  2001:db8::80\n"
    "          192.0.2.80\nAliases:  app.corp.example.com\n"
)


def lookups(text: str) -> list[NameLookup]:
    return facts(text, NameLookup)


def test_an_answer() -> None:
    (found,) = lookups(f"C:\\>nslookup app.corp.example.com\n{SERVER}{ANSWER}")
    assert (found.name, found.server) == ("app.corp.example.com", "2001:db8:7:3333::1")
    assert found.addresses == ("2001:db8::80", "192.0.2.80")
    assert (found.failed, found.timed_out, found.through_nrpt) == (False, False, False)


def test_without_the_command_the_alias_is_what_was_asked_for() -> None:
    (found,) = lookups(SERVER + ANSWER)
    assert found.name == "app.corp.example.com"


@pytest.mark.parametrize(
    ("labels", "failure"),
    [
        (
            "Server:  x.example.com\nAddress:  192.0.2.1\n",
            "*** UnKnown can't find {}: Server failed",
        ),
        (
            "Serveur :   box\nAddress:  192.0.2.1\n",
            "*** UnKnown ne parvient pas à trouver {} : xyz",
        ),
        ("Server:  box\nAddress:  192.0.2.1\n", "*** {} wurde von box nicht gefunden: xyz"),
        ("Servidor:  box\nAddress:  192.0.2.1\n", "*** UnKnown no encuentra {}: xyz"),
        ("服务器:  UnKnown\nAddress:  192.0.2.1\n", "*** UnKnown 找不到 {}: xyz"),
    ],
)
def test_a_failure_in_other_languages(labels: str, failure: str) -> None:
    text = f"{labels}\n{failure.format('app.corp.example.com')}\n"
    (found,) = lookups(f"C:\\>nslookup app.corp.example.com\n{text}")
    assert (found.name, found.server) == ("app.corp.example.com", "192.0.2.1")
    assert (found.failed, found.timed_out) == (True, False)
    (found,) = [item for item in lookups_of_file(text) if isinstance(item, NameLookup)]
    assert found.name == "app.corp.example.com"


@pytest.mark.parametrize(
    ("server", "words", "name"),
    [
        ("fritz.box", "*** fritz.box can't find dc01.example.com: Non-existent domain", "dc01"),
        (
            "dc1.example.com",
            "*** dc02.example.com wurde von dc1.example.com nicht gefunden.",
            "dc02",
        ),
    ],
)
def test_without_the_command_the_server_is_not_what_was_asked_for(
    server: str, words: str, name: str
) -> None:
    (found,) = lookups(f"Server:  {server}\nAddress:  192.0.2.1\n\n{words}\n")
    assert (found.name, found.failed, found.timed_out) == (f"{name}.example.com", True, False)


@pytest.mark.parametrize("server", ["UnKnown", "dc1.corp.example.com"])
def test_without_the_command_a_silent_server_is_known(server: str) -> None:
    silent = "DNS request timed out.\n    timeout was 2 seconds.\n"
    text = f"Server:  {server}\nAddress:  2001:db8:7:3333::1\n\n{silent}"
    (found,) = lookups(f"{text}*** Request to {server} timed-out\n")
    assert (found.name, found.server) == ("", "2001:db8:7:3333::1")
    assert (found.failed, found.timed_out) == (True, True)
    assert lookups(text) == []


def lookups_of_file(text: str) -> list[NameLookup]:
    return facts(text, NameLookup, "nslookup.txt")


def test_a_server_that_does_not_answer() -> None:
    text = "DNS request timed out.\n    timeout was 2 seconds.\n"
    end = "*** Request to UnKnown timed-out\n"
    (found,) = lookups(f"C:\\>nslookup app.example.com 192.0.2.1\n{text}{SERVER}{text}{end}")
    assert (found.failed, found.timed_out) == (True, True)


def test_a_server_without_a_name_answers_all_the_same() -> None:
    text = "DNS request timed out.\n    timeout was 2 seconds.\n"
    (found,) = lookups(f"C:\\>nslookup app.corp.example.com\n{text}{SERVER}{ANSWER}")
    assert (found.failed, found.timed_out) == (False, False)


def test_the_type_that_was_asked_for() -> None:
    (found,) = lookups(f"C:\\>nslookup -q=a app.corp.example.com\n{SERVER}{ANSWER}")
    assert (found.record_type, found.both_kinds) == ("A", False)


@pytest.mark.parametrize("before", ["", "C:\\>nslookup\n> set type=a\n> app.corp.example.com\n"])
def test_without_the_command_nobody_knows_what_was_asked_for(before: str) -> None:
    (found,) = lookups(f"{before}{SERVER}{ANSWER}")
    assert (found.record_type, found.both_kinds) == (None, None)


def test_without_a_type_both_kinds_are_asked_for() -> None:
    (found,) = lookups(f"C:\\>nslookup app.corp.example.com\n{SERVER}{ANSWER}")
    assert (found.record_type, found.both_kinds) == (None, True)


@pytest.mark.parametrize("cut", range(0, len(SERVER + ANSWER), 5))
def test_what_is_cut_off_did_not_fail(cut: int) -> None:
    text = f"C:\\>nslookup app.corp.example.com\n{(SERVER + ANSWER)[:cut]}"
    assert not any(found.failed for found in lookups(text))
