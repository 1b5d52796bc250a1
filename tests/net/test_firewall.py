"""Fail-closed, proven by a counter on the other side of the wire."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.net.namespace import Peer, in_namespace, peer, run
from tests.patience import PATIENCE
from throughway.model.errors import ThroughwayError
from throughway.net import netlink
from throughway.net.firewall import (
    MARK,
    MAXIMUM_SEGMENT,
    ClientFirewall,
    GatewayFirewall,
    client_closed,
    close_client,
    gateway_guarded,
    guard_gateway,
    open_client,
    render_client,
    render_gateway,
    unguard_gateway,
)
from throughway.net.netlink import Route, Rule

SERVER, ENDPOINT = "2001:db8:c0:2::80", "2001:db8:c0:ffff::1"
CLOSED = ClientFirewall(
    prefixes=("2001:db8:c0::/48", "2001:db8:c0:1::10/128"), exempt=(f"{ENDPOINT}/128",)
)
COUNTER = """
table inet seen {
  counter intranet { }
  chain input {
    type filter hook input priority -300;
    ip6 daddr 2001:db8:c0:2::/64 counter name intranet
  }
}
"""


def seen(router: Peer) -> int:
    """Return how many packets to the intranet have reached the router in plain."""
    (counter,) = (
        item["counter"]
        for item in json.loads(router.run("nft", "-j", "list", "counters"))["nftables"]
        if "counter" in item
    )
    return int(counter["packets"])


@contextlib.contextmanager
def hotel() -> Iterator[Peer]:
    """A network whose router pretends to own the intranet's addresses."""
    theirs = ("2001:db8:77::1/64", f"{SERVER}/128", f"{ENDPOINT}/128")
    with peer("eth0", "2001:db8:77::5/64", theirs) as other:
        run("ip", "-6", "route", "add", "default", "via", "2001:db8:77::1")
        other.run("nft", "-f", "-", text=COUNTER)
        yield other


