r"""``throughway client status --json``: the client as it sees itself.

Sample (shortened)::

    {
      "version": "0.1.0",
      "taken_at": 1767322800.0,
      "connection": "error",
      "location": "outside",
      "link": {"state": "link-down", "url": "https://da.example.com:443/IPHTTPS"},
      "problems": [
        {
          "code": "iphttps-port-blocked",
          "detail": "no answer from 131.107.0.2 port 443",
          "fix": ["nc -vz da.example.com 443"]
        }
      ]
    }
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.linux.document import Lines, load_object, objects, text
from throughway.doctor.parsers.linux.status import failed_checks, number, problems
from throughway.model.evidence import Evidence, Role
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import DaemonReport, WholeWay

BY = "the client"
_CONNECTED = ("connected-locally", "connected-remotely")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield how the client is, each of its problems, and what its checks have found."""
    if not evidence.text.strip():
        return
    data = load_object(evidence, "the client's status")
    lines = Lines(evidence)
    connection = text(data, "connection")
    source = lines.of("connection")
    link = data.get("link")
    devices = [link] if isinstance(link, dict) else []
    devices += objects(data.get("transports"))
    names = dict.fromkeys(text(device, "interface") for device in devices)
    yield DaemonReport(
        source=source,
        daemon=Role.CLIENT,
        version=text(data, "version"),
        taken_at=number(data, "taken_at"),
        state=connection,
        interfaces=tuple(filter(None, names)),
    )
    if connection in _CONNECTED:
        yield WholeWay(source=source)
    yield from problems(data, BY, lines)
    yield from failed_checks(data, BY, lines)


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if '"connection":' in head and '"location_detail":' in head else 0


PARSER = Parser(
    name="throughway client status --json",
    parse=parse,
    command=re.compile(r"throughway client status .*--json"),
    signature=signature,
)
