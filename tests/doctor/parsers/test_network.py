"""Adapters, proxies, pings, services."""

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import (
    Adapter,
    ComputerName,
    PingResult,
    ServiceState,
    WinHTTPProxy,
)

ENGLISH = """
Windows IP Configuration

   Host Name . . . . . . . . . . . . : CLIENT1
   Primary Dns Suffix  . . . . . . . : corp.example.com
   Node Type . . . . . . . . . . . . : Hybrid

Ethernet adapter Ethernet:

   Connection-specific DNS Suffix  . : home.example
   Description . . . . . . . . . . . : Intel(R) Ethernet Connection
   Physical Address. . . . . . . . . : 00-00-5E-00-53-01
   DHCP Enabled. . . . . . . . . . . : Yes
   IPv6 Address. . . . . . . . . . . : 2001:db8:77::50(Preferred)
   Link-local IPv6 Address . . . . . : fe80::1c3f%12(Preferred)
   IPv4 Address. . . . . . . . . . . : 192.168.1.50(Preferred)
   Subnet Mask . . . . . . . . . . . : 255.255.255.0
   Lease Obtained. . . . . . . . . . : Monday, 2 March 2026 08:00:00
   Default Gateway . . . . . . . . . : fe80::1%12
                                       192.168.1.1
   DHCP Server . . . . . . . . . . . : 192.168.1.1
   DNS Servers . . . . . . . . . . . : 192.168.1.1
                                       192.0.2.53
   NetBIOS over Tcpip. . . . . . . . : Enabled

Tunnel adapter iphttpsinterface:

   Media State . . . . . . . . . . . : Media disconnected
   Connection-specific DNS Suffix  . :
   Description . . . . . . . . . . . : Microsoft IP-HTTPS Platform Adapter
"""


def test_adapters() -> None:
    ethernet, tunnel = facts(ENGLISH, Adapter)
    assert ethernet.name == "Ethernet"
    assert ethernet.ipv6 == ("2001:db8:77::50",)
    assert ethernet.link_local == ("fe80::1c3f",)
    assert ethernet.ipv4 == ("192.168.1.50",)
    assert ethernet.gateways == ("fe80::1", "192.168.1.1")
    assert ethernet.dns_servers == ("192.168.1.1", "192.0.2.53")
    assert (ethernet.connected, ethernet.tunnel) == (True, False)
    assert (tunnel.name, tunnel.connected, tunnel.tunnel) == ("iphttpsinterface", False, True)
    assert tunnel.description == "Microsoft IP-HTTPS Platform Adapter"
    (name,) = facts(ENGLISH, ComputerName)
    assert (name.name, name.domain) == ("CLIENT1", "corp.example.com")


@pytest.mark.parametrize(
    ("heading", "state", "suffix"),
    [
        ("Tunneladapter iphttpsinterface:", "Medienstatus. . . : Medium getrennt", "DNS-Suffix:"),
        (
            "隧道适配器 iphttpsinterface:",
            "媒体状态  . . . . : 媒体已断开连接",
            "连接特定的 DNS 后缀 . . . . . . . :",
        ),
        (
            "Carte Tunnel iphttpsinterface :",
            "Statut du média. . . : Média déconnecté",
            "Suffixe DNS propre à la connexion. . . :",
        ),
        (
            "Adaptador de túnel iphttpsinterface:",
            "Estado de los medios. . . : medios desconectados",
            "Sufijo DNS específico para la conexión. . . :",
        ),
    ],
)
def test_a_disconnected_tunnel_in_other_languages(heading: str, state: str, suffix: str) -> None:
    text = (
        f"Windows IP\n\n{heading}\n\n   {state}\n   {suffix}\n   Desc. . . : Microsoft IP-HTTPS\n"
    )
    (adapter,) = facts(text, Adapter, "ipconfig.txt")
    assert "iphttpsinterface" in adapter.name
    assert (adapter.connected, adapter.tunnel) == (False, True)


def test_a_preferred_address_that_wraps() -> None:
    text = (
        "Windows-IP-Konfiguration\n\nTunneladapter 6TO4 Adapter:\n\n"
        "   Verbindungsspezifisches DNS-Suffix:\n"
        "   IPv6-Adresse. . . . . . . . . . . : 2002:c000:201::c000:201(Bevorzugt)\n"
        "   Standardgateway . . . . . . . . . : 2002:c058:6301::1\n"
        "   DNS-Server  . . . . . . . . . . . : 192.0.2.53\n"
    )
    (adapter,) = facts(text, Adapter)
    assert adapter.ipv6 == ("2002:c000:201::c000:201",)
    assert adapter.gateways == ("2002:c058:6301::1",)


