"""What of a machine stands in the way, whether the daemon runs or not."""

import json
from collections.abc import Callable

import pytest

from tests.linux_incidents import files, found, roots

Change = Callable[[str], str]


def without_status(change: dict[str, Change], host: str = "edge1") -> list[str]:
    """Return what is found on a sound machine after a change, without a word of its daemon."""
    bundle = files("well", host)
    bundle.pop("gateway-status.json", None)
    bundle.pop("client-status.json", None)
    del bundle["daemons.json"]
    for name, edit in change.items():
        before = bundle[name]
        bundle[name] = edit(before)
        assert bundle[name] != before
    return roots(found(bundle))


def swap(old: str, new: str) -> Change:
    return lambda text: text.replace(old, new)


def without(mark: str) -> Change:
    return lambda text: "".join(line for line in text.splitlines(keepends=True) if mark not in line)


def no_routes_by(prefix: str) -> Change:
    def edit(text: str) -> str:
        routes = [r for r in json.loads(text) if not r.get("dev", "").startswith(prefix)]
        return json.dumps(routes, indent=1)

    return edit


def without_address(address: str) -> Change:
    def edit(text: str) -> str:
        devices = json.loads(text)
        for device in devices:
            device["addr_info"] = [a for a in device["addr_info"] if a.get("local") != address]
        return json.dumps(devices, indent=1)

    return edit


def rule(hook: str, text: str) -> Change:
    chain = (
        f"\tchain x {{\n\t\ttype filter hook {hook} priority 0; policy accept;\n\t\t{text}\n\t}}"
    )
    return lambda ruleset: ruleset + f"table inet site {{\n{chain}\n}}\n"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            {"sysctl.txt": swap("conf.all.forwarding = 1", "conf.all.forwarding = 0")},
            "iphttps-forwarding-disabled",
        ),
        (
            {"sysctl.txt": swap("conf.all.disable_ipv6 = 0", "conf.all.disable_ipv6 = 1")},
            "ipv6-disabled",
        ),
        ({"ip-route-6.json": no_routes_by("iphttps")}, "iphttps-route-unpublished"),
        ({"ss-tulnp.txt": without(":443 ")}, "iphttps-listener-down"),
        ({"ip-address.json": without_address("131.107.0.2")}, "network-adapter-down"),
        (
            {"nft-list-ruleset.txt": rule("input", "tcp dport { 80, 443 } drop")},
            "iphttps-port-blocked",
        ),
        (
            {"certificates.json": swap('"not_after": "20', '"not_after": "19')},
            "iphttps-cert-expired",
        ),
        (
            {"certificates.json": swap('"not_before": "20', '"not_before": "22')},
            "iphttps-cert-not-yet-valid",
        ),
    ],
)
def test_it_is_found_on_a_gateway(change: dict[str, Change], code: str) -> None:
    assert without_status({}) == []
    assert without_status(change)[0] == code


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (
            {"sysctl.txt": swap("conf.all.disable_ipv6 = 0", "conf.all.disable_ipv6 = 1")},
            ["ipv6-disabled"],
        ),
        (
            {"nft-list-ruleset.txt": rule("output", "tcp dport 443 reject")},
            ["iphttps-port-blocked"],
        ),
        (
            {"certificates.json": swap('"not_after": "20', '"not_after": "19')},
            ["ipsec-cert-expired"],
        ),
        # Of a client these are no faults.
        ({"nft-list-ruleset.txt": rule("input", "tcp dport 443 drop")}, []),
        ({"nft-list-ruleset.txt": rule("output", "tcp dport 4430-4440 drop")}, []),
        # It is connected: that is not the gateway's address.
        ({"nft-list-ruleset.txt": rule("output", "ip daddr 192.0.2.9 tcp dport 443 drop")}, []),
        ({"nft-list-ruleset.txt": rule("output", "meta skuid 1000 tcp dport 443 drop")}, []),
    ],
)
def test_it_is_found_on_a_client(change: dict[str, Change], codes: list[str]) -> None:
    bundle = files("well", "client1")
    for name, edit in change.items():
        bundle[name] = edit(bundle[name])
    assert roots(found(bundle)) == codes


@pytest.mark.parametrize(
    "protection",
    [
        "tcp dport 443 ct state new limit rate over 50/second drop",
        "ip saddr 192.0.2.0/24 tcp dport 443 drop",
        "tcp dport 443 ct count over 100 reject",
    ],
)
def test_what_keeps_a_flood_or_a_few_out_stops_no_clients(protection: str) -> None:
    assert without_status({"nft-list-ruleset.txt": rule("input", protection)}) == []
