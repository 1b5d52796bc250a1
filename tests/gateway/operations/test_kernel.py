"""What the gateway needs of its machine, looked at in a network of its own."""

from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.operations_world import LINK, config, look
from throughway.gateway.operations import kernel


@pytest.mark.lab
def test_what_the_kernel_lacks(tmp_path: Path) -> None:
    gateway = config(tmp_path, listen=(("192.0.2.1", 443), ("::", 443)))
    checks = kernel.checks(lambda: gateway, lambda: ("link0",))

    def there() -> None:
        missing = [("network-adapter-down", "no adapter has the address 192.0.2.1")]
        assert look(checks, "adapters") == missing
        run("ip", "link", "add", "link0", "type", "veth", "peer", "name", "other")
        run("ip", "address", "add", "192.0.2.1/24", "dev", "link0")
        off = "link0, which has 192.0.2.1, is switched off"
        assert look(checks, "adapters") == [("network-adapter-down", off)]
        run("ip", "link", "set", "link0", "up")
        pulled = "link0, which has 192.0.2.1, has no carrier: its cable is pulled"
        assert look(checks, "adapters") == [("network-adapter-down", pulled)]
        run("ip", "link", "set", "other", "up")
        assert look(checks, "adapters") == "192.0.2.1 on adapters that are up"

        assert look(checks, "ipv6") == "IPv6 is on, on every link"
        run("sysctl", "-q", "-w", "net.ipv6.conf.link0.disable_ipv6=1")
        disabled = "net.ipv6.conf.link0.disable_ipv6 is 1"
        assert look(checks, "ipv6") == [("ipv6-disabled", disabled)]
        run("sysctl", "-q", "-w", "net.ipv6.conf.link0.disable_ipv6=0")

        # An adapter without IPv6 is somebody's wish, unless an address of ours is gone with it.
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "plain0", "type", "veth", "peer", "name", "far0")
        run("ip", "link", "set", "plain0", "up")
        run("sysctl", "-q", "-w", "net.ipv6.conf.plain0.disable_ipv6=1")
        assert look(checks, "ipv6") == "IPv6 is on, on every link"
        serving = config(tmp_path, listen=(("2001:db8::1", 443),))
        inside = kernel.checks(lambda: serving, lambda: ("link0",))
        disabled = "net.ipv6.conf.plain0.disable_ipv6 is 1"
        assert look(inside, "ipv6") == [("ipv6-disabled", disabled)]
        run("ip", "address", "add", "2001:db8::1/64", "dev", "link0", "nodad")
        assert look(inside, "ipv6") == "IPv6 is on, on every link"

        run("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1")
        assert look(checks, "forwarding") == "IPv6 is forwarded"
        run("sysctl", "-q", "-w", "net.ipv6.conf.link0.forwarding=0")
        unforwarded = "net.ipv6.conf.link0.forwarding is 0"
        assert look(checks, "forwarding") == [("iphttps-forwarding-disabled", unforwarded)]
        run("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=0")
        unforwarded = "net.ipv6.conf.all.forwarding is 0"
        assert look(checks, "forwarding") == [("iphttps-forwarding-disabled", unforwarded)]

        unrouted = f"no route leads to {LINK} by link0"
        assert look(checks, "route") == [("iphttps-route-unpublished", unrouted)]
        run("ip", "-6", "route", "add", LINK, "dev", "link0")
        assert look(checks, "route") == "1 prefixes lead to their links"
        run("ip", "-6", "route", "add", "unreachable", LINK, "metric", "1")
        astray = "another route or rule makes it unreachable, see `ip -6 route; ip -6 rule`"
        assert look(checks, "route") == [("iphttps-route-unpublished", f"{LINK}: {astray}")]
        run("ip", "-6", "route", "del", "unreachable", LINK, "metric", "1")
        run("ip", "-6", "route", "add", LINK, "dev", "lo", "table", "7")
        run("ip", "-6", "rule", "add", "lookup", "7", "pref", "100")
        astray = "another route or rule leads it to lo instead of link0"
        assert look(checks, "route") == [("iphttps-route-unpublished", f"{LINK}: {astray}")]

    in_namespace(there)
