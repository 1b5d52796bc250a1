"""Lines on a terminal and in a pipe."""

import io

from throughway.probe.lines import Line, plain, show

LINES = (Line("verdict", "critical"), Line("words", "", 1), Line("command --x", "command", 2))


def test_plain() -> None:
    assert list(plain(LINES)) == ["verdict", "  words", "    command --x"]


def test_show() -> None:
    stream = io.StringIO()
    show((*LINES, Line("[bold]not markup[/]\x1b[2J")), stream)
    assert "    command --x" in stream.getvalue()
    assert "[bold]not markup[/]" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()
