"""The state and the relay of 6to4."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.transition.netsh_6to4 import PARSER
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import SixToFourState

STATE = """
6to4 Service State                : disabled  (Group Policy)
Undo on Service Stop              : default
"""
RELAY = """
Relay Name                        : 6to4.ipv6.microsoft.com.
Use Relay                         : enabled
Resolution Interval               : default
"""


def facts(text: str, command: str = "") -> list[Fact]:
    return list(PARSER.parse(Evidence("a.txt", text, command=command)))


def test_the_state_of_6to4() -> None:
    (found,) = facts(STATE)
    assert isinstance(found, SixToFourState)
    assert (found.state, found.undo_on_stop, found.by_policy) == ("disabled", "default", True)
    assert found.source.line == 2


def test_the_relay_of_6to4() -> None:
    (found,) = facts(RELAY)
    assert isinstance(found, SixToFourState)
    assert (found.relay, found.relay_state) == ("6to4.ipv6.microsoft.com.", "enabled")
    assert found.state is None


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("6to4-Dienststatus : enabled\nZxcv : default\n", "enabled"),
        ("État du service 6to4 : disabled\n", "disabled"),
        ("6to4 服务状态 : default\n", "default"),
        ("Zxcv : enabled\nQwer : disabled\n", "enabled"),
        ("Zxcv : Qwer\n", None),
    ],
)
def test_other_languages_go_by_the_place(text: str, state: str | None) -> None:
    found = facts(text, "netsh interface 6to4 show state")
    assert [fact.state for fact in found if isinstance(fact, SixToFourState)] == (
        [state] if state else []
    )


def test_labels_of_no_language_without_the_command_say_nothing() -> None:
    assert facts("Zxcv : enabled\n") == []


@pytest.mark.parametrize("text", [STATE, RELAY])
def test_it_is_recognised_by_its_text(text: str) -> None:
    assert find(Evidence("a.txt", text), PARSERS) == [PARSER]
