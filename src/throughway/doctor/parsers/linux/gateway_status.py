r"""``throughway gateway status --json``: Operations Status of our gateway, with its live checks.

Sample (shortened)::

    {
      "version": "0.1.0",
      "taken_at": 1767322800.0,
      "state": "error",
      "iphttps_state": "serving",
      "checks": [
        {
          "name": "forwarding",
          "title": "Forwarding",
          "state": "error",
          "detail": "net.ipv6.conf.all.forwarding is 0",
          "problems": ["iphttps-forwarding-disabled"]
        }
      ],
      "problems": [{"code": "iphttps-forwarding-disabled", "detail": "…"}]
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

BY = "the gateway"


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield how the gateway is, each of its problems, and what its checks have found."""
    if not evidence.text.strip():
        return
    data = load_object(evidence, "the gateway's status")
    lines = Lines(evidence)
    state = text(data, "state")
    source = lines.of("state")
    names = dict.fromkeys(text(worker, "interface") for worker in objects(data.get("workers")))
    yield DaemonReport(
        source=source,
        daemon=Role.SERVER,
        version=text(data, "version"),
        taken_at=number(data, "taken_at"),
        state=state,
        interfaces=tuple(filter(None, names)),
    )
    if state == "ok":
        yield WholeWay(source=source)
    yield from problems(data, BY, lines)
    yield from failed_checks(data, BY, lines)


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if '"iphttps_state":' in head and '"sessions":' in head else 0


PARSER = Parser(
    name="throughway gateway status --json",
    parse=parse,
    command=re.compile(r"throughway gateway status .*--json"),
    signature=signature,
)
