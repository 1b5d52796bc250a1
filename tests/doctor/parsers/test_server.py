"""The server's configuration and Operations Status."""

from datetime import datetime

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.certificates import Certificate, Store
from throughway.model.facts.server import (
    ComponentHealth,
    ConfigurationDistributed,
    HealthState,
    OperationsError,
    RemoteAccessConfiguration,
    RemoteAccessConnection,
    ServerFault,
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "IP-HTTPS: Not working properly\nError:\nThe IP-HTTPS route does not have published "
            "property enabled.\n",
            ServerFault.ROUTE_UNPUBLISHED,
        ),
        (
            "IP-HTTPS: Not working property\nError:\nRoute advertisement is disabled on the "
            "IP-HTTPS adapter.\n",
            ServerFault.ADVERTISING_DISABLED,
        ),
        (
            "Configuration for server [*x*] not retrieved from the domain controller. "
            "The GPO is not linked.\n",
            ServerFault.GPO_NOT_LINKED,
        ),
        (
            "The certificate binding for HTTPS Port 443 has changed. DirectAccess will not work.\n",
            ServerFault.KERBEROS_BINDING,
        ),
    ],
)
def test_what_the_console_says(text: str, fault: ServerFault) -> None:
    assert [f.fault for f in facts(text, OperationsError)] == [fault]


def test_resolutions_are_no_errors() -> None:
    text = (
        "IP-HTTPS: Not working properly\nError:\nThe IP-HTTPS route does not have published "
        "property enabled.\nResolution:\nIf the IP Helper service has stopped, start it.\n"
        "DNS: Not working properly\nError:\nThe DNS server ns1.example.com is not responding.\n"
    )
    assert [f.fault for f in facts(text, OperationsError)] == [
        ServerFault.ROUTE_UNPUBLISHED,
        ServerFault.DNS_UNREACHABLE,
    ]


def test_configuration_status_that_is_well() -> None:
    text = "The configuration was distributed successfully."
    assert len(facts(text, ConfigurationDistributed)) == 1
    assert facts(text, OperationsError) == []


def test_the_health_of_components() -> None:
    text = (
        "Component            RemoteAccessServer   HealthState     TimeStamp\n"
        "---------            ------------------   -----------     ---------\n"
        "Network Location ... localhost            OK              2/1/2012 2:04:11 AM\n"
        "High Availability                         Error           2/1/2012 1:59:32 AM\n"
    )
    assert [(f.component, f.server, f.state) for f in facts(text, ComponentHealth)] == [
        ("Network Location ...", "localhost", HealthState.OK),
        ("High Availability", "", HealthState.ERROR),
    ]


CONFIGURATION = """DAStatus                       : Installed
ConnectToAddress               : da.example.com
SslCertificate                 : [Subject]
                                   CN=da.example.com

                                 [Issuer]
                                   CN=Issuing CA
                                   DC=example

                                 [Not After]
                                   22-01-2027 19:31:51

                                 [Thumbprint]
                                   D9BB778F6F00

ClientGpoName                  : corp.example.com\\DirectAccess Client Settings
ForceTunnel                    : Disabled
Downlevel                      : Enabled
DnsSuffix                      : {.corp.example.com, nls.corp.example.com}
"""


def test_the_configuration_and_its_certificate() -> None:
    (fact,) = facts(CONFIGURATION, RemoteAccessConfiguration)
    assert (fact.installed, fact.connect_to) == (True, "da.example.com")
    assert (fact.force_tunnel, fact.downlevel) == (False, True)
    assert fact.suffixes == (".corp.example.com", "nls.corp.example.com")
    (certificate,) = facts(CONFIGURATION, Certificate)
    assert certificate.store is Store.SERVER
    assert (certificate.subject, certificate.purpose) == ("CN=da.example.com", "ssl")
    assert certificate.issuer == "CN=Issuing CA, DC=example"
    assert certificate.not_after == datetime(2027, 1, 22, 19, 31, 51)
    assert certificate.thumbprint == "d9bb778f6f00"


def faults(text: str) -> list[ServerFault]:
    return [fact.fault for fact in facts(text, OperationsError)]


def test_a_sentence_that_goes_on_in_the_next_line_is_read_whole() -> None:
    said = "Configuration for server edge1 not retrieved from the domain controller. The GPO is "
    assert faults(f"{said}\nnot linked.\n") == [ServerFault.GPO_NOT_LINKED]
    assert faults(f"{said}not lin\nked.\n") == [ServerFault.GPO_NOT_LINKED]
    two = "Error: The IP Helper service (IPHlpSvc) has stopped. DirectAccess might not function.\n"
    two += "Error: forwarding is disabled on the IP-HTTPS adapter.\n"
    assert faults(two) == [ServerFault.IPHLPSVC_STOPPED, ServerFault.FORWARDING_DISABLED]


def test_a_resolution_in_the_next_line_is_no_error() -> None:
    text = "The IP Helper service (IPHlpSvc) has stopped. DirectAccess might not function.\n"
    text += "Resolution: see whether forwarding is disabled\n"
    assert faults(text) == [ServerFault.IPHLPSVC_STOPPED]


def test_the_clients_that_are_connected() -> None:
    text = """
ClientIPAddress       : {10.0.8.11, 2001:db8:1:1000:7407:f734:9281:f9a3}
UserName              : {CORP\\anna}
ConnectionDuration(s) : 220
ConnectionType        : DirectAccess
AccessStatus          : User Mode/Full Corp Access

ClientIPAddress       : {2001:db8:1:1000::7}
UserName              :
ConnectionDuration(s) : 3
ConnectionType        : DirectAccess
"""
    one, other = facts(text, RemoteAccessConnection)
    assert one.addresses == ("10.0.8.11", "2001:db8:1:1000:7407:f734:9281:f9a3")
    assert (one.user, one.type, one.status) == (
        "CORP\\anna",
        "DirectAccess",
        "User Mode/Full Corp Access",
    )
    assert (other.addresses, other.user) == (("2001:db8:1:1000::7",), "")
