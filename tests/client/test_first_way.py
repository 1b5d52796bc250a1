"""The way out before there is a policy: who names the proxy, and whom it gets to know."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from throughway.client import first_way
from throughway.client.enrolment import Place
from throughway.client.first_way import way_out
from throughway.client.proxy import ProxySource
from throughway.model.errors import ConfigError
from throughway.net import kerberos

TARGET = ("da.example.com", 8443)


async def nobody(_: str) -> Sequence[str]:
    raise OSError("no such name")


class World:
    """A computer that has not joined; what its proxy code was made with is kept."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = Place(folder / "etc", folder / "state")
        self.place.config.parent.mkdir()
        self.environment = {"KRB5CCNAME": f"FILE:{folder}/ccache"}
        self.made: list[ProxySource] = []

        def make(*arguments: object, **named: object) -> ProxySource:
            self.made.append(ProxySource(*arguments, **named))  # type: ignore[arg-type]
            return self.made[-1]

        monkeypatch.setattr(first_way, "ProxySource", make)

    def source(self) -> ProxySource:
        way_out(self.place, nobody, self.environment)
        return self.made[-1]

    def named(self) -> list[str]:
        return [str(proxy) for proxy in asyncio.run(self.source().named(*TARGET))]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_table_that_is_there_already_comes_before_the_environment(world: World) -> None:
    assert world.named() == []
    world.environment["https_proxy"] = "http://env:1"
    assert world.named() == ["env:1"]
    world.place.config.write_text('[proxy]\nurl = "http://own:2"\n')
    assert world.named() == ["own:2"]
    world.place.config.write_text("[proxy]\ndetect = false\nurll = 1\n")
    with pytest.raises(ConfigError, match="urll"):
        world.named()


def test_tickets_of_who_joins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not world.source().credentials().ticket
    ccache = Path(world.environment["KRB5CCNAME"].removeprefix("FILE:"))
    ccache.write_bytes(b"tickets")
    monkeypatch.setattr(kerberos, "ticket_principal", lambda path: "admin@CORP.EXAMPLE.COM")
    source = world.source()
    assert source.credentials().ticket
    assert (source._ccache, source._policy.kerberos_realm) == (ccache, "CORP.EXAMPLE.COM")


def test_without_a_ticket_the_domain_may_name_the_realm(world: World) -> None:
    secret = world.place.config.parent / "proxy.password"
    secret.touch(mode=0o600)
    table = '[proxy]\nurl = "http://p:1"\nuser = "a"\npassword_file = "proxy.password"\n'
    world.place.config.write_text(table + 'domain = "corp.example.com"\n')
    assert world.source()._policy.kerberos_realm == "CORP.EXAMPLE.COM"
    world.place.config.write_text(table + 'domain = "CORP"\n')
    assert world.source()._policy.kerberos_realm == ""
