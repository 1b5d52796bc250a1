"""Which name a DNS server must know that knows a namespace."""

import pytest

from throughway.proto.nrpt.locators import locator_in


@pytest.mark.parametrize(
    ("namespace", "realm", "name"),
    [
        (".corp.example.com", "CORP.EXAMPLE.COM", "_kerberos._tcp.corp.example.com"),
        ("example.com.", "CORP.EXAMPLE.COM", "_kerberos._tcp.corp.example.com"),
        (".other.example.com", "CORP.EXAMPLE.COM", ""),
        (".example.com", "CORPEXAMPLE.COM", ""),
        (".", "CORP.EXAMPLE.COM", ""),
        (".corp.example.com", "", ""),
    ],
)
def test_only_that_of_a_domain_within_it(namespace: str, realm: str, name: str) -> None:
    assert locator_in(namespace, realm) == name
