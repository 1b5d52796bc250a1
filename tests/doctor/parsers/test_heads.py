"""Heads are known in the words of several languages, and where only the form tells."""

import re

import pytest

from throughway.doctor.parsers import heads
from throughway.doctor.parsers.forms.cued import Heads, lowered

DASHES = "-" * 60
ONCE = (
    "Windows IP Configuration\n\n   Host Name . . . . : A",
    "Configuration IP de Windows\n\n   Nom de l'hôte . . . : A",
    "Configuración IP de Windows\n\n   Nombre de host. . . : A",
    "Windows IP 配置\n\n   主机名  . . . . . : A",
    f"Teredo Parameters\n{DASHES}",
    f"Paramètres Teredo\n{DASHES}",
    f"Teredo 参数\n{DASHES}",
    "Current WinHTTP proxy settings:",
    "Aktuelle WinHTTP-Proxyeinstellungen:",
    "DNS Effective Name Resolution Policy Table Settings",
    "Options de la table de stratégie de résolution de noms",
    "Pinging da.example.com [192.0.2.1] with 32 bytes of data:",
    "Ping wird ausgeführt für da.example.com [192.0.2.1] mit 32 Bytes Daten:",
    "正在 Ping da.example.com [192.0.2.1] 具有 32 字节的数据:",
    "Server:  UnKnown\nAddress:  2001:db8::1",
    "Hostname:         A\nBetriebssystemname:       Microsoft Windows 10 Pro",
    'My "Personal"\n================ Certificate 0 ================',
    "           DC: \\\\DC1.example.com\n      Address: \\\\192.0.2.1",
    "Richtlinie\nSystemüberwachungsrichtlinie",
    "Tracking dc1.example.com [192.0.2.1:123].\nCollecting 3 samples.",
    "**********************\nWindows PowerShell transcript start\nStart time: 20260204091512",
)
AGAIN = (
    f"Interface IPHTTPSInterface (Group Policy)  Parameters\n{DASHES}",
    f"Schnittstelle IPHTTPSInterface Parameter\n{'—' * 30}",
    f"Regelname:                            Tunnel\n{DASHES}",
    f"Main Mode SA at 02/01/2026 10:31:12\n{DASHES}",
    f"Paramètres du profil public :\n{DASHES}",
    "COMPUTEREINSTELLUNGEN\n----------------------",
    "SERVICE_NAME: iphlpsvc\n        TYPE               : 20  WIN32_SHARE_PROCESS",
    "Ethernet adapter Ethernet:\n\n   Connection-specific DNS Suffix  . : a",
    "颁发者:\n    CN=E6",
    "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet",
    "IPv6 Route Table\n" + "=" * 75 + "\nActive Routes:",
    "Event[0]:",
    "An IPsec main mode negotiation failed.",
)
NONE = (
    "Reply from 192.0.2.1: bytes=32 time=1ms TTL=60",
    "  Log Name: Security\n  Source: Microsoft-Windows-Security-Auditing",
    "State                   : dormant",
    "No       System    256  fe80::/64                   1  IPHTTPSInterface",
    "Ok.",
    "a = b\n-----",
)


def first(known: Heads, text: str) -> re.Match[str] | None:
    return next(known.finditer(text, lowered(text)), None)


@pytest.mark.parametrize("text", ONCE)
def test_what_begins_an_output(text: str) -> None:
    assert first(heads.ONCE, f"something\n{text}\nmore\n")


@pytest.mark.parametrize("text", AGAIN)
def test_what_may_begin_one(text: str) -> None:
    match = first(heads.AGAIN, f"something\n{text}\nmore\n")
    assert match is not None
    assert match.start() == len("something\n")


@pytest.mark.parametrize("text", NONE)
def test_what_begins_none(text: str) -> None:
    assert first(heads.ONCE, text) is None
    assert first(heads.AGAIN, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-01T10:31:12.1234567+01:00",
        "01.02.2026 10:31:12,12",
        "Sun 02/01/2026 10:31:12.12",
        "Sunday, February 1, 2026 10:31:12 AM",
    ],
)
def test_a_moment_is_an_output_of_one_line(text: str) -> None:
    assert heads.moments(f"a\n{text}\nb") == {2: 2 + len(text)}
    assert not heads.moments(f"{text} and more")


@pytest.mark.parametrize(
    "text", ["Ok.", "OK", "Aceptar", "确定。", "CertUtil: -store command done."]
)
def test_what_ends_an_output(text: str) -> None:
    assert heads.is_end(text)
    assert not heads.is_end(f"x {text}")


@pytest.mark.parametrize("known", [heads.ONCE, heads.AGAIN])
def test_nothing_is_no_head(known: Heads) -> None:
    assert first(known, "\n\n  \n a \n\t\n") is None
    assert heads.moments("\n\n  \n a \n\t\n") == {}
    assert not heads.is_end("")
