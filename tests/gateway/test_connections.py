"""What charon is told for the gateway: files that are wrong are said, and nobody has two names."""

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ipsec_world import Deployment
from throughway.gateway.connections import (
    INFRASTRUCTURE,
    INTRANET,
    check_selectors,
    connection_of,
    fixed_settings,
    named_connections,
    read_material,
    read_nt_hash,
)
from throughway.model.errors import ConfigError
from throughway.model.revocation import Revocation


@pytest.mark.parametrize("text", ["", "0123", "x" * 32, "0" * 33, "0" * 64])
def test_what_is_no_nt_hash_is_a_configuration_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hash"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(ConfigError, match="32 hexadecimal"):
        read_nt_hash(file)


def test_an_nt_hash(tmp_path: Path) -> None:
    file = tmp_path / "hash"
    file.touch(0o600)
    file.write_text("00112233445566778899AABBCCDDEEFF\n")
    assert read_nt_hash(file).hex() == "00112233445566778899aabbccddeeff"
    with pytest.raises(ConfigError, match="does not exist"):
        read_nt_hash(tmp_path / "none")
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 0600"):
        read_nt_hash(file)


def test_user_space_esp_needs_an_address_in_every_prefix(tmp_path: Path) -> None:
    config = Deployment.create(tmp_path).server()
    inside = ipaddress.IPv6Address("2001:db8:c0:1::1")
    check_selectors(config, [inside])
    elsewhere = replace(config, intranet_prefixes=("2001:db8:c0::/48", "2001:db8:ffff::/48"))
    with pytest.raises(ConfigError, match="no address inside 2001:db8:ffff::/48") as caught:
        check_selectors(elsewhere, [inside])
    assert caught.value.key == "ipsec.intranet_prefixes"


def test_no_two_computers_have_one_name(tmp_path: Path) -> None:
    one, two = Deployment.create(tmp_path).computers(1, 2)
    odd, even = replace(one, account="A_B$"), replace(two, account="A-B$")
    assert named_connections((odd, even)) == {"a-b": odd, "a-b-x": even}


def test_a_connection_is_for_one_computer_and_its_account(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    (computer,) = deployment.computers(1)
    config = deployment.server()
    material = read_material(config, [computer])
    assert material.nt_hashes.keys() == {computer.account}
    for tunnel, endpoint, account in (
        (INFRASTRUCTURE, config.infrastructure_endpoint, computer.account),
        (INTRANET, config.intranet_endpoint, computer.identity),
    ):
        connection = connection_of(config, material, computer, tunnel)
        assert connection["local_addrs"] == [endpoint]
        first, second = connection["remote-1"], connection["remote-2"]
        assert isinstance(first, dict)
        assert isinstance(second, dict)
        assert (first["id"], second["id"]) == (computer.identity, account)


def test_revocation_from_or_to_none_waits_for_a_restart(tmp_path: Path) -> None:
    strong = replace(Deployment.create(tmp_path).server(), revocation=Revocation.STRONG)
    weak, none = (replace(strong, revocation=each) for each in (Revocation.WEAK, Revocation.NONE))
    assert "revocation" not in fixed_settings(strong, weak)
    assert "revocation" in fixed_settings(strong, none)
    assert "revocation" in fixed_settings(none, weak)
