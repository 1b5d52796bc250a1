"""``throughway collect`` and ``throughway doctor --live``, on a machine with a sound client."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.linux_incidents import files
from throughway.cli import collect, doctor
from throughway.cli.main import tell
from throughway.doctor.gathering.plan import Gathered, Places, Told
from throughway.model.errors import ConfigError

EVIDENCE = Path(__file__).parents[1] / "evidence"


@pytest.fixture
def incident(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Return what lets this machine be one of those that evidence was taken from."""
    config = tmp_path / "client.toml"
    config.touch()
    monkeypatch.setattr(collect, "here", lambda: Places(client_config=config))
    monkeypatch.chdir(tmp_path)

    def become(name: str, host: str) -> None:
        def gather(places: Places, *, network: bool, told: Told) -> Gathered:
            assert places.client_config == config
            told("all of it")
            return Gathered(files(name, host), missing={"clock": "no clock here"})

        monkeypatch.setattr(collect, "gather", gather)

    return become


def invoke(app: object, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))  # type: ignore[arg-type]


def codes(result: Result) -> list[str]:
    return [finding["code"] for finding in json.loads(result.stdout)["diagnosis"]]


def test_live_and_bundle_say_the_same(incident: Callable[[str, str], None]) -> None:
    incident("port-443-blocked", "client1")
    live = invoke(doctor.app, "--live", "--json")
    assert (live.exit_code, codes(live)) == (1, ["iphttps-port-blocked"])
    assert invoke(collect.app, "--output", "a.tar.gz").exit_code == 0
    elsewhere = invoke(doctor.app, "a.tar.gz", "--json")
    assert (elsewhere.exit_code, codes(elsewhere)) == (1, codes(live))
    assert Path("a.tar.gz").stat().st_mode & 0o777 == 0o600


def test_a_machine_that_is_well(incident: Callable[[str, str], None]) -> None:
    incident("well", "client1")
    assert invoke(doctor.app, "--live").exit_code == 0


def test_what_was_written_and_what_is_missing_is_said(
    incident: Callable[[str, str], None],
) -> None:
    incident("well", "client1")
    told = invoke(collect.app)
    assert told.exit_code == 0
    written = Path(told.stdout.strip().splitlines()[0])
    assert written.exists()
    assert "could not be had: clock: no clock here" in told.output
    data = json.loads(invoke(collect.app, "--json", "-o", "b.tar.gz").stdout)
    assert data["missing"] == {"clock": "no clock here"}
    assert data["bytes"] == Path("b.tar.gz").stat().st_size


def test_redacted_it_does_not_say_whose_it_is(incident: Callable[[str, str], None]) -> None:
    incident("port-443-blocked", "client1")
    result = invoke(collect.app, "--redact", "-o", "r.tar.gz")
    assert result.exit_code == 0
    answer = invoke(doctor.app, "r.tar.gz", "--json")
    assert codes(answer) == ["iphttps-port-blocked"]
    assert "da.example.com" not in answer.stdout


def test_nothing_is_overwritten(incident: Callable[[str, str], None]) -> None:
    incident("well", "client1")
    Path("a.tar.gz").write_text("mine")
    refused = invoke(collect.app, "-o", "a.tar.gz")
    assert isinstance(refused.exception, Exception)
    assert tell(refused.exception) == 2
    assert Path("a.tar.gz").read_text() == "mine"


def test_a_machine_that_is_neither_has_nothing_to_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = Places(
        client_config=tmp_path / "a",
        gateway_config=tmp_path / "b",
        client_socket=tmp_path / "c",
        gateway_socket=tmp_path / "d",
    )
    monkeypatch.setattr(collect, "here", lambda: nowhere)
    for app, arguments in ((collect.app, ()), (doctor.app, ("--live",))):
        refused = invoke(app, *arguments)
        assert isinstance(refused.exception, Exception)
        assert tell(refused.exception) == 2


def test_live_goes_with_nothing_else(incident: Callable[[str, str], None]) -> None:
    incident("well", "client1")
    refused = invoke(doctor.app, "--live", "evidence")
    assert isinstance(refused.exception, Exception)
    assert tell(refused.exception) == 2


def test_sockets_are_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHWAY_CLIENT_SOCKET", "/tmp/c.sock")
    monkeypatch.delenv("THROUGHWAY_GATEWAY_SOCKET", raising=False)
    places = collect.here()
    assert places.client_socket == Path("/tmp/c.sock")
    assert places.gateway_socket == Places().gateway_socket


def test_a_capture_beside_two_bundles_counts_for_the_client(
    incident: Callable[[str, str], None],
) -> None:
    for host in ("client1", "edge1"):
        incident("gateway-stopped", host)
        assert invoke(collect.app, "--output", f"{host}.tar.gz").exit_code == 0
    capture = EVIDENCE / "teredo-udp-blocked" / "fires" / "captured" / "capture.pcap"
    both = invoke(doctor.app, "client1.tar.gz", "edge1.tar.gz", str(capture), "--json")
    assert codes(both) == ["gateway-not-running", "teredo-udp-blocked"]


def test_a_folder_that_is_closed_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(collect, "here", lambda: nowhere(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="run as root"):
        collect.gathered(network=False)


def nowhere(folder: Path) -> Places:
    """Return a machine that is neither client nor gateway, as far as can be seen."""
    return Places(
        client_config=folder / "client.toml",
        gateway_config=folder / "gateway.toml",
        client_socket=folder / "client.sock",
        gateway_socket=folder / "gateway.sock",
    )