def knock(address: str = SERVER, mark: int = 0) -> str:
    """Try TCP and UDP; return what TCP met: "refused" when the host was reached."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        udp.sendto(b"leak", (address, 9))
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        tcp.settimeout(PATIENCE)
        try:
            tcp.connect((address, 9))
        except ConnectionRefusedError:
            return "refused"
        except OSError as error:
            return os.strerror(error.errno or 0)
    return "connected"


def _nothing_leaks() -> None:
    with hotel() as router:
        assert knock() == "refused"
        leaked = seen(router)
        assert leaked >= 2, "the counter must be able to see a leak"

        for _ in range(2):
            close_client(CLOSED)
        assert client_closed(CLOSED)
        assert knock() == "No route to host"
        assert knock("2001:db8:77::1") == "refused"
        assert knock(ENDPOINT) == "refused"
        assert seen(router) == leaked

        # Each line alone holds, too.
        run("ip", "-6", "rule", "del", "pref", "221")
        assert not client_closed(CLOSED)
        assert knock() == "Network is unreachable"
        assert knock(ENDPOINT) == "refused"
        close_client(CLOSED)
        run("nft", "delete", "table", "inet", "throughway-client")
        assert not client_closed(CLOSED)
        assert knock() == "No route to host"
        assert seen(router) == leaked

        close_client(CLOSED)
        assert knock(mark=MARK) == "refused"
        assert seen(router) > leaked
        for _ in range(2):
            open_client()
        assert knock() == "refused"
        assert netlink.routes(221) == ()
        assert "throughway" not in run("nft", "list", "ruleset")


@pytest.mark.lab
def test_nothing_leaves_in_plain_while_closed() -> None:
    in_namespace(_nothing_leaks)


TAMPERED = (
    ("flush", "table", "inet", "throughway-client"),
    ("flush", "chain", "inet", "throughway-client", "output"),
    ("flush", "set", "inet", "throughway-client", "intranet"),
    ("insert", "rule", "inet", "throughway-client", "output", "accept"),
    ("add", "table", "inet", "throughway-client", "{", "flags", "dormant;", "}"),
)
"""What leaves a table where it is, with nothing that holds anything back."""


def _tampering_is_seen() -> None:
    for command in TAMPERED:
        close_client(CLOSED)
        assert client_closed(CLOSED)
        run("nft", *command)
        assert not client_closed(CLOSED), command
    close_client(CLOSED)
    knock()  # a counter that counts is no other rule
    assert client_closed(CLOSED)

    guard_gateway(GatewayFirewall())
    assert gateway_guarded()
    run("nft", "flush", "table", "inet", "throughway-gateway")
    assert not gateway_guarded()


@pytest.mark.lab
def test_a_table_that_is_there_and_holds_nothing_back_does_not_stand() -> None:
    in_namespace(_tampering_is_seen)


def _policy_changes() -> None:
    close_client(CLOSED)
    other = replace(CLOSED, prefixes=("2001:db8:c1::/48",), exempt=())
    close_client(other)
    assert [route.prefix for route in netlink.routes(221)] == ["2001:db8:c1::/48"]
    assert client_closed(other)
    assert not client_closed(CLOSED)


@pytest.mark.lab
def test_a_new_policy_replaces_what_was_closed() -> None:
    in_namespace(_policy_changes)


def _killed() -> None:
    with hotel() as router:
        code = (
            "import os, signal; from tests.net.test_firewall import CLOSED, close_client;"
            "close_client(CLOSED); os.kill(os.getpid(), signal.SIGKILL)"
        )
        killed = subprocess.run([sys.executable, "-c", code], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert knock() == "No route to host"
        assert seen(router) == 0


@pytest.mark.lab
def test_a_killed_daemon_leaves_the_intranet_closed() -> None:
    in_namespace(_killed)


def _tunnel() -> None:
    with hotel() as router, peer("ipsec0", "2001:db8:da::5/64", (f"{SERVER}/128",)) as gateway:
        gateway.run("ip", "-6", "route", "add", "2001:db8:da::/64", "dev", "w")
        close_client(CLOSED)
        netlink.add_rule(Rule(table=220, priority=220, mark=MARK, invert=True))
        netlink.add_route(Route(prefix="2001:db8:c0::/48", interface="ipsec0", table=220))
        assert knock() == "refused"
        # charon dies, its interface and routes with it.
        run("ip", "link", "del", "ipsec0")
        assert knock() == "No route to host"
        assert seen(router) == 0


@pytest.mark.lab
def test_the_tunnel_passes_and_its_death_closes() -> None:
    in_namespace(_tunnel)


def _forged() -> None:
    with hotel() as router, contextlib.ExitStack() as stack:

        def receiver(mark: int) -> socket.socket:
            udp = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            udp.bind(("2001:db8:77::5", 0))
            udp.settimeout(PATIENCE)
            return udp

        close_client(CLOSED)
        marked, plain = receiver(MARK), receiver(0)
        ports = [udp.getsockname()[1] for udp in (plain, marked)]
        forge = router.python(
            "import socket\n"
            "u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
            f"u.bind(({SERVER!r}, 0))\n"
            f"for port in {ports}: u.sendto(b'forged', ('2001:db8:77::5', port))\n"
            "print('ready')"
        )
        forge.communicate()
        # Sent after the forged one: once it is here, the other has been dropped.
        assert marked.recv(100) == b"forged"
        plain.setblocking(False)
        with pytest.raises(BlockingIOError):
            plain.recv(100)
        plain.settimeout(PATIENCE)
        open_client()
        router.python(
            "import socket\n"
            "u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
            f"u.bind(({SERVER!r}, 0))\n"
            f"u.sendto(b'plain', ('2001:db8:77::5', {ports[0]}))\n"
            "print('ready')"
        ).communicate()
        assert plain.recv(100) == b"plain"


@pytest.mark.lab
def test_what_claims_to_come_from_the_intranet_in_plain_is_dropped() -> None:
    in_namespace(_forged)


LISTEN = """
import socket
s = socket.socket(socket.AF_INET6); s.bind(("::", {port})); s.listen(); print("ready", flush=True)
print(s.accept()[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
"""
CONNECT = """
import socket
print("ready", flush=True)
s = socket.socket(socket.AF_INET6); s.settimeout({timeout})
try: s.connect(({address!r}, {port}))
except Exception as error: print(type(error).__name__)
else: print("connected")
"""


def _gateway() -> None:
    run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    link, inside, tunnel = "2001:db8:da::", "2001:db8:c0::", "2001:db8:e0::"
    with (
        peer("iphttps0", f"{link}1/64", (f"{link}5/64",)) as client,
        peer("inside0", f"{inside}1/64", (f"{inside}80/64",)) as server,
        peer("ipsec0", f"{tunnel}1/64", (f"{tunnel}5/64",)) as decrypted,
    ):
        for host, router in ((client, link), (server, inside), (decrypted, tunnel)):
            host.run("ip", "-6", "route", "add", "default", "via", f"{router}1")

        def connect(host: Peer, address: str, port: int, timeout: float = PATIENCE) -> str:
            code = CONNECT.format(address=address, port=port, timeout=timeout)
            return host.python(code).communicate()[0].strip()

        assert connect(client, f"{inside}80", 9) == "ConnectionRefusedError"
        for _ in range(2):
            guard_gateway(GatewayFirewall())
        assert gateway_guarded()
        client.run("ping", "-c", "1", "-W", str(int(PATIENCE)), f"{link}1")
        assert connect(client, f"{link}1", 9, timeout=0.5) == "TimeoutError"
        assert connect(client, f"{inside}80", 9, timeout=0.5) == "TimeoutError"
        assert connect(server, f"{link}5", 9, timeout=0.5) == "TimeoutError"
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ike:
            ike.bind(("::", 500))
            ike.settimeout(PATIENCE)
            client.python(
                "import socket; u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
                f"u.sendto(b'IKE', ({link + '1'!r}, 500)); print('ready')"
            ).communicate()
            assert ike.recv(10) == b"IKE"

        listener = server.python(LISTEN.format(port=80))
        assert connect(decrypted, f"{inside}80", 80) == "connected"
        assert int(listener.communicate()[0]) <= MAXIMUM_SEGMENT
        listener = decrypted.python(LISTEN.format(port=80))
        assert connect(server, f"{tunnel}5", 80) == "connected"
        assert int(listener.communicate()[0]) <= MAXIMUM_SEGMENT

        with peer("outside0", "2001:db8:bad::1/64", ("2001:db8:bad::5/64",)) as outside:
            outside.run("ip", "-6", "route", "add", "default", "via", "2001:db8:bad::1")
            assert connect(outside, f"{inside}80", 9) == "ConnectionRefusedError"
            guard_gateway(GatewayFirewall(routes_others=False))
            assert connect(outside, f"{inside}80", 9, timeout=0.5) == "TimeoutError"
            assert connect(outside, f"{tunnel}5", 9) == "ConnectionRefusedError"
            assert connect(decrypted, f"{inside}80", 9) == "ConnectionRefusedError"
            assert connect(server, f"{tunnel}5", 9) == "ConnectionRefusedError"

        for _ in range(2):
            unguard_gateway()
        assert connect(client, f"{inside}80", 9) == "ConnectionRefusedError"


@pytest.mark.lab
def test_who_asks_for_reasons_comes_in_at_that_port_alone() -> None:
    plain = render_gateway(GatewayFirewall())
    asked = render_gateway(GatewayFirewall(reasons=("2001:db8:e::1", 4433)))
    added = [line.strip() for line in asked.splitlines() if line not in plain.splitlines()]
    limit, accept = added
    assert accept == "ip6 daddr 2001:db8:e::1 tcp dport 4433 accept"
    assert "limit rate over 50/second counter drop" in limit


def test_the_gateway_lets_only_ipsec_in_and_clamps_segments() -> None:
    in_namespace(_gateway)


def _kernel_esp_is_accepted() -> None:
    close_client(replace(CLOSED, kernel_esp=True))
    guard_gateway(GatewayFirewall(kernel_esp=True))
    assert "ipsec missing" in run("nft", "list", "table", "inet", "throughway-client")
    assert "ipsec exists" in run("nft", "list", "table", "inet", "throughway-gateway")
    close_client(ClientFirewall(prefixes=()))
    close_client(replace(CLOSED, kernel_esp=True, everything=True, relay=("127.0.0.88", 3128)))
    forced = run("nft", "list", "table", "inet", "throughway-client")
    assert "rt ipsec exists accept" in forced
    assert "dnat ip to 127.0.0.88:3128" in forced


@pytest.mark.lab
def test_tables_for_kernel_esp_are_understood_by_nft() -> None:
    in_namespace(_kernel_esp_is_accepted)


def test_overlapping_prefixes_become_one() -> None:
    assert "elements = { 2001:db8:c0::/48 }" in render_client(CLOSED)


@pytest.mark.parametrize("name", ['x" accept #', "", "a b", "a\n"])
def test_names_of_interfaces_cannot_smuggle_rules(name: str) -> None:
    with pytest.raises(ThroughwayError):
        render_client(replace(CLOSED, tunnel_interface=name))
    with pytest.raises(ThroughwayError):
        render_gateway(GatewayFirewall(interfaces=("iphttps0", name)))


def test_what_is_no_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="2001:db8::1"):
        render_client(ClientFirewall(prefixes=("2001:db8::1/48",)))
