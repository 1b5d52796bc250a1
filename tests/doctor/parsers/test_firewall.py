"""Outputs of the firewall: profiles, settings, connection security rules, in several languages."""

import random
from collections.abc import Iterator

import pytest

from throughway.doctor.parser import LIKELY, Parser
from throughway.doctor.parsers.firewall import (
    PARSERS,
    get_firewallproduct,
    get_netfirewallprofile,
    get_netfirewallsetting,
    get_netipsecrule,
    netsh_advfirewall_consec,
    netsh_advfirewall_global,
    netsh_advfirewall_profiles,
)
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import (
    ConnectionSecurityRule,
    FirewallProfile,
    FirewallSettings,
    NoConnectionSecurityRules,
    ThirdPartyFirewall,
)
from throughway.model.facts.network import ServiceState

ENDPOINT = "2002:c000:202::c000:202"
RULE = f"""
Rule Name:                            DirectAccess Policy-ClientToInfra
----------------------------------------------------------------------
Enabled:                              Yes
Profiles:                             Private,Public
Type:                                 Static
Mode:                                 Tunnel
LocalTunnelEndpoint:                  Any
RemoteTunnelEndpoint:                 {ENDPOINT}
Endpoint1:                            ::/0
Endpoint2:                            2001:db8:1::10-2001:db8:1::11,
                                      2001:db8:1::53/128
Protocol:                             Any
Action:                               RequireInRequireOut
Auth1:                                ComputerCert
Auth1CAName:                          DC=com, DC=example, CN=Example CA
Auth1CertMapping:                     No
Auth1CertType:                        Root
Auth1HealthCert:                      No
Auth2:                                UserNTLM
MainModeSecMethods:                   DHGroup2-AES128-SHA256
QuickModeSecMethods:                  ESP:SHA1-AES192+60min+100000kb,
                                      ESP:SHA1-AES128+60min+100000kb
ApplyAuthorization:                   No
Ok.
"""
GERMAN = f"""
Regelname:                            DirectAccess Policy-ClientToInfra
----------------------------------------------------------------------
Aktiviert:                            Ja
Profile:                              Privat,Öffentlich
Typ:                                  Statisch
Modus:                                Tunnel
Lokaler Tunnelendpunkt:               Beliebig
Remotetunnelendpunkt:                 {ENDPOINT}
Endpunkt 1:                           ::/0
Endpunkt 2:                           2001:db8:1::10-2001:db8:1::11
Protokoll:                            Beliebig
Aktion:                               RequireInRequireOut
Auth1:                                ComputerCert
Auth2:                                UserNTLM
OK.
"""
CHINESE = f"""
规则名称:                             DirectAccess Policy-ClientToInfra
----------------------------------------------------------------------
已启用:                               是
配置文件:                             专用,公用
类型:                                 静态
模式:                                 隧道
本地隧道终结点:                       任何
远程隧道终结点:                       {ENDPOINT}
终结点 1:                             ::/0
终结点 2:                             2001:db8:1::10-2001:db8:1::11
协议:                                 任何
操作:                                 RequireInRequireOut
身份验证1:                            ComputerCert
身份验证2:                            UserNTLM
确定。
"""
UNKNOWN = f"""
Qwx rty:                              DirectAccess Policy-ClientToInfra
----------------------------------------------------------------------
Zuio:                                 Vbn
Plok:                                 Qert,Zuin
Mnb:                                  Wertz
Trew:                                 Vrzlak
Hjk one:                              Blorp
Hjk two:                              {ENDPOINT}
Wsx one:                              ::/0
Wsx two:                              2001:db8:1::10-2001:db8:1::11
Edc:                                  Blorp
Rfv:                                  RequireInRequireOut
Tgb:                                  ComputerCert
Yhn:                                  UserNTLM
"""


def facts(parser: Parser, text: str, *, command: str = "", file: str = "a.txt") -> list[Fact]:
    return list(parser.parse(Evidence(file, text, command=command)))


def rules(text: str, command: str = "") -> list[ConnectionSecurityRule]:
    found = facts(netsh_advfirewall_consec.PARSER, text, command=command)
    assert all(isinstance(fact, ConnectionSecurityRule) for fact in found)
    return [fact for fact in found if isinstance(fact, ConnectionSecurityRule)]


