r"""``daemons.json`` of ``throughway collect``: which daemons should run here, and who answers.

Sample::

    {
     "daemons": [
      {"daemon": "client", "configured": true, "socket": "/run/throughway/client.sock",
       "answers": false, "why": "the client daemon is not running"}
     ]
    }
"""

from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.linux.document import Lines, load_object, objects, text
from throughway.model.evidence import Evidence, Role
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import DaemonState

_ROLES = {"client": Role.CLIENT, "gateway": Role.SERVER}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each daemon."""
    if not evidence.text.strip():
        return
    data = load_object(evidence, "the list of daemons")
    lines = Lines(evidence)
    for daemon in objects(data.get("daemons")):
        role = _ROLES.get(text(daemon, "daemon"))
        if role is None:
            continue
        named = lines.of("daemon", text(daemon, "daemon"))
        answers = daemon.get("answers")
        yield DaemonState(
            source=lines.below(named, "why") or named,
            daemon=role,
            configured=daemon.get("configured") is True,
            answers=answers if isinstance(answers, bool) else None,
            why=text(daemon, "why"),
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if '"daemons":' in head and '"configured":' in head else 0


PARSER = Parser(name="daemons of throughway collect", parse=parse, signature=signature)
