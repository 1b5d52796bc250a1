"""Native IPv6: which way is native, and whether it answers."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from throughway.client import native as module
from throughway.client.native import Native, Way, find_way
from throughway.model.status import TransportState
from throughway.net import netlink
from throughway.net.netlink import InterfaceAddress, Route

ENDPOINT = POLICY.infrastructure.endpoint
TENTATIVE, DEPRECATED = 0x40, 0x20


class Kernel:
    """What the kernel says of addresses and routes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[InterfaceAddress] = []
        self.routes: list[Route] = []
        monkeypatch.setattr(netlink, "addresses", lambda: tuple(self.addresses))
        monkeypatch.setattr(netlink, "routes", lambda _table: tuple(self.routes))

    def address(self, text: str, interface: str = "eth0", flags: int = 0) -> "Kernel":
        self.addresses.append(InterfaceAddress(interface, ip_address(text), 64, 0, flags))
        return self

    def route(self, prefix: str, interface: str = "eth0", metric: int = 100) -> "Kernel":
        via = f"fe80::{metric}"
        self.routes.append(
            Route(prefix=prefix, via=via, interface=interface, metric=metric, protocol=9)
        )
        return self


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def way() -> Way | None:
    return find_way(ENDPOINT, frozenset({"iphttps0"}))


def test_a_global_address_with_a_way_out(kernel: Kernel) -> None:
    kernel.address("2001:db8:66::7").route("::/0")
    assert way() == Way("eth0", "2001:db8:66::7", "fe80::100")


def test_the_most_specific_route_then_the_metric(kernel: Kernel) -> None:
    kernel.address("2001:db8:66::7").address("2001:db8:67::7", "wlan0")
    kernel.route("::/0", metric=50).route("::/0", "wlan0", metric=60)
    found = way()
    assert found is not None
    assert found.interface == "eth0"
    kernel.route("2002::/16", "wlan0", metric=900)
    found = way()
    assert found is not None
    assert found.interface == "wlan0"


@pytest.mark.parametrize(
    ("address", "interface", "flags"),
    [
        ("192.0.2.7", "eth0", 0),
        ("2001:db8:66::7", "eth0", TENTATIVE),
        ("2001:db8:66::7", "eth0", DEPRECATED),
        ("2001:db8:66::7", "iphttps0", 0),
        ("2002:836b:32::1", "eth0", 0),
        ("2001:0:836b:2::1", "eth0", 0),
        ("::1", "eth0", 0),
    ],
)
def test_what_is_not_native(kernel: Kernel, address: str, interface: str, flags: int) -> None:
    kernel.address(address, interface, flags).route("::/0", interface)
    assert way() is None


def test_an_address_without_a_way_out(kernel: Kernel) -> None:
    assert kernel.address("2001:db8:66::7").route("2001:db8::/32") is kernel
    assert way() is None


def test_our_own_route_is_no_proof(kernel: Kernel) -> None:
    kernel.address("2001:db8:66::7")
    kernel.routes.append(Route(prefix=f"{ENDPOINT}/128", interface="eth0", via="fe80::1"))
    assert way() is None


def test_without_an_address_it_says_so_and_looks_again_when_told(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        changed = asyncio.Event()
        native = Native(POLICY, changed.set)
        native.start()
        await changed.wait()
        assert "no interface has a native IPv6 address" in str(native.failure)
        assert native.status().state is TransportState.FAILED
        asked = asyncio.Event()

        async def answers(_way: Way) -> bool:
            asked.set()
            return True

        monkeypatch.setattr(native, "_answers", answers)
        changed.clear()
        kernel.address("2001:db8:66::7").route("::/0")
        native.network_changed()
        await changed.wait()
        assert asked.is_set()
        assert (native.up, native.address) == (True, "2001:db8:66::7")
        assert native.failure is None
        kernel.addresses.clear()
        native.network_changed()
        assert not native.up, "at once"
        await native.stop()
        assert native.status().state is TransportState.IDLE

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


def test_one_that_falls_silent_is_lost(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_INTERVAL", 0.01)
    kernel.address("2001:db8:66::7").route("::/0")

    async def scenario() -> None:
        answers = iter([True, True, False])
        changed = asyncio.Event()
        native = Native(POLICY, changed.set)

        async def answered(_way: Way) -> bool:
            return next(answers)

        monkeypatch.setattr(native, "_answers", answered)
        native.start()
        await changed.wait()
        assert native.up
        changed.clear()
        await changed.wait()
        assert not native.up
        assert "does not answer over eth0" in str(native.failure)
        await native.stop()

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


@pytest.fixture
def reachable() -> Iterator[str]:
    """Return a namespace with native IPv6, whose router has the endpoint."""
    near, far = f"nat{os.getpid()}a", f"nat{os.getpid()}b"
    steps = [
        f"netns add {near}",
        f"netns add {far}",
        f"-n {near} link add v0 type veth peer name v1 netns {far}",
        f"-n {near} link set v0 up",
        f"-n {far} link set v1 up",
        f"-n {far} link set lo up",
        f"-n {near} address add 2001:db8:66::7/64 dev v0 nodad",
        f"-n {far} address add 2001:db8:66::1/64 dev v1 nodad",
        f"-n {far} address add {ENDPOINT}/128 dev lo nodad",
        f"-n {near} route add ::/0 via 2001:db8:66::1",
    ]
    try:
        for step in steps:
            subprocess.run(["ip", *step.split()], check=True)
        yield near
    finally:
        for name in (near, far):
            subprocess.run(["ip", "netns", "del", name], check=False)


PROVE = """
import asyncio
from tests.pki.test_bundle import POLICY
from throughway.client.native import Native
async def main():
    changed = asyncio.Event()
    native = Native(POLICY, changed.set)
    native.start()
    await changed.wait()
    print(native.up, native.interface, native.gateway, native.address, native.failure)
    await native.stop()
asyncio.run(asyncio.wait_for(main(), 60))
"""


def proven(namespace: str) -> str:
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", PROVE]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.lab
def test_the_endpoint_is_asked_and_must_answer(reachable: str) -> None:
    assert proven(reachable) == "True v0 2001:db8:66::1 2001:db8:66::7 None"
    away = ["ip", "netns", "exec", reachable, "ip", "-6", "route", "replace", "::/0", "via"]
    subprocess.run([*away, "2001:db8:66::99"], check=True)
    assert proven(reachable).startswith("False")
