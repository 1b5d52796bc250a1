"""IP-HTTPS as objects."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.transition.get_netiphttps import PARSER
from throughway.model.evidence import Evidence, Role
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import IPHTTPSConfiguration, IPHTTPSInterface, IPHTTPSStatus


def facts(text: str, command: str = "") -> list[Fact]:
    return list(PARSER.parse(Evidence("a.txt", text, command=command)))


def test_iphttps_as_objects() -> None:
    (state,) = facts(
        "LastErrorCode   : 0x90320\nInterfaceStatus : Failed to connect to the IPHTTPS server.\n",
    )
    assert isinstance(state, IPHTTPSInterface)
    assert (state.last_error, state.status) == (0x90320, IPHTTPSStatus.CONNECTING)
    (state,) = facts('{"LastErrorCode": 0, "InterfaceStatus": ""}')
    assert isinstance(state, IPHTTPSInterface)
    assert (state.last_error, state.status) == (0, None)


def test_the_configuration_of_iphttps() -> None:
    text = "Type : Client\nAuthMode : 1\nServerURL : https://da.example.com:443/IPHTTPS\n"
    (found,) = facts(f"{text}StrongCRLRequired : True\nPolicyStore : x\n")
    assert isinstance(found, IPHTTPSConfiguration)
    assert found.url == "https://da.example.com:443/IPHTTPS"
    assert found.authentication == "Certificates"
    assert found.strong_crl_required


def test_the_role_is_read_where_it_is_said() -> None:
    (state,) = facts("LastErrorCode : 0x0\nRole : Server\n")
    assert isinstance(state, IPHTTPSInterface)
    assert state.role is Role.SERVER


@pytest.mark.parametrize("text", ["LastErrorCode : 0x0\nInterfaceStatus : x\n"])
def test_it_is_recognised_by_its_text(text: str) -> None:
    assert find(Evidence("a.txt", text), PARSERS) == [PARSER]
