"""Where the client believes to be, in several languages."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.names.netsh_dnsclient import PARSER
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import DNSClientState

STATE = """
Name Resolution Policy Table Options
--------------------------------------------------------------------

Query Failure Behavior                : Always fall back to LLMNR and NetBIOS
                                        if the name does not exist in DNS

Query Resolution Behavior             : Resolve only IPv6 addresses for names

Network Location Behavior             : Let Network ID determine when Direct
                                        Access settings are to be used

Machine Location                      : {location}

Direct Access Settings                : {settings}

DNSSEC Settings                       : Not Configured
"""


def facts(text: str, command: str = "") -> list[Fact]:
    return list(PARSER.parse(Evidence("a.txt", text, command=command)))


@pytest.mark.parametrize(
    ("location", "settings", "said"),
    [
        ("Outside corporate network", "Configured and Enabled", (False, True, True)),
        ("Inside corporate network", "Configured and Disabled", (True, True, False)),
        ("Outside corporate network", "Not Configured", (False, False, False)),
        ("Außerhalb des Firmennetzwerks", "Konfiguriert und aktiviert", (False, True, True)),
        ("Innerhalb des Netzwerks", "Konfiguriert und deaktiviert", (True, True, False)),
        ("À l'extérieur du réseau", "Configurés et activés", (False, True, True)),
        ("Fuera de la red corporativa", "No configurado", (False, False, False)),
        ("企业网络外部", "已配置并启用", (False, True, True)),
        ("企业网络内部", "已配置并禁用", (True, True, False)),
        ("Zxcv", "Zxcv", (None, None, None)),
    ],
)
def test_where_the_client_believes_to_be(
    location: str, settings: str, said: tuple[bool | None, ...]
) -> None:
    text = STATE.format(location=location, settings=settings)
    (state,) = facts(text)
    assert isinstance(state, DNSClientState)
    assert (state.inside, state.configured, state.enabled) == said
    assert state.query_resolution == "Resolve only IPv6 addresses for names"


def test_labels_of_no_language_do_not_matter() -> None:
    text = STATE.format(location="Outside corporate network", settings="Not Configured")
    for word in ("Machine Location", "Direct Access Settings", "DNSSEC Settings"):
        text = text.replace(word, "Zxcv".ljust(len(word)))
    (state,) = facts(text)
    assert isinstance(state, DNSClientState)
    assert (state.inside, state.configured) == (False, False)


def test_a_state_that_is_cut_off() -> None:
    text = STATE.format(location="Outside", settings="Not Configured")
    with pytest.raises(ParseError):
        facts(text[: text.index("Query Resolution")])
    assert facts("") == []


def test_it_is_recognised_by_its_text() -> None:
    assert find(Evidence("a.txt", STATE.format(location="x", settings="y")), PARSERS) == [PARSER]
