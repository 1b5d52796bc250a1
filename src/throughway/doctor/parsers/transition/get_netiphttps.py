r"""``Get-NetIPHttpsState`` and ``Get-NetIPHttpsConfiguration``.

Samples::

    LastErrorCode   : 0x0
    InterfaceStatus : IPHTTPS interface active

    ConfigurationType  : Group Policy
    Type               : Client
    State              : Default
    AuthMode           : None
    ServerURL          : https://da.example.com:443/IPHTTPS
    StrongCRLRequired  : False
    PolicyStore        : example.com\DirectAccess Client Settings

As objects both code and mode are numbers.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.doctor.parsers.transition.netsh_httpstunnel import status_of
from throughway.model.evidence import Evidence, Role
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import (
    IPHTTPSConfiguration,
    IPHTTPSInterface,
)

_MODES = {"0": "None", "1": "Certificates"}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield states and configurations."""
    for record in records.read(evidence):
        if "lasterrorcode" in record or "interfacestatus" in record:
            yield _state(record, evidence)
        elif "serverurl" in record:
            mode = record.word("authmode")
            yield IPHTTPSConfiguration(
                source=record.source(evidence, "serverurl"),
                url=record.text("serverurl"),
                type=record.name("type"),
                state=record.name("state"),
                authentication=_MODES.get(mode or "", mode),
                strong_crl_required=record.boolean("strongcrlrequired"),
                policy_store=record.word("policystore"),
            )


def _state(record: records.Record, evidence: Evidence) -> Fact:
    text = record.text("interfacestatus") or ""
    code = record.word("lasterrorcode")
    return IPHTTPSInterface(
        source=record.source(evidence, "lasterrorcode"),
        last_error=numbers.error_code(code) if code else None,
        status=status_of(text) if text else None,
        status_text=text,
        role=_role(record),
    )


def _role(record: records.Record) -> Role | None:
    said = (record.word("type") or record.word("role") or "").lower()
    return Role(said) if said in {role.value for role in Role} else None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "interfacestatus" in head and "lasterrorcode" in head:
        return CERTAIN
    return CERTAIN if "serverurl" in head and "strongcrlrequired" in head else 0


PARSER = Parser(
    name="Get-NetIPHttpsState",
    parse=parse,
    command=re.compile(r"\bGet-NetIPHttps(?:State|Config)", re.IGNORECASE),
    signature=signature,
)