def profiles(text: str, command: str = "") -> list[tuple[str, bool | None, bool | None]]:
    found = facts(netsh_advfirewall_profiles.PARSER, text, command=command)
    return [(f.name, f.enabled, f.current) for f in found if isinstance(f, FirewallProfile)]


def test_a_rule_in_english() -> None:
    (rule,) = rules(RULE)
    assert rule.name == "DirectAccess Policy-ClientToInfra"
    assert rule.source.line == 2
    assert rule.directaccess
    assert (rule.active, rule.enabled, rule.mode) == (False, True, "tunnel")
    assert rule.profiles == ("private", "public")
    assert (rule.local_endpoint, rule.remote_endpoint) == ("", ENDPOINT)
    assert rule.endpoint1 == ("::/0",)
    assert rule.endpoint2 == ("2001:db8:1::10-2001:db8:1::11", "2001:db8:1::53/128")
    assert rule.action == "requireinrequireout"
    assert (rule.auth1, rule.auth2) == ("ComputerCert", "UserNTLM")
    assert rule.auth1_ca == "DC=com, DC=example, CN=Example CA"
    assert rule.health_certificate is False
    assert rule.quick_mode_methods is not None
    assert rule.quick_mode_methods.count("ESP:") == 2


@pytest.mark.parametrize("text", [GERMAN, CHINESE, UNKNOWN], ids=["de", "zh", "unknown"])
def test_a_rule_by_form(text: str) -> None:
    (rule,) = rules(text)
    assert rule.name == "DirectAccess Policy-ClientToInfra"
    assert (rule.mode, rule.local_endpoint, rule.remote_endpoint) == ("tunnel", "", ENDPOINT)
    assert rule.endpoint1 == ("::/0",)
    assert rule.endpoint2 == ("2001:db8:1::10-2001:db8:1::11",)
    assert (rule.auth1, rule.auth2) == ("ComputerCert", "UserNTLM")
    assert rule.enabled is not False


def test_a_rule_whose_labels_were_shuffled() -> None:
    lines = RULE.split("\n")
    labels = [line.split(":", 1)[0] for line in lines[3:12]]
    random.Random(4).shuffle(labels)
    values = [line.split(":", 1)[1] for line in lines[3:12]]
    text = "\n".join((*lines[:3], *map(":".join, zip(labels, values, strict=True)), *lines[12:]))
    (rule,) = rules(text)
    assert rule.remote_endpoint in {ENDPOINT, None}
    assert rule.local_endpoint in {"", None}
    assert rule.enabled is not False


def test_a_rule_without_padding_and_rule_lines() -> None:
    text = "\n".join(
        ":".join(part.strip() for part in line.split(":", 1))
        for line in RULE.split("\n")
        if not line.startswith("---")
    )
    (rule,) = rules(text)
    assert (rule.name, rule.remote_endpoint) == ("DirectAccess Policy-ClientToInfra", ENDPOINT)


def test_a_rule_of_the_server_has_its_own_end() -> None:
    text = RULE.replace(ENDPOINT, "ANYTHING").replace("  Any\n", f"  {ENDPOINT}\n", 1)
    (rule,) = rules(text.replace("ANYTHING", "Any"))
    assert (rule.local_endpoint, rule.remote_endpoint) == (ENDPOINT, "")


def test_rules_with_ports_by_place() -> None:
    text = UNKNOWN.replace(
        "Edc:                                  Blorp",
        "Prt one: Blorp\nPrt two: 443\nEdc: TCP",
    )
    (rule,) = rules(text)
    assert rule.remote_endpoint == ENDPOINT


def test_rules_of_the_monitor_are_active() -> None:
    assert all(r.active for r in rules(RULE, "netsh advfirewall monitor show consec"))
    assert all(r.active for r in rules("StrongCRLCheck        0:Disabled\n" + RULE))


