"""A client's stages, components and checks by themselves, and what a shell offers of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from tests.cli.daemons import FakeDaemon
from tests.cli.snapshots import LOGGED_ON, NOW, condition
from throughway.cli.asking import fixable_at
from throughway.cli.parts import completing, exit_code_of, part_of, parts, render_part
from throughway.cli.status import View
from throughway.control.codec import to_json
from throughway.health.chain import chain_of
from throughway.model.findings import Component
from throughway.model.status import (
    CheckStatus,
    ClientSnapshot,
    ComponentState,
    GatewaySnapshot,
    LinkStatus,
    StageState,
)

VIEW = View(now=NOW, zone=UTC)
PROBLEM = condition("iphttps-port-blocked", "131.107.0.2 port 443: no answer")
CONTROLLER = CheckStatus(
    name="domain-controller",
    title="Domain controllers",
    component=Component.DOMAIN,
    state=ComponentState.OK,
    since=NOW - 60,
    detail="dc1.corp.example.com answers",
)
CLOCK = replace(CONTROLLER, name="clock", title="Clock", component=Component.HOST)


def client() -> ClientSnapshot:
    down = LinkStatus(state="link-down", url="", interface="iphttps0", addresses=())
    broken = replace(LOGGED_ON, link=down, problems=(PROBLEM,), checks=(CONTROLLER, CLOCK))
    return replace(broken, chain=chain_of(broken))


def shown(name: str) -> str:
    return render_part(client(), part_of(client(), name), VIEW)


def test_the_stage_that_is_broken_tells_error_causes_and_resolution() -> None:
    lines = shown("link").splitlines()
    assert lines[0] == "link: Not working properly"
    (error,) = (line for line in lines if line.startswith("Error: "))
    assert "[iphttps-port-blocked]" in error
    assert any(line.startswith("  Resolution:") for line in lines)


def test_a_stage_has_the_checks_that_it_stands_on() -> None:
    text = shown("domain-controller")
    assert text.startswith("domain controller: ")
    assert "\n  domain-controller     ok " in text
    assert "\n  clock                 ok " in text


def test_a_check_beside_the_chain() -> None:
    assert shown("clock").startswith("Clock: Working properly\n")


def test_what_mends_by_itself_comes_first() -> None:
    view = replace(VIEW, fixable=frozenset({"iphttps-port-blocked"}))
    mends = [
        line
        for line in render_part(client(), part_of(client(), "link"), view).splitlines()
        if line.startswith("  Mend:")
    ]
    assert mends[0] == "  Mend:       throughway fix iphttps-port-blocked"
    assert "throughway fix" not in shown("link")


def test_what_is_fixed_differs_between_client_and_gateway() -> None:
    assert "policy-out-of-date" in fixable_at(ClientSnapshot) - fixable_at(GatewaySnapshot)
    assert "iphttps-forwarding-disabled" in fixable_at(GatewaySnapshot) - fixable_at(ClientSnapshot)


def test_stages_of_two_words_are_typed_as_one_or_two() -> None:
    assert part_of(client(), "Intranet tunnel") is not None
    assert "intranet-tunnel" in parts(client())
    assert not any(" " in name for name in parts(client()))


@pytest.mark.parametrize(
    ("state", "code"),
    [(StageState.OK, 0), (StageState.DISABLED, 0), (StageState.WAITING, 1), (StageState.ERROR, 1)],
)
def test_the_exit_code_of_a_stage(state: StageState, code: int) -> None:
    assert exit_code_of(state) == code


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    with FakeDaemon(status=lambda _: to_json(client())).serving(tmp_path / "c.sock") as path:
        yield path


def test_a_shell_is_offered_what_there_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHWAY_CLIENT_SOCKET", str(path))
    complete = completing(ClientSnapshot, "THROUGHWAY_CLIENT_SOCKET", Path("/nonexistent"))
    assert complete("") == list(parts(client()))
    assert complete("in") == ["infrastructure-tunnel", "intranet-tunnel"]
    assert complete("moon") == []


def test_a_shell_is_offered_nothing_where_nobody_answers(tmp_path: Path) -> None:
    complete = completing(ClientSnapshot, "NOT_SET", tmp_path / "c.sock")
    assert complete("") == []
