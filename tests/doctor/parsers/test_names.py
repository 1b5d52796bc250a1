"""The name resolution policy and the connectivity assistant."""

import json

from tests.doctor.parsers.reading import facts
from throughway.model.facts.names import DAConnectionStatus, NRPTRule, NRPTTable, PolicyView

POLICY = """PS C:\\> Get-DnsClientNrptPolicy -Effective

Namespace                        : nls.corp.example.com
QueryPolicy                      : QueryIPv6Only
SecureNameQueryFallback          : FallbackPrivate
DirectAccessDnsServers           :
DirectAccessEnabled              : True
DirectAccessProxyType            : UseDefault
NameServers                      :

Namespace                        : .corp.example.com
QueryPolicy                      : QueryIPv6Only
SecureNameQueryFallback          : FallbackPrivate
DirectAccessDnsServers           : {2001:db8:1::2, 2001:db8:2::20,
                                   2001:db8:6::6}
DirectAccessEnabled              : True
DirectAccessProxyType            : NoProxy
NameServers                      :
"""


def test_the_policy_as_a_list() -> None:
    exemption, rule = facts(POLICY, NRPTRule)
    assert exemption.namespaces == ("nls.corp.example.com",)
    assert exemption.exempts
    assert rule.dns_servers == ("2001:db8:1::2", "2001:db8:2::20", "2001:db8:6::6")
    assert (rule.directaccess, rule.proxy) == (True, "NoProxy")
    assert rule.view is PolicyView.EFFECTIVE
    assert rule.source.line == 11
    (table,) = facts(POLICY, NRPTTable)
    assert (table.rules, table.view) == (2, PolicyView.EFFECTIVE)


def test_the_policy_as_a_table() -> None:
    text = (
        "Namespace         DA     DADnsServers     DnsSec NameServers   NameEncoding\n"
        "---------         --     ------------     ------ -----------   ------------\n"
        ".internal.example                         False  192.0.2.53    Utf8WithoutMapping\n"
        ".corp.example     True   2001:db8:1::2    False                Utf8WithoutMapping\n"
    )
    other, own = facts(text, NRPTRule)
    assert (other.directaccess, other.name_servers) == (False, ("192.0.2.53",))
    assert (own.directaccess, own.dns_servers) == (True, ("2001:db8:1::2",))


def test_the_policy_in_forms_for_programs() -> None:
    objects = [
        {
            "Namespace": [".corp.example"],
            "SecureNameQueryFallback": 1,
            "DirectAccessDnsServers": ["2001:db8:1::2"],
            "DirectAccessEnabled": True,
            "NameServers": None,
        }
    ]
    (from_json,) = facts(json.dumps(objects, indent=2), NRPTRule)
    csv = (
        '"Namespace","SecureNameQueryFallback","DirectAccessDnsServers","DirectAccessEnabled"\n'
        '".corp.example","x","2001:db8:1::2","True"\n'
    )
    (from_csv,) = facts(csv, NRPTRule)
    assert from_json.dns_servers == from_csv.dns_servers == ("2001:db8:1::2",)
    assert from_json.namespaces == from_csv.namespaces == (".corp.example",)
    assert from_json.source.line == 3


def test_an_empty_policy_is_told() -> None:
    (table,) = facts(
        "PS C:\\> Get-DnsClientNrptPolicy\n\nGet-DnsClientNrptPolicy : Failed: WIN32 9572\n",
        NRPTTable,
    )
    assert (table.rules, table.error_code) == (0, 9572)


def test_stored_rules() -> None:
    text = """
Name                             : DA-{64329e4f-0000-4d27-9553-6ed6880fa2a5}
Version                          : 1
Namespace                        : {.corp.example.com, corp.example.com}
IPsecCARestriction               :
DirectAccessDnsServers           : {2001:db8:1::2}
DirectAccessEnabled              : True
NameServers                      :
DnsSecEnabled                    : False
"""
    (rule,) = facts(text, NRPTRule)
    assert rule.view is PolicyView.RULE
    assert rule.namespaces == (".corp.example.com", "corp.example.com")
    assert (rule.version, rule.by_policy) == (1, True)


def test_the_connection_status_in_every_form() -> None:
    forms = [
        "\nStatus    : Error\nSubstatus : NameResolutionFailure\n",
        "Status:ErrorSubstatus:NameResolutionFailure\n",
        "Status Substatus\n------ ---------\nError  NameResolutionFailure\n",
        '{"Status": "Error", "Substatus": "NameResolutionFailure"}',
    ]
    for text in forms:
        (fact,) = facts(text, DAConnectionStatus, "Get-DAConnectionStatus.txt")
        assert (fact.status, fact.substatus) == ("Error", "NameResolutionFailure")


def test_the_assistant_may_not_run() -> None:
    text = "Get-DAConnectionStatus : Network Connectivity Assistant service is stopped.\n"
    (fact,) = facts(text, DAConnectionStatus)
    assert fact.failed == "Network Connectivity Assistant service is stopped."
