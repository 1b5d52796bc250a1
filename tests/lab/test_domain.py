"""What the domain is asked to hold; that it does is seen in test_lab."""

from throughway.lab import domain
from throughway.lab.topology import DIRECTACCESS


def test_members_of_the_domain() -> None:
    computers = domain.wanted(DIRECTACCESS)["computers"]
    assert computers == [
        {"account": "CLIENT1$", "password": "Client1.Passw0rd", "services": []},
        {"account": "CLIENT2$", "password": "Client2.Passw0rd", "services": []},
        {"account": "EDGE1$", "password": "Edge1.Passw0rd", "services": ["host/da.example.com"]},
    ]


def test_names_of_the_intranet() -> None:
    records = domain.wanted(DIRECTACCESS)["records"]
    assert records == {
        "edge1": ["2001:db8:c0:1::1", "10.0.1.1"],
        "core1": ["2001:db8:c0:1::fe", "10.0.1.254"],
        "app1": ["2001:db8:c0:2::80"],
        "app4": ["10.0.2.84"],
        "nls": ["2001:db8:c0:2::81"],
        "mgmt1": ["2001:db8:c0:1::20"],
        "proxy1": ["2001:db8:c0:2::31", "10.0.2.31"],
    }


def test_no_kdc_is_named() -> None:
    assert "  kdc =" not in domain.KRB5_CONF
    assert "dns_lookup_kdc = true" in domain.KRB5_CONF
    assert "da.example.com = CORP.EXAMPLE.COM" in domain.KRB5_CONF


def test_the_controllers_key_is_private() -> None:
    files = domain.tls_files(b"certificate", b"key", b"root")
    assert [path for path, file in files.items() if file.mode == 0o600] == [
        "/var/lib/samba/private/tls/key.pem"
    ]
