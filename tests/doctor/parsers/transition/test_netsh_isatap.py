"""The state and the router of ISATAP."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.transition.netsh_isatap import PARSER
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import ISATAPState

ROUTER = """
Router Name                       : isatap.corp.example.com
Use Relay                         : default
Resolution Interval               : default
"""


def facts(text: str, command: str = "") -> list[Fact]:
    return list(PARSER.parse(Evidence("a.txt", text, command=command)))


def test_isatap() -> None:
    (router,) = facts(ROUTER)
    (state,) = facts("ISATAP State  : enabled\n")
    assert isinstance(router, ISATAPState)
    assert isinstance(state, ISATAPState)
    assert router.router == "isatap.corp.example.com"
    assert state.state == "enabled"
    (unnamed,) = facts("Router Name : default\n")
    assert isinstance(unnamed, ISATAPState)
    assert unnamed.router is None


@pytest.mark.parametrize("text", [ROUTER])
def test_it_is_recognised_by_its_text(text: str) -> None:
    assert find(Evidence("a.txt", text), PARSERS) == [PARSER]
