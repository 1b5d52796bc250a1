"""IP-HTTPS, Teredo and the IPv6 interfaces, in the forms in which people have them."""

import pytest

from tests.doctor.parsers.reading import facts, reading
from throughway.model.evidence import Role
from throughway.model.facts.transition import (
    IPHTTPSInterface,
    IPHTTPSStatus,
    IPv6Interface,
    TeredoError,
    TeredoState,
    TeredoStatus,
)

TUNNEL = """
Interface IPHTTPSInterface (Group Policy)  Parameters
------------------------------------------------------------
Role                       : client
URL                        : https://da.example.com:443/IPHTTPS
Last Error Code            : 0x80090326
Interface Status           : failed to connect to the IPHTTPS server. Waiting to reconnect
"""


def test_the_ip_https_interface() -> None:
    (fact,) = facts(TUNNEL, IPHTTPSInterface)
    assert fact.name == "IPHTTPSInterface"
    assert fact.role is Role.CLIENT
    assert fact.url == "https://da.example.com:443/IPHTTPS"
    assert fact.last_error == 0x80090326
    assert fact.status is IPHTTPSStatus.CONNECTING
    assert fact.by_policy is True
    assert (fact.source.line, fact.source.text) == (6, "Last Error Code            : 0x80090326")


@pytest.mark.parametrize(
    "text",
    [
        TUNNEL.replace(" : ", ":"),
        TUNNEL.replace("            :", " :"),
        "Error: 0x80090326\nRole: Client\nURL: `https://da.example.com:443/IPHTTPS`\n"
        "Last Error Code: 0x80090326  \nInterface Status: Failed to connect to IPHTTPs server; "
        "Waiting to reconnect.\n",
        TUNNEL.replace("\n", "\r\n"),
        "> " + TUNNEL.strip().replace("\n", "\n> "),
        TUNNEL.replace("Last Error Code ", "Letzter Fehlercode").replace("Role", "Rolle"),
    ],
)
def test_other_ways_to_write_the_same(text: str) -> None:
    (fact,) = facts(text, IPHTTPSInterface, "netsh-interface-httpstunnel-show-interfaces.txt")
    assert (fact.role, fact.last_error) == (Role.CLIENT, 0x80090326)
    assert fact.url == "https://da.example.com:443/IPHTTPS"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("IPHTTPS interface active", IPHTTPSStatus.ACTIVE),
        ("IPHTTPS interface active ", IPHTTPSStatus.ACTIVE),
        ("No usable certificate found", IPHTTPSStatus.NO_USABLE_CERTIFICATE),
        ("Invalid IPHTTPS URL specified", IPHTTPSStatus.INVALID_URL),
        ("Interface creation failure", IPHTTPSStatus.CREATION_FAILED),
        ("IPHTTPS interface deactivated", IPHTTPSStatus.DEACTIVATED),
    ],
)
def test_what_the_status_means(status: str, meaning: IPHTTPSStatus) -> None:
    (fact,) = facts(
        f"Role: server\nLast Error Code: 0x0\nInterface Status: {status}\n"
        "URL: https://da.example.com/IPHTTPS\n",
        IPHTTPSInterface,
    )
    assert fact.status is meaning


@pytest.mark.parametrize(
    "status", ["is not active", "nicht aktiv", "n'est pas active", "no activa"]
)
def test_what_is_not_active_is_not_said_to_be(status: str) -> None:
    text = TUNNEL.replace("failed to connect to the IPHTTPS server. Waiting to reconnect", status)
    (fact,) = facts(text, IPHTTPSInterface)
    assert fact.status is None


def test_a_status_in_another_language_is_left_unsaid() -> None:
    text = TUNNEL.replace("failed to connect to the IPHTTPS server. Waiting to reconnect", "待機")
    (fact,) = facts(text, IPHTTPSInterface)
    assert fact.status is None


def test_two_interfaces_and_two_codes_are_two_facts() -> None:
    second = TUNNEL.replace("IPHTTPSInterface", "IPHTTPSInterface2").replace("80090326", "0")
    assert [f.last_error for f in facts(TUNNEL + second, IPHTTPSInterface)] == [0x80090326, 0]
    codes = facts(
        "Error: 0x643\nTranslates to: Fatal error.\n\nError: 0x34\n",
        IPHTTPSInterface,
        "netsh-interface-httpstunnel-show-interfaces.txt",
    )
    assert [f.last_error for f in codes] == [0x643, 0x34]


def test_a_url_that_is_too_long_leaves_only_a_sentence() -> None:
    text = "C:\\>netsh interface httpstunnel show interfaces\nMore data is available.\n"
    (fact,) = facts(text, IPHTTPSInterface)
    assert fact.more_data


