"""By what a network is known: its router, else its prefix."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from throughway.net import netlink
from throughway.net import surroundings as module
from throughway.net.netlink import InterfaceAddress, Neighbour, Route
from throughway.net.surroundings import recognise

MAC = "02:00:00:00:00:07"
HOME = InterfaceAddress("eth0", ip_address("192.168.1.7"), 24, 0, 0)
OURS = InterfaceAddress("iphttps0", ip_address("2001:db8::7"), 64, 0, 0)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[object]]:
    """Return what the kernel says, to be changed."""
    kernel: dict[str, list[object]] = {"routes": [], "neighbours": [], "addresses": [HOME, OURS]}
    monkeypatch.setattr(netlink, "routes", lambda _table, _family: tuple(kernel["routes"]))
    monkeypatch.setattr(netlink, "neighbours", lambda: tuple(kernel["neighbours"]))
    monkeypatch.setattr(netlink, "addresses", lambda: tuple(kernel["addresses"]))
    monkeypatch.setattr(module, "_provoke", lambda interface, gateway: None)
    return kernel


def key() -> str:
    return asyncio.run(recognise(frozenset({"iphttps0"})))


def default(via: str, interface: str = "eth0", metric: int = 100) -> Route:
    return Route(prefix="0.0.0.0/0", via=via, interface=interface, metric=metric)


def neighbour(address: str, link_address: str = MAC) -> Neighbour:
    return Neighbour("eth0", ip_address(address), link_address)


def test_the_router_is_known_by_its_own_address(machine: dict[str, list[object]]) -> None:
    machine["routes"] = [default("192.168.1.254", metric=600), default("192.168.1.1")]
    machine["neighbours"] = [neighbour("192.168.1.254", "02:00:00:00:00:99")]
    machine["neighbours"] += [neighbour("192.168.1.1")]
    assert key() == f"router {MAC}"


def test_a_silent_router_leaves_the_prefix(machine: dict[str, list[object]]) -> None:
    machine["routes"] = [default("192.168.1.1")]
    machine["neighbours"] = [neighbour("192.168.1.2")]
    assert key() == "prefix 192.168.1.0/24"


def test_our_own_devices_are_no_network(machine: dict[str, list[object]]) -> None:
    machine["routes"] = [default("2001:db8::1", "iphttps0")]
    machine["addresses"] = [OURS]
    assert key() == ""


@pytest.fixture
def linked() -> Iterator[str]:
    """Return the name of a namespace whose default router is in another one."""
    near, far = f"sur{os.getpid()}a", f"sur{os.getpid()}b"
    steps = [
        f"netns add {near}",
        f"netns add {far}",
        f"-n {near} link add v0 type veth peer name v1 address {MAC} netns {far}",
        f"-n {near} link set v0 up",
        f"-n {far} link set v1 up",
        f"-n {near} address add 192.168.1.7/24 dev v0",
        f"-n {far} address add 192.168.1.1/24 dev v1",
        f"-n {near} route add default via 192.168.1.1",
    ]
    try:
        for step in steps:
            subprocess.run(["ip", *step.split()], check=True)
        yield near
    finally:
        for name in (near, far):
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.mark.lab
def test_a_real_router_is_asked_for(linked: str) -> None:
    code = "import asyncio; from throughway.net.surroundings import recognise as r\n"
    code += "print(asyncio.run(r()))"
    command = ["ip", "netns", "exec", linked, sys.executable, "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == f"router {MAC}"


@pytest.mark.lab
def test_a_router_that_is_not_there_is_told_once_it_was_looked_for(linked: str) -> None:
    code = (
        "import socket, sys, time; from throughway.net.surroundings import silent_router as r\n"
        "assert r() == ''\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "until = time.monotonic() + float(sys.argv[1])\n"
        "while not r() and time.monotonic() < until:\n"
        "    try: s.sendto(b'', ('203.0.113.1', 9))\n"
        "    except OSError: pass\n"
        "    time.sleep(0.05)\n"
        "print(r() or r(unreachable=True))"
    )
    within = ["ip", "netns", "exec", linked]

    def told(seconds: float) -> str:
        command = [*within, sys.executable, "-c", code, str(seconds)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        return answer.stdout.strip()

    assert told(0.2) == "", "it is there"
    route = "ip route replace default via 192.168.1.77"
    subprocess.run([*within, *route.split()], check=True)
    assert told(60.0) == "192.168.1.77"