@pytest.mark.parametrize(
    "text",
    [
        "\nNo rules match the specified criteria.\n\n",
        "Es stimmen keine Regeln mit den angegebenen Kriterien überein.\n",
        "Aucune règle ne correspond aux critères spécifiés.\n",
        "Ninguna regla coincide con los criterios especificados.\n",
        "没有与指定标准相匹配的规则。\n",
    ],
)
def test_no_rule(text: str) -> None:
    command = 'netsh advfirewall consec show rule name="DirectAccess Policy-ClientToCorp"'
    (none,) = facts(netsh_advfirewall_consec.PARSER, text, command=command)
    assert isinstance(none, NoConnectionSecurityRules)
    assert (none.active, none.wanted) == (False, "DirectAccess Policy-ClientToCorp")
    (none,) = facts(
        netsh_advfirewall_consec.PARSER, text, command="netsh advfirewall monitor show consec"
    )
    assert isinstance(none, NoConnectionSecurityRules)
    assert (none.active, none.wanted) == (True, "")
    # Without the command it could be any kind of rule.
    assert facts(netsh_advfirewall_consec.PARSER, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "An error occurred while attempting to contact the  Windows Defender Firewall service. "
        "Make sure that the service is running and try your request again.\n",
        "Beim Herstellen einer Verbindung mit dem Windows-Firewalldienst ist ein Fehler "
        "aufgetreten. Stellen Sie sicher, dass der Dienst ausgeführt wird.\n",
        "Une erreur s'est produite lors de la tentative de contact avec le service Pare-feu "
        "Windows. Assurez-vous que le service s'exécute.\n",
        "尝试与 Windows 防火墙服务联系时出错。请确保该服务正在运行，然后再试一次。\n",
    ],
)
def test_the_service_does_not_answer(text: str) -> None:
    for parser in (netsh_advfirewall_consec.PARSER, netsh_advfirewall_profiles.PARSER):
        found = facts(parser, text, command="netsh advfirewall consec show rule name=all")
        assert [(f.name, f.running) for f in found if isinstance(f, ServiceState)] == [
            ("mpssvc", False)
        ]
        assert len(found) == 1
    assert netsh_advfirewall_profiles.PARSER.signature(text.lower()) >= LIKELY


def test_a_prompt_that_was_not_elevated_says_nothing() -> None:
    text = "The requested operation requires elevation (Run as administrator).\n\n"
    for parser in PARSERS:
        assert facts(parser, text, command="netsh advfirewall consec show rule name=all") == []


def test_rules_that_are_no_connection_security_rules() -> None:
    text = (
        "\nRule Name:                            Core Networking - DNS (UDP-Out)\n"
        "----------------------------------------------------------------------\n"
        "Enabled:                              Yes\nDirection:                            Out\n"
        "Profiles:                             Domain,Private,Public\nGrouping:      Core\n"
        "LocalIP:                              Any\nRemoteIP:                             Any\n"
        "Protocol:                             UDP\nLocalPort:                            Any\n"
        "Action:                               Allow\nOk.\n"
    )
    with pytest.raises(ParseError):
        facts(netsh_advfirewall_consec.PARSER, text)


def test_no_rule_after_the_settings() -> None:
    text = (
        "\nGlobal Settings:\n------\nIPsec:\nStrongCRLCheck                        0:Disabled\n"
        "\nQuick Mode:\nQuickModeSecMethods                   ESP:SHA1-None+60min+100000kb\n"
    )
    command = "netsh advfirewall monitor show consec"
    assert facts(netsh_advfirewall_consec.PARSER, text, command=command) == []
    text += "\nNo rules match the specified criteria.\n"
    (none,) = facts(netsh_advfirewall_consec.PARSER, text, command=command)
    assert isinstance(none, NoConnectionSecurityRules)
    assert none.active


def test_a_part_without_a_name_is_said_to_be_one() -> None:
    with pytest.raises(ParseError):
        facts(netsh_advfirewall_consec.PARSER, RULE.split("Auth2", 1)[1])


def block(heading: str, state: str, policy: str = "BlockInbound,AllowOutbound") -> str:
    return (
        f"\n{heading}\n{'-' * 70}\n{state}\n"
        f"Firewall Policy                       {policy}\n"
        "LocalFirewallRules                    N/A (GPO-store only)\n"
        "InboundUserNotification               Enable\n"
        "RemoteManagement                      Disable\n\nLogging:\n"
        "LogAllowedConnections                 Disable\n"
        "FileName                              %systemroot%\\pfirewall.log\n"
    )


