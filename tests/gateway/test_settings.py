"""gateway.toml: what is good comes back whole, what is wrong is told with key and remedy."""

import re
from pathlib import Path

import pytest

from tests.pki_world import write, write_gateway
from throughway.gateway import settings
from throughway.model import config as model
from throughway.model.errors import ConfigError
from throughway.model.policy import NRPTRule

ADC = '[iphttps.adc]\nlisten = ["10.0.0.2:8080"]\n'
VERIFY = "iphttps.adc.verify_header"
ADDRESS, TOLD = "iphttps.adc.addresses[0]", "iphttps.adc.client_certificate"


def errors_of(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        settings.load(path)
    error = caught.value
    assert str(path) in str(error)
    return {one.key: one.why for one in error.errors or (error,)}


def test_a_good_file_comes_back_whole(tmp_path: Path) -> None:
    config = settings.load(write_gateway(tmp_path))
    assert config.file == tmp_path / "gateway.toml"
    assert config.iphttps.listen == (("131.107.0.2", 443), ("::1", 8443))
    assert config.iphttps.certificate == tmp_path / "gateway.crt"
    assert config.iphttps.max_sessions == 2000
    assert config.ipsec.esp is model.ESPMode.AUTO
    assert config.computers[0].nt_hash == tmp_path / "client1.nthash"
    assert config.users is not None
    assert config.publish is not None
    assert config.publish.serve == ("2001:db8:c0:1::1", 8080)
    assert config.publish.nrpt[1] == NRPTRule(namespace="nls.corp.example.com")
    assert config.control_socket == Path("/run/throughway/gateway.sock")
    assert isinstance(config.iphttps.client_to_client, bool)


def test_the_small_parts_may_be_absent(tmp_path: Path) -> None:
    path = write_gateway(tmp_path)
    text = path.read_text()
    cut = text[: text.index("[users]")]
    config = settings.load(write(path, cut))
    assert (config.users, config.publish, config.computers) == (None, None, ())


def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    path = write_gateway(
        tmp_path,
        [
            ("https://da.example.com:443/IPHTTPS", "http://da.example.com/"),
            ("2001:db8:da:1000::/64", "2001:db8:da:1000::/56"),
            ('"131.107.0.2:443"', '"da.example.com:443"'),
            ("infrastructure_endpoint", "infrastucture_endpoint"),
            ("CLIENT1$", "CLIENT1"),
            ('servers = ["2001:db8:c0:1::10"]', 'servers = ["10.0.0.1"]'),
        ],
    )
    errors = errors_of(path)
    assert "https://" in errors["iphttps.url"]
    assert "/64" in errors["iphttps.prefix"]
    assert "address:port" in errors["iphttps.listen[0]"]
    assert "did you mean 'infrastructure_endpoint'?" in errors["ipsec.infrastucture_endpoint"]
    assert errors["ipsec.infrastructure_endpoint"] == "is missing"
    assert "CLIENT1$" in errors["computers[0].account"]
    assert "IPv6" in errors["publish.nrpt[0].servers[0]"]
    assert len(errors) == 7


@pytest.mark.parametrize(
    ("old", "new", "key", "why"),
    [
        ("[ipsec]", "[ipsecs]", "ipsecs", "did you mean 'ipsec'"),
        ("[users]", "max_session = 3\n[users]", "ipsec.max_session", "unknown key"),
        ('serve = "[2001:db8:c0:1::1]:8080"', "serve = 8080", "publish.serve", "address:port"),
        (":8080", ":80800", "publish.serve", "not a port"),
        ('key = "gateway.key"', 'key = ""', "iphttps.key", "must name a file"),
        ('key = "gateway.key"', "key = 7", "iphttps.key", "is 7"),
        ("[ipsec]", "max_sessions = 0\n[ipsec]", "iphttps.max_sessions", "greater than"),
        ("[ipsec]", f"{ADC}addresses = []\n[ipsec]", "iphttps.adc.addresses", "at least 1"),
        ("[ipsec]", f'{ADC}addresses = ["10.1"]\n[ipsec]', ADDRESS, "an address or a prefix"),
        ("[ipsec]", f'{ADC}addresses = ["10.0.0.1/8"]\n[ipsec]', ADDRESS, "host bits set"),
        (
            "[ipsec]",
            f'{ADC}verify_header = "Host"\n[ipsec]',
            "iphttps.adc.verify_header",
            "name of",
        ),
        ("[ipsec]", f'{ADC}verify_header = "a b"\n[ipsec]', VERIFY, "name of"),
        ("[ipsec]", f'{ADC}client_certificate = "x"\n[ipsec]', f"{TOLD}", "'header'"),
        ("[ipsec]", 'authentication = "no"\n[ipsec]', "iphttps.authentication", "'none'"),
        ("[users]", 'esp = "fast"\n[users]', "ipsec.esp", "'libipsec'"),
        ("realm = ", "real = ", "users.real", "did you mean 'realm'"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, old: str, new: str, key: str, why: str) -> None:
    assert why in errors_of(write_gateway(tmp_path, [(old, new)]))[key]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[iphttps", "not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"a = " + b"[" * 5000, "too deeply|not TOML"),
    ],
)
def test_what_is_no_toml_is_said(tmp_path: Path, content: bytes, why: str) -> None:
    errors = errors_of(write(tmp_path / "gateway.toml", content))
    assert re.search(why, errors[""])


def test_a_value_in_the_place_of_a_list_is_said_in_words_of_toml(tmp_path: Path) -> None:
    path = write_gateway(tmp_path, [('["131.107.0.2:443", "[::1]:8443"]', "443")])
    errors = errors_of(path)
    assert errors["iphttps.listen"] == "must be a list: [...], is 443"


def test_a_missing_file_and_a_directory_are_said(tmp_path: Path) -> None:
    assert errors_of(tmp_path / "gateway.toml")[""].startswith("does not exist; ")
    assert errors_of(tmp_path)[""]
