"""The global settings of name resolution."""

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.names.get_dnsclientnrptglobal import PARSER
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NRPTSettings


def facts(text: str) -> list[Fact]:
    evidence = Evidence("a.txt", text)
    assert find(evidence, PARSERS) in ([PARSER], [])
    return list(PARSER.parse(evidence))


def test_global_settings() -> None:
    text = "EnableDAForAllNetworks  : EnableAlways\nQueryPolicy : QueryBoth\n"
    (settings,) = facts(text)
    assert isinstance(settings, NRPTSettings)
    assert settings.enable_for_all_networks == "EnableAlways"
    assert settings.fallback is None


def test_an_object_of_another_kind_says_nothing() -> None:
    assert facts("Name : x\nState : Running\n") == []
