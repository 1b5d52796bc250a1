"""Codes checked by a real FreeRADIUS, which asks back."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import freeradius
from tests.freeradius import CODE, PIN, QUESTION
from throughway.model.config import RADIUSConfig
from throughway.model.errors import ConfigError, TransportError, TrustError
from throughway.net.radius_codes import Challenge, check_code

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RADIUSConfig]:
    with freeradius.serving(tmp_path_factory.mktemp("freeradius")) as config:
        yield config


def check(config: RADIUSConfig, code: str, state: bytes = b"") -> Challenge | None:
    return asyncio.run(check_code(config, "alice", code, state))


def test_a_pin_and_then_a_code(server: RADIUSConfig) -> None:
    asked = check(server, PIN)
    assert isinstance(asked, Challenge)
    assert asked.message == QUESTION
    assert check(server, CODE, asked.state) is None


@pytest.mark.parametrize("state", [b"", b"state"])
def test_wrong_codes_are_refused_in_the_servers_words(server: RADIUSConfig, state: bytes) -> None:
    with pytest.raises(TrustError, match="not the code of your token") as caught:
        check(server, "000000", state)
    assert caught.value.problem == "one-time-code-wrong"


@pytest.mark.parametrize("code", ["", "1" * 129])
def test_what_no_code_can_be_is_not_even_asked(server: RADIUSConfig, code: str) -> None:
    with pytest.raises(TrustError, match="characters"):
        check(server, code)


def test_another_secret_and_nobody_there(server: RADIUSConfig, tmp_path: Path) -> None:
    other = tmp_path / "secret"
    other.write_bytes(b"another\n")
    other.chmod(0o600)
    quick = replace(server, secret=other, timeout=0.6)
    # FreeRADIUS drops what another secret has signed.
    with pytest.raises(TransportError) as caught:
        check(quick, PIN)
    assert caught.value.problem == "radius-server-unreachable"
    nobody = replace(server, servers=(("127.0.0.1", 9),), timeout=0.2)
    with pytest.raises(TransportError) as refused:
        check(nobody, PIN)
    assert refused.value.problem == "radius-server-unreachable"
    with pytest.raises(ConfigError):
        check(replace(server, secret=tmp_path / "none"), PIN)
