"""``throughway lab fault``: what it shows without a lab, and what it says of one that is up."""

import json

import pytest
from typer.testing import CliRunner

from throughway.cli import lab_fault as command
from throughway.cli.lab_fault import app
from throughway.lab.faults import FAULTS
from throughway.lab.lab import Lab
from throughway.lab.state import LabState
from throughway.model.errors import LabError

runner = CliRunner()
NOWHERE = "no-such-lab"


def test_the_list_needs_no_lab() -> None:
    answer = runner.invoke(app, ["list", "--name", NOWHERE, "--json"])
    assert answer.exit_code == 0
    rows = {row["name"]: row for row in json.loads(answer.stdout)}
    assert list(rows) == list(FAULTS)
    blocked = rows["port-443-blocked"]
    assert (blocked["client"], blocked["gateway"]) == ("iphttps-port-blocked", "")
    assert (blocked["place"], blocked["injected"]) == ("home", False)


def test_the_list_for_people() -> None:
    answer = runner.invoke(app, ["list", "--name", NOWHERE])
    assert answer.exit_code == 0
    lines = answer.output.splitlines()
    assert max(map(len, lines)) <= 80
    first = lines.index("port-443-blocked")
    assert lines[first + 2] == "    home; client: iphttps-port-blocked; gateway: well"
    assert "(now)" not in answer.output


@pytest.mark.parametrize("arguments", [["inject", "port-443-blocked"], ["clear"]])
def test_without_a_lab_nothing_is_broken(arguments: list[str]) -> None:
    answer = runner.invoke(app, [*arguments, "--name", NOWHERE])
    assert answer.exit_code == 1
    assert "throughway lab up --name no-such-lab" in answer.output


class Standing(Lab):
    """A lab in which faults are only written down."""

    there: dict[str, str]

    def __init__(self, name: str) -> None:
        super().__init__(name)

    def require(self) -> "Standing":
        return self

    def inject(self, name: str, client: str = "client1") -> None:
        self._fault(name)
        type(self).there[name] = client

    def clear(self, name: str) -> bool:
        return type(self).there.pop(name, "") != ""

    @property
    def faults(self) -> dict[str, str]:
        return dict(type(self).there)

    def where(self, host: str) -> str:
        return "home"

    def transports(self, host: str) -> tuple[str, ...]:
        return ("iphttps",) if host == "client2" else ()


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    Standing.there = {}
    monkeypatch.setattr("throughway.lab.lab.Lab", Standing)
    monkeypatch.setattr(
        command, "load", lambda name: LabState(name=name, faults=dict(Standing.there))
    )
    return Standing.there


def test_what_is_injected_is_shown_and_cleared(standing: dict[str, str]) -> None:
    answer = runner.invoke(app, ["inject", "port-443-blocked", "--client", "client2"])
    assert answer.exit_code == 0, answer.output
    assert "Now the client's network drops" in answer.output
    assert standing == {"port-443-blocked": "client2"}
    shown = runner.invoke(app, ["list", "--json"])
    assert [row["name"] for row in json.loads(shown.stdout) if row["injected"]] == [
        "port-443-blocked"
    ]
    assert "Mended: port-443-blocked." in runner.invoke(app, ["clear", "port-443-blocked"]).output
    assert "Nothing of that was broken." in runner.invoke(app, ["clear"]).output


def test_all_are_cleared_the_latest_first(standing: dict[str, str]) -> None:
    standing.update({"packet-loss": "client1", "port-443-blocked": "client1"})
    assert "Mended: port-443-blocked, packet-loss." in runner.invoke(app, ["clear"]).output


def test_where_it_will_not_be_noticed_is_said(standing: dict[str, str]) -> None:
    answer = runner.invoke(app, ["inject", "captive-portal"])
    assert answer.exit_code == 0
    assert "client1 notices it hotel only" in answer.output


def test_that_another_transport_goes_round_it_is_said(standing: dict[str, str]) -> None:
    answer = runner.invoke(app, ["inject", "port-443-blocked"])
    assert "throughway lab transports client1 iphttps" in answer.output
    narrowed = runner.invoke(app, ["inject", "port-443-refused", "--client", "client2"])
    assert "transports" not in narrowed.output
    unseen = runner.invoke(app, ["inject", "kdc-silent"])
    assert "transports" not in unseen.output


def test_a_client_that_has_joined_nothing_goes_round_nothing(
    standing: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(lab: Standing, host: str) -> tuple[str, ...]:
        raise LabError("cat: /etc/throughway/client.toml: No such file or directory")

    monkeypatch.setattr(Standing, "transports", unread)
    answer = runner.invoke(app, ["inject", "port-443-blocked"])
    assert answer.exit_code == 0
    assert "transports" not in answer.output


def test_no_such_fault(standing: dict[str, str]) -> None:
    for verb in ("inject", "clear"):
        answer = runner.invoke(app, [verb, "prot-443-blocked", "--name", NOWHERE])
        assert answer.exit_code == 2
        assert "did you mean 'port-443-blocked'?" in answer.output
        assert "throughway lab fault list" in answer.output


def test_completion() -> None:
    assert [name for name, _ in command._faults("captive")] == ["captive-portal"]
    assert command._labs("no-such") == []
