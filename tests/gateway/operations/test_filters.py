"""Other packet filters of a gateway: what they are sure to drop is told."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.operations_world import config, look
from throughway.gateway.operations import filters
from throughway.gateway.operations.parts import Parts
from throughway.health.checking import Check
from throughway.model.config import SixToFourServerConfig, TeredoServerConfig
from throughway.net.firewall import GatewayFirewall, guard_gateway


class NoIKE:
    async def version(self) -> str:
        return ""

    async def loaded_connections(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(), frozenset()


def found(checks: Iterable[Check]) -> list[tuple[str, str]]:
    answer = look(checks, "other-firewalls")
    assert not isinstance(answer, str), answer
    return answer


@pytest.mark.lab
def test_other_filters_beside_our_own(tmp_path: Path) -> None:
    gateway = config(tmp_path, listen=(("192.0.2.1", 443), ("::", 443)))
    parts = Parts(config=lambda: gateway, devices=lambda: ("iphttps0",), ike=NoIKE())
    checks = filters.checks(parts)

    def there() -> None:
        well = "no other firewall of this machine drops what clients need"
        guard_gateway(GatewayFirewall(routes_others=False))
        assert look(checks, "other-firewalls") == well
        run("ip", "link", "add", "ipsec0", "type", "veth", "peer", "name", "other")
        run("nft", "add table ip docker")
        run("nft", "add chain ip docker f { type filter hook forward priority 0; policy drop; }")
        assert look(checks, "other-firewalls") == well, "IPv4 is not ours"
        run("nft", "add table inet other")
        run("nft", "add chain inet other f { type filter hook forward priority 0; policy drop; }")
        into, back = (words for _, words in found(checks))
        assert into.startswith("what comes out of the tunnels")
        assert into.endswith("table inet other, chain f, its policy drops it")
        assert back.startswith("answers of the intranet")
        run("nft", 'add rule inet other f iifname "ipsec0" accept')
        run("nft", 'add rule inet other f oifname "ipsec0" ct state established accept')
        assert look(checks, "other-firewalls") == well
        run("nft", "add chain inet other i { type filter hook input priority 0; }")
        run("nft", "add rule inet other i tcp dport 443 ip daddr 192.0.2.1 drop")
        run("nft", "add rule inet other i udp dport 4500 drop")
        codes, words = zip(*found(checks), strict=True)
        assert set(codes) == {"firewall-drops-tunnels"}
        assert [line.partition(":")[0] for line in words] == [
            "TCP 443 of IP-HTTPS, in to 192.0.2.1",
            "UDP 4500 of IKE, in by iphttps0",
        ]

    in_namespace(there)


@pytest.mark.lab
def test_what_drops_the_ways_through_ipv4(tmp_path: Path) -> None:
    plain = config(tmp_path, listen=(("192.0.2.1", 443),))
    ipsec = replace(
        plain.ipsec,
        infrastructure_endpoint="2002:c000:201::1",
        intranet_endpoint="2002:c000:202::1",
    )
    gateway = replace(
        plain,
        ipsec=ipsec,
        sixtofour=SixToFourServerConfig(),
        teredo=TeredoServerConfig(address="192.0.2.1"),
    )
    parts = Parts(config=lambda: gateway, devices=lambda: (), ike=NoIKE())
    checks = filters.checks(parts)

    def words() -> list[str]:
        return [line.partition(":")[0] for _, line in found(checks)]

    def there() -> None:
        run("nft", "add table inet other")
        run("nft", "add chain inet other i { type filter hook input priority 0; }")
        run("nft", "add rule inet other i udp dport 3544 ip daddr 192.0.2.2 drop")
        assert words() == ["UDP 3544 of Teredo, in to 192.0.2.2"]
        run("nft", "flush chain inet other i")
        run("nft", "add rule inet other i meta l4proto 41 drop")
        assert words() == ["6to4, in to 192.0.2.1", "6to4, in to 192.0.2.2"]
        run("nft", "flush chain inet other i")
        run("nft", "add chain inet other o { type filter hook output priority 0; policy drop; }")
        run("nft", "add rule inet other o tcp sport 443 accept")
        run("nft", "add rule inet other o udp sport 3544 ct state established accept")
        run("nft", "add rule inet other o meta l4proto ipv6-icmp accept")
        assert words() == ["6to4, out from 192.0.2.1", "6to4, out from 192.0.2.2"]

    in_namespace(there)
