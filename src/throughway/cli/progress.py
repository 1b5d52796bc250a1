"""Tell of steps while they are done: moving on a terminal, a line each otherwise."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from throughway.cli.output import note
from throughway.model.probing import Outcome, Step
from throughway.probe.steps import Listener


@contextmanager
def telling(*, quiet: bool) -> Iterator[Listener]:
    """Tell of the steps while they are done: moving on a terminal, a line each otherwise."""
    if quiet:
        yield Listener()
    elif not sys.stderr.isatty():
        yield Listener(ended=lambda step: note(_told(step)))
    else:
        from rich.console import Console
        from rich.text import Text

        running: dict[str, None] = {}
        with Console(stderr=True).status("names …") as status:

            def show() -> None:
                status.update(Text(_printable(" · ".join(running) + " …")))

            def started(name: str) -> None:
                running[name] = None
                show()

            def ended(step: Step) -> None:
                running.pop(step.name, None)
                show()

            yield Listener(started, ended)


def _told(step: Step) -> str:
    words = {Outcome.DONE: "done", Outcome.UNFINISHED: "not finished"}.get(step.outcome, step.words)
    return _printable(f"{step.name}: {words} ({step.seconds * 1000:.0f} ms)")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
