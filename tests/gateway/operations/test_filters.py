"""Other packet filters of a gateway: what they are sure to drop is told."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.operations_world import config, look
from throughway.gateway.operations import filters
from throughway.gateway.operations.parts import Parts
from throughway.health.checking import Check
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
