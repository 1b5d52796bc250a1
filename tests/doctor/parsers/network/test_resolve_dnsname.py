"""Lookups by Resolve-DnsName."""

import json

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import NameLookup

PROMPT = "PS C:\\> Resolve-DnsName app.corp.example.com"
TABLE = (
    "\nName                      Type   TTL   Section    IPAddress\n"
    "----                      ----   ---   -------    ---------\n"
    "app.corp.example.com      AAAA   60    Answer     2001:db8::80\n"
    "app.corp.example.com      A      60    Answer     192.0.2.80\n"
)


def test_a_table() -> None:
    (found,) = facts(f"{PROMPT}\n{TABLE}", NameLookup)
    assert found.addresses == ("2001:db8::80", "192.0.2.80")
    assert (found.failed, found.through_nrpt, found.server) == (False, True, None)


def test_an_alias_has_the_addresses_of_what_it_stands_for() -> None:
    (found,) = facts(f"{PROMPT}\n{TABLE}".replace("\napp", "\nweb"), NameLookup)
    assert found.name == "app.corp.example.com"
    assert len(found.addresses) == 2


def test_who_names_a_server_goes_past_the_policy() -> None:
    (found,) = facts(f"{PROMPT} -Server 192.0.2.1 -Type A\n{TABLE}", NameLookup)
    assert (found.server, found.through_nrpt, found.record_type) == ("192.0.2.1", None, "A")


def test_objects() -> None:
    objects = [
        {"Name": "app.corp.example.com", "TTL": 1, "Section": 1, "IP6Address": "2001:db8::1"}
    ]
    (found,) = facts(f"{PROMPT} | ConvertTo-Json\n{json.dumps(objects)}", NameLookup)
    assert found.addresses == ("2001:db8::1",)


@pytest.mark.parametrize(
    ("identifier", "timed_out"),
    [("ERROR_TIMEOUT", True), ("DNS_ERROR_RCODE_NAME_ERROR", False), ("Xyz", None)],
)
@pytest.mark.parametrize("text", ["DNS name does not exist", "Der DNS-Name existiert nicht."])
def test_an_error(identifier: str, timed_out: bool | None, text: str) -> None:
    (found,) = facts(
        f"{PROMPT}\nResolve-DnsName : app.corp.example.com : {text}\nAt line:1 char:1\n"
        f"    + FullyQualifiedErrorId : {identifier},Microsoft.DnsClient.Commands.ResolveDnsName\n",
        NameLookup,
    )
    assert (found.name, found.failed, found.timed_out) == ("app.corp.example.com", True, timed_out)
