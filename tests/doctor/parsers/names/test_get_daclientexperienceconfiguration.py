"""What the client was given to show and to probe."""

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.names.get_daclientexperienceconfiguration import PARSER
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import DAClientExperience


def facts(text: str) -> list[Fact]:
    evidence = Evidence("a.txt", text)
    assert find(evidence, PARSERS) in ([PARSER], [])
    return list(PARSER.parse(evidence))


def test_the_experience() -> None:
    text = (
        "CorporateResources      : {HTTP:http://web.corp.example.com}\n"
        "IPsecTunnelEndpoints    : {PING:2001:db8::1, PING:2001:db8::2}\n"
        "PreferLocalNamesAllowed : False\nFriendlyName            : Workplace\n"
    )
    (experience,) = facts(text)
    assert isinstance(experience, DAClientExperience)
    assert experience.tunnel_endpoints == ("2001:db8::1", "2001:db8::2")
    assert experience.prefer_local_names is False


def test_an_object_of_another_kind_says_nothing() -> None:
    assert facts("Name : x\nState : Running\n") == []
