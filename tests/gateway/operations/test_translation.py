"""DNS64 and NAT64: what answers, what hangs, what is gone."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations_world import config, look, parts_of
from throughway.gateway.operations import translation
from throughway.health.checking import CannotTell
from throughway.model.config import GatewayConfig, NAT64Config, PublishConfig
from throughway.model.policy import NRPTRule
from throughway.model.status import TranslationStatus
from throughway.net import nat64

NAT64 = NAT64Config(
    prefix="2001:db8:c0:7777::/96",
    ipv4_prefixes=("10.0.0.0/16",),
    listen=(("2001:db8:c0:1::1", 53), ("2001:db8:c0:1::2", 53)),
    servers=("2001:db8:c0:1::10",),
)
WELL = TranslationStatus(
    prefix=NAT64.prefix, interface="nat64", running=True, pid=17, listening=("2001:db8:c0:1::1",)
)


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., list[tuple[str, str]] | str]:
    def ask(name: str, *known: TranslationStatus) -> list[tuple[str, str]] | str:
        gateway = replace(config(tmp_path), nat64=NAT64)
        return look(translation.checks(parts_of(gateway, translation=known)), name)

    return ask


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("", "tayga translates 2001:db8:c0:7777::/96"),
        ("exists", "nat64 is gone"),
        ("connected", "routes do not lead to nat64"),
        (
            "leads",
            "another route or rule takes what is for 2001:db8:c0:7777::/96 away from nat64, "
            "see `ip -6 route; ip -6 rule`",
        ),
        ("answers", "tayga (process 17) does not answer: it hangs"),
    ],
)
def test_what_nat64_stands_on(
    ask: Callable[..., list[tuple[str, str]] | str],
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
    words: str,
) -> None:
    async def answers(_config: NAT64Config, _seconds: float) -> bool:
        return lost != "answers"

    monkeypatch.setattr(nat64, "exists", lambda _: lost != "exists")
    monkeypatch.setattr(nat64, "connected", lambda _: lost != "connected")
    monkeypatch.setattr(nat64, "leads", lambda _: lost != "leads")
    monkeypatch.setattr(nat64, "answers", answers)
    assert ask("nat64", WELL) == ([("nat64-broken", words)] if lost else words)


def test_what_its_keeper_says_of_nat64(ask: Callable[..., list[tuple[str, str]] | str]) -> None:
    down = replace(WELL, running=False, last_error="tayga ended at once")
    assert ask("nat64", down) == [("nat64-broken", "tayga ended at once")]
    with pytest.raises(CannotTell, match="restart the gateway"):
        ask("nat64")


def test_each_address_of_dns64_is_asked(
    ask: Callable[..., list[tuple[str, str]] | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent: set[str] = set()

    async def asks(server: str, _name: str, _port: int) -> str:
        return "no answer" if server in silent else ""

    monkeypatch.setattr(translation, "asks", asks)
    assert ask("dns64", WELL) == "2001:db8:c0:1::1, 2001:db8:c0:1::2 answers"
    silent.add("2001:db8:c0:1::2")
    told = [("dns64-broken", "2001:db8:c0:1::2 port 53: no answer")]
    assert ask("dns64", WELL) == told


def test_what_the_policy_names_is_asked_once(tmp_path: Path) -> None:
    def gateway(*servers: str) -> GatewayConfig:
        rule = NRPTRule(namespace=".corp.example.com", servers=servers)
        publish = PublishConfig(
            deployment="corp",
            signing_key=tmp_path,
            bundle=tmp_path,
            nrpt=(rule,),
            nls_urls=(),
            trust_anchors=(),
        )
        return replace(config(tmp_path), nat64=NAT64, publish=publish)

    (dns64, _) = translation.checks(parts_of(gateway("2001:db8:c0:1::1")))
    assert dns64.wanted() == ""
    (dns64, _) = translation.checks(parts_of(gateway("2001:db8:c0:1::1", "2001:db8:c0:1::2")))
    assert dns64.wanted() == "it is asked as a DNS server of the intranet: see dns"


def test_without_nat64_neither_is_looked_at(tmp_path: Path) -> None:
    checks = translation.checks(parts_of(config(tmp_path)))
    assert {check.wanted() for check in checks} == {"no [nat64] is configured"}


def test_where_there_is_no_device_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nat64, "_ECHO_PAUSE", 0.001)
    monkeypatch.setattr(nat64, "_echo_socket", _no_socket)
    assert not asyncio.run(nat64.answers(NAT64, 0.01))


def _no_socket() -> object:
    raise PermissionError
