"""A whole lab: what stands in it, moving about, two of them, killed ones, and nothing left."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from throughway.lab import state
from throughway.lab.deployment import CLIENT, GATEWAY, GATEWAY_CONFIG, WORKERS
from throughway.lab.lab import Lab
from throughway.lab.namespaces import Namespaces, find_hosts, start_time
from throughway.lab.observe import status_of
from throughway.lab.topology import DIRECTACCESS, INTRANET_PAGE
from throughway.model.errors import LabError

PAGE = ["curl", "-sS", "--max-time", "50", INTRANET_PAGE]
TICKET = "krbtgt/CORP.EXAMPLE.COM@CORP.EXAMPLE.COM"


def test_a_lab_that_is_not_up() -> None:
    lab = Lab("no-such-lab")
    assert not lab.exists
    assert lab.status() == []
    with pytest.raises(LabError, match="throughway lab up --name no-such-lab"):
        lab.require()


@pytest.fixture
def inside(lab: Lab) -> Iterator[Lab]:
    """Return the lab with client1 in the intranet."""
    lab.move("client1", "corp")
    yield lab
    lab.move("client1", "home")


@pytest.mark.lab
def test_at_home_the_internet_is_there_and_the_intranet_is_not(lab: Lab) -> None:
    public = lab.run("client1", ["curl", "-sS", "http://www.example.com/"], check=True)
    assert "a public page" in public.stdout
    name = lab.run("client1", PAGE)
    assert name.returncode == 6  # could not resolve host
    for address in ("http://[2001:db8:c0:2::80]/", "http://10.0.2.84/"):
        command = ["curl", "-gsS", "--max-time", "50", address]
        assert lab.run("client1", command).returncode == 7  # refused by a router on the way


@pytest.mark.lab
def test_the_public_dns(lab: Lab) -> None:
    def answer(name: str) -> str:
        return lab.run("client1", ["dig", "+time=10", name], check=True).stdout

    assert "131.107.0.2" in answer("da.example.com")
    for name in ("app1.corp.example.com", "_ldap._tcp.corp.example.com", "nowhere.example.com"):
        assert "status: NXDOMAIN" in answer(name)


@pytest.mark.lab
def test_the_crl_is_published_and_can_be_renewed(lab: Lab) -> None:
    serial = lab.authority.issue(
        __import__("throughway.pki.authority", fromlist=["Profile"]).Profile.COMPUTER,
        "x.corp.example.com",
    ).serial
    lab.publish_crl(serial)
    fetch = ["sh", "-c", "curl -sS http://crl.example.com/root.crl | openssl crl -inform DER -text"]
    assert f"{serial:X}" in lab.run("client1", fetch, check=True).stdout


@pytest.mark.lab
def test_nothing_leads_out_of_the_lab(lab: Lab) -> None:
    answer = lab.run("client1", ["ping", "-c", "1", "-W", "30", "198.51.100.1"])
    assert "Destination Net Unreachable" in answer.stdout


@pytest.mark.lab
def test_inside_the_intranet_is_there(inside: Lab) -> None:
    assert "Welcome to the intranet: app1" in inside.run("client1", PAGE, check=True).stdout
    v4 = inside.run("client1", ["curl", "-sS", "http://app4.corp.example.com/"], check=True)
    assert "app4" in v4.stdout
    nls = inside.run("client1", ["curl", "-sS", "https://nls.corp.example.com/"], check=True)
    assert "inside" in nls.stdout


@pytest.mark.lab
@pytest.mark.parametrize(
    ("user", "password"), [("alice", "Alice.Passw0rd"), ("bob", "Bob.Passw0rd")]
)
def test_users_get_tickets_for_the_gateway(inside: Lab, user: str, password: str) -> None:
    cache = {"KRB5CCNAME": f"/tmp/cc-{user}"}
    inside.run("client1", ["kinit", user], stdin=f"{password}\n", env=cache, check=True)
    inside.run("client1", ["kvno", "host/da.example.com"], env=cache, check=True)
    tickets = inside.run("client1", ["klist", "-e"], env=cache, check=True).stdout
    assert TICKET in tickets
    assert "arcfour" not in tickets
    wrong = inside.run("client1", ["kinit", user], stdin="wrong\n", env=cache)
    assert wrong.returncode == 1


@pytest.mark.lab
def test_computers_are_in_the_domain(inside: Lab) -> None:
    cache = {"KRB5CCNAME": "/tmp/cc-computer"}
    password = inside.read("client1", "/etc/throughway/account.password")
    inside.run("client1", ["kinit", "CLIENT1$"], stdin=password, env=cache, check=True)


READ_SHARE = """
from samba import credentials
from samba.samba3 import libsmb_samba_internal as smb, param
parameters = param.get_context()
parameters.load("/etc/samba/smb.conf")
user = credentials.Credentials()
user.set_username("alice")
user.set_password("Alice.Passw0rd")
user.set_domain("CORP")
user.set_workstation("APP1")
user.set_kerberos_state(credentials.DONT_USE_KERBEROS)
share = smb.Conn("dc1.corp.example.com", "share", lp=parameters, creds=user)
print(share.loadfile("readme.txt").decode())
"""


@pytest.mark.lab
def test_the_domain_controller_serves_its_share(lab: Lab) -> None:
    lab.write("app1", "/etc/samba/smb.conf", "[global]\n")
    lab.run("app1", ["mkdir", "-p", "/var/cache/samba", "/run/samba"], check=True)
    answer = lab.run("app1", ["/usr/bin/python3", "-c", READ_SHARE], check=True)
    assert "The intranet's share." in answer.stdout


@pytest.mark.lab
def test_the_gateway_has_what_the_domain_hands_over(lab: Lab) -> None:
    keytab = lab.run("edge1", ["klist", "-ke", "/etc/throughway/gateway.keytab"], check=True)
    assert "host/da.example.com@CORP.EXAMPLE.COM (aes256" in keytab.stdout
    digits = lab.read("edge1", "/etc/throughway/accounts/client1.nthash").strip()
    assert len(bytes.fromhex(digits)) == 16


@pytest.mark.lab
def test_moving_replaces_addresses_routes_and_resolv_conf(lab: Lab) -> None:
    inode = ["stat", "-c", "%i", "/etc/resolv.conf"]
    before = lab.run("client2", inode).stdout
    lab.move("client2", "corp")
    try:
        addresses = lab.run("client2", ["ip", "-br", "address", "show", "eth0"]).stdout
        assert "10.0.3.102/24" in addresses
        assert "2001:db8:c0:3::102/64" in addresses
        assert "192.168.137" not in addresses
        assert "via 10.0.3.254" in lab.run("client2", ["ip", "route"]).stdout
        assert lab.read("client2", "/etc/resolv.conf").startswith("search corp.example.com\n")
        assert lab.run("client2", inode).stdout != before
        assert lab.where("client2") == "corp"
    finally:
        lab.move("client2", "home")
    assert "192.168.137.102/24" in lab.run("client2", ["ip", "-br", "address"]).stdout
    assert "2001:db8" not in lab.run("client2", ["ip", "-br", "address"]).stdout


@pytest.mark.lab
def test_offline_is_no_carrier_and_no_address(lab: Lab) -> None:
    lab.move("client2", "offline")
    try:
        link = lab.run("client2", ["ip", "-o", "link", "show", "eth0"]).stdout
        assert "NO-CARRIER" in link
        assert lab.run("client2", ["ip", "-4", "route"]).stdout == ""
        assert "nameserver" not in lab.read("client2", "/etc/resolv.conf")
        with pytest.raises(LabError, match="offline"):
            lab.link("client2", up=True)
    finally:
        lab.move("client2", "home")


@pytest.mark.lab
def test_pulling_the_cable_keeps_the_addresses(lab: Lab) -> None:
    lab.link("client2", up=False)
    try:
        link = lab.run("client2", ["ip", "-br", "address", "show", "eth0"]).stdout
        assert "DOWN" in link
        assert "192.168.137.102" in link
        assert not next(h for h in lab.status() if h.name == "client2").cable
    finally:
        lab.link("client2", up=True)
    port = lab.run("switch", ["bridge", "link", "show", "dev", "client2.eth0"]).stdout
    assert "state forwarding" in port
    lab.run("client2", ["ping", "-c", "1", "-W", "30", "192.168.137.1"], check=True)


@pytest.mark.lab
def test_what_cannot_be_moved(lab: Lab) -> None:
    with pytest.raises(LabError, match="app1 does not move; client1, client2 do"):
        lab.move("app1", "home")
    with pytest.raises(LabError, match="no place beach; there are home, hotel, "):
        lab.move("client1", "beach")
    with pytest.raises(LabError, match="no host client9"):
        lab.run("client9", ["true"])


def reached(lab: Lab, *words: str, patience: int = 50) -> bool:
    command = ["curl", "-sS", "--max-time", str(patience), *words]
    return "page" in lab.run("client2", command).stdout


@pytest.fixture
def wandering(lab: Lab) -> Iterator[Lab]:
    """Return the lab with client2 to be moved about."""
    yield lab
    lab.move("client2", "home")


PAGE_OUTSIDE, PAGE_BY_ADDRESS = "http://www.example.com/", "http://131.107.0.1/"
ENDPOINT = "2002:836b:2::836b:2"


def pinged(lab: Lab, address: str, patience: int = 30) -> bool:
    return lab.run("client2", ["ping", "-c1", f"-W{patience}", address]).returncode == 0


@pytest.mark.lab
def test_a_hotel_lets_the_web_out_and_nothing_else(wandering: Lab) -> None:
    wandering.move("client2", "hotel")
    assert reached(wandering, PAGE_OUTSIDE)
    assert not pinged(wandering, "131.107.0.1", patience=1)
    assert wandering.run("client2", ["dig", "+time=1", "+tries=1", "@131.107.0.1", "."]).returncode


@pytest.mark.lab
def test_an_office_has_only_its_proxy(wandering: Lab) -> None:
    wandering.move("client2", "office")
    assert not reached(wandering, PAGE_BY_ADDRESS, patience=2)
    place = DIRECTACCESS.place("office")
    assert reached(wandering, "--proxy", f"http://{place.proxy}", PAGE_OUTSIDE)
    refused = ["--proxy", f"http://{place.proxy}", "--proxytunnel", PAGE_OUTSIDE]
    assert not reached(wandering, *refused), "CONNECT is for port 443"


@pytest.mark.lab
def test_public_addresses_real_and_false(wandering: Lab) -> None:
    for place, seen in (("direct", "131.107.0.51"), ("cgn", "131.107.0.130")):
        wandering.move("client2", place)
        with wandering.capture("inet1", "eth0", "icmp") as capture:
            assert pinged(wandering, "131.107.0.1")
        assert seen in capture.lines("icmp[icmptype] == icmp-echo")[0]


@pytest.mark.lab
def test_native_ipv6_leads_to_the_endpoints_only_where_it_is(wandering: Lab) -> None:
    wandering.move("client2", "native6")
    assert reached(wandering, PAGE_OUTSIDE)
    assert pinged(wandering, ENDPOINT)
    wandering.move("client2", "home")
    assert not pinged(wandering, ENDPOINT, patience=1)


@pytest.mark.lab
def test_transports_of_a_client(lab: Lab) -> None:
    path = "/etc/throughway/client.toml"
    lab.write("client2", path, 'account = "CLIENT2$"\n\n[proxy]\ndetect = true\n')
    before = lab.read("client2", path)
    lab.allow_transports("client2", "6to4", "iphttps")
    lab.allow_transports("client2", "iphttps")
    assert lab.read("client2", path) == f'transports = ["iphttps"]\n{before}'
    lab.allow_transports("client2")
    assert lab.read("client2", path) == before
    lab.run("client2", ["rm", path], check=True)


@pytest.mark.lab
def test_status_tells_of_every_host(lab: Lab) -> None:
    status = {host.name: host for host in lab.status()}
    assert set(status) == {host.name for host in DIRECTACCESS.hosts}
    assert all(host.alive for host in status.values())
    assert status["client1"].place == "home"
    assert status["client1"].addresses == ("192.168.137.101/24",)
    assert "samba" in status["dc1"].services


@pytest.mark.lab
def test_a_lab_that_is_up_is_not_built_again(lab: Lab) -> None:
    with pytest.raises(LabError, match=f"throughway lab down --name {lab.name}"):
        Lab(lab.name).up()
    assert lab.exists


def inhabitants(lab: Lab) -> set[Namespaces]:
    """Return every process in the namespaces of a lab; their inodes are reused, so not those."""
    kinds = ("net", "mnt", "uts", "ipc", "pid")
    own = set()
    for _, spaces in find_hosts(lab.name):
        # One that was being made when its maker was killed may end meanwhile.
        with contextlib.suppress(OSError):
            own |= {os.readlink(f"/proc/{spaces.pid}/ns/{kind}") for kind in kinds}
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if own & {os.readlink(entry / "ns" / kind) for kind in kinds}:
                found.add(Namespaces(int(entry.name), start_time(int(entry.name))))
        except OSError:
            continue
    return found


def processes_naming(name: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if name.encode() in words and int(entry.name) != os.getpid():
            found.append(b" ".join(words).decode())
    return found


def own_view() -> tuple[str, str, str, list[str]]:
    """Return what of this machine itself a lab could have changed.

    Other tests, at the same time, have namespaces of ``ip netns``, which are mounts.
    """
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
    lines = Path("/proc/mounts").read_text().splitlines()
    mounts = "\n".join(line for line in lines if " /run/netns" not in line)
    return links.stdout, rules.stdout, mounts, os.listdir("/proc/self/fd")


@pytest.mark.lab
def test_side_by_side_and_nothing_left(lab: Lab) -> None:
    before = own_view()
    second = Lab(f"{lab.name}-b")
    try:
        second.up(gateway=False, join=False)
        assert own_view()[:3] == before[:3]
        for which in (lab, second):
            which.move("client1", "corp")
            page = which.run("client1", PAGE, check=True)
            assert "Welcome" in page.stdout
        # The same addresses, but another domain: its controller does not know this key.
        keys = {which.read("client1", "/etc/throughway/root.crt") for which in (lab, second)}
        assert len(keys) == 2
        people = inhabitants(second)
        assert len(people) > 2 * len(DIRECTACCESS.hosts)
    finally:
        was_there = second.down()
        lab.move("client1", "home")
    assert was_there
    assert not [process for process in people if process.alive()]
    assert processes_naming(second.name) == []
    assert not second.directory.exists()
    assert not second.directory.with_name(f"{second.name}.lock").exists()
    assert own_view() == before
    assert lab.exists
    assert not second.down()


BUILD = (
    "import sys; from throughway.lab.lab import Lab; Lab(sys.argv[1]).up(gateway=False, join=False)"
)


def some_hosts(name: str) -> bool:
    return len(list(find_hosts(name))) >= 3


def domain_half_made(name: str) -> bool:
    kept = state.load(name)
    if kept is None or "dc1" not in kept.hosts:
        return False
    return Path(f"/proc/{kept.hosts['dc1'].pid}/root/var/lib/samba/private/sam.ldb").exists()


@pytest.mark.lab
@pytest.mark.parametrize("moment", [some_hosts, domain_half_made])
def test_a_killed_up_is_cleaned_by_the_next(lab: Lab, moment: Callable[[str], bool]) -> None:
    name = f"{lab.name}-k"
    with subprocess.Popen([sys.executable, "-c", BUILD, name]) as builder:
        deadline = time.monotonic() + PATIENCE
        while not moment(name):
            assert builder.poll() is None
            assert time.monotonic() < deadline
        builder.send_signal(signal.SIGKILL)
    left = Lab(name)
    old = inhabitants(left)
    # A host that is half made dies by itself when nobody reads what it says any more.
    assert old or moment is some_hosts
    assert not left.exists
    with left.up(gateway=False, join=False) as built:
        assert built.exists
        assert len(list(find_hosts(name))) == len(DIRECTACCESS.hosts) + 1
        assert not [process for process in old if process.alive()]
    assert processes_naming(name) == []


@pytest.mark.lab
def test_a_lab_whose_host_has_died_is_built_anew(lab: Lab) -> None:
    name = f"{lab.name}-d"
    with Lab(name).up(gateway=False, join=False) as broken:
        os.kill(broken.namespaces("app1").pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while broken.exists:
            assert time.monotonic() < deadline
        assert not next(h for h in broken.status() if h.name == "app1").alive
        with pytest.raises(LabError, match="host is gone"):
            broken.run("app1", ["true"])


@pytest.mark.lab
def test_a_failing_service_is_reported_and_nothing_is_left(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("throughway.lab.services.NGINX", "this is no configuration {sites}")
    name = f"{lab.name}-f"
    with pytest.raises(LabError, match='unknown directive "this"'):
        Lab(name).up(gateway=False, join=False)
    assert list(find_hosts(name)) == []
    assert not state.directory(name).exists()


@pytest.mark.lab
def test_with_gateway_and_clients(lab: Lab) -> None:
    lines: list[str] = []
    with Lab(f"{lab.name}-g").up(clients=True, progress=lines.append) as whole:
        assert any(line.startswith("gateway on edge1 (") for line in lines)
        services = {host.name: host.services for host in whole.status()}
        assert services["edge1"] == ("gateway",)
        assert services["client1"] == services["client2"] == ("client",)
        assert services["dc1"] == ("samba",)
        workers = status_of(whole, "edge1", GATEWAY)["workers"]
        assert [worker["state"] for worker in workers] == ["serving"] * WORKERS
        assert whole.where("client1") == "home"
        status = whole.run("client1", ["throughway", "client", "status", "--json"])
        assert status.returncode in (0, 1)
        assert json.loads(status.stdout).keys() == status_of(whole, "client1", CLIENT).keys()
        with pytest.raises(LabError, match="the gateway runs already on edge1"):
            whole.start_gateway()
        whole.stop_gateway()
        assert whole.service("edge1", "gateway") is None
        whole.write("edge1", GATEWAY_CONFIG, "[iphttps]\n")
        with pytest.raises(LabError, match=r"iphttps\.url: is missing"):
            whole.start_gateway()
