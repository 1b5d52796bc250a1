"""tayga's configuration, its device, and the walls around it, in a network of its own."""

import asyncio
import signal
import subprocess
import tempfile
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.net.namespace import wait_until as until
from tests.patience import PATIENCE
from throughway.model.config import NAT64Config
from throughway.net import nat64, netlink
from throughway.net.nat64 import NAT64Error, Walls, render_config, render_walls
from throughway.net.netlink import Route

CONFIG = NAT64Config(
    prefix="2001:db8:c0:7777::/96",
    ipv4_prefixes=("10.0.0.0/16", "192.168.7.0/24"),
    listen=(("2001:db8:c0:1::1", 53),),
    servers=("2001:db8:c0:1::10",),
)
WALLS = Walls(interface="nat64", pool=CONFIG.pool, ipv4_prefixes=CONFIG.ipv4_prefixes)


def test_what_tayga_is_told() -> None:
    lines = render_config(CONFIG).splitlines()
    assert "prefix 2001:db8:c0:7777::/96" in lines
    assert "dynamic-pool 198.18.0.0/20" in lines
    assert nat64.own_address(CONFIG.pool) == IPv4Address("198.18.0.1")
    assert "ipv4-addr 198.18.0.1" in lines


def test_who_decrypts_decides_what_a_tunnel_is() -> None:
    assert 'iifname != "ipsec0"' in render_walls(WALLS)
    assert "meta ipsec missing" in render_walls(replace(WALLS, kernel_esp=True))
    others = 'meta nfproto ipv4 iifname != "nat64" oifname != "nat64"'
    assert others not in render_walls(WALLS)
    assert others in render_walls(replace(WALLS, routes_others=False))


def _tayga() -> None:
    folder = Path(tempfile.mkdtemp(prefix="nat64-"))
    process = nat64.spawn(CONFIG, folder / "run")
    try:
        until(lambda: nat64.exists("nat64") or process.poll() is not None)
        assert process.poll() is None, nat64.last_words(folder / "run")
        assert not nat64.connected(CONFIG)
        nat64.connect(CONFIG)
        nat64.connect(CONFIG)
        assert nat64.connected(CONFIG)
        assert nat64.leads(CONFIG)
        run("ip", "-6", "route", "add", "blackhole", CONFIG.prefix, "metric", "5")
        assert nat64.connected(CONFIG)
        assert not nat64.leads(CONFIG), "a better route takes it away"
        run("ip", "-6", "route", "del", "blackhole", CONFIG.prefix, "metric", "5")
        until(lambda: "nobody" in run("ps", "-o", "user=", "-p", str(process.pid)))
        run("ip", "-6", "address", "add", "2001:db8:da::1/128", "dev", "lo")
        assert asyncio.run(nat64.answers(CONFIG, PATIENCE))
        process.send_signal(signal.SIGSTOP)
        until(lambda: "T" in run("ps", "-o", "state=", "-p", str(process.pid)))
        assert not asyncio.run(nat64.answers(CONFIG, 0.1)), "it hangs"
        process.send_signal(signal.SIGCONT)
        assert asyncio.run(nat64.answers(CONFIG, PATIENCE))
        netlink.delete_route(Route(prefix=CONFIG.pool, interface="nat64"))
        assert not nat64.connected(CONFIG)
    finally:
        process.terminate()
        process.wait()
    until(lambda: not nat64.exists("nat64"))
    assert nat64.traffic("nat64") == (0, 0)
    with pytest.raises(NAT64Error, match="nat64"):
        nat64.connect(CONFIG)


@pytest.mark.lab
def test_its_device_comes_and_goes_with_it() -> None:
    in_namespace(_tayga)


def _walls() -> None:
    for walls in (WALLS, replace(WALLS, kernel_esp=True), replace(WALLS, routes_others=False)):
        nat64.guard(walls)
        assert nat64.guarded()
    nat64.unguard()
    nat64.unguard()
    assert not nat64.guarded()
    with pytest.raises(Exception, match="nft"):
        nat64.guard(replace(WALLS, pool="nonsense"))
    nat64.set_forwarding(True)
    assert nat64.forwards()
    nat64.set_forwarding(False)
    assert not nat64.forwards()


@pytest.mark.lab
def test_the_kernel_takes_the_walls() -> None:
    in_namespace(_walls)


def _hosts() -> None:
    """A tunnel and a lan, each with a host behind it; tayga between them, and a counter."""
    for name in ("ipsec0", "lan"):
        run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
        run("ip", "netns", "add", f"t{name}")
        run("ip", "link", "set", f"{name}p", "netns", f"t{name}")
        run("ip", "link", "set", name, "up")
    run("ip", "-6", "address", "add", "2001:db8:da::1/64", "dev", "ipsec0", "nodad")
    run("ip", "address", "add", "10.0.0.1/24", "dev", "lan")
    run("ip", "-6", "address", "add", "2001:db8:c0:1::1/64", "dev", "lan", "nodad")
    for name, commands in {
        "tipsec0": (
            "address add 2001:db8:da::2/64 dev ipsec0p nodad",
            "link set ipsec0p up",
            "-6 route add default via 2001:db8:da::1",
        ),
        "tlan": (
            "address add 10.0.0.2/24 dev lanp",
            "address add 10.1.0.2/32 dev lanp",
            "-6 address add 2001:db8:c0:1::2/64 dev lanp nodad",
            "link set lanp up",
            "-6 route add default via 2001:db8:c0:1::1",
            "route add default via 10.0.0.1",
        ),
    }.items():
        for command in commands:
            run("ip", "-n", name, *command.split())
    run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    run("ip", "route", "add", "10.1.0.0/16", "via", "10.0.0.2")


def _ping(namespace: str, address: str) -> bool:
    command = ["ip", "netns", "exec", namespace, "ping", "-c1", "-W2", address]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _translated() -> None:
    run("mount", "-t", "tmpfs", "none", "/run")
    _hosts()
    folder = Path(tempfile.mkdtemp(prefix="nat64-"))
    nat64.guard(replace(WALLS, routes_others=False))
    nat64.set_forwarding(True)
    process = nat64.spawn(CONFIG, folder / "run")
    try:
        until(lambda: nat64.exists("nat64"))
        nat64.connect(CONFIG)
        host = "2001:db8:c0:7777::a00:2"
        until(lambda: _ping("tipsec0", host))
        assert min(nat64.traffic("nat64")) > 0
        # Not allowed, the gateway itself, another client of the pool, and from within.
        for address in ("a01:2", "a00:1", "c612:5"):
            assert not _ping("tipsec0", f"2001:db8:c0:7777::{address}")
        assert not _ping("tlan", host)
        assert not _ping("tlan", "198.18.0.1")
        # The same with the walls down, to see that it is they.
        nat64.unguard()
        until(lambda: _ping("tlan", "198.18.0.1"))
    finally:
        process.terminate()
        process.wait()


@pytest.mark.lab
def test_only_what_comes_out_of_a_tunnel_is_translated_and_only_to_what_is_allowed() -> None:
    in_namespace(_translated)


def test_a_translator_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(nat64, "PROGRAM", "/nowhere/tayga")
    with pytest.raises(NAT64Error, match="No such file"):
        nat64.spawn(CONFIG, tmp_path)
    assert nat64.last_words(tmp_path / "none") == ""