@pytest.mark.parametrize(
    ("text", "proxy", "bypass"),
    [
        ("    Proxy Server(s) :  proxy.example.com:8080\n    Bypass List     :  (none)\n",
         "proxy.example.com:8080", None),
        ("    Proxy Server(s) : http://192.0.2.117:8080\n    Bypass List : <local>\n",
         "http://192.0.2.117:8080", "<local>"),
        ("    Proxyserver :  p:3128\n    Umgehungsliste :  *.example.com\n",
         "p:3128", "*.example.com"),
    ],
)  # fmt: skip
def test_the_proxy_of_the_services(text: str, proxy: str, bypass: str | None) -> None:
    (fact,) = facts(f"Current WinHTTP proxy settings:\n\n{text}", WinHTTPProxy)
    assert (fact.direct, fact.proxy, fact.bypass) == (False, proxy, bypass)


def test_no_proxy() -> None:
    text = "Current WinHTTP proxy settings:\n\n    Direct access (no proxy server)\n"
    (fact,) = facts(text, WinHTTPProxy)
    assert (fact.direct, fact.proxy) == (True, None)


ADVANCED = "Current WinHTTP advanced proxy settings:\n\n"


def test_advanced_settings_of_the_proxy() -> None:
    text = (
        '{\n    "Proxy": "proxy.example.com:8080",\n    "ProxyBypass": "<local>",\n'
        '    "AutoconfigUrl": "",\n    "AutoDetect": true\n}\n'
    )
    (fact,) = facts(ADVANCED + text, WinHTTPProxy)
    assert (fact.direct, fact.proxy, fact.bypass) == (False, "proxy.example.com:8080", "<local>")
    assert fact.source.line == 4
    plain = "    Proxy          : p:3128\n    ProxyBypass :\n    AutoDetect : false\n"
    (fact,) = facts(ADVANCED + plain, WinHTTPProxy)
    assert (fact.direct, fact.proxy, fact.bypass) == (False, "p:3128", None)


@pytest.mark.parametrize(
    ("script", "detect", "direct"),
    [("", "false", [True]), ("http://a/p.pac", "false", []), ("", "true", []), ("", "", [])],
)
def test_a_script_may_say_anything(script: str, detect: str, direct: list[bool]) -> None:
    text = f'{{"Proxy":"","ProxyBypass":"","AutoconfigUrl":"{script}","AutoDetect":{detect}}}\n'
    found = facts(f"C:\\>netsh winhttp show advproxy\n{ADVANCED}{text}", WinHTTPProxy)
    assert [fact.direct for fact in found] == direct


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pinging a.example [2001:db8::1] with 32 bytes of data:\nReply from 2001:db8::1: "
         "time=29ms\n", ("a.example", "2001:db8::1", True, True, False)),
        ("Pinging a.example [192.0.2.1] with 32 bytes of data:\nRequest timed out.\n",
         ("a.example", "192.0.2.1", True, False, False)),
        ("Ping request could not find host a.example. Please check the name and try again.\n",
         ("a.example", None, False, None, False)),
        ("$ ping a.example\nping: a.example: Name or service not known\n",
         ("a.example", None, False, None, True)),
        ("PING a.example (192.0.2.1) 56(84) bytes of data.\n64 bytes from 192.0.2.1: time=1 ms\n",
         ("a.example", "192.0.2.1", True, True, True)),
        ("正在 Ping a.example [192.0.2.1] 具有 32 字节的数据:\n请求超时。\n",
         ("a.example", "192.0.2.1", True, False, False)),
    ],
)  # fmt: skip
def test_pings(text: str, expected: tuple[object, ...]) -> None:
    (fact,) = facts(text, PingResult)
    assert (fact.target, fact.address, fact.resolved, fact.replied, fact.unix) == expected


def test_services() -> None:
    table = (
        "Status   Name               DisplayName\n------   ----               -----------\n"
        "Stopped  iphlpsvc           IP Helper\nRunning  mpssvc             Windows Firewall\n"
    )
    assert [(f.name, f.running) for f in facts(table, ServiceState)] == [
        ("iphlpsvc", False),
        ("mpssvc", True),
    ]
    query = "SERVICE_NAME: IKEEXT\n        TYPE  : 20  WIN32\n        STATE : 4  RUNNING\n"
    (fact,) = facts(query, ServiceState)
    assert (fact.name, fact.running) == ("ikeext", True)
