"""What values, files and certificates must be to each other."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.pki_world import NOW, OTHER_ROOT, ROOT, write, write_credential, write_gateway
from throughway.gateway import settings
from throughway.model.errors import ConfigError
from throughway.net.charon import ESP_PROPOSALS
from throughway.pki import pem
from throughway.pki.authority import Credential, KeyType, Profile, create_root, issue

OLD = NOW - timedelta(days=100)
OLD_ROOT = create_root("Old Root", OLD, days=10)

PROBE = '[[publish.probes]]\nkind = "{}"\ntarget = "{}"\n\n'


def errors_of(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        settings.load(path)
    return {one.key: one.why for one in caught.value.errors or (caught.value,)}


@pytest.mark.parametrize(
    ("changes", "key", "why"),
    [
        (
            [("2002:836b:3::836b:3", "2002:836b:2::836b:2")],
            "ipsec.intranet_endpoint",
            "must differ",
        ),
        ([("2002:836b:3::836b:3", "2001:db8:c0::3")], "ipsec.intranet_endpoint", "lies in"),
        (
            [("[ipsec]", "[sixtofour]\n[ipsec]"), ("2002:836b:3::836b:3", "2001:db8:d::3")],
            "ipsec.intranet_endpoint",
            "with [sixtofour] it must be",
        ),
        (
            [("[ipsec]", "[sixtofour]\n[ipsec]"), ("2002:836b:3::836b:3", "2002:a00:3::a00:3")],
            "ipsec.intranet_endpoint",
            "with [sixtofour] it must be",
        ),
        (
            [("[ipsec]", '[sixtofour]\ninterface = "iphttps0"\n[ipsec]')],
            "sixtofour.interface",
            "is a worker's",
        ),
        (
            [("[publish]", '[publish]\ntransports = ["6to4", "iphttps"]')],
            "publish.transports",
            "[sixtofour] is missing",
        ),
        (
            [("[publish]", '[publish]\ntransports = ["teredo", "iphttps"]')],
            "publish.transports",
            "[teredo] is missing",
        ),
        (
            [("[ipsec]", '[teredo]\naddress = "131.107.0.2"\ninterface = "iphttps0"\n[ipsec]')],
            "teredo.interface",
            "is one of [iphttps]",
        ),
        (
            [("[ipsec]", '[teredo]\naddress = "9.255.255.255"\n[ipsec]')],
            "teredo.address",
            "10.0.0.0, is needed too",
        ),
        (
            [("[ipsec]", '[teredo]\naddress = "10.0.0.1"\n[ipsec]')],
            "teredo.address",
            "must be a public address",
        ),
        (
            [("[ipsec]", '[teredo]\naddress = "da.example.com"\n[ipsec]')],
            "teredo.address",
            "is not an IPv4 address",
        ),
        (
            [("[ipsec]", '[enrolment]\nurl = "https://[2001:db8:c0:2::1]:8443"\n[ipsec]')],
            "enrolment.url",
            "among ipsec.infrastructure_prefixes",
        ),
        (
            [("[ipsec]", '[enrolment]\nurl = "https://da.example.com/est"\n[ipsec]')],
            "enrolment.url",
            "must have no path",
        ),
        ([("https://da.", "https://db.")], "iphttps.certificate", "not for db.example.com"),
        (
            [('identity = "da.', 'identity = "db.')],
            "ipsec.certificate",
            "not for db.example.com",
        ),
        (
            [("[ipsec]", 'authentication = "certificates"\n[ipsec]')],
            "iphttps.client_ca",
            "is needed",
        ),
        (
            [("[ipsec]", "max_sessions = 5\n[ipsec]")],
            "iphttps.max_sessions_per_source",
            "more than max_sessions (5)",
        ),
        ([('"[::1]:8443"', '"131.107.0.2:443"')], "iphttps.listen", "twice"),
        (
            [('namespace = "nls.corp', 'namespace = ".corp')],
            "publish.nrpt[1].namespace",
            "nrpt[0] already",
        ),
        (
            [('servers = ["2001:db8:c0:1::10"]', 'servers = ["2001:db8:ff::10"]')],
            "publish.nrpt[0].servers",
            "neither tunnel",
        ),
        (
            [("[[publish.nrpt]]", f"{PROBE.format('ping', '2001:db8:ff::80')}[[publish.nrpt]]")],
            "publish.probes[0].target",
            "neither tunnel",
        ),
        (
            [("[[publish.nrpt]]", f"{PROBE.format('http', 'app1')}[[publish.nrpt]]")],
            "publish.probes[0].target",
            "is not a URL",
        ),
        (
            [("[[publish.nrpt]]", f"{2 * PROBE.format('dns', 'a.example')}[[publish.nrpt]]")],
            "publish.probes[1].name",
            "is there already",
        ),
        (
            [("[2001:db8:c0:1::1]:8080", "[2001:db8:c0:2::1]:8080")],
            "publish.serve",
            "infrastructure_prefixes",
        ),
        ([("[2001:db8:c0:1::1]:8080", "10.0.0.1:8080")], "publish.serve", "infrastructure"),
    ],
)
def test_values_that_contradict_each_other(
    tmp_path: Path, changes: list[tuple[str, str]], key: str, why: str
) -> None:
    assert why in errors_of(write_gateway(tmp_path, changes))[key]


def test_accounts_and_identities_are_unique(tmp_path: Path) -> None:
    path = write_gateway(tmp_path)
    twice = path.read_text() + (
        '[[computers]]\naccount = "client1$"\nidentity = "client1.corp.example.com"\n'
        'nt_hash = "client1.nthash"\n'
    )
    errors = errors_of(write(path, twice))
    assert "'client1$' is computers[0] already" in errors["computers[1].account"]
    assert "computers[0] already" in errors["computers[1].identity"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gateway.crt", "iphttps.certificate"),
        ("gateway.key", "ipsec.key"),
        ("root.crt", "ipsec.ca"),
        ("root.crt", "publish.trust_anchors[0]"),
        ("gateway.keytab", "users.keytab"),
        ("client1.nthash", "computers[0].nt_hash"),
    ],
)
def test_missing_and_damaged_files_are_named(tmp_path: Path, name: str, key: str) -> None:
    path = write_gateway(tmp_path)
    (tmp_path / name).write_bytes(b"garbage")
    assert name in errors_of(path)[key]
    (tmp_path / name).unlink()
    assert "does not exist" in errors_of(path)[key]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gateway.key", "iphttps.key"),
        ("gateway.keytab", "users.keytab"),
        ("client1.nthash", "computers[0].nt_hash"),
    ],
)
def test_secrets_must_be_secret(tmp_path: Path, name: str, key: str) -> None:
    path = write_gateway(tmp_path)
    for mode in (0o604, 0o640):
        (tmp_path / name).chmod(mode)
        assert "chmod 0600" in errors_of(path)[key]
    (tmp_path / name).chmod(0o600)
    settings.load(path)


def other_key(folder: Path) -> None:
    write(folder / "gateway.key", pem.build_key_pem(ROOT.key), 0o600)


def gateway(root: Credential, profile: Profile = Profile.GATEWAY) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        at = OLD if root is OLD_ROOT else NOW
        made = issue(root, profile, ["da.example.com"], now=at)
        write_credential(folder, "gateway", made)

    return replace


@pytest.mark.parametrize(
    ("change", "key", "why"),
    [
        (other_key, "ipsec.key", "does not belong to the certificate"),
        (gateway(OTHER_ROOT), "ipsec.ca", "does not lead to"),
        (gateway(OLD_ROOT), "iphttps.certificate", "expired on"),
        (gateway(ROOT, Profile.COMPUTER), "iphttps.certificate", "may not be used"),
    ],
)
def test_certificates_must_fit(
    tmp_path: Path, change: Callable[[Path], None], key: str, why: str
) -> None:
    path = write_gateway(tmp_path)
    change(tmp_path)
    assert why in errors_of(path)[key]


def test_the_authority_must_be_one(tmp_path: Path) -> None:
    path = write_gateway(tmp_path, [('ca = "root.crt"', 'ca = "gateway.crt"')])
    assert "da.example.com is no authority's certificate" in errors_of(path)["ipsec.ca"]


def test_an_expired_trust_anchor_is_told(tmp_path: Path) -> None:
    path = write_gateway(tmp_path, [('trust_anchors = ["root.crt"]', 'trust_anchors = ["o.crt"]')])
    write(tmp_path / "o.crt", pem.build_certificate_pem(OLD_ROOT.certificate))
    assert "Old Root has expired" in errors_of(path)["publish.trust_anchors[0]"]


NAT64 = """
[nat64]
prefix = "2001:db8:c0:7777::/96"
ipv4_prefixes = ["10.0.0.0/16"]
listen = ["[2001:db8:c0:1::1]:53"]
servers = ["2001:db8:c0:1::10"]
pool = "198.18.0.0/20"
"""


def with_nat64(folder: Path, old: str = "", new: str = "") -> Path:
    path = write_gateway(folder)
    assert old in NAT64
    path.write_text(path.read_text() + NAT64.replace(old, new))
    return path


def test_a_whole_nat64_is_taken(tmp_path: Path) -> None:
    config = settings.load(with_nat64(tmp_path)).nat64
    assert config is not None
    assert config.listen == (("2001:db8:c0:1::1", 53),)


@pytest.mark.parametrize(
    ("old", "new", "key", "why"),
    [
        ("2001:db8:c0:7777::/96", "2001:db8:c1::/96", "prefix", "intranet_prefixes"),
        ("2001:db8:c0:7777::/96", "2001:db8:c0:1::/96", "prefix", "apart"),
        ("2001:db8:c0:7777::/96", "2001:db8:c0:7777::/64", "prefix", "must be a /96"),
        ("[2001:db8:c0:1::1]:53", "[2001:db8:c0:2::1]:53", "listen[0]", "infrastructure_prefixes"),
        ("2001:db8:c0:1::10", "2001:db8:c0:1::1", "servers[0]", "the DNS64 itself"),
        ("198.18.0.0/20", "10.0.4.0/24", "pool", "overlaps"),
        ("198.18.0.0/20", "198.18.0.0/30", "pool", "no room"),
        ("10.0.0.0/16", "10.0.0.0", "ipv4_prefixes[0]", "no length"),
        ("10.0.0.0/16", "10.0.0.1/16", "ipv4_prefixes[0]", "not an IPv4 prefix"),
    ],
)
def test_a_nat64_that_could_not_work_is_refused(
    tmp_path: Path, old: str, new: str, key: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)) as caught:
        settings.load(with_nat64(tmp_path, old, new))
    assert f"nat64.{key}" in (caught.value.key or str(caught.value))


ADC = """
[iphttps.adc]
listen = ["10.0.0.2:8080"]
addresses = ["10.0.0.1"]
"""
CERTIFICATE_LINES = 'certificate = "gateway.crt"\nkey = "gateway.key"\nprefix'
NO_CERTIFICATE = [('["131.107.0.2:443", "[::1]:8443"]', "[]"), (CERTIFICATE_LINES, "prefix")]


def test_behind_an_adc_that_ends_tls_no_certificate_is_needed(tmp_path: Path) -> None:
    config = settings.load(write_gateway(tmp_path, [*NO_CERTIFICATE, ("[ipsec]", f"{ADC}[ipsec]")]))
    assert config.iphttps.certificate is None
    assert config.iphttps.listen == ()
    assert config.iphttps.adc is not None
    assert config.iphttps.adc.addresses == ("10.0.0.1/32",)


@pytest.mark.parametrize(
    ("changes", "key", "why"),
    [
        (NO_CERTIFICATE[:1], "iphttps.listen", "nobody could connect"),
        (NO_CERTIFICATE[1:], "iphttps.certificate", "is missing"),
        (NO_CERTIFICATE[1:], "iphttps.key", "is missing"),
        (
            [*NO_CERTIFICATE, ("[ipsec]", f"{ADC}tls = true\n[ipsec]")],
            "iphttps.certificate",
            "is missing",
        ),
        (
            [("[ipsec]", f"{ADC.replace('10.0.0.2:8080', '[::1]:8443')}[ipsec]")],
            "iphttps.adc.listen",
            "clients' own",
        ),
        (
            [("[ipsec]", f"{ADC.replace('10.0.0.1', '0.0.0.0/0')}[ipsec]")],
            "iphttps.adc.addresses[0]",
            "is everybody",
        ),
        (
            [("[ipsec]", f'{ADC}verify_header = "x-ssl-client-cert"\n[ipsec]')],
            "iphttps.adc.verify_header",
            "must differ",
        ),
        (
            [
                (
                    "[ipsec]",
                    f'authentication = "certificates"\nclient_ca = "root.crt"\n{ADC}'
                    'proxy_protocol = false\nclient_certificate = "proxy-protocol"\n[ipsec]',
                )
            ],
            "iphttps.adc.client_certificate",
            "needs proxy_protocol = true",
        ),
        (
            [*NO_CERTIFICATE, ("[ipsec]", f'authentication = "certificates"\n{ADC}[ipsec]')],
            "iphttps.client_ca",
            "is needed",
        ),
        (
            [
                (
                    "[ipsec]",
                    'authentication = "certificates"\nclient_ca = "root.crt"\n'
                    'client_crls = ["absent.crl"]\n[ipsec]',
                )
            ],
            "iphttps.client_crls[0]",
            "does not exist",
        ),
        (
            [("[ipsec]", "null_suites = true\n[ipsec]")],
            "iphttps.rsa_certificate",
            "set rsa_certificate and rsa_key, or null_suites = false",
        ),
        (
            [("[ipsec]", 'rsa_certificate = "gateway.crt"\n[ipsec]')],
            "iphttps.rsa_key",
            "belong together",
        ),
        (
            [("[ipsec]", 'rsa_key = "gateway.key"\n[ipsec]')],
            "iphttps.rsa_certificate",
            "belong together",
        ),
        (
            [
                (
                    "[ipsec]",
                    'rsa_certificate = "gateway.crt"\nrsa_key = "gateway.key"\n'
                    "null_suites = true\n[ipsec]",
                )
            ],
            "iphttps.rsa_certificate",
            "is not for an RSA key",
        ),
        (
            [("[ipsec]", "null_suites = true\nclient_to_client = true\n[ipsec]")],
            "iphttps.null_suites",
            "would be encrypted by nobody",
        ),
        (
            [
                (
                    "[ipsec]",
                    'null_suites = true\nauthentication = "certificates"\n'
                    'client_ca = "root.crt"\n[ipsec]',
                )
            ],
            "iphttps.null_suites",
            "multicast between clients",
        ),
    ],
)
def test_who_is_let_onto_the_link_is_checked(
    tmp_path: Path, changes: list[tuple[str, str]], key: str, why: str
) -> None:
    assert why in errors_of(write_gateway(tmp_path, changes))[key]


def test_an_adc_that_judges_itself_needs_no_authority_here(tmp_path: Path) -> None:
    own = f'authentication = "certificates"\n{ADC}client_certificate = "connection"\n[ipsec]'
    settings.load(write_gateway(tmp_path, [*NO_CERTIFICATE, ("[ipsec]", own)]))


def test_null_suites_with_an_rsa_certificate_are_well(tmp_path: Path) -> None:
    own = 'null_suites = true\nrsa_certificate = "rsa.crt"\nrsa_key = "rsa.key"\n[ipsec]'
    path = write_gateway(tmp_path, [("[ipsec]", own)])
    made = issue(ROOT, Profile.SERVER, ["da.example.com"], now=NOW, key_type=KeyType.RSA2048)
    write_credential(tmp_path, "rsa", made)
    assert settings.load(path).iphttps.null_suites
    other = issue(ROOT, Profile.SERVER, ["db.example.com"], now=NOW, key_type=KeyType.RSA2048)
    write_credential(tmp_path, "rsa", other)
    assert "not for da.example.com" in errors_of(path)["iphttps.rsa_certificate"]


def test_ipsec_never_goes_without_encryption() -> None:
    """Or the check of NULL suites would have to know it."""
    assert ESP_PROPOSALS
    assert not [proposal for proposal in ESP_PROPOSALS if "null" in proposal]


def test_the_authority_of_health_is_one_of_its_own(tmp_path: Path) -> None:
    changes = [("[ipsec]", '[health]\nauthority = "health"\n[ipsec]')]
    path = write_gateway(tmp_path, changes)
    assert "health.authority" in errors_of(path)
    folder = tmp_path / "health"
    folder.mkdir()
    own = create_root("Health Root", NOW)
    write_credential(folder, "ca", own)
    ipsec = settings.load(path).ipsec
    assert ipsec.health.authority == folder
    with ipsec.ca.open("ab") as trusted:
        trusted.write(pem.build_certificate_pem(own.certificate))
    assert "another one than ipsec.ca" in errors_of(path)["health.authority"]
