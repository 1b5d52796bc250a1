"""Networks that let nobody out as they are: a hotel's portal, proxies."""

import sys

import pytest

from tests.net.squid_world import APART
from tests.scenarios.actions import kept
from throughway.lab import processes
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer, problems, tunnel
from throughway.lab.portal import LOGIN, CaptivePortal
from throughway.lab.squid import build_squid_conf
from throughway.lab.topology import Proxy

APPLICATION = "2001:db8:c0:2::80"
CONFIG = "/etc/throughway/client.toml"


@pytest.fixture
def guest(fresh: Lab) -> Observer:
    return Observer(fresh, "client1")


def test_a_hotel_s_portal_is_said_waited_for_and_left_at_once(guest: Observer) -> None:
    lab = guest.lab
    lab.move("client1", "hotel")
    with CaptivePortal(lab) as portal:
        lab.start_client("client1")
        status = guest.wait(
            "the portal",
            lambda s: (
                problems(s) == {"captive-portal"}
                and s["link"]["way"].endswith(f"sign in at {LOGIN}")
            ),
        )
        assert status["connection"] == "action-required"
        (told,) = status["problems"]
        assert LOGIN in told["detail"]
        assert not tunnel(status, "infrastructure")
        portal.accept("client1")
        guest.wait_tunnel("infrastructure")
        guest.wait("the direct way", lambda s: s["link"]["way"] == "direct" and not problems(s))


def test_a_proxy_that_stayed_behind_in_another_network_does_no_harm(guest: Observer) -> None:
    """In the hotel nothing but IP-HTTPS gets through, and what asks for the proxy is swallowed."""
    lab = guest.lab
    lab.move("client1", "hotel")
    with kept(lab, "client1", CONFIG):
        text = lab.read("client1", CONFIG)
        lab.write("client1", CONFIG, f'{text}\n[proxy]\nurl = "http://192.168.139.1:3128"\n')
        lab.start_client("client1")
        guest.wait("the direct way", lambda s: s["link"]["way"].startswith("direct"))
        guest.wait_tunnel("infrastructure")
        lab.move("client1", "office")
        proxied = guest.wait("the proxy", lambda s: s["link"]["way"].startswith("proxy "))
        assert "192.168.139.1:3128 (no authentication; configuration)" in proxied["link"]["way"]
        lab.move("client1", "hotel")
        guest.wait("the direct way", lambda s: s["link"]["way"].startswith("direct"))
        lab.stop_client("client1")


ASKING = """
auth_param ntlm program /usr/bin/ntlm_auth --helper-protocol=squid-2.5-ntlmssp
auth_param ntlm children 1 startup=1
auth_param negotiate program /usr/lib/squid/negotiate_kerberos_auth -k /etc/squid/keytab \
-s HTTP/dc1.corp.example.com@CORP.EXAMPLE.COM
auth_param negotiate children 1 startup=1
acl known proxy_auth REQUIRED
http_access deny !known
http_access allow all
"""
WINBIND = ["test", "-S", "/var/lib/samba/winbindd_privileged/pipe"]
PREPARE = """
set -e
chgrp -R proxy /var/lib/samba/winbindd_privileged
samba-tool domain exportkeytab /etc/squid/keytab --principal=HTTP/dc1.corp.example.com >/dev/null
chown proxy /etc/squid/keytab
install -d -o proxy -g proxy /var/log/squid
"""
TUNNEL = """
import asyncio, socket, sys
from throughway.net.dial import Dialer
from throughway.net.proxy import ProxyServer, open_tunnel
from throughway.net.proxy_tickets import TicketRequest, make_ticket_apart
from throughway.proto.proxy.schemes import Credentials
who = Credentials(user="alice", password=sys.argv[2], domain="CORP", ticket=sys.argv[1] == "ticket")
async def resolve(host):
    return ("127.0.0.1",)
async def ticket(host):
    accounts = (("alice", sys.argv[2]),)
    return await make_ticket_apart(
        TicketRequest(host=host, realm="CORP.EXAMPLE.COM", accounts=accounts)
    )
async def main():
    proxy = ProxyServer("dc1.corp.example.com", 3128, who)
    sock = await open_tunnel(proxy, sys.argv[3], 80, dial=Dialer(resolve), ticket=ticket)
    sock.setblocking(True)
    sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print(proxy.memory.scheme, sock.recv(12).decode())
asyncio.run(main())
"""


def test_a_proxy_that_asks_the_domain_who_we_are(fresh: Lab) -> None:
    """Squid beside the domain controller: its winbind judges NTLM, its keys judge tickets."""
    proxy = Proxy(listen="127.0.0.1", nameserver="127.0.0.1", connect_ports=(80,))
    conf = build_squid_conf(proxy).replace("http_access allow all\n", ASKING)
    password = fresh.read("client1", "/etc/throughway-lab/alice.password").strip()
    with kept(fresh, "dc1", "/etc/squid/squid.conf", "/etc/squid/keytab"):
        processes.wait_until(
            lambda: fresh.run("dc1", WINBIND).returncode == 0, PATIENCE, "winbindd"
        )
        fresh.run("dc1", ["sh", "-c", PREPARE], check=True)
        fresh.write("dc1", "/etc/squid/squid.conf", conf)
        squid = fresh.popen("dc1", [*APART, "/etc/squid/squid.conf"])
        try:
            processes.wait_port(fresh.namespaces("dc1"), "127.0.0.1", 3128, 60.0)
            for scheme, told in (("ticket", "kerberos"), ("password", "ntlm")):
                command = [sys.executable, "-c", TUNNEL, scheme, password, APPLICATION]
                answer = fresh.run("dc1", command)
                assert answer.stdout.startswith(f"{told} HTTP/1.1 "), answer.stderr
            command = [sys.executable, "-c", TUNNEL, "password", "wrong", APPLICATION]
            assert "ntlm is refused" in fresh.run("dc1", command).stderr
        finally:
            squid.kill()
            squid.wait()
