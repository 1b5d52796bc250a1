"""Manage-out: servers inside reach a client by name, before any user has logged on."""

import contextlib
from collections.abc import Callable, Iterator

from throughway.lab.domain import computer_password
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer, Status, tunnel
from throughway.lab.processes import wait_until

CLIENT = "client1.corp.example.com"
SECRETS = "/etc/throughway-lab"
SSHD = f"""\
Port 22
HostKey {SECRETS}/host_key
AuthorizedKeysFile {SECRETS}/authorized_keys
PidFile none
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
"""
MAKE_KEYS = f"""
set -e
mkdir -p {SECRETS} /run/sshd
cd {SECRETS}
rm -f host_key manager_key
ssh-keygen -q -t ed25519 -N '' -f host_key
ssh-keygen -q -t ed25519 -N '' -f manager_key
mv manager_key.pub authorized_keys
"""


def registered(lab: Lab) -> str:
    """Return what a management server is told the client's address is."""
    return lab.run("mgmt1", ["dig", "+short", CLIENT, "AAAA"]).stdout.strip()


def seen(what: Callable[[], bool], words: str) -> None:
    wait_until(what, PATIENCE, words)


def link_address(client: Observer) -> str:
    return str(client.status()["link"]["addresses"][0])


def test_a_manager_pings_and_opens_ssh_before_logon(client: Observer) -> None:
    lab = client.lab
    client.wait_tunnel("infrastructure")
    status = client.wait("registration", lambda s: s["names"]["registered"])
    assert status["names"]["registered"] == f"{CLIENT} → {link_address(client)}"
    assert not status["user"]
    assert registered(lab) == link_address(client)
    ping = lab.run("mgmt1", ["ping", "-c1", "-W30", CLIENT])
    assert ping.returncode == 0, ping.stdout

    lab.run("client1", ["sh", "-c", MAKE_KEYS], check=True)
    lab.write("client1", f"{SECRETS}/sshd_config", SSHD)
    key = lab.read("client1", f"{SECRETS}/manager_key")
    lab.write("mgmt1", f"{SECRETS}/manager_key", key, 0o600)
    daemon = lab.start("client1", "sshd", ["/usr/sbin/sshd", "-D", "-f", f"{SECRETS}/sshd_config"])
    try:
        ssh = ["ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=no", "-oConnectTimeout=30"]
        ssh += ["-oUserKnownHostsFile=/dev/null", f"-i{SECRETS}/manager_key", f"root@{CLIENT}"]
        seen(lambda: lab.run("mgmt1", [*ssh, "hostname"]).stdout.strip() == "client1", "a shell")
    finally:
        daemon.stop()


def test_a_stranger_inside_does_not_reach_it(client: Observer) -> None:
    """An application server is behind the intranet tunnel, and nobody has logged on."""
    client.wait("registration", lambda s: s["names"]["registered"])
    address = link_address(client)
    assert client.lab.run("app1", ["ping", "-c1", "-W2", address]).returncode != 0
    assert client.lab.run("mgmt1", ["ping", "-c1", "-W30", address]).returncode == 0


def test_the_name_follows_the_client_inside_and_out(client: Observer) -> None:
    lab = client.lab
    client.wait("registration", lambda s: s["names"]["registered"])
    lab.move("client1", "corp")
    seen(lambda: registered(lab) == "2001:db8:c0:3::101", "the address inside")
    lab.move("client1", "home")
    client.wait_tunnel("infrastructure")
    seen(lambda: registered(lab) == link_address(client), "the address outside")


def test_a_domain_that_refuses_is_told(client: Observer) -> None:
    lab = client.lab
    client.wait("registration", lambda s: s["names"]["registered"])
    lab.stop_client("client1")
    with another_password(lab):
        lab.start_client("client1")
        refused = "no ticket for CLIENT1$@CORP.EXAMPLE.COM"
        status = client.wait("refusal", lambda s: refused in _told(s))
        assert status["names"]["registered"] == ""
        assert tunnel(status, "infrastructure"), "only the name is missing"
    client.lab.run("client1", ["throughway", "client", "refresh"], check=True)
    client.wait("registration", lambda s: s["names"]["registered"] and not _told(s))


@contextlib.contextmanager
def another_password(lab: Lab) -> Iterator[None]:
    """Let the domain have another password of the computer account for a while."""
    command = ["samba-tool", "user", "setpassword", "CLIENT1$", "--newpassword"]
    lab.run("dc1", [*command, "Something.e1se"], check=True)
    try:
        yield
    finally:
        lab.run("dc1", [*command, computer_password("client1")], check=True)


def _told(status: Status) -> str:
    problems = (p for p in status["problems"] if p["code"] == "client-name-not-registered")
    return next((str(p["detail"]) for p in problems), "")
