"""Exports of the registry."""

from tests.doctor.parsers.reading import facts, reading
from throughway.model.facts.firewall import ConnectionSecurityRule
from throughway.model.facts.names import NRPTRule, PolicyView
from throughway.model.facts.network import BrowserProxy, DisabledComponents, RegistryValue
from throughway.model.facts.transition import IPHTTPSConfiguration


def multi(*texts: str) -> str:
    data = "".join(text + "\0" for text in (*texts, "")).encode("utf-16-le")
    pairs = [f"{byte:02x}" for byte in data]
    lines = [",".join(pairs[i : i + 20]) for i in range(0, len(pairs), 20)]
    return "hex(7):" + ",\\\n  ".join(lines)


SERVICES = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services"
POLICIES = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft"
EXPORT = f"""\
Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\tcpip6\\Parameters]
"DisabledComponents"=dword:000000ff
"Gone"=-

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Else]
"Other"="x"

[{POLICIES}\\Windows NT\\DNSClient\\DnsPolicyConfig\\DA-{{1}}]
"Name"={multi(".corp.example.com")}
"ConfigOptions"=dword:00000004
"DirectAccessDNSServers"="2001:db8:1:3333::1; 2001:db8:1:3333::2"
"DirectAccessProxyType"=dword:00000000
"Version"=dword:00000001

[{POLICIES}\\Windows NT\\DNSClient\\DnsPolicyConfig\\DA-{{2}}]
"Name"={multi("nls.corp.example.com")}
"ConfigOptions"=dword:00000004
"DirectAccessDNSServers"=""
"DirectAccessProxyType"=dword:00000001
"Version"=dword:00000001

[{SERVICES}\\Dnscache\\Parameters\\DnsPolicyConfig\\{{3}}]
"Name"={multi(".")}
"ConfigOptions"=dword:00000008
"GenericDNSServers"="192.0.2.53"
"Version"=dword:00000002

[{POLICIES}\\Windows\\TCPIP\\v6Transition\\IPHTTPS\\IPHTTPSInterface]
"IPHTTPS_ClientState"=dword:00000000
"IPHTTPS_ClientUrl"="https://da.example.com:443/IPHTTPS"

[{POLICIES}\\WindowsFirewall\\ConSecRules]
"DirectAccess Policy-ClientToInfra"="v2.20|Action=SecureServer|Active=TRUE|Name=DirectAccess \
Policy-ClientToInfra|Profile=Private|Profile=Public|EP2_6=2001:db8:1::10-2001:db8:1::10|"

[HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings]
"ProxyEnable"=dword:00000001
"ProxyServer"="proxy.example.com:8080"
"""


def test_disabled_components() -> None:
    (components,) = facts(EXPORT, DisabledComponents)
    assert components.bits == 0xFF
    assert components.source.line == 4


def test_name_resolution_rules() -> None:
    suffix, location, local = facts(EXPORT, NRPTRule)
    assert suffix.namespaces == (".corp.example.com",)
    assert suffix.dns_servers == ("2001:db8:1:3333::1", "2001:db8:1:3333::2")
    assert (suffix.view, suffix.directaccess) == (PolicyView.RULE, True)
    assert (suffix.by_policy, suffix.version, suffix.proxy) == (True, 1, "NoProxy")
    assert location.exempts
    assert location.directaccess is True
    assert (local.by_policy, local.directaccess) == (False, False)
    assert local.name_servers == ("192.0.2.53",)
    assert local.dns_servers is None


def test_the_rest_of_the_client_policy() -> None:
    (url,) = facts(EXPORT, IPHTTPSConfiguration)
    assert url.url == "https://da.example.com:443/IPHTTPS"
    (rule,) = facts(EXPORT, ConnectionSecurityRule)
    assert rule.directaccess
    assert (rule.enabled, rule.profiles) == (True, ("private", "public"))
    assert rule.endpoint2 == ("2001:db8:1::10-2001:db8:1::10",)
    (proxy,) = facts(EXPORT, BrowserProxy)
    assert (proxy.enabled, proxy.proxy, proxy.system) == (True, "proxy.example.com:8080", False)


def test_keys_of_no_interest_are_left_out() -> None:
    assert {value.name for value in facts(EXPORT, RegistryValue)} & {"Other", "Gone"} == set()


def test_cut_off_anywhere() -> None:
    for end in range(0, len(EXPORT), 7):
        found = reading(EXPORT[:end])
        assert all(item.why == "" for item in found.unreadable)


def test_regedit4() -> None:
    text = (
        "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\X\\DnsPolicyConfig\\{3}]\n"
        '"Name"=hex(7):2e,63,6f,72,70,00,00\n"Version"=dword:2\n'
    )
    (rule,) = facts(text, NRPTRule)
    assert rule.namespaces == (".corp",)


def test_a_deleted_key_sets_nothing() -> None:
    assert facts(EXPORT.replace("[HKEY_LOCAL", "[-HKEY_LOCAL"), NRPTRule) == []
