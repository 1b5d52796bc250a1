"""client.toml: what is good comes back whole, what is wrong is told with key and remedy."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tests.pki_world import COMPUTER, SIGNING_KEY, write, write_credential
from throughway.client import settings
from throughway.model.config import (
    AuditConfig,
    ClientConfig,
    ESPMode,
    LogConfig,
    LogLevel,
    MetricsConfig,
    ProxyConfig,
)
from throughway.model.errors import ConfigError
from throughway.pki import pem
from throughway.pki.key_uri import parse_key_uri

TOML = """\
certificate = "computer.crt"
key = "computer.key"
account = "CLIENT1$"
identity = "client1.corp.example.com"
password_file = "account.password"
policy_key = "policy.pub"
"""
PROXY = """\
[proxy]
url = "http://proxy.office.example:3128"
script = ""
user = "alice"
domain = "CORP"
password_file = "account.password"
detect = false
"""


@pytest.fixture
def client(tmp_path: Path) -> Path:
    return write_client(tmp_path)


def write_client(folder: Path) -> Path:
    """Write a good file and all that it names; return its path."""
    write_credential(folder, "computer", COMPUTER)
    write(folder / "account.password", "secret\n", 0o600)
    write(folder / "policy.pub", pem.build_public_key_pem(SIGNING_KEY.public_key()))
    return write(folder / "client.toml", TOML)


def errors_of(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        settings.load(path)
    assert str(path) in str(caught.value)
    return {one.key: one.why for one in caught.value.errors or (caught.value,)}


def test_a_good_file_comes_back_whole(client: Path) -> None:
    config = settings.load(client)
    assert config == ClientConfig(
        file=client,
        certificate=client.parent / "computer.crt",
        key=client.parent / "computer.key",
        account="CLIENT1$",
        identity="client1.corp.example.com",
        password_file=client.parent / "account.password",
        policy_key=client.parent / "policy.pub",
        audit=AuditConfig(file=Path(settings.DEFAULT_AUDIT)),
        log=LogConfig(file=Path(settings.DEFAULT_LOG)),
    )


def test_the_log(client: Path) -> None:
    table = '[log]\nlevel = "debug"\nfile = "log"\njournal = false\nkeep_days = 7\n'
    config = settings.load(write(client, TOML + table))
    assert config.log == LogConfig(
        level=LogLevel.DEBUG, file=client.parent / "log", journal=False, keep_days=7
    )
    wrong = '[log]\nlevel = "loud"\nkeep_days = 0\nfiles = 1\n'
    assert set(errors_of(write(client, TOML + wrong))) == {
        *("log.level", "log.keep_days", "log.files"),
    }


@pytest.mark.parametrize(
    ("table", "listen"),
    [("", ("127.0.0.1", 9724)), ('listen = "[::1]:9000"', ("::1", 9000))],
)
def test_figures(client: Path, table: str, listen: tuple[str, int]) -> None:
    assert settings.load(client).metrics is None
    config = settings.load(write(client, f"{TOML}[metrics]\n{table}\n"))
    assert config.metrics == MetricsConfig(listen=listen)


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:9724", "192.0.2.1:1", "127.0.0.1", "127.0.0.1:0", "x", ""]
)
def test_figures_are_for_this_computer_alone(client: Path, listen: str) -> None:
    table = f'[metrics]\nlisten = "{listen}"\n'
    assert list(errors_of(write(client, TOML + table))) == ["metrics.listen"]


def test_where_the_audit_goes_can_be_said(client: Path) -> None:
    table = '[audit]\nfile = "events"\njournal = false\nkeep_days = 7\n'
    config = settings.load(write(client, TOML + table))
    assert config.audit == AuditConfig(file=client.parent / "events", journal=False, keep_days=7)
    assert set(errors_of(write(client, TOML + "[audit]\nkeep_days = 0\nfiles = 1\n"))) == {
        *("audit.keep_days", "audit.files"),
    }


def test_every_key_can_be_set(client: Path) -> None:
    write(client.parent / "ca.crt", "x")
    extra = {
        "bundle": "b",
        "interface": "da0",
        "stub_address": "127.0.0.99",
        "esp": "libipsec",
        "iphttps_ca": "ca.crt",
        "iphttps_revocation": "strong",
        "ipsec_revocation": "none",
        "keytab": "account.password",
        "kdc_proxy": "https://da.example.com:8443/KdcProxy",
        "state_directory": "/s",
        "runtime_directory": "/r",
        "control_socket": "/c",
    }
    lines = "".join(f'{key} = "{value}"\n' for key, value in extra.items())
    lines += 'transports = ["6to4", "iphttps"]\nlogon_users = ["kiosk"]\n'
    config = settings.load(write(client, TOML + lines + PROXY))
    assert config.transports == ("6to4", "iphttps")
    assert config.logon_users == ("kiosk",)
    assert config.esp is ESPMode.LIBIPSEC
    assert (config.iphttps_revocation, config.ipsec_revocation) == ("strong", "none")
    assert config.iphttps_ca == client.parent / "ca.crt"
    assert config.control_socket == Path("/c")
    set_here = {line.partition(" ")[0] for line in (TOML + lines).splitlines()}
    tables = {"file", "proxy", "audit", "log", "metrics", "smart_card", "token_key"}
    assert set_here == {field.name for field in fields(ClientConfig)} - tables
    set_here = {line.partition(" ")[0] for line in PROXY.splitlines()[1:]}
    assert set_here == {field.name for field in fields(ProxyConfig)}
    assert config.proxy == ProxyConfig(
        url="http://proxy.office.example:3128",
        user="alice",
        domain="CORP",
        password_file=client.parent / "account.password",
        detect=False,
    )


@pytest.mark.parametrize(
    ("table", "key", "why"),
    [
        ('url = "https://proxy:3128"', "proxy.url", "begins with http://"),
        ('url = "http://alice:secret@proxy:3128"', "proxy.url", "must not carry a user name"),
        ('url = "http://proxy/script"', "proxy.url", "is not a proxy"),
        ('user = "alice"', "proxy.user", "needs password_file"),
        ('url = "http://p"\nscript = "http://p/"', "proxy.script", "stands beside url"),
        ('detect = "no"', "proxy.detect", "true or false"),
        ('password_file = "account.password"', "proxy.user", "needs password_file"),
        ('user = "a"\npassword_file = "none"', "proxy.password_file", "does not exist"),
        ('usr = "alice"', "proxy.usr", "did you mean 'user'?"),
    ],
)
def test_each_wrong_field_of_the_proxy_is_named(
    client: Path, table: str, key: str, why: str
) -> None:
    errors = errors_of(write(client, f"{TOML}[proxy]\n{table}\n"))
    assert why in errors[key]
    assert len(errors) == 1


def test_every_error_is_told_at_once(client: Path) -> None:
    errors = errors_of(
        write(
            client,
            'certificat = "x"\nkey = 7\naccount = "CLIENT1"\nidentity = "a b"\n'
            'password_file = "none"\nesp = "fast"\nstub_address = "192.0.2.1"\n'
            'interface = "much-too-long-a-name"\npolicy_key = "policy.pub"\n',
        )
    )
    assert errors["certificate"] == "is missing"
    assert "did you mean 'certificate'?" in errors["certificat"]
    assert errors["key"] == "must be text, is a number"
    assert "CLIENT1$" in errors["account"]
    assert "DNS name" in errors["identity"]
    assert "does not exist" in errors["password_file"]
    assert "auto, kernel, libipsec" in errors["esp"]
    assert "loopback" in errors["stub_address"]
    assert "interface name" in errors["interface"]
    assert len(errors) == 9


@pytest.mark.parametrize(
    ("name", "key"), [("computer.key", "key"), ("account.password", "password_file")]
)
def test_secrets_must_be_secret(client: Path, name: str, key: str) -> None:
    (client.parent / name).chmod(0o644)
    assert "chmod 0600" in errors_of(client)[key]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("account.password", "password_file"),
        ("policy.pub", "policy_key"),
    ],
)
def test_missing_files_are_named(client: Path, name: str, key: str) -> None:
    (client.parent / name).unlink()
    assert list(errors_of(client)) == [key]


@pytest.mark.parametrize("name", ["computer.crt", "computer.key"])
def test_a_certificate_may_come_later(client: Path, name: str) -> None:
    """A client that runs can say what is missing; one that does not can say nothing."""
    (client.parent / name).unlink()
    assert settings.load(client).certificate == client.parent / "computer.crt"


def test_no_file_is_said(tmp_path: Path) -> None:
    said = errors_of(tmp_path / "client.toml")[""]
    assert said == "does not exist; `throughway client join` writes it"


def test_the_daemon_stays_lean() -> None:
    """What the client daemon imports from here must not pull in the heavy libraries."""
    code = (
        "import sys, throughway.client.settings, throughway.client.join\n"
        "heavy = {'pydantic', 'typer', 'rich', 'cryptography.x509', 'h11'} & sys.modules.keys()\n"
        "print(*sorted(heavy))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "\n"


def test_a_keytab_takes_the_place_of_the_password(client: Path) -> None:
    text = "".join(line for line in TOML.splitlines(True) if "password_file" not in line)
    more = 'keytab = "account.password"\n'
    proxy = 'kdc_proxy = "https://da.example.com/KdcProxy"\n'
    config = settings.load(write(client, text + more + proxy))
    assert config.password_file is None
    with pytest.raises(ConfigError, match="needs kdc_proxy"):
        settings.load(write(client, text + more))
    with pytest.raises(ConfigError, match="password_file"):
        settings.load(write(client, text + proxy))


@pytest.mark.parametrize(
    ("edit", "keys"),
    [
        ("", ()),
        ('logon_users = ["kiosk"]', ("logon_users",)),
        ('esp = "kernel"\n[proxy]\nurl = "http://proxy:3128"', ("esp", "proxy.url")),
        ("[audit]\nkeep_days = 3", ("audit.keep_days",)),
        ('[log]\nlevel = "debug"', ("log.level",)),
        ("[metrics]", ("metrics",)),
        ('[smart_card]\nmodule = "/usr/lib/x.so"', ("smart_card",)),
    ],
)
def test_what_was_edited_is_named_as_in_the_file(
    client: Path, edit: str, keys: tuple[str, ...]
) -> None:
    before = settings.load(client)
    edited = settings.load(write(client, f"{TOML}{edit}\n"))
    assert settings.changed(before, edited) == keys
    assert settings.changed(edited, before) == keys


def test_a_key_that_has_gone_to_a_token_is_the_key(client: Path) -> None:
    before = settings.load(client)
    uri = "pkcs11:token=tpm;id=%01?module-path=/usr/lib/x.so&pin-source=file:/etc/pin"
    moved = replace(before, key=settings.NO_FILE, token_key=parse_key_uri(uri))
    assert settings.changed(before, moved) == ("key",)
