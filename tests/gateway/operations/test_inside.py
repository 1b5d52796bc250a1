"""Domain controllers, asked by those addresses that their names have."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations_world import config, look
from throughway.gateway.operations import inside
from throughway.model.config import UsersConfig

HERE, THERE = "127.0.0.1", "127.0.0.2"
Ask = Callable[..., list[tuple[str, str]] | str]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Look whether the controllers take connections, at these addresses and this port."""

    def ask(port: int, *addresses: str) -> list[tuple[str, str]] | str:
        async def names(_name: str) -> list[str]:
            return ["dc1.example.com"]

        async def has(_host: str, _port: int) -> tuple[str, ...]:
            return addresses

        monkeypatch.setattr(inside, "_controllers", names)
        monkeypatch.setattr(inside, "_addresses", has)
        monkeypatch.setattr(inside, "LDAP", port)
        users = UsersConfig(
            realm="EXAMPLE.COM", keytab=tmp_path / "gateway.keytab", service="host@da.example.com"
        )
        gateway = replace(config(tmp_path), users=users)
        return look(inside.checks(lambda: gateway), "domain-controller")

    return ask


def test_one_address_that_answers_is_enough(ask: Ask) -> None:
    with socket.create_server((THERE, 0)) as listener:
        port = listener.getsockname()[1]
        assert ask(port, HERE, THERE) == f"dc1.example.com answers on port {port}"


def test_what_is_wrong_is_said_once_however_many_addresses_there_are(ask: Ask) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    words = f"dc1.example.com: port {port}: Connection refused"
    assert ask(port, HERE, THERE) == [("dc-unreachable", words)]
