"""The name resolution policy table of netsh, in the languages and states that Windows prints."""

import pytest

from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.names.netsh_namespace import PARSER
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NRPTRule, NRPTTable, PolicyView

RULE = "-" * 70
ENGLISH = f"""
DNS Effective Name Resolution Policy Table Settings


Settings for nls.corp.example.com
{RULE}
DirectAccess (Certification Authority)  :
DirectAccess (IPsec)                    : disabled
DirectAccess (DNS Servers)              :
DirectAccess (Proxy Settings)           : Use default browser settings


Settings for .corp.example.com
{RULE}
DirectAccess (Certification Authority)  :
DirectAccess (IPsec)                    : disabled
DirectAccess (DNS Servers)              : 2001:db8:7::3333:1
                                          2001:db8:7::3333:2
DirectAccess (Proxy Settings)           : Bypass proxy
"""
WINDOWS_7 = f"""
DNS Name Resolution Policy Table Settings

Settings for .corp.example.com
{RULE}
Certification authority                 : DC=com, DC=example, CN=corp-CA
DNSSEC (Validation)                     : disabled
DNSSEC (IPsec)                          : enabled
DirectAccess (DNS Servers)              : 2001:db8:7::3333:1
DirectAccess (IPsec)                    : disabled
DirectAccess (Proxy Settings)           : proxy.corp.example.com:8080
"""
OTHERS = {
    "de": ("Einstellungen für .corp.example.com", "DNS-Server", "Proxyeinstellungen"),
    "fr": ("Paramètres pour .corp.example.com", "Serveurs DNS", "Paramètres du proxy"),
    "es": ("Configuración para .corp.example.com", "Servidores DNS", "Configuración de proxy"),
    "zh": (".corp.example.com 的设置", "DNS 服务器", "代理设置"),
    "unknown": ("Zxcv qwer .corp.example.com", "Zxcv DNS", "Proxy zxcv"),
}


def facts(text: str, command: str = "") -> list[Fact]:
    return list(PARSER.parse(Evidence("a.txt", text, command=command)))


def rules(text: str, command: str = "") -> list[NRPTRule]:
    found = facts(text, command)
    return [fact for fact in found if isinstance(fact, NRPTRule)]


def test_the_effective_table() -> None:
    exemption, suffix, table = facts(ENGLISH)
    assert isinstance(exemption, NRPTRule)
    assert isinstance(suffix, NRPTRule)
    assert isinstance(table, NRPTTable)
    assert exemption.namespaces == ("nls.corp.example.com",)
    assert exemption.dns_servers == ()
    assert exemption.exempts
    assert suffix.dns_servers == ("2001:db8:7::3333:1", "2001:db8:7::3333:2")
    assert suffix.directaccess
    assert suffix.proxy == "Bypass proxy"
    assert suffix.source.line == 13
    assert table == NRPTTable(source=table.source, view=PolicyView.EFFECTIVE, rules=2)


def test_the_policy_of_windows_7() -> None:
    (rule,) = rules(WINDOWS_7)
    assert rule.view is PolicyView.POLICY
    assert rule.dns_servers == ("2001:db8:7::3333:1",)
    assert rule.dnssec_required is False
    assert rule.proxy == "proxy.corp.example.com:8080"


@pytest.mark.parametrize("language", OTHERS)
def test_a_translated_table(language: str) -> None:
    heading, servers, proxy = OTHERS[language]
    text = (
        f"Xyz\n\n{heading}\n{RULE}\nDirectAccess ({servers})  : 2001:db8:7::3333:1\n"
        f"DirectAccess ({proxy})  : abc\n"
    )
    (rule,) = rules(text, "netsh namespace show effectivepolicy")
    assert rule.namespaces == (".corp.example.com",)
    assert rule.dns_servers == ("2001:db8:7::3333:1",)
    assert rule.view is PolicyView.EFFECTIVE
    assert rule.proxy == "abc"


def test_a_generic_rule_is_not_of_directaccess() -> None:
    text = f"Settings for .\n{RULE}\nGeneric (DNS Servers)     : 192.0.2.53\n"
    (rule,) = rules(text)
    assert rule.namespaces == (".",)
    assert rule.name_servers == ("192.0.2.53",)
    assert rule.directaccess is False
    assert rule.dns_servers is None


@pytest.mark.parametrize(
    ("note", "inside"),
    [
        ("Note: DirectAccess settings are inactive when this computer is inside", True),
        ("Note: DirectAccess settings would be turned off when computer is inside", None),
        ("Hinweis: DirectAccess-Einstellungen sind inaktiv.", True),
    ],
)
def test_an_effective_table_without_rules(note: str, inside: bool | None) -> None:
    title = "DNS Effective Name Resolution Policy Table Settings"
    (table,) = facts(f"\n{title}\n\n{note}\n")
    assert isinstance(table, NRPTTable)
    assert (table.view, table.rules, table.inside) == (PolicyView.EFFECTIVE, 0, inside)


def test_an_empty_table_of_which_nothing_is_known_says_nothing() -> None:
    assert facts("Zxcv qwer\n\n") == []


def test_what_begins_in_the_middle_has_no_namespace() -> None:
    (rule,) = rules("DirectAccess (DNS Servers)   : 2001:db8::1\n")
    assert rule.namespaces is None
    assert rule.dns_servers == ("2001:db8::1",)


@pytest.mark.parametrize("cut", range(0, len(ENGLISH), 3))
def test_a_table_that_is_cut_off_is_not_misread(cut: int) -> None:
    exemption, suffix = rules(ENGLISH)
    for rule in rules(ENGLISH[:cut]):
        whole = exemption if rule.namespaces == exemption.namespaces else suffix
        assert rule.namespaces == whole.namespaces
        assert rule.exempts == whole.exempts
        assert set(rule.dns_servers or ()) <= set(whole.dns_servers or ())


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("DirectAccess (Proxy Settings)", "2001:db8::1"),
        ("DirectAccess (DNS Servers)", "Bypass proxy"),
        ("DirectAccess (DNS Servers)", "disabled"),
        ("Zxcv", "2001:db8::1"),
    ],
)
def test_values_under_other_labels_are_not_misread(label: str, value: str) -> None:
    with pytest.raises(ParseError):
        rules(f"Settings for .corp.example.com\n{RULE}\n{label} : {value}\n")


@pytest.mark.parametrize("text", [ENGLISH, WINDOWS_7])
def test_it_is_recognised_by_its_text(text: str) -> None:
    assert find(Evidence("a.txt", text), PARSERS) == [PARSER]
