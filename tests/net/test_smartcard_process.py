"""The process that calls a module: a line in, a line out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.smart_cards import MODULE, PIN, CardBox

COMMAND = (sys.executable, "-P", "-m", "throughway.net.smartcard_process")


def asked(module: str, question: dict[str, object]) -> dict[str, object]:
    answer = subprocess.run(
        (*COMMAND, module),
        input=json.dumps(question) + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    told: dict[str, object] = json.loads(answer.stdout)
    return told


def test_a_module_that_is_not_there() -> None:
    assert asked("/nonexistent.so", {"do": "list"})["error"] == "module"


@pytest.mark.lab
def test_a_card_that_is_not_there_gets_no_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = CardBox(tmp_path / "cards")
    monkeypatch.setenv("SOFTHSM2_CONF", str(box.file))
    box.insert("empty", None)
    cards: Any = asked(str(MODULE), {"do": "list"})["cards"]
    [card] = cards
    assert card["certificates"] == []
    question = {"do": "check", "slot": card["slot"], "serial": "another", "id": "", "pin": PIN}
    assert asked(str(MODULE), question) == {"error": "gone"}
    look = {"do": "there", "slot": card["slot"], "serial": card["serial"]}
    assert asked(str(MODULE), look) == {"there": True}
    assert asked(str(MODULE), look | {"serial": "another"}) == {"there": False}
    box.pull()
    assert asked(str(MODULE), look) == {"there": False}
