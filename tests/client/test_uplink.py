"""The uplink before there is a device; with one it runs in the scenarios."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pki.test_bundle import POLICY
from throughway.client import uplink as module
from throughway.client.uplink import SECRET_BYTES, Uplink
from throughway.model.config import ClientConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.status import TransportState
from throughway.net.tun import TUN


def config(folder: Path) -> ClientConfig:
    return ClientConfig(
        file=folder / "client.toml",
        certificate=folder / "computer.crt",
        key=folder / "computer.key",
        account="CLIENT1$",
        identity="client1.corp.example.com",
        password_file=folder / "account.password",
        bundle=folder / "policy.bundle",
        policy_key=folder / "policy.pub",
        state_directory=folder / "state",
        runtime_directory=folder / "run",
        control_socket=folder / "client.sock",
    )


async def nowhere(_host: str) -> tuple[str, ...]:
    return ()


def uplink(folder: Path) -> Uplink:
    return Uplink(config(folder), POLICY, nowhere, lambda _state, _error: None)


def test_before_it_is_started_there_is_nothing(tmp_path: Path) -> None:
    link = uplink(tmp_path)
    assert not link.started
    assert not link.up
    assert link.address == ""
    assert link.link().state == "disabled"
    assert link.link().url == POLICY.iphttps_url
    assert link.status().state is TransportState.IDLE
    asyncio.run(link.stop())


def test_a_secret_is_made_once_and_kept_to_itself(tmp_path: Path) -> None:
    link = uplink(tmp_path)
    first = link._kept_secret("address.secret", tmp_path / "state")
    assert len(first) == SECRET_BYTES
    assert uplink(tmp_path)._kept_secret("address.secret", tmp_path / "state") == first
    assert (tmp_path / "state/address.secret").stat().st_mode & 0o777 == 0o600


def test_a_damaged_secret_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/session.key").write_text("not hexadecimal")
    secret = uplink(tmp_path)._kept_secret("session.key", tmp_path / "state")
    assert len(secret) == SECRET_BYTES


def test_a_device_that_cannot_be_configured_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    os.close(write)
    device = TUN(read, "iphttps0")

    def refuse(_tun: TUN, *, secret: bytes | None = None) -> None:
        raise TransportError(Stage.LINK, "no IPv6 here")

    monkeypatch.setattr(module, "client_context", lambda **_options: None)
    monkeypatch.setattr(module, "open_tun", lambda _name: device)
    monkeypatch.setattr(module, "configure_client", refuse)
    link = uplink(tmp_path)
    with pytest.raises(TransportError, match="no IPv6"):
        link.start()
    assert device.fd == -1
    assert not link.started


def test_a_deleted_device_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = uplink(tmp_path)
    assert not link.broken
    read, write = os.pipe()
    os.close(write)
    link._tun = TUN(read, "iphttps0")
    assert not link.broken
    monkeypatch.setattr(TUN, "gone", property(lambda _tun: True))
    assert link.broken
    link._tun.close()


def test_an_address_that_others_took_away_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"2001:db8:da:1000::7"}
    monkeypatch.setattr(module, "global_addresses", lambda _name: tuple(there))
    monkeypatch.setattr(module, "has_lost", lambda _name, address: address not in there)
    link = uplink(tmp_path)
    read, write = os.pipe()
    os.close(write)
    link._tun = TUN(read, "iphttps0")
    there.clear()
    assert not link.broken, "it has had none yet"
    link._assigned = "2001:db8:da:1000::7"
    assert link.broken
    there.add("2001:db8:da:2000::7")
    assert not link.broken, "the gateway has announced another one"
    link._tun.close()


def test_without_a_usable_authority_there_is_no_link(tmp_path: Path) -> None:
    policy = replace(POLICY, trust_anchors=("no certificate",))
    link = Uplink(config(tmp_path), policy, nowhere, lambda _state, _error: None)
    with pytest.raises(TransportError, match="a trust anchor is not a PEM certificate") as caught:
        link.start()
    assert (caught.value.problem, caught.value.windows_code) == ("iphttps-no-usable-cert", 0x103)


def test_a_link_needs_no_certificate_of_the_computer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the gateway asks for none; and nothing else would say what is wrong with the file."""
    policy = replace(POLICY, trust_anchors=())

    def reached(_name: str) -> TUN:
        raise TransportError(Stage.LINK, "no device here")

    monkeypatch.setattr(module, "open_tun", reached)
    link = Uplink(config(tmp_path), policy, nowhere, lambda _state, _error: None)
    with pytest.raises(TransportError, match="no device here"):
        link.start()


def test_the_certificate_that_was_refused_is_named(tmp_path: Path) -> None:
    link = uplink(tmp_path)
    refused = TransportError(
        Stage.TLS,
        "TLS failed: alert",
        windows_code=0x80090327,
        problem="iphttps-client-cert-rejected",
    )
    told = link._named(refused)
    assert str(told) == (
        f"TLS failed: alert; this computer's certificate is {tmp_path}/computer.crt "
        "of client1.corp.example.com"
    )
    assert (told.windows_code, told.problem) == (refused.windows_code, refused.problem)
    other = TransportError(Stage.TLS, "other", problem="iphttps-wrong-server")
    assert link._named(other) is other


@pytest.mark.parametrize(
    ("counted", "problem"),
    [
        (2, "iphttps-no-router-advertisement"),
        (3, "iphttps-no-global-address"),
        (-1, "iphttps-no-global-address"),
    ],
)
def test_a_link_without_an_address_says_whether_it_was_advertised_one(
    monkeypatch: pytest.MonkeyPatch, counted: int, problem: str
) -> None:
    monkeypatch.setattr(module, "advertisements", lambda _name: counted)
    assert module._unaddressed("iphttps0", 2).problem == problem
