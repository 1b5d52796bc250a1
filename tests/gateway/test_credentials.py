"""What workers get to read, and what is said where it cannot be used."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.net.iphttps_world import NAME, PREFIX, Authority
from throughway.gateway.credentials import read_credentials
from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import ConfigError
from throughway.net.tls import context_of


def config_of(authority: Authority) -> IPHTTPSServerConfig:
    pair = authority.issue(NAME)
    return IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("127.0.0.1", 443),),
        certificate=pair.certificate,
        key=pair.key,
        prefix=PREFIX,
        authentication=AuthenticationMode.CERTIFICATES,
        client_ca=authority.root.certificate,
    )


def test_lists_of_either_form_are_read(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    text = authority.list_revoked()
    binary = tmp_path / "binary.crl"
    binary.write_bytes(x509.load_pem_x509_crl(text.read_bytes()).public_bytes(Encoding.DER))
    config = replace(config_of(authority), client_crls=(text, binary))
    credentials = read_credentials(config, "gateway.toml")
    assert credentials.client_crls.count("BEGIN X509 CRL") == 2
    assert credentials.rsa_key == ""


def test_who_is_not_asked_is_judged_by_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    config = replace(
        config_of(authority),
        authentication=AuthenticationMode.NONE,
        client_crls=(authority.list_revoked(),),
    )
    credentials = read_credentials(config, "")
    assert (credentials.client_ca, credentials.client_crls) == ("", "")


def test_without_a_certificate_nobody_speaks_tls(tmp_path: Path) -> None:
    config = replace(config_of(Authority(tmp_path)), certificate=None, key=None, listen=())
    credentials = read_credentials(config, "")
    assert context_of(credentials) is None


def test_what_cannot_be_used_is_told_by_its_key(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    config = config_of(authority)
    (nonsense := tmp_path / "nonsense").write_text("-----BEGIN X509 CRL-----\nno\n")
    one, other = authority.issue(NAME, by_rsa=True), authority.issue(NAME, by_rsa=True)
    for wrong, key in (
        ({"client_crls": (tmp_path / "absent",)}, "iphttps.client_crls"),
        ({"client_crls": (nonsense,)}, "iphttps.client_crls"),
        ({"rsa_certificate": tmp_path / "absent", "rsa_key": one.key}, "iphttps.rsa_certificate"),
        ({"rsa_certificate": one.certificate, "rsa_key": other.key}, "iphttps.rsa_key"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_credentials(replace(config, **wrong), "gateway.toml")
        assert (caught.value.file, caught.value.key) == ("gateway.toml", key)
