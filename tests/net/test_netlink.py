"""Netlink against the kernel; ``ip`` is the second opinion."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.net.namespace import in_namespace, run
from tests.patience import PATIENCE
from throughway.net import netlink
from throughway.net.netlink import NetworkMonitor, NetworkState, Route, Rule


def ip(*arguments: str) -> None:
    run("ip", *arguments)


def ip_json(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("ip", "-json", *arguments) or "[]")
    return found


def add_pair() -> None:
    ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")


def test_loopback_is_seen_without_privileges() -> None:
    assert "127.0.0.1" in {str(address.address) for address in netlink.addresses("lo")}
    assert netlink.addresses("no-such-link") == ()
    assert all(interface != "lo" for interface, _ in netlink.network_state().addresses)
    assert {rule.table for rule in netlink.rules()} >= {netlink.MAIN_TABLE}


def _routes_and_rules() -> None:
    add_pair()
    blocked = Route(prefix="2001:db8:c0::/48", kind="unreachable", table=1221)
    via = Route(prefix="2001:db8:7::/64", via="fe80::1", interface="v0", metric=7)
    ip("link", "set", "v0", "up")
    for _ in range(2):
        netlink.add_route(blocked)
        netlink.add_route(via)
    (found,) = ip_json("-6", "route", "show", "table", "1221")
    assert (found["type"], found["dst"]) == ("unreachable", "2001:db8:c0::/48")
    assert netlink.routes(1221) == (blocked,)
    assert via in netlink.routes(netlink.MAIN_TABLE)

    assert netlink.interface_towards("2001:db8:7::5") == "v0"
    assert not netlink.interface_towards("2001:db8:8::5")

    foreign = Route(prefix="2001:db8:99::/48", kind="unreachable", table=1221, protocol=4)
    netlink.add_route(foreign)
    netlink.flush_routes(1221)
    assert netlink.routes(1221) == (foreign,)
    for _ in range(2):
        netlink.delete_route(foreign)
        netlink.delete_route(via)
    assert via not in netlink.routes(netlink.MAIN_TABLE)

    for rule in (
        Rule(table=1221, priority=221, mark=0x42, invert=True),
        Rule(table=254, priority=219, source="2001:db8::1/128"),
        Rule(table=254, priority=219, source="192.0.2.1/32", family=socket.AF_INET),
    ):
        for _ in range(2):
            netlink.add_rule(rule)
        assert netlink.rules(rule.family).count(rule) == 1
    (shown,) = [r for r in ip_json("-6", "rule") if r["priority"] == 221]
    assert shown["fwmark"] == "0x42"
    assert "not" in shown
    for _ in range(2):
        netlink.delete_rule(Rule(table=1221, priority=221, mark=0x42, invert=True))
    assert 221 not in {rule.priority for rule in netlink.rules()}


@pytest.mark.lab
def test_routes_and_rules_are_idempotent_and_carry_our_mark() -> None:
    in_namespace(_routes_and_rules)


def _default_routes() -> None:
    add_pair()
    ip("link", "set", "v0", "up")
    ip("link", "set", "v1", "up")
    ip("address", "add", "192.0.2.5/24", "dev", "v0")
    netlink.add_route(Route(prefix="0.0.0.0/0", via="192.0.2.1", interface="v0"))
    state = netlink.network_state()
    assert state == NetworkState(frozenset({("v0", "192.0.2.5")}), frozenset({("v0", "192.0.2.1")}))
    assert state.connected
    assert not netlink.network_state(frozenset({"v0"})).connected
    ip("link", "set", "v1", "down")
    assert not netlink.network_state().connected, "an address without a carrier is no network"


@pytest.mark.lab
def test_the_state_of_the_network_is_usable_addresses_and_default_routes() -> None:
    in_namespace(_default_routes)


async def _observe(steps: Callable[[], None], expected: Callable[[NetworkState], bool]) -> int:
    seen: asyncio.Queue[NetworkState] = asyncio.Queue()
    monitor = NetworkMonitor(seen.put_nowait, ignored=frozenset({"ours0"}))
    task = asyncio.create_task(monitor.run())
    async with asyncio.timeout(PATIENCE):
        await seen.get()
        steps()
        count = 1
        while not expected(await seen.get()):
            count += 1
    for _ in range(2):
        await monitor.close()
    assert task.cancelled()
    return count


def _monitored() -> None:
    add_pair()
    ip("link", "set", "v0", "up")
    ip("link", "set", "v1", "up")
    ip("tuntap", "add", "ours0", "mode", "tun")

    def noise_then_address() -> None:
        for number in range(20):
            ip("route", "add", "unreachable", f"192.0.2.{number}/32")
        ip("address", "add", "2001:db8::5/64", "dev", "v0", "nodad")

    count = asyncio.run(
        _observe(noise_then_address, lambda s: ("v0", "2001:db8::5") in s.addresses)
    )
    assert count == 1, "routes other than default ones are no change of network"
    count = asyncio.run(
        _observe(lambda: ip("link", "set", "v1", "down"), lambda s: not s.connected)
    )
    assert count == 1


@pytest.mark.lab
def test_the_monitor_tells_of_addresses_and_carriers_and_keeps_quiet_otherwise() -> None:
    in_namespace(_monitored)


def _waited() -> None:
    add_pair()

    async def scenario() -> str:
        waiting = asyncio.create_task(netlink.wait_global_address("v0", "2001:db8:da::/64"))
        await asyncio.sleep(0)
        netlink.add_address("v0", "2001:db8:99::5/64", check_duplicates=False)
        ip("link", "set", "v0", "up")
        # With duplicate address detection: tentative until it is done, which begins with a carrier.
        for _ in range(2):
            netlink.add_address("v0", "2001:db8:da::5/64")
        assert not any(
            address.usable
            for address in netlink.addresses("v0")
            if str(address.address) == "2001:db8:da::5"
        )
        ip("link", "set", "v1", "up")
        async with asyncio.timeout(PATIENCE):
            return await waiting

    assert asyncio.run(scenario()) == "2001:db8:da::5"
    for _ in range(2):
        netlink.delete_address("v0", "2001:db8:da::5/64")
    assert "2001:db8:da::5" not in {str(a.address) for a in netlink.addresses("v0")}


@pytest.mark.lab
def test_waiting_ends_when_the_address_has_passed_duplicate_detection() -> None:
    in_namespace(_waited)
