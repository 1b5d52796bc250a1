r"""``throughway netcheck --json`` and ``throughway probe --json``: the network, seen from here.

Sample (shortened)::

    {
      "schema": 1,
      "verdict": "No answer from the gateway's port.",
      "ways": {},
      "diagnosis": [
        {"code": "iphttps-port-blocked", "confidence": "certain", "summary": "…", "fix": ["…"]}
      ]
    }
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.linux.document import Lines, load_object, objects, text, texts
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import SeenProblem

_INFO = "info"


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the look has found."""
    if not evidence.text.strip():
        return
    data = load_object(evidence, "the look at the network")
    lines = Lines(evidence)
    for found in objects(data.get("diagnosis")):
        source = lines.of("code", text(found, "code"))
        summary = lines.below(source, "summary")
        if text(found, "severity") == _INFO:
            continue
        yield SeenProblem(
            source=source,
            by="a look at the network from here",
            code=text(found, "code"),
            detail=text(found, "summary"),
            fix=texts(found, "fix"),
            verify=texts(found, "verify"),
            sure=text(found, "confidence") == "certain",
            also=(summary,) if summary else (),
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    kind = '"ways":' in head or '"remarks":' in head
    return CERTAIN if kind and '"verdict":' in head and '"diagnosis":' in head else 0


PARSER = Parser(
    name="throughway netcheck --json",
    parse=parse,
    command=re.compile(r"throughway (?:netcheck|probe)\b.*--json"),
    signature=signature,
)