TEREDO = {
    "en": """Teredo Parameters
---------------------------------------------
Type                    : enterpriseclient (Group Policy)
Server Name             : win1910.ipv6.microsoft.com.
Client Refresh Interval : 60 seconds
Client Port             : 34567
State                   : qualified
Client Type             : teredo client
Network                 : managed
NAT                     : restricted (port)
NAT Special Behaviour   : UPNP: Yes, PortPreserving: No
Local Mapping           : 192.168.3.6:34567
External NAT Mapping    : 198.51.100.37:18778
""",
    "zh": """Teredo 参数
---------------------------------------------
类型                    : enterpriseclient (Group Policy)
服务器名称              : win1910.ipv6.microsoft.com.
客户端刷新间隔          : 60 秒
客户端端口                : 34567
状态                    : qualified
客户端类型              : teredo client
网络                    : managed
NAT                     : restricted (port)
NAT 特殊行为   : UPNP: 是，PortPreserving: 否
本地映射           : 192.168.3.6:34567
外部 NAT 映射    : 198.51.100.37:18778
""",
    "shuffled": """Xxx
---
Aa : enterpriseclient (Group Policy)
Bb : win1910.ipv6.microsoft.com.
Cc : 60 dd
Ee : 34567
Ff : qualified
Gg : teredo client
Hh : managed
Ii : restricted (port)
Jj : UPNP: k, PortPreserving: l
Mm : 192.168.3.6:34567
Nn : 198.51.100.37:18778
""",
}


@pytest.mark.parametrize("language", list(TEREDO))
def test_teredo_is_read_by_form(language: str) -> None:
    (fact,) = facts(TEREDO[language], TeredoState, "netsh-interface-teredo-show-state.txt")
    assert fact.type == "enterpriseclient"
    assert fact.type_by_policy is True
    assert fact.server == "win1910.ipv6.microsoft.com"
    assert fact.port == 34567
    assert fact.state is TeredoStatus.QUALIFIED
    assert fact.client_type == "teredo client"
    assert (fact.network, fact.nat) == ("managed", "restricted (port)")
    assert fact.local_mapping == "192.168.3.6:34567"
    assert fact.external_mapping == "198.51.100.37:18778"
    assert fact.error is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("none", TeredoError.NONE),
        ("无", TeredoError.NONE),
        ("Keine", TeredoError.NONE),
        ("primary server unreachable over UDP", TeredoError.PRIMARY_UNREACHABLE),
        ("无法通过 UDP 访问主 teredo 服务器", TeredoError.PRIMARY_UNREACHABLE),
        ("client behind symmetric NAT", TeredoError.SYMMETRIC_NAT),
        ("客户端在对称NAT后", TeredoError.SYMMETRIC_NAT),
        ("client is in a managed network", TeredoError.MANAGED_NETWORK),
        ("未能打开隧道适配器", TeredoError.TUNNEL_ADAPTER),
        ("一般系统故障", TeredoError.GENERAL_FAILURE),
        ("qwertz", TeredoError.OTHER),
    ],
)
def test_teredo_errors_in_any_language(text: str, error: TeredoError) -> None:
    head = "\n".join(TEREDO["en"].split("\n")[:6])
    (fact,) = facts(f"{head}\nState : offline\nError : {text}\nErr : 4294967295\n", TeredoState)
    assert fact.error is error
    assert fact.error_text == text
    assert fact.error_code == 0xFFFFFFFF


def test_a_truncated_state_is_read_as_far_as_it_goes() -> None:
    text = TEREDO["zh"]
    for end in range(len(text)):
        reading(text[:end], "netsh-interface-teredo-show-state.txt")
    (fact,) = facts(text[: text.index("状态")], TeredoState, "netsh-interface-teredo-show-state")
    assert (fact.state, fact.port) == (None, 34567)


def test_the_table_of_interfaces() -> None:
    table = (
        "Idx     Met         MTU          状态                名称\n"
        "---  ----------  ----------  ------------  ---------------------------\n"
        " 11          75        1280  disconnected  本地连接* 14\n"
        "  1          75  4294967295  connected     Loopback Pseudo-Interface 1\n"
    )
    found = facts(table, IPv6Interface)
    assert [(f.index, f.name, f.connected, f.mtu) for f in found] == [
        (11, "本地连接* 14", False, 1280),
        (1, "Loopback Pseudo-Interface 1", True, 4294967295),
    ]


@pytest.mark.parametrize("padding", ["                         : ", ": "])
def test_one_interface(padding: str) -> None:
    text = (
        "Interface IPHTTPSInterface  Parameters\n---------\n"
        f"IfIndex{padding}17\nForwarding{padding}disabled\nAdvertising{padding}enabled\n"
        f"Neighbor Discovery{padding}enabled\nRouter Discovery{padding}dhcp\n"
    )
    (fact,) = facts(text, IPv6Interface)
    assert (fact.name, fact.index) == ("IPHTTPSInterface", 17)
    assert (fact.forwarding, fact.advertising) == (False, True)
    assert fact.router_discovery == "dhcp"
    assert fact.source.text.startswith("Forwarding")
