"""The gateway's own certificates on the disk: each thing that can be wrong with them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.operations_world import look
from tests.pki_world import write, write_credential, write_gateway
from throughway.gateway import settings
from throughway.gateway.operations import certificates
from throughway.model.config import GatewayConfig
from throughway.model.revocation import Revocation, RevocationPolicy
from throughway.pki import pem
from throughway.pki.authority import Credential, Profile, create_root, issue

HOST = "da.example.com"


OLD_ROOT = create_root("Corp Old Root", datetime.now(UTC) - timedelta(days=1000))
"""Of what was issued long ago."""


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayConfig:
    gateway = settings.load(write_gateway(tmp_path))
    write(tmp_path / "root.crt", pem.build_certificate_pem(OLD_ROOT.certificate))
    write_credential(tmp_path, "gateway", made())
    return gateway


def judged(gateway: GatewayConfig) -> list[tuple[str, str]] | str:
    return look(certificates.checks(lambda: gateway), "gateway-certificates")


def codes(gateway: GatewayConfig) -> list[str]:
    answer = judged(gateway)
    assert not isinstance(answer, str), answer
    return [code for code, _ in answer]


def made(
    name: str = HOST, *, by: Credential = OLD_ROOT, days: int = 365, age: int = 0
) -> Credential:
    """Return a certificate that was issued ``age`` days ago."""
    now = datetime.now(UTC) - timedelta(days=age)
    return issue(by, Profile.GATEWAY, [name], days=days, now=now)


def test_good_ones(gateway: GatewayConfig) -> None:
    answer = judged(gateway)
    assert isinstance(answer, str)
    assert answer.startswith("valid until 20")


@pytest.mark.parametrize(
    ("certificate", "found"),
    [
        (lambda: made(days=90, age=100), ["iphttps-cert-expired", "ipsec-cert-expired"]),
        (
            lambda: made(days=365, age=360),
            ["iphttps-cert-ends-this-week", "ipsec-cert-ends-this-week"],
        ),
        (lambda: made(days=365, age=340), ["iphttps-cert-expiring", "ipsec-cert-expiring"]),
        (lambda: made(days=365, age=310), ["iphttps-cert-renewal-due", "ipsec-cert-renewal-due"]),
        (lambda: made(age=-30), ["iphttps-cert-not-yet-valid", "ipsec-cert-not-yet-valid"]),
        (lambda: made("other.example.com"), ["iphttps-cert-name-mismatch"]),
        (
            lambda: made(by=create_root("Another Root", datetime.now(UTC))),
            ["ipsec-cert-wrong-chain"],
        ),
    ],
)
def test_each_thing_that_may_be_wrong(
    gateway: GatewayConfig, tmp_path: Path, certificate: Callable[[], Credential], found: list[str]
) -> None:
    write_credential(tmp_path, "gateway", certificate())
    assert codes(gateway) == found


def test_where_clients_must_know_of_revocation_there_is_a_place_to_ask(
    gateway: GatewayConfig, tmp_path: Path
) -> None:
    assert gateway.publish is not None
    strong = RevocationPolicy(iphttps=Revocation.STRONG)
    strict = replace(gateway, publish=replace(gateway.publish, revocation=strong))
    assert isinstance(judged(gateway), str), "nobody insists on it"
    assert codes(strict) == ["iphttps-cert-no-crl-distribution-point"]
    now = datetime.now(UTC)
    place = "http://crl.example.com/root.crl"
    write_credential(
        tmp_path, "gateway", issue(OLD_ROOT, Profile.GATEWAY, [HOST], now=now, crl_url=place)
    )
    assert isinstance(judged(strict), str)


def test_keys_that_are_lost_or_another_s(gateway: GatewayConfig, tmp_path: Path) -> None:
    write(tmp_path / "gateway.key", pem.build_key_pem(made().key), 0o600)
    assert codes(gateway) == ["iphttps-no-usable-cert", "ipsec-cert-no-private-key"]
    (tmp_path / "gateway.key").unlink()
    assert codes(gateway) == ["iphttps-no-usable-cert", "ipsec-cert-no-private-key"]


def test_a_chain_that_begins_with_its_authority(gateway: GatewayConfig, tmp_path: Path) -> None:
    own = (tmp_path / "gateway.crt").read_bytes()
    write(tmp_path / "gateway.crt", (tmp_path / "root.crt").read_bytes() + own)
    file, key = tmp_path / "gateway.crt", tmp_path / "gateway.key"
    words = f"{file}: {key} belongs to certificate 2 of it, which must stand before the others"
    found = ["iphttps-no-usable-cert", "ipsec-cert-no-private-key"]
    assert judged(gateway) == [(code, words) for code in found]


def test_files_that_are_gone(gateway: GatewayConfig, tmp_path: Path) -> None:
    (tmp_path / "gateway.crt").unlink()
    assert codes(gateway) == ["iphttps-no-usable-cert", "ipsec-no-machine-cert"]


def test_the_second_certificate_is_told_beside_the_first(
    gateway: GatewayConfig, tmp_path: Path
) -> None:
    write_credential(tmp_path, "gateway", made(days=90, age=100))
    write_credential(tmp_path, "rsa", made("other.example.com"))
    rsa = replace(
        gateway.iphttps, rsa_certificate=tmp_path / "rsa.crt", rsa_key=tmp_path / "rsa.key"
    )
    both = codes(replace(gateway, iphttps=rsa))
    assert both == ["iphttps-cert-expired", "iphttps-cert-name-mismatch", "ipsec-cert-expired"]


def test_without_a_certificate_of_iphttps_only_that_of_ipsec_is_looked_at(
    gateway: GatewayConfig, tmp_path: Path
) -> None:
    write_credential(tmp_path, "gateway", made("other.example.com"))
    bare = replace(gateway.iphttps, certificate=None, key=None)
    assert isinstance(judged(replace(gateway, iphttps=bare)), str)
