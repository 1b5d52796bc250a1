r"""``gateway.toml``, as ``throughway collect`` takes it: without comments and secrets.

Sample::

    [iphttps]
    url = "https://da.example.com:443/IPHTTPS"
    listen = ["131.107.0.2:443"]
    prefix = "2001:db8:da::/59"
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.linux.document import load_toml, text, texts
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import GatewayConfiguration

_DEVICE = "iphttps0"
_TABLE = re.compile(r"^\[iphttps\]\s*$", re.MULTILINE)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the machine must have for it."""
    if not evidence.text.strip():
        return
    try:
        data = load_toml(evidence.text)
    except ValueError as error:
        raise ParseError(f"no TOML: {error}", evidence.first_line) from error
    table = data.get("iphttps")
    if not isinstance(table, dict):
        return
    source = next(
        (evidence.at(n, line) for n, line in evidence.lines() if line.startswith("prefix")),
        evidence.at(evidence.first_line),
    )
    yield GatewayConfiguration(
        source=source,
        prefix=text(table, "prefix"),
        interface=text(table, "interface") or _DEVICE,
        listen=texts(table, "listen"),
    )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if _TABLE.search(head) and "\nlisten = [" in head else 0


PARSER = Parser(name="gateway.toml", parse=parse, signature=signature)
