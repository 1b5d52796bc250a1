"""Whole looks at networks: behind NATs of several kinds, with miredo's Teredo server."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.namespace import Peer, in_namespace, peer, run
from tests.patience import PATIENCE
from throughway.model.network import NAT, NetworkSeen
from throughway.probe import sixtofour
from throughway.probe.analysis.network import ways
from throughway.probe.network import Around, Look

FIRST, SECOND, OWN = "131.107.0.2", "131.107.0.3", "192.168.7.2"
PAGES = (f"http://{FIRST}/generate_204",)

SERVERS = """
import socket, threading
def serve(port, answer):
    server = socket.create_server(("", port))
    def run():
        while True:
            sock, _ = server.accept()
            sock.recv(65536)
            sock.sendall(answer)
            sock.close()
    threading.Thread(target=run).start()
serve(80, b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
serve(443, bytes.fromhex("15030100020228"))
print("ready", flush=True)
"""


def look(**known: object) -> NetworkSeen:
    around = Around(gateway=FIRST, source="a test", pages=PAGES, **known)  # type: ignore[arg-type]
    return asyncio.run(Look(around).run({}))


@contextlib.contextmanager
def router(nat: str, filtered: str = "") -> Iterator[Peer]:
    """Stand in a network behind a router which is the Internet as well.

    Its rules are what a router at home has; behind them, on the same machine, are the servers.
    """
    with peer("eth0", f"{OWN}/24", ("192.168.7.1/24",)) as gateway:
        run("ip", "route", "add", "default", "via", "192.168.7.1")
        process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 600"], stdout=-1)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            internet = Peer(process)
            ends = ("name", "o", "netns", str(process.pid))
            gateway.run("ip", "link", "add", "wan", "type", "veth", "peer", *ends)
            gateway.run("ip", "address", "add", "131.107.0.100/24", "dev", "wan")
            gateway.run("ip", "link", "set", "wan", "up")
            for address in (FIRST, SECOND):
                internet.run("ip", "address", "add", f"{address}/24", "dev", "o")
            for device in ("lo", "o"):
                internet.run("ip", "link", "set", device, "up")
            internet.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0")
            gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            rules = f"""table ip home {{
              chain out {{ type nat hook postrouting priority 100; oifname "wan" {nat}; }}
              chain pass {{ type filter hook forward priority 0; {filtered} }}
            }}"""
            gateway.run("nft", "-f", "-", text=rules)
            yield internet
        finally:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def servers(internet: Peer) -> Iterator[None]:
    """Run web servers and miredo's Teredo server there."""
    child = internet.python(SERVERS)
    folder = Path(tempfile.mkdtemp())
    config = folder / "miredo-server.conf"
    config.write_text(
        f"Prefix 2001:0::\nInterfaceMTU 1280\nServerBindAddress {FIRST}\n"
        f"ServerBindAddress2 {SECOND}\n"
    )
    words = ("miredo-server", "-f", "-u", "nobody", "-c", str(config), "-p", str(folder / "pid"))
    teredo = subprocess.Popen([*internet.inside, *words], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while "3544" not in internet.run("ss", "-Huln"):
            assert time.monotonic() < deadline, "no Teredo server"
            assert teredo.poll() is None
            time.sleep(0.02)
        yield
    finally:
        for process in (teredo, child):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
            process.kill()
            process.wait()
        assert child.stdout is not None
        child.stdout.close()


def possible(seen: NetworkSeen) -> dict[str, bool | None]:
    return {way.transport: way.possible for way in ways(seen)}


@pytest.mark.lab
@pytest.mark.parametrize(
    ("nat", "filtered", "kind", "teredo"),
    [
        ("masquerade", "", NAT.RESTRICTED, True),
        ("masquerade random,fully-random", "", NAT.SYMMETRIC, False),
        ("masquerade", "udp dport 3544 drop;", NAT.BLOCKED, False),
    ],
    ids=["home", "symmetric", "hotel"],
)
def test_behind_a_nat(nat: str, filtered: str, kind: NAT, teredo: bool) -> None:
    def scenario() -> None:
        with router(nat, filtered) as internet, servers(internet):
            seen = look(teredo=FIRST)
            assert seen.seconds < 5
            assert seen.nat is kind, seen
            assert possible(seen)["teredo"] is teredo
            assert possible(seen)["iphttps"] is True
            assert possible(seen)["6to4"] is False
            assert [page.open for page in seen.portals] == [True]
            assert [(r.interface, r.via) for r in seen.routes] == [("eth0", "192.168.7.1")]
            assert seen.mapping.startswith("" if kind is NAT.BLOCKED else "131.107.0.100:")
            assert seen.path[0].large_passes is True

    in_namespace(scenario)


@pytest.mark.lab
def test_a_narrow_path_is_measured() -> None:
    """The router's other side takes 1400 bytes and says so."""

    def scenario() -> None:
        with router("masquerade") as internet, servers(internet):
            internet.run("ip", "link", "set", "o", "mtu", "1400")
            run("ip", "route", "replace", "default", "via", "192.168.7.1", "mtu", "1400")
            seen = look()
            assert seen.path[0].mtu == 1400
            assert seen.path[0].mss == 1400 - 40 - 12

    in_namespace(scenario)


@pytest.mark.lab
def test_without_any_network() -> None:
    def scenario() -> None:
        seen = look()
        assert seen.routes == ()
        assert seen.seconds < 5
        assert possible(seen)["iphttps"] is False

    in_namespace(scenario)


@pytest.mark.lab
def test_as_nobody() -> None:
    """No rights at all are needed but for protocol 41, and that is said."""

    def scenario() -> None:
        with router("masquerade") as internet, servers(internet):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    os.setgroups([])
                    os.setgid(65534)
                    os.setuid(65534)
                    seen = look()
                    assert possible(seen)["iphttps"] is True
                    own = bytes((131, 107, 9, 9))
                    sixtofour._own_address = lambda _: own  # type: ignore[assignment]
                    assert "root" in asyncio.run(sixtofour.try_sixtofour(FIRST)).words
                    status = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    in_namespace(scenario)


def test_the_time_is_kept() -> None:
    """Whatever hangs, what was seen until then is told."""
    begin = time.monotonic()
    around = Around(gateway="192.0.2.1" if os.geteuid() else "127.0.0.1", pages=(), seconds=0.5)
    seen = asyncio.run(Look(around).run({"https_proxy": "http://me:pw@p.test:1/"}))
    assert time.monotonic() - begin < 20
    assert [proxy.proxy for proxy in seen.proxies][:1] == ["http://p.test:1"]
