"""How the parser for a piece of evidence is found."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.model.evidence import Evidence

TUNNEL = "Role : client\nLast Error Code : 0x0\nInterface Status : IPHTTPS interface active\n"
STATUS = "Status    : Error\nSubstatus : NameResolutionFailure\n"


def names(text: str, file: str = "x.txt", command: str = "") -> list[str]:
    return [parser.name for parser in find(Evidence(file, text, command=command), PARSERS)]


def test_by_content_whatever_its_name() -> None:
    assert names(TUNNEL) == ["netsh interface httpstunnel show interfaces"]
    assert names(STATUS, "ipconfig.log") == ["Get-DAConnectionStatus"]


def test_by_the_command_that_was_typed() -> None:
    assert names("待\n", command="netsh int teredo sh st") == ["netsh interface teredo show state"]


def test_by_the_name_of_the_file_when_the_content_says_nothing() -> None:
    named = names("Error: 0x80092013\n", "netsh-interface-httpstunnel-show-interfaces.txt")
    assert named == ["netsh interface httpstunnel show interfaces"]


def test_two_outputs_in_one_text_are_both_read() -> None:
    assert len(names(TUNNEL + "\n" + STATUS)) == 2


def test_what_is_not_known_has_no_parser() -> None:
    assert names("Dear Sir, nothing works.\n") == []
    assert find(Evidence("x.bin", content=b"\x00\x01\x02\x03"), PARSERS) == []


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_a_parser_says_nothing_of_nothing(parser: object) -> None:
    from throughway.doctor.parser import Parser

    assert isinstance(parser, Parser)
    assert list(parser.parse(Evidence("x.txt"))) == [] or parser.name == "Get-DnsClientNrptPolicy"


def test_names_are_unique() -> None:
    assert len({parser.name for parser in PARSERS}) == len(PARSERS)


NAMED = (
    *("netsh interface httpstunnel show interfaces", "netsh int http sh int"),
    *("netsh interface http show interface", "netsh interface httpstunnel show interface"),
    *("netsh interface teredo show state", "netsh int ipv6 show teredo", "netsh int ter sh st"),
    *("netsh interface 6to4 show state", "netsh interface 6to4 show relay"),
    *("netsh interface 6to4 show interface", "netsh interface 6to4 show routing"),
    *("netsh interface isatap show state", "netsh interface isatap show router"),
    *("netsh interface ipv6 show interfaces", "netsh int ipv6 show int 17"),
    *("netsh interface ipv6 show interface IPHTTPSInterface", "netsh interface ipv6 show route"),
    *("netsh namespace show policy", "netsh namespace show effectivepolicy", "netsh nam sh pol"),
    *("netsh dnsclient show state", "netsh dns show state", "netsh winhttp show proxy"),
    *("netsh advfirewall show currentprofile", "netsh advfirewall show allprofiles"),
    *("netsh advfirewall show publicprofile", "netsh advfirewall monitor show currentprofile"),
    *("netsh advfirewall show global", "netsh advfirewall monitor show firewall"),
    "netsh advfirewall consec show rule name=all",
    'netsh advfirewall consec show rule name="DirectAccess Policy-ClientToCorp"',
    *("netsh advfirewall monitor show consec", "netsh advfirewall monitor show mmsa"),
    *(
        "netsh advfirewall monitor show qmsa",
        "netsh adv mon sh mmsa all",
        "ipconfig",
        "ipconfig /all",
    ),
    *("route print", "route print -6", "ROUTE.EXE PRINT", "ping -6 dc1", "tracert -d 2001:db8::1"),
    r"reg query HKLM\SYSTEM\CurrentControlSet\Services\tcpip6\Parameters /v DisabledComponents",
    r"reg.exe query HKLM\SOFTWARE\Policies\Microsoft\Windows /s",
    *("nltest /dsgetdc: /force", "nltest.exe /dsgetdc:corp.example.com", "certutil -store my"),
    *("certutil -store -v root", "certutil -verify -urlfetch da.cer", "certutil -urlcache CRL"),
    *("certutil -urlcache", "certutil -dump da.cer", "certutil da.cer"),
    'auditpol /get /subcategory:"IPsec Main Mode"',
    *("auditpol.exe /get /category:*", "gpresult /r", "gpresult /r /scope computer"),
    *("systeminfo", "systeminfo.exe", r"net view \\server", "nslookup da.example.com"),
    *("nslookup -q=aaaa dc1.corp.example.com 2001:db8::1", "sc query iphlpsvc", "sc.exe query"),
    *("w32tm /stripchart /computer:dc1 /dataonly", "w32tm /query /status"),
    "dfsrmig /getglobalstate",
    "wevtutil qe Security /f:text /c:5",
    *("Get-DAConnectionStatus", "Get-NetIPHttpsState", "Get-NetIPHttpsConfiguration"),
    *("Get-NetTeredoState", "Get-NetTeredoConfiguration", "Get-Net6to4Configuration"),
    *("Get-NetIsatapConfiguration", "Get-DnsClientNrptPolicy -Effective"),
    *("Get-DnsClientNrptRule", "Get-DnsClientNrptGlobal", "get-dnsclientnrptpolicy | fl *"),
    *("Get-DAClientExperienceConfiguration", "Get-NetIPsecMainModeSA", "Get-NetIPsecQuickModeSA"),
    *("Get-NetIPsecRule -PolicyStore ActiveStore", "Show-NetIPsecRule -PolicyStore ActiveStore"),
    *("Get-NetFirewallProfile", "Get-RemoteAccess", "Get-RemoteAccessHealth -Refresh"),
    *("Get-NetRoute -AddressFamily IPv6", "Get-NetIPInterface", "Get-NetFirewallSetting"),
    *(r"Get-ChildItem Cert:\LocalMachine\My", r"dir Cert:\LocalMachine\Root | fl *"),
    *(r"gci Cert:\LocalMachine\My | select *", "Get-RemoteAccessConnectionStatistics"),
    *("Test-NetConnection da.example.com -Port 443", "tnc da.example.com -port 443"),
    *("Resolve-DnsName da.example.com", "Get-Service iphlpsvc", "Get-NCSIPolicyConfiguration"),
    *("Get-WinEvent -LogName Security -MaxEvents 5", "Get-ComputerInfo", "Get-Date", "date /t"),
    *(
        "Get-NetConnectionProfile",
        "Get-CimInstance -Namespace root/SecurityCenter2 FirewallProduct",
    ),
)
"""What the procedures, and those who carry them out, type."""


@pytest.mark.parametrize("command", NAMED)
def test_every_command_of_the_procedures_has_a_parser(command: str) -> None:
    assert names("?\n", command=command)
