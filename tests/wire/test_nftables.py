"""Which packets a ruleset is sure to drop; what nft itself lists is the input."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.net.namespace import in_namespace, run
from throughway.wire.nftables import MAX_DEPTH, Dropped, Packet, Ruleset, RulesetError

IKE = Packet(hook="input", protocol="udp", dport=500, sport=500, iif="iphttps0", state="untracked")
WEB = Packet(hook="output", version="ipv4", protocol="tcp", dport=443, state="new", oif="eth0")
BACK = Packet(hook="input", version="ipv4", protocol="tcp", sport=443, state="established")
THROUGH = Packet(hook="forward", iif="ipsec0", state="new")
ASKED = Packet(hook="input", protocol="ipv6-icmp", icmp_type=135)

INPUT = "type filter hook input priority 0;"
OUTPUT = "type filter hook output priority 0;"
FORWARD = "type filter hook forward priority 0;"

DROPPED = (
    (IKE, f"chain c {{ {INPUT} udp dport 500 drop; }}"),
    (IKE, f"chain c {{ {INPUT} udp dport {{ 500, 4500 }} counter drop; }}"),
    (IKE, f"chain c {{ {INPUT} udp dport 400-600 reject; }}"),
    (IKE, f"chain c {{ {INPUT} th dport 500 drop; }}"),
    (IKE, f"chain c {{ {INPUT} udp dport != 53 drop; }}"),
    (IKE, f"chain c {{ {INPUT} meta l4proto {{ tcp, udp }} drop; }}"),
    (IKE, f'chain c {{ {INPUT} iifname "iphttps*" drop; }}'),
    (IKE, f"chain c {{ {INPUT} meta nfproto ipv6 drop; }}"),
    (IKE, f"chain c {{ {INPUT} policy drop; ct state established,related accept; }}"),
    (IKE, f'chain c {{ {INPUT} policy drop; tcp dport 22 accept; iifname "lo" accept; }}'),
    (IKE, f"chain d {{ udp dport 500 drop; }} chain c {{ {INPUT} jump d; accept; }}"),
    (IKE, f"chain d {{ return; }} chain c {{ {INPUT} policy drop; goto d; accept; }}"),
    (IKE, f"chain c {{ {INPUT} udp dport vmap {{ 53 : accept, 500 : drop }}; }}"),
    (
        IKE,
        "set s { type inet_service; flags interval; elements = { 400-600 }; } "
        f"chain c {{ {INPUT} udp dport @s drop; }}",
    ),
    (IKE, "chain c { type filter hook prerouting priority -300; udp dport 500 drop; }"),
    (IKE, f"chain c {{ {INPUT} ip6 saddr 2001:db8::/32 drop; udp dport 500 drop; }}"),
    (WEB, f"chain c {{ {OUTPUT} tcp dport https drop; }}"),
    (WEB, f"chain c {{ {OUTPUT} policy drop; udp dport 53 accept; }}"),
    (WEB, 'chain c { type filter hook postrouting priority 0; oifname "eth0" drop; }'),
    (BACK, f"chain c {{ {INPUT} ct state != new drop; }}"),
    (THROUGH, f"chain c {{ {FORWARD} policy drop; }}"),
    (THROUGH, f'chain c {{ {FORWARD} policy drop; iifname "docker0" accept; }}'),
    (ASKED, f"chain c {{ {INPUT} icmpv6 type {{ nd-neighbor-solicit, nd-router-advert }} drop; }}"),
    (ASKED, f"chain c {{ {INPUT} icmpv6 type 133-136 drop; }}"),
)
PASSED = (
    (IKE, f"chain c {{ {INPUT} policy drop; udp dport 500 accept; }}"),
    (IKE, f"chain c {{ {INPUT} policy drop; ip6 saddr 2001:db8::/32 accept; }}"),
    (IKE, f"chain c {{ {INPUT} ip6 saddr 2001:db8::/32 udp dport 500 drop; }}"),
    (IKE, f"chain c {{ {INPUT} udp dport 500 limit rate over 5/second drop; }}"),
    (IKE, f"chain c {{ {INPUT} policy drop; limit rate 5/second accept; }}"),
    (IKE, f'chain c {{ {INPUT} iifname "eth0" drop; }}'),
    (IKE, f"chain c {{ {INPUT} tcp dport 500 drop; }}"),
    (IKE, f"chain c {{ {INPUT} ip protocol udp drop; }}"),
    (IKE, f"chain c {{ {OUTPUT} drop; }}"),
    (IKE, f"chain d {{ accept; }} chain c {{ {INPUT} policy drop; jump d; }}"),
    (IKE, f"chain d {{ accept; }} chain c {{ {INPUT} policy drop; meta skuid 5 jump d; }}"),
    (IKE, f"chain c {{ {INPUT} udp dport 500 accept; drop; }}"),
    (IKE, f"chain c {{ {INPUT} meta mark and 0xff == 0x42 accept; drop; }}"),
    (
        IKE,
        "map m { type inet_service : verdict; elements = { 500 : accept }; } "
        f"chain c {{ {INPUT} policy drop; udp dport vmap @m; }}",
    ),
    (WEB, f'chain c {{ {OUTPUT} oifname != "eth0" drop; }}'),
    (
        WEB,
        "chain c { type nat hook output priority 0; policy accept; tcp dport 443 redirect to :1; }",
    ),
    (THROUGH, f'chain c {{ {FORWARD} policy drop; iifname "ipsec*" accept; }}'),
    (THROUGH, f"chain c {{ {FORWARD} policy drop; tcp dport 443 accept; }}"),
    (ASKED, f"chain c {{ {INPUT} icmpv6 type echo-request drop; }}"),
)


@pytest.mark.lab
def test_what_nft_lists_is_understood() -> None:
    def there() -> None:
        for drops, cases in ((True, DROPPED), (False, PASSED)):
            for packet, chains in cases:
                lines = chains.replace("} chain", "}\nchain")
                rules = f"flush ruleset\ntable inet other {{\n{lines}\n}}\n"
                subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
                end = Ruleset(run("nft", "-j", "list", "ruleset")).dropped(packet)
                assert (end is not None) is drops, (packet, chains, end)

    in_namespace(there)


def listing(*rules: list[object], policy: str = "accept", name: str = "other") -> str:
    where = {"family": "inet", "table": name, "chain": "c"}
    base = {"family": "inet", "table": name, "name": "c", "hook": "input", "type": "filter"}
    objects: list[object] = [
        {"metainfo": {"json_schema_version": 1}},
        {"table": {"family": "inet", "name": name}},
        {"chain": base | {"policy": policy}},
    ]
    objects += [{"rule": where | {"handle": n, "expr": rule}} for n, rule in enumerate(rules)]
    return json.dumps({"nftables": objects})


def test_where_it_ends_is_said() -> None:
    ruleset = Ruleset(listing([{"counter": None}], [{"drop": None}]))
    end = ruleset.dropped(IKE)
    assert end == Dropped("inet", "other", "c", 1)
    assert str(end) == "table inet other, chain c, rule 1"
    assert str(Ruleset(listing(policy="drop")).dropped(IKE)).endswith("its policy")


def test_own_tables_drop_on_purpose() -> None:
    own = listing(policy="drop", name="throughway-gateway")
    assert Ruleset(own).dropped(IKE)
    assert Ruleset(own, ("throughway-",)).dropped(IKE) is None


def test_chains_that_jump_in_a_circle_end() -> None:
    jump: list[object] = [{"jump": {"target": "c"}}]
    assert MAX_DEPTH < 100
    assert Ruleset(listing(jump, jump, policy="drop")).dropped(IKE) is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"nftables": 3}', '{"nftables": [{"table": 1}]}']
)
def test_what_is_no_ruleset_is_an_error(text: str) -> None:
    with pytest.raises(RulesetError):
        Ruleset(text)


WORDS = (
    *(
        "match",
        "op",
        "left",
        "right",
        "meta",
        "key",
        "payload",
        "protocol",
        "field",
        "vmap",
        "data",
    ),
    *("set", "prefix", "addr", "len", "range", "elem", "val", "jump", "target", "drop", "ct"),
)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.lists(JSON, max_size=4), max_size=4))
def test_whatever_stands_in_a_rule_is_survived(rules: list[list[object]]) -> None:
    end = Ruleset(listing(*rules)).dropped(IKE)
    assert end is None or end.chain == "c"
