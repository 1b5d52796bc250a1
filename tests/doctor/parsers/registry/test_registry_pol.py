"""The client's policy as a file."""

from throughway.doctor.parsers.registry.registry_pol import PARSER
from throughway.doctor.reading import read_all
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NRPTRule
from throughway.model.facts.network import RegistryValue
from throughway.model.facts.transition import IPHTTPSConfiguration
from throughway.wire.registrypol import (
    Entry,
    RegistryType,
    Value,
    build_registry_pol,
    encode_value,
)

RULE = "Software\\Policies\\Microsoft\\Windows NT\\DNSClient\\DnsPolicyConfig\\DA-{1}"
LINK = "Software\\Policies\\Microsoft\\Windows\\TCPIP\\v6Transition\\IPHTTPS\\IPHTTPSInterface"


def entry(key: str, name: str, value: Value) -> Entry:
    kinds = {str: RegistryType.SZ, int: RegistryType.DWORD, tuple: RegistryType.MULTI_SZ}
    kind = kinds[type(value)]
    return Entry(key, name, kind, encode_value(kind, value))


ENTRIES = (
    entry(RULE, "Name", (".corp.example.com",)),
    entry(RULE, "ConfigOptions", 4),
    entry(RULE, "DirectAccessDNSServers", "2001:db8:1:3333::1"),
    entry(RULE, "Version", 1),
    entry("Software\\Else", "Other", 1),
    entry(LINK, "IPHTTPS_ClientUrl", "https://da.example.com:443/IPHTTPS"),
    entry(LINK, "Old", "x"),
    entry(LINK, "**del.Old", " "),
)


def read(content: bytes, file: str = "Machine/Registry.pol") -> list[Fact]:
    assert PARSER.magic(content)
    return list(PARSER.parse(Evidence(file, content=content)))


def test_the_client_policy() -> None:
    found = read(build_registry_pol(ENTRIES))
    (rule,) = [fact for fact in found if isinstance(fact, NRPTRule)]
    assert rule.dns_servers == ("2001:db8:1:3333::1",)
    assert (rule.by_policy, rule.namespaces) == (True, (".corp.example.com",))
    assert "DA-{1}\\Name" in rule.source.text
    (link,) = [fact for fact in found if isinstance(fact, IPHTTPSConfiguration)]
    assert link.url == "https://da.example.com:443/IPHTTPS"
    names = {fact.name for fact in found if isinstance(fact, RegistryValue)}
    assert names & {"Old", "Other"} == set()


def test_a_file_that_is_cut_off_counts_as_far_as_it_goes() -> None:
    content = build_registry_pol(ENTRIES)
    bundle = read_all([Evidence("a.pol", content=content[:-5])], [PARSER])
    assert [item.file for item in bundle.unreadable] == ["a.pol"]
    assert [fact for fact in bundle.read[0].facts if isinstance(fact, NRPTRule)]
