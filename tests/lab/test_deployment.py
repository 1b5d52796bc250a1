"""What the administrator writes; that it works is seen in test_lab and in the scenarios."""

import tomllib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from throughway.lab import deployment
from throughway.lab.topology import DIRECTACCESS
from throughway.lab.trust import LabAuthority


def test_the_gateways_configuration_names_every_client() -> None:
    table = tomllib.loads(deployment.build_gateway_toml(DIRECTACCESS.clients))
    assert table["computers"] == [
        {
            "account": f"CLIENT{number}$",
            "identity": f"client{number}.corp.example.com",
            "nt_hash": f"/etc/throughway/accounts/client{number}.nthash",
        }
        for number in (1, 2)
    ]


def test_the_gateways_addresses_are_its_own() -> None:
    table = tomllib.loads(deployment.build_gateway_toml(()))
    own = {
        address.partition("/")[0]
        for interface in DIRECTACCESS.host("edge1").interfaces
        for address in interface.addresses
    }
    assert {address.rpartition(":")[0] for address in table["iphttps"]["listen"]} <= own
    ipsec = table["ipsec"]
    assert {ipsec["infrastructure_endpoint"], ipsec["intranet_endpoint"]} <= own
    assert table["publish"]["serve"] == "[2001:db8:c0:1::1]:8080"


def test_the_location_server_is_exempt_from_the_rules() -> None:
    rules = tomllib.loads(deployment.build_gateway_toml(()))["publish"]["nrpt"]
    assert {"namespace": "nls.corp.example.com"} in rules
    assert {"namespace": ".corp.example.com", "servers": ["2001:db8:c0:1::1"]} in rules


@pytest.mark.parametrize(
    ("host", "name", "usage"),
    [
        ("edge1", "da.example.com", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client1", "client1.corp.example.com", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("nls", "nls.corp.example.com", ExtendedKeyUsageOID.SERVER_AUTH),
    ],
)
def test_certificates_fit_the_role(
    tmp_path: Path, host: str, name: str, usage: x509.ObjectIdentifier
) -> None:
    authority = LabAuthority.create(tmp_path)
    issued = deployment.issue_for(DIRECTACCESS.host(host), authority)
    extensions = x509.load_pem_x509_certificate(issued.certificate).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name]
    assert usage in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
