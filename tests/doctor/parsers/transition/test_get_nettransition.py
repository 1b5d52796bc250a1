"""6to4, ISATAP and Teredo as objects."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.transition.get_nettransition import PARSER
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import ISATAPState, SixToFourState, TeredoState, TeredoStatus


def facts(text: str, command: str = "") -> list[Fact]:
    return list(PARSER.parse(Evidence("a.txt", text, command=command)))


def test_the_transitions_as_objects() -> None:
    text = """
Description               : 6to4 Configuration
State                     : Disabled
AutoSharing               : Default
RelayName                 : 6to4.example.com.

Description               : ISATAP Configuration
State                     : Default
Router                    : isatap.corp.example.com
ResolutionState           : Default

Description            : Teredo Configuration
Type                   : Enterpriseclient
ServerName             : da.example.com.
RefreshIntervalSeconds : 30
ClientPort             : 0
"""
    sixtofour, isatap, teredo = facts(text)
    assert isinstance(sixtofour, SixToFourState)
    assert isinstance(isatap, ISATAPState)
    assert isinstance(teredo, TeredoState)
    assert sixtofour.state == "disabled"
    assert isatap.router == "isatap.corp.example.com"
    assert (teredo.type, teredo.server, teredo.port) == ("enterpriseclient", "da.example.com", 0)


def test_the_state_of_teredo_as_an_object() -> None:
    (teredo,) = facts("Description : Teredo State\nState : Qualified\n")
    assert isinstance(teredo, TeredoState)
    assert teredo.state is TeredoStatus.QUALIFIED


def test_a_state_of_something_else_is_not_one_of_teredo() -> None:
    assert facts("Name : x\nState : Offline\n") == []


@pytest.mark.parametrize("text", ["RelayName : x\nResolutionIntervalSeconds : 1"])
def test_it_is_recognised_by_its_text(text: str) -> None:
    assert find(Evidence("a.txt", text), PARSERS) == [PARSER]
