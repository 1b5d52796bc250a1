r"""``Get-DnsClientNrptGlobal`` and, on a server, ``Get-DAClientDNSConfiguration``.

Samples::

    EnableDAForAllNetworks  : Disable
    QueryPolicy             : Disable
    SecureNameQueryFallback : FallbackPrivate

    NrptSuffixes            : {.corp.example.com, nls.corp.example.com}
    EnableDAForAllNetworks  : Disable
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NRPTSettings


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the settings."""
    for record in records.read(evidence):
        if "enabledaforallnetworks" in record:
            yield NRPTSettings(
                source=record.source(evidence, "enabledaforallnetworks"),
                suffixes=record.items("nrptsuffixes") or (),
                enable_for_all_networks=record.word("enabledaforallnetworks"),
                query_policy=record.word("querypolicy"),
                fallback=record.word("securenamequeryfallback"),
            )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "enabledaforallnetworks" in head else 0


PARSER = Parser(
    name="Get-DnsClientNrptGlobal",
    parse=parse,
    command=re.compile(r"\bGet-(?:DnsClientNrptGlobal|DAClientDNSConfig)", re.IGNORECASE),
    signature=signature,
)
