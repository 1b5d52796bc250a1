"""Objects of PowerShell in each of the forms that people save them in.

What a form keeps is read as from the list; what it loses (elements of lists in CSV, words of
enumerations in JSON) is left open, and never read as something else.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import fields
from typing import NamedTuple
from xml.sax.saxutils import escape

import pytest

from throughway.doctor.engine import diagnose
from throughway.doctor.parsers import PARSERS
from throughway.doctor.reading import read_all
from throughway.doctor.rules import RULES
from throughway.doctor.sources.cutting import cut
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact, Host
from throughway.model.facts.server import RemoteAccessConfiguration


class Word(NamedTuple):
    """A value of an enumeration."""

    name: str
    number: int


class Lines(NamedTuple):
    """An object that is shown as several lines, as a certificate is."""

    parts: tuple[tuple[str, str], ...]


Value = str | int | bool | Word | Lines | list[str] | None
Object = dict[str, Value]

GUID = "{8f1b2c3d-0000-4a5b-9c6d-7e8f90a1b2c3}"
URL = "https://da.example.com:443/IPHTTPS"
STORE = r"example.com\DirectAccess Client Settings"
NO_DOMAIN = {"DnsSecValidationRequired": False, "NameEncoding": Word("Disable", 0)}
CERTIFICATE = {"Thumbprint": "5A33D1FA9C12BB048181AC0190FFA00112345678"}
OBJECTS: dict[str, list[Object]] = {
    "Get-DAConnectionStatus": [
        {"Status": "Error", "Substatus": "CouldNotContactDirectAccessServer"},
    ],
    "Get-NetIPHttpsState": [
        {
            "LastErrorCode": "0x80090326",
            "InterfaceStatus": "failed to connect to the IPHTTPS server",
        }
    ],
    "Get-NetIPHttpsConfiguration": [
        {
            "ConfigurationType": "GroupPolicy",
            "Description": None,
            "ServerURL": URL,
            "Type": Word("Client", 0),
            "AuthMode": Word("None", 0),
            "StrongCRLRequired": False,
            "State": Word("Default", 0),
            "Profile": None,
            "ProfileActivated": False,
            "PolicyStore": STORE,
        }
    ],
    "Get-NetTeredoConfiguration": [
        {
            "Description": "Teredo Configuration",
            "Type": Word("Enterpriseclient", 6),
            "ServerName": "da.example.com",
            "RefreshIntervalSeconds": 30,
            "ClientPort": 0,
            "PolicyStore": "ActiveStore",
        }
    ],
    "Get-Net6to4Configuration": [
        {
            "Description": "6to4 Configuration",
            "State": Word("Disabled", 3),
            "AutoSharing": Word("Default", 0),
            "RelayName": "6to4.ipv6.microsoft.com.",
            "RelayState": Word("Default", 0),
            "ResolutionIntervalSeconds": 1440,
        }
    ],
    "Get-DnsClientNrptPolicy": [
        {
            "Namespace": ".corp.example.com",
            "QueryPolicy": None,
            "SecureNameQueryFallback": None,
            "DirectAccessIPsecCARestriction": None,
            "DirectAccessProxyName": None,
            "DirectAccessDnsServers": ["2001:db8:7:3333::1", "2001:db8:7:3333::2"],
            "DirectAccessEnabled": None,
            "DirectAccessProxyType": "NoProxy",
            "DirectAccessQueryIPsecRequired": False,
            "NameServers": None,
            "DnsSecValidationRequired": False,
            "NameEncoding": "Utf8WithoutMapping",
        },
        {
            "Namespace": "nls.corp.example.com",
            "QueryPolicy": None,
            "SecureNameQueryFallback": None,
            "DirectAccessIPsecCARestriction": None,
            "DirectAccessProxyName": None,
            "DirectAccessDnsServers": None,
            "DirectAccessEnabled": None,
            "DirectAccessProxyType": "UseDefault",
            "DirectAccessQueryIPsecRequired": False,
            "NameServers": None,
            "DnsSecValidationRequired": False,
            "NameEncoding": "Utf8WithoutMapping",
        },
    ],
    "Get-DnsClientNrptRule": [
        {
            "Name": f"DA-{GUID}",
            "Version": 1,
            "Namespace": [".corp.example.com"],
            "IPsecCARestriction": None,
            "DirectAccessDnsServers": ["2001:db8:7:3333::1"],
            "DirectAccessEnabled": True,
            "DirectAccessProxyType": "NoProxy",
            "DirectAccessProxyName": None,
            "DirectAccessQueryIPsecEncryption": None,
            "DirectAccessQueryIPsecRequired": False,
            "NameServers": None,
            "DnsSecEnabled": False,
            "DnsSecQueryIPsecEncryption": None,
            "DnsSecQueryIPsecRequired": None,
            "DnsSecValidationRequired": None,
            "NameEncoding": "Disable",
            "DisplayName": None,
            "Comment": None,
        }
    ],
    "Get-DnsClientNrptGlobal": [
        {
            "EnableDAForAllNetworks": "EnableNetworkID",
            "QueryPolicy": "QueryIPv6Only",
            "SecureNameQueryFallback": "FallbackPrivate",
        }
    ],
    "Get-DAClientExperienceConfiguration": [
        {
            "Description": "DA Client Settings",
            "CorporateResources": ["HTTP:http://directaccess-webprobehost.corp.example.com"],
            "IPsecTunnelEndpoints": ["PING:2001:db8:7:1000::1", "PING:2001:db8:7:1000::2"],
            "PreferLocalNamesAllowed": False,
            "UserInterface": True,
            "SupportEmail": "help@example.com",
            "FriendlyName": "Workplace Connection",
            "ManualEntryPointSelectionAllowed": False,
            "ForceTunneling": "Default",
        }
    ],
    "Get-NetIPsecMainModeSA": [
        {
            "Name": 2,
            "LocalEndpoint": "2001:db8:7:1000:1d44:aa:9:1",
            "RemoteEndpoint": "2001:db8:7:1000::1",
            "LocalFirstId": "CN=NOTEBOOK1.corp.example.com",
            "RemoteFirstId": "CN=EDGE1.corp.example.com",
            "FirstAuthMethod": Word("ComputerCert", 3),
            "SecondAuthMethod": Word("UserNTLM", 6),
        }
    ],
    "Get-NetIPsecQuickModeSA": [
        {
            "Name": 4,
            "LocalEndpoint": "2001:db8:7:1000:1d44:aa:9:1",
            "RemoteEndpoint": "2001:db8:7:1000::1",
            "EncapsulationMode": Word("Tunnel", 2),
            "Direction": Word("Outbound", 2),
        }
    ],
    "Get-NetIPsecRule -PolicyStore ActiveStore": [
        {
            "IPsecRuleName": "DirectAccess Policy-ClientToInfra",
            "DisplayName": "DirectAccess Policy-ClientToInfra",
            "Description": None,
            "DisplayGroup": "DirectAccess",
            "Group": "DirectAccess",
            "Enabled": Word("True", 1),
            "Profile": Word("Private, Public", 6),
            "Platform": [],
            "Mode": Word("Tunnel", 1),
            "InboundSecurity": Word("Require", 2),
            "OutboundSecurity": Word("Require", 2),
            "QuickModeCryptoSet": GUID,
            "Phase1AuthSet": GUID,
            "Phase2AuthSet": GUID,
            "KeyModule": Word("Default", 0),
            "AllowWatchKey": False,
            "AllowSetKey": False,
            "LocalTunnelEndpoint": ["Any"],
            "RemoteTunnelEndpoint": ["2001:db8:7:1000::1"],
            "RemoteTunnelHostname": None,
            "ForwardPathLifetime": 0,
            "EncryptedTunnelBypass": False,
            "RequireAuthorization": False,
            "User": "Any",
            "Machine": "Any",
            "PrimaryStatus": Word("OK", 1),
            "Status": "The rule was parsed successfully from the store. (65536)",
            "EnforcementStatus": [],
            "PolicyStoreSource": STORE,
            "PolicyStoreSourceType": Word("GroupPolicy", 2),
        }
    ],
    "Get-NetFirewallProfile -PolicyStore ActiveStore": [
        {
            "Name": name,
            "Enabled": Word("False", 0) if name == "Public" else Word("True", 1),
            "DefaultInboundAction": Word("Block", 4),
            "DefaultOutboundAction": Word("Allow", 2),
            "AllowInboundRules": Word("True", 1),
            "AllowLocalFirewallRules": Word("NotConfigured", 2),
            "AllowLocalIPsecRules": Word("NotConfigured", 2),
            "LogFileName": r"%systemroot%\system32\LogFiles\Firewall\pfirewall.log",
        }
        for name in ("Domain", "Private", "Public")
    ],
    "Get-RemoteAccess": [
        {
            "DAStatus": Word("Installed", 0),
            "VpnStatus": Word("Uninstalled", 1),
            "SslCertificate": Lines(
                (
                    ("Subject", "CN=da.example.com"),
                    ("Issuer", "CN=Example CA, DC=example, DC=com"),
                    ("Serial Number", "6100000002A1B2C3D4"),
                    ("Not Before", "2026-01-05 09:12:00"),
                    ("Not After", "2028-01-05 09:12:00"),
                    ("Thumbprint", CERTIFICATE["Thumbprint"]),
                )
            ),
            "ConnectToAddress": "da.example.com",
            "InternetInterface": "Internet",
            "InternalInterface": "Corp",
            "ClientIPv6Prefix": "2001:db8:7:1000::/64",
            "TeredoStatus": Word("Disabled", 1),
            "ComputerCertAuthentication": Word("Enabled", 0),
            "ForceTunnel": Word("Disabled", 1),
        }
    ],
    "Get-RemoteAccessHealth": [
        {
            "Component": component,
            "RemoteAccessServer": "edge1",
            "HealthState": state,
            "TimeStamp": "2026-03-02 01:59:32",
            "Id": None,
            "OperationStatus": None,
        }
        for component, state in (
            *(("Server", "OK"), ("6to4", "Disabled"), ("IP-Https", "OK"), ("IPsec", "OK")),
            *(("Dns", "OK"), ("Network Adapters", "Error"), ("Services", "Unknown")),
        )
    ],
    "Get-NetRoute -AddressFamily IPv6": [
        {
            "ifIndex": 12,
            "DestinationPrefix": prefix,
            "NextHop": "::",
            "RouteMetric": 256,
            "ifMetric": 25,
            "PolicyStore": "ActiveStore",
            "InterfaceAlias": "iphttpsinterface",
            "Publish": Word("Yes", 2),
        }
        for prefix in ("2001:db8:7:1000::/64", "fe80::/64", "ff00::/8")
    ],
    "Get-NetIPInterface": [
        {
            "ifIndex": 12,
            "InterfaceAlias": "iphttpsinterface",
            "AddressFamily": Word("IPv6", 23),
            "NlMtu(Bytes)": 1280,
            "InterfaceMetric": 25,
            "Dhcp": Word("Disabled", 0),
            "ConnectionState": Word("Connected", 1),
            "PolicyStore": "ActiveStore",
            "Forwarding": Word("Disabled", 0),
            "Advertising": Word("Enabled", 1),
        }
    ],
    r"Get-ChildItem Cert:\LocalMachine\My": [
        {
            "Subject": "CN=NOTEBOOK1.corp.example.com",
            "Issuer": "CN=Example CA, DC=example, DC=com",
            "Thumbprint": CERTIFICATE["Thumbprint"],
            "FriendlyName": "",
            "NotBefore": "2026-01-05 09:12:00",
            "NotAfter": "2028-01-05 09:12:00",
            "HasPrivateKey": True,
            "SerialNumber": "6100000002A1B2C3D4",
        }
    ],
    "Get-Service iphlpsvc, mpssvc": [
        {"Status": Word("Running", 4), "Name": "iphlpsvc", "DisplayName": "IP Helper"},
        {"Status": Word("Stopped", 1), "Name": "MpsSvc", "DisplayName": "Windows Firewall"},
    ],
    "Get-NCSIPolicyConfiguration": [
        {
            "Description": "NCSI Configuration",
            "CorporateDNSProbeHostAddress": "2001:db8:7:7777::7f00:1",
            "CorporateDNSProbeHostName": "directaccess-corpConnectivityHost.corp.example.com",
            "CorporateSitePrefixList": ["2001:db8:7:1::/64"],
            "CorporateWebsiteProbeURL": "http://directaccess-WebProbeHost.corp.example.com/",
            "DomainLocationDeterminationURL": "https://nls.corp.example.com/",
        }
    ],
}
FAULTY = {
    *("Get-DAConnectionStatus", "Get-NetIPHttpsState", "Get-Service iphlpsvc, mpssvc"),
    *("Get-RemoteAccessHealth", "Get-NetFirewallProfile -PolicyStore ActiveStore"),
}
"""Of these the objects above are of machines that are not well."""
CIM = {"CimClass": "root/StandardCimv2:MSFT", "PSComputerName": None}


def shown(value: Value) -> str:
    """Write a value as Format-List does."""
    match value:
        case None:
            return ""
        case list():
            return "{" + ", ".join(value) + "}"
        case Word():
            return value.name
        case Lines():
            return "System.Security.Cryptography.X509Certificates.X509Certificate2"
        case _:
            return str(value)


def as_list(objects: list[Object], *, gap: str = "\n") -> str:
    blocks = []
    for item in objects:
        width = max(map(len, item))
        lines = []
        for name, value in item.items():
            if isinstance(value, Lines):
                inner = [f"[{k}]\n  {v}\n" for k, v in value.parts]
                first, *others = "\n".join(inner).split("\n")
                lines.append(f"{name:{width}} : {first}")
                lines += [" " * (width + 3) + line for line in others]
            else:
                lines.append(f"{name:{width}} : {shown(value)}")
        blocks.append(gap.join(lines))
    return "\n\n\n" + "\n\n".join(blocks) + "\n\n\n"


def as_table(objects: list[Object]) -> str:
    names = [name for name in objects[0] if not isinstance(objects[0][name], Lines)]
    rows = [[shown(item[name]) for name in names] for item in objects]
    widths = [max(len(text) for text in column) for column in zip(names, *rows, strict=True)]
    ruled = ["-" * len(name) for name in names]
    lines = [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (names, ruled, *rows)
    ]
    return "\n" + "\n".join(lines) + "\n\n"


def as_json(objects: list[Object], *, deep: bool = True, noise: bool = False) -> str:
    def of(value: Value) -> object:
        match value:
            case Word():
                return value.number
            case Lines():
                return dict(value.parts) if deep else "System.Object"
            case list() if not deep:
                return " ".join(value)
            case _:
                return value

    plain = [{**(CIM if noise else {}), **{k: of(v) for k, v in o.items()}} for o in objects]
    return json.dumps(plain if len(plain) > 1 else plain[0], indent=4).replace('": ', '":  ')


def as_csv(objects: list[Object], *, typed: bool = False, delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, delimiter=delimiter, lineterminator="\n")
    writer.writerow(objects[0])
    for item in objects:
        writer.writerow(
            "System.String[]" if isinstance(v, list) else shown(v) for v in item.values()
        )
    return ("#TYPE Selected.System.Object\n" if typed else "") + text.getvalue()


def as_clixml(objects: list[Object]) -> str:
    def of(name: str, value: Value) -> str:
        match value:
            case None:
                return f'<Nil N="{name}" />'
            case bool():
                return f'<B N="{name}">{str(value).lower()}</B>'
            case int():
                return f'<U32 N="{name}">{value}</U32>'
            case Word():
                inner = f"<ToString>{value.name}</ToString><I32>{value.number}</I32>"
                return f'<Obj N="{name}" RefId="7">{inner}</Obj>'
            case Lines():
                inner = "<ToString>" + "\n".join(f"[{k}]\n  {escape(v)}\n" for k, v in value.parts)
                return f'<Obj N="{name}" RefId="8">{inner}</ToString></Obj>'
            case list():
                inner = "".join(f"<S>{escape(v)}</S>" for v in value)
                return f'<Obj N="{name}" RefId="9"><LST>{inner}</LST></Obj>'
            case _:
                return f'<S N="{name}">{escape(str(value))}</S>'

    blocks = [
        f'  <Obj RefId="{i}">\n    <TN RefId="{i}"><T>System.Object</T></TN>\n    <Props>\n'
        + "".join(f"      {of(k, v)}\n" for k, v in item.items())
        + "    </Props>\n  </Obj>\n"
        for i, item in enumerate(objects)
    ]
    head = '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">\n'
    return head + "".join(blocks) + "</Objs>\n"


FORMS: dict[str, Callable[[list[Object]], str]] = {
    "list": as_list,
    "list with blank lines": lambda objects: as_list(objects, gap="\n\n"),
    "table": as_table,
    "JSON": as_json,
    "JSON of CIM": lambda objects: as_json(objects, noise=True),
    "JSON of depth 1": lambda objects: as_json(objects, deep=False),
    "CliXml": as_clixml,
    "CSV": as_csv,
    "CSV with its type": lambda objects: as_csv(objects, typed=True),
    "CSV with semicolons": lambda objects: as_csv(objects, delimiter=";"),
}


WHOLE = ("list", "list with blank lines", "CliXml")
"""Forms that lose nothing."""
WITHOUT_CERTIFICATES = (
    "table",
    "JSON of depth 1",
    "CSV",
    "CSV with its type",
    "CSV with semicolons",
)


def is_first(fact: Fact) -> bool:
    """Whether it is the configuration itself and no certificate within it."""
    return isinstance(fact, RemoteAccessConfiguration)


def read(command: str, text: str, *, told: bool = True) -> list[Fact]:
    prompt = f"PS C:\\Windows\\system32> {command}\n" if told else ""
    reading = read_all(cut(Evidence("a.txt", prompt + text)), PARSERS)
    assert reading.mistakes == []
    assert reading.unreadable == []
    return [fact for item in reading.read for fact in item.facts]


def said(fact: Fact) -> dict[str, object]:
    values = {field.name: getattr(fact, field.name) for field in fields(fact)}
    return {k: v for k, v in values.items() if k != "source" and v not in (None, (), "")}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", OBJECTS)
def test_each_form_is_read_as_the_list(command: str, form: str) -> None:
    objects = OBJECTS[command]
    expected = read(command, as_list(objects))
    found = read(command, FORMS[form](objects))
    assert expected
    if form in WHOLE:
        assert list(map(said, found)) == list(map(said, expected))
        return
    if form in WITHOUT_CERTIFICATES:
        expected = [fact for fact in expected if command != "Get-RemoteAccess" or is_first(fact)]
    assert [type(fact) for fact in found] == [type(fact) for fact in expected]
    for fact, original in zip(found, expected, strict=True):
        assert said(fact).items() <= said(original).items()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", OBJECTS)
def test_each_form_is_known_without_its_command(command: str, form: str) -> None:
    text = FORMS[form](OBJECTS[command])
    told = [type(fact) for fact in read(command, text)]
    assert [type(fact) for fact in read(command, text, told=False)] == told


@pytest.mark.parametrize("form", FORMS)
def test_what_a_form_loses_is_held_against_nobody(form: str) -> None:
    sound = (name for name in OBJECTS if name not in FAULTY)
    for command in sound:
        facts = read(command, FORMS[form](OBJECTS[command]))
        host = Host(source=Source(""), name="", role=None)
        found = diagnose([(host, facts)], RULES).findings
        assert [item.finding.problem.code for item in found] == [], command
