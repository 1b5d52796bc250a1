"""What values of the registry mean, whichever way they were printed or exported.

The keys of group policies and of local settings differ in their beginnings only; [MS-GPNRPT]
section 2.2 names the values of name resolution rules, [MS-FASP] section 2.2.2 those of
connection security rules.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from throughway.doctor.parsers.forms import numbers
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import ConnectionSecurityRule
from throughway.model.facts.names import NRPTRule, PolicyView
from throughway.model.facts.network import BrowserProxy, DisabledComponents, RegistryValue
from throughway.model.facts.transition import IPHTTPSConfiguration

_TCPIP6 = "disabledcomponents"
_INTERNET = "\\internet settings"
_SYSTEM = ("s-1-5-18", ".default", "hkey_local_machine", "hklm")
_NRPT = re.compile(r"\\dnspolicyconfig\\([^\\]{1,255})$", re.IGNORECASE)
_IPHTTPS = "\\v6transition\\iphttps\\iphttpsinterface"
_CONSEC = "\\consecrules"
_POLICIES = "\\policies\\"
_OF_INTEREST = (
    *("\\tcpip6\\parameters", _INTERNET, "\\dnspolicyconfig", "\\v6transition", _CONSEC),
    *("\\dnsclient", "\\iphlpsvc", "\\networkconnectivitystatusindicator", "\\nlasvc"),
)
_DIRECTACCESS = 0x4
"""Of ConfigOptions: the rule is one of DirectAccess."""
_GENERIC = 0x8
"""Of ConfigOptions: the rule names DNS servers of its own."""
_NO_PROXY, _DEFAULT_PROXY, _NAMED_PROXY = 0, 1, 2
_TUNNEL = re.compile(r"^(L|R)(?:ocal|emote)?_?\w{0,12}?tun\w{0,20}$", re.IGNORECASE)
_ENDPOINT = re.compile(r"^EP([12])_?[46]$", re.IGNORECASE)


def of_interest(key: str) -> bool:
    """Whether anything of such a key is asked for; exports may hold a whole hive."""
    lowered = key.lower()
    return any(part in lowered for part in _OF_INTEREST)


def of_key(values: Sequence[RegistryValue]) -> Iterator[Fact]:
    """Yield the facts that the values of one key make together."""
    if not values:
        return
    key = values[0].key.lower()
    by_name = {value.name.lower(): value for value in values}
    components = by_name.get(_TCPIP6)
    if components is not None and isinstance(components.value, int):
        yield DisabledComponents(source=components.source, bits=components.value & 0xFFFFFFFF)
    if key.endswith(_INTERNET):
        yield _browser_proxy(key, by_name, values[0])
    elif match := _NRPT.search(key):
        yield from _nrpt_rule(match[1], key, by_name)
    elif key.endswith(_IPHTTPS):
        yield from _iphttps(key, by_name)
    elif key.endswith(_CONSEC):
        for value in values:
            yield from _connection_security_rule(value)


def _browser_proxy(
    key: str, by_name: Mapping[str, RegistryValue], first: RegistryValue
) -> BrowserProxy:
    source = (by_name.get("proxyserver") or by_name.get("proxyenable") or first).source
    enabled = by_name.get("proxyenable")
    return BrowserProxy(
        source=source,
        enabled=bool(enabled.value) if enabled is not None else None,
        proxy=_text(by_name, "proxyserver"),
        script=_text(by_name, "autoconfigurl"),
        system=any(word in key for word in _SYSTEM),
    )


def _nrpt_rule(name: str, key: str, by_name: Mapping[str, RegistryValue]) -> Iterator[Fact]:
    named = by_name.get("name")
    if named is None or not named.value:
        return
    spaces = named.value if isinstance(named.value, tuple) else (str(named.value),)
    options = _number(by_name, "configoptions")
    inside = _list(by_name, "directaccessdnsservers")
    directaccess = bool(options & _DIRECTACCESS) if options is not None else inside is not None
    generic = options is None or bool(options & _GENERIC)
    yield NRPTRule(
        source=named.source,
        view=PolicyView.RULE,
        namespaces=spaces,
        directaccess=directaccess,
        dns_servers=(inside or ()) if directaccess else None,
        name_servers=(_list(by_name, "genericdnsservers") or ()) if generic else (),
        proxy=_proxy(by_name),
        dnssec_required=_flag(by_name, "dnssecvalidationrequired"),
        ipsec_required=_flag(by_name, "directaccessqueryipsecrequired"),
        rule_name=name,
        version=_number(by_name, "version"),
        by_policy=_POLICIES in key,
    )


def _proxy(by_name: Mapping[str, RegistryValue]) -> str | None:
    kind = _number(by_name, "directaccessproxytype")
    if kind == _NAMED_PROXY:
        return _text(by_name, "directaccessproxyname")
    return {_NO_PROXY: "NoProxy", _DEFAULT_PROXY: "UseDefault"}.get(-1 if kind is None else kind)


def _iphttps(key: str, by_name: Mapping[str, RegistryValue]) -> Iterator[Fact]:
    url = by_name.get("iphttps_clienturl")
    if url is not None and isinstance(url.value, str):
        yield IPHTTPSConfiguration(
            source=url.source,
            url=url.value,
            policy_store="GroupPolicy" if _POLICIES in key else None,
        )


def _connection_security_rule(value: RegistryValue) -> Iterator[Fact]:
    """A rule is one text: ``v2.20|Action=SecureServer|Active=TRUE|Name=…|EP2_6=…|``."""
    if not isinstance(value.value, str) or "|" not in value.value:
        return
    fields = [part.partition("=") for part in value.value.split("|")]
    one = {name.lower(): text for name, _, text in fields}
    if not one.get("name") or one["name"].startswith("@"):
        return
    tunnels = {m[1].lower(): text for name, _, text in fields if (m := _TUNNEL.match(name))}
    ends: dict[str, list[str]] = {"1": [], "2": []}
    for name, _, text in fields:
        if match := _ENDPOINT.match(name):
            ends[match[1]].append(text)
    yield ConnectionSecurityRule(
        source=value.source,
        name=one["name"],
        enabled=numbers.boolean(one.get("active", "")),
        profiles=tuple(text.lower() for name, _, text in fields if name.lower() == "profile"),
        mode="tunnel" if tunnels else None,
        local_endpoint=numbers.address(tunnels.get("l", "")),
        remote_endpoint=numbers.address(tunnels.get("r", "")),
        endpoint1=tuple(ends["1"]),
        endpoint2=tuple(ends["2"]),
        action=one.get("action"),
    )


def _text(by_name: Mapping[str, RegistryValue], name: str) -> str | None:
    value = by_name.get(name)
    return str(value.value) if value is not None and value.value else None


def _number(by_name: Mapping[str, RegistryValue], name: str) -> int | None:
    value = by_name.get(name)
    return value.value if value is not None and isinstance(value.value, int) else None


def _flag(by_name: Mapping[str, RegistryValue], name: str) -> bool | None:
    number = _number(by_name, name)
    return None if number is None else bool(number)


def _list(by_name: Mapping[str, RegistryValue], name: str) -> tuple[str, ...] | None:
    """Return addresses that stand in one text, between semicolons."""
    value = by_name.get(name)
    if value is None:
        return None
    texts = value.value if isinstance(value.value, tuple) else (str(value.value or ""),)
    parts = (part.strip() for text in texts for part in re.split("[;, ]", text))
    return tuple(numbers.address(part) or part for part in parts if part)
