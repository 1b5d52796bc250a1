"""How the client finds out where it is."""

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.names.get_ncsipolicyconfiguration import PARSER
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NCSIPolicy


def facts(text: str) -> list[Fact]:
    evidence = Evidence("a.txt", text)
    assert find(evidence, PARSERS) in ([PARSER], [])
    return list(PARSER.parse(evidence))


def test_how_the_client_finds_out() -> None:
    text = (
        '{"CorporateDNSProbeHostName": "probe.corp.example.com",'
        ' "CorporateSitePrefixList": ["2001:db8::/32", "fd00::/8"],'
        ' "DomainLocationDeterminationURL": "https://nls.corp.example.com/"}'
    )
    (policy,) = facts(text)
    assert isinstance(policy, NCSIPolicy)
    assert policy.location_url == "https://nls.corp.example.com/"
    assert policy.prefixes == ("2001:db8::/32", "fd00::/8")


def test_an_object_of_another_kind_says_nothing() -> None:
    assert facts("Name : x\nState : Running\n") == []