@pytest.mark.parametrize(
    ("headings", "on", "off"),
    [
        (
            ("Domain Profile Settings: ", "Private Profile Settings:", "Public Profile Settings:"),
            "State                                 ON",
            "State                                 OFF",
        ),
        (
            (
                "Domänenprofil-Einstellungen:",
                "Privates Profil-Einstellungen:",
                "Öffentliches Profil-Einstellungen:",
            ),
            "Status                                EIN",
            "Status                                AUS",
        ),
        (
            (
                "Paramètres Profil de domaine :",
                "Paramètres Profil privé :",
                "Paramètres Profil public :",
            ),
            "État                                  Actif",
            "État                                  Inactif",
        ),
        (
            (
                "Configuración de Perfil de dominio:",
                "Configuración de Perfil privado:",
                "Configuración de Perfil público:",
            ),
            "Estado                                ACTIVAR",
            "Estado                                DESACTIVAR",
        ),
        (
            ("域配置文件 设置:", "专用配置文件 设置:", "公用配置文件 设置:"),
            "状态                                  启用",
            "状态                                  关闭",
        ),
    ],
    ids=["en", "de", "fr", "es", "zh"],
)
def test_all_profiles(headings: tuple[str, str, str], on: str, off: str) -> None:
    text = block(headings[0], off) + block(headings[1], on) + block(headings[2], on)
    assert profiles(text) == [
        ("domain", False, None),
        ("private", True, None),
        ("public", True, None),
    ]
    states = f"{headings[1]}\n{'-' * 70}\n{off}\n\n{headings[2]}\n{'-' * 70}\n{on}\nOk.\n"
    assert profiles(states) == [("private", False, None), ("public", True, None)]
    (only,) = profiles(block(headings[2], off), "netsh advfirewall show currentprofile")
    assert only == ("public", False, True)


def test_profiles_of_an_unknown_language_are_known_by_their_order() -> None:
    text = "".join(block(f"Xy{i} zzz:", "Qwe                    Rtz") for i in range(3))
    assert profiles(text) == [
        ("domain", None, None),
        ("private", None, None),
        ("public", None, None),
    ]
    assert profiles(block("Xy zzz:", "Qwe                    Rtz")) == [("", None, None)]


def test_rows_in_disorder_turn_nothing_off() -> None:
    text = (
        "Public Profile Settings:\n------\nRemoteManagement                      Disable\n"
        "Firewall Policy                       BlockInbound,AllowOutbound\n"
        "State                                 ON\n"
    )
    assert profiles(text) == [("public", True, None)]


@pytest.mark.parametrize(
    "heading", ["Domain Profile:", "Domänenprofil:", "Profil de domaine :", "域配置文件:"]
)
def test_the_profile_in_use(heading: str) -> None:
    text = f"\n{heading}\n{'-' * 70}\ncorp.example.com\nOk.\n\n"
    (found,) = facts(
        netsh_advfirewall_profiles.PARSER,
        text,
        command="netsh advfirewall monitor show currentprofile",
    )
    assert isinstance(found, FirewallProfile)
    assert (found.name, found.current, found.networks) == ("domain", True, ("corp.example.com",))
    assert found.enabled is None


def test_global_settings() -> None:
    text = (
        "\nGlobal Settings: \n-----\nIPsec:\n"
        "StrongCRLCheck                        2:Enabled\n"
        "SAIdleTimeMin                         5min\n"
        "IPsecThroughNAT                       Never\n\nMain Mode:\n"
        "KeyLifetime                           480min,0sess\n\nCategories:\n"
        "FirewallRuleCategory                  Windows Firewall\n"
        "ConSecRuleRuleCategory                Example Guard\n\nOk.\n"
    )
    (found,) = facts(netsh_advfirewall_global.PARSER, text)
    assert isinstance(found, FirewallSettings)
    assert (found.strong_crl_check, found.idle_minutes) == (2, 5)
    assert (found.through_nat, found.rules_owner) == ("never", "Example Guard")
    assert found.source.line == 5
    (condensed,) = facts(netsh_advfirewall_global.PARSER, "StrongCRLCheck1:Enabled\n")
    assert isinstance(condensed, FirewallSettings)
    assert condensed.strong_crl_check == 1


