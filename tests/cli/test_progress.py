"""Steps told of while they are done."""

import pytest

from throughway.cli.progress import telling
from throughway.model.probing import Outcome, Step

STEP = Step(name="tcp \x1b[2J", outcome=Outcome.DONE, seconds=0.0123)


def test_a_line_each_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with telling(quiet=False) as listener:
        listener.started("tcp")
        listener.ended(STEP)
    assert capsys.readouterr().err == "tcp \ufffd[2J: done (12 ms)\n"


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with telling(quiet=True) as listener:
        listener.ended(STEP)
    assert capsys.readouterr().err == ""


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is shown as it is: neither markup nor control characters count."""
    shown: list[str] = []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("rich.status.Status.update", lambda _, text: shown.append(text.plain))
    with telling(quiet=False) as listener:
        listener.started("names")
        listener.started("[/bold] tcp")
        listener.started(STEP.name)
        listener.ended(STEP)
    assert shown == [
        "names …",
        "names · [/bold] tcp …",
        "names · [/bold] tcp · tcp \ufffd[2J …",
        "names · [/bold] tcp …",
    ]
