"""The commands about the gateway."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

import throughway.gateway
from tests.cli.daemons import FakeDaemon
from tests.cli.snapshots import GATEWAY
from throughway.cli.gateway import app
from throughway.control.codec import Command, from_json
from throughway.model.errors import ConfigError, ThroughwayError
from throughway.model.status import ComponentStatus, GatewaySnapshot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.sock"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def module(monkeypatch: pytest.MonkeyPatch, name: str, **members: object) -> None:
    """Put a module in the place of one of the gateway's."""
    fake = ModuleType(f"throughway.gateway.{name}")
    vars(fake).update(members)
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(throughway.gateway, name, fake, raising=False)


def test_status_for_people(path: Path) -> None:
    with FakeDaemon(status=lambda _: GATEWAY).serving(path):
        result = call("status", "--socket", str(path))
    assert result.exit_code == 1
    assert result.output.startswith("The gateway works, with warnings\n")
    assert "\x1b" not in result.output


def test_status_for_programs(path: Path) -> None:
    with FakeDaemon(status=lambda _: GATEWAY).serving(path):
        result = call("status", "--json", "--socket", str(path))
    assert result.exit_code == 1
    assert from_json(GatewaySnapshot, json.loads(result.output)) == GATEWAY


@pytest.mark.parametrize(
    ("component", "code"), [("IPHTTPS", 0), ("certificates", 1), ("domain", 3), ("authoriser", 0)]
)
def test_status_of_a_component(path: Path, component: str, code: int) -> None:
    with FakeDaemon(status=lambda _: GATEWAY).serving(path):
        result = call("status", component, "--socket", str(path))
        as_json = call("status", component, "--json", "--socket", str(path))
    assert result.exit_code == as_json.exit_code == code
    assert result.output.strip().startswith(component.lower())
    assert "Sessions" not in result.output
    assert from_json(ComponentStatus, json.loads(as_json.output)) in GATEWAY.components


def test_status_of_a_component_that_is_none(path: Path) -> None:
    with FakeDaemon(status=lambda _: GATEWAY).serving(path):
        result = call("status", "moon", "--socket", str(path))
    assert result.exit_code == 2
    assert "no such part; there are iphttps, certificates, domain, authoriser" in result.stderr


def test_status_without_a_daemon(path: Path) -> None:
    result = call("status", "--socket", str(path))
    assert result.exit_code == 3
    assert "systemctl start throughway-gateway" in result.stderr
    assert result.stdout == ""


def test_reload(path: Path) -> None:
    fake = FakeDaemon(reload=lambda _: {"needs_restart": []})
    with fake.serving(path):
        result = call("reload", "--socket", str(path))
    assert (result.exit_code, result.output) == (0, "reloaded\n")
    assert fake.commands == [Command("reload")]


def test_a_reload_says_what_waits_for_a_restart(path: Path) -> None:
    with FakeDaemon(reload=lambda _: {"needs_restart": ["iphttps.url", "nat64"]}).serving(path):
        result = call("reload", "--socket", str(path))
    assert result.exit_code == 0
    assert "only from the next start on: iphttps.url, nat64" in result.output
    assert "systemctl restart throughway-gateway" in result.output


def test_a_reload_that_is_refused(path: Path) -> None:
    def refuse(_: Command) -> object:
        raise ThroughwayError("gateway.toml: iphttps.url: holds an address")

    with FakeDaemon(reload=refuse).serving(path):
        result = call("reload", "--socket", str(path))
    assert result.exit_code == 1
    assert "iphttps.url: holds an address" in result.stderr


def test_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Path] = []
    module(monkeypatch, "daemon", run=ran.append)
    assert call("run", "--config", "/etc/other.toml").exit_code == 0
    assert ran == [Path("/etc/other.toml")]


def test_run_with_a_wrong_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(config: Path) -> None:
        raise ConfigError(str(config), "iphttps.url", "is missing; give https://NAME:443/IPHTTPS")

    module(monkeypatch, "daemon", run=run)
    result = call("run", "--config", "gateway.toml")
    assert result.exit_code == 2
    assert result.stderr.strip() == (
        "throughway: gateway.toml: iphttps.url: is missing; give https://NAME:443/IPHTTPS"
    )


def test_check(monkeypatch: pytest.MonkeyPatch) -> None:
    module(monkeypatch, "settings", load=lambda _: None)
    result = call("check", "--config", "gateway.toml")
    assert (result.exit_code, result.output) == (0, "gateway.toml: no errors\n")


def test_check_of_a_wrong_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(config: Path) -> None:
        raise ConfigError(str(config), "ipsec.ca", "no such file")

    module(monkeypatch, "settings", load=load)
    result = call("check", "--config", "gateway.toml")
    assert result.exit_code == 2
    assert "gateway.toml: ipsec.ca: no such file" in result.stderr


def test_mend(path: Path) -> None:
    fake = FakeDaemon(mend=lambda _: {"part": "ike", "done": "charon was ended"})
    with fake.serving(path):
        result = call("mend", "ike", "--socket", str(path))
    assert (result.exit_code, result.output) == (0, "charon was ended\n")
    assert fake.commands == [Command("mend", {"part": "ike"})]