def test_objects_of_profiles_and_networks() -> None:
    text = "Name                 : Public\nEnabled : False\nDefaultInboundAction : Block\n"
    (found,) = facts(get_netfirewallprofile.PARSER, text)
    assert isinstance(found, FirewallProfile)
    assert (found.name, found.enabled, found.inbound) == ("public", False, "block")
    assert not found.effective
    (found,) = facts(
        get_netfirewallprofile.PARSER, '[{"Name": "Public", "Enabled": 2}]', command="x ActiveStore"
    )
    assert isinstance(found, FirewallProfile)
    assert (found.enabled, found.effective) == (None, True)
    text = (
        "Name             : corp.example.com\nInterfaceAlias   : Ethernet\n"
        "NetworkCategory  : DomainAuthenticated\n"
    )
    (found,) = facts(get_netfirewallprofile.PARSER, text)
    assert isinstance(found, FirewallProfile)
    assert (found.name, found.current) == ("domain", True)
    assert found.networks == ("corp.example.com (Ethernet)",)


def test_objects_of_rules() -> None:
    text = f"""
IPsecRuleName         : {{c1988b9c-9546-4eea-bf64-fbe85ddbef8c}}
DisplayName           : DirectAccess Policy-ClientToCorp
Enabled               : True
Profile               : Private, Public
Mode                  : Tunnel
InboundSecurity       : Require
OutboundSecurity      : Require
Phase1AuthSet         : {{0aab25c6-2c5b-4f6e-a9f1-6e0b9a3cf3b9}}
LocalTunnelEndpoint   : {{Any}}
RemoteTunnelEndpoint  : {{{ENDPOINT}}}
EnforcementStatus     : InactiveProfile
PolicyStoreSourceType : GroupPolicy
"""
    command = "Get-NetIPsecRule -PolicyStore ActiveStore"
    (rule,) = facts(get_netipsecrule.PARSER, text, command=command)
    assert isinstance(rule, ConnectionSecurityRule)
    assert (rule.enabled, rule.mode, rule.active) == (True, "tunnel", False)
    assert (rule.local_endpoint, rule.remote_endpoint) == ("", ENDPOINT)
    assert (rule.profiles, rule.enforcement) == (("private", "public"), "inactiveprofile")
    assert rule.action == "requireinrequireout"
    numbers = (
        '[{"DisplayName": "DirectAccess Policy-ClientToCorp", "Enabled": 2, "Profile": 6, '
        f'"Mode": 1, "InboundSecurity": 2, "RemoteTunnelEndpoint": ["{ENDPOINT}"]}}]'
    )
    (rule,) = facts(get_netipsecrule.PARSER, numbers)
    assert isinstance(rule, ConnectionSecurityRule)
    assert (rule.enabled, rule.mode, rule.remote_endpoint) == (False, "tunnel", ENDPOINT)
    assert rule.profiles == ("private", "public")


def test_how_revocation_is_checked() -> None:
    text = "Exemptions           : None\nCertValidationLevel  : RequireCrlCheck\n"
    (found,) = facts(get_netfirewallsetting.PARSER, text)
    assert isinstance(found, FirewallSettings)
    assert found.strong_crl_check == 2


def test_products_of_others() -> None:
    text = "displayName  : Example Guard\nproductState : 266240\n"
    command = r"Get-CimInstance -Namespace root\SecurityCenter2 -ClassName FirewallProduct"
    (found,) = facts(get_firewallproduct.PARSER, text, command=command)
    assert isinstance(found, ThirdPartyFirewall)
    assert (found.name, found.enabled) == ("Example Guard", True)
    off = text.replace("266240", "262144")
    (found,) = facts(get_firewallproduct.PARSER, off, command=command)
    assert isinstance(found, ThirdPartyFirewall)
    assert found.enabled is False
    assert facts(get_firewallproduct.PARSER, text) == []


def broken() -> Iterator[str]:
    whole = RULE + CHINESE + block("Public Profile Settings:", "State        ON")
    for end in range(0, len(whole), 37):
        yield whole[:end]
        yield whole[end : end + 400]
    draw = random.Random(7)
    for _ in range(60):
        letters = list(whole)
        for at in draw.sample(range(len(letters)), 40):
            letters[at] = draw.choice(":\n -{}[]0aZ\0\uff1a\u3000")
        yield "".join(letters)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_broken_outputs_are_read_or_refused(parser: Parser) -> None:
    for text in broken():
        try:
            for fact in parser.parse(Evidence("a.txt", text)):
                assert not isinstance(fact, NoConnectionSecurityRules | ServiceState)
        except ParseError:
            continue
