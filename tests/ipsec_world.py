"""A small world for the IPsec tests: client, gateway and one intranet host, IPv6 only.

    client 2001:db8:f1::2 --- gateway 2001:db8:e::1 and ::2 --- corp 2001:db8:c0:1::10, :c0:2::80

Each host is an anonymous network namespace and an event loop in a thread that lives in it; so
the daemons' own classes run there as they do on a machine of their own.
"""

import asyncio
import atexit
import contextlib
import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import pytest

from tests.patience import PATIENCE
from throughway.client import ipsec as client_ipsec
from throughway.client.ipsec import INFRASTRUCTURE, INTRANET, ClientIPsec
from throughway.client.proof import Proof
from throughway.gateway.audit import GatewayAudit
from throughway.gateway.ipsec import GatewayIPsec
from throughway.model.audit import AuditEvent, AuditRecord, Outcome
from throughway.model.config import (
    ClientConfig,
    Computer,
    IPsecServerConfig,
    UsersConfig,
)
from throughway.model.errors import IPsecError, ThroughwayError
from throughway.model.policy import Policy, TunnelPolicy
from throughway.model.revocation import Revocation
from throughway.model.status import SessionStatus, TunnelState, TunnelStatus
from throughway.net.audit import AuditLog, cleaned
from throughway.pki.authority import Credential, Profile, create_root, issue
from throughway.pki.pem import build_certificate_pem, build_key_pem
from throughway.proto.flood import FloodGate

T = TypeVar("T")
P = ParamSpec("P")

CLIENT = "2001:db8:f1::2"
ENDPOINTS = ("2001:db8:e::1", "2001:db8:e::2")
SERVER, APPLICATION = "2001:db8:c0:1::10", "2001:db8:c0:2::80"
INFRASTRUCTURE_PREFIX, INTRANET_PREFIX = "2001:db8:c0:1::/64", "2001:db8:c0::/48"
ECHO_PORT = 7777
GATEWAY_IDENTITY = "da.example.com"
TIMEOUT = 2 * PATIENCE
"""Seconds for a coroutine: what it waits for itself is given up sooner, and named."""
_CLONE_NEWNET = 0x40000000


class Host:
    """A network namespace with an event loop inside."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", "unshare", "-n", "sleep", "infinity"),
        )
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(self.namespace) == own:
            os.sched_yield()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        self.ip("link set lo up")
        for which in ("all", "default"):
            self.command("sysctl", "-qw", f"net.ipv6.conf.{which}.accept_dad=0")

    @property
    def namespace(self) -> str:
        return f"/proc/{self._holder.pid}/ns/net"

    @property
    def pid(self) -> int:
        return self._holder.pid

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float = TIMEOUT) -> T:
        """Run a coroutine in the host, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def call(self, function: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """Call a function that blocks in a thread of the host."""

        async def threaded() -> T:
            return await asyncio.to_thread(function, *arguments, **keywords)

        return self.run(threaded())

    def command(self, *command: str, check: bool = True) -> str:
        """Run a command in the host; return what it says."""
        answer = subprocess.run(
            ("nsenter", f"--net={self.namespace}", *command),
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0 or not check, f"{command}: {answer.stderr}"
        return answer.stdout

    def ip(self, command: str) -> None:
        self.command("ip", "-6", *command.split())

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self._holder.kill()
        self._holder.wait()

    def _live(self) -> None:
        descriptor = os.open(self.namespace, os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.setns(descriptor, _CLONE_NEWNET) == 0
        os.close(descriptor)
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class World:
    """The three hosts, their wires, and one echo service on the intranet."""

    def __init__(self) -> None:
        self.client, self.gateway, self.corp = Host(), Host(), Host()
        self._wire(self.client, "gw0", self.gateway, "client0")
        self._wire(self.gateway, "corp0", self.corp, "gw0")
        for address in ("2001:db8:f1::1/64", *(f"{e}/128" for e in ENDPOINTS)):
            self.gateway.ip(f"address add {address} dev client0 nodad")
        self.gateway.ip("address add 2001:db8:c0:1::1/64 dev corp0 nodad")
        self.client.ip(f"address add {CLIENT}/64 dev gw0 nodad")
        self.client.ip("route add default via 2001:db8:f1::1")
        for address in (f"{SERVER}/64", f"{APPLICATION}/128"):
            self.corp.ip(f"address add {address} dev gw0 nodad")
        self.corp.ip("route add default via 2001:db8:c0:1::1")
        self.gateway.ip(f"route add 2001:db8:c0:2::/64 via {SERVER}")
        self.gateway.command("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        # As on a real gateway: what does not come out of a tunnel goes nowhere.
        self.gateway.command("nft", "add table inet plain")
        chain = "{ type filter hook forward priority 0; policy drop; }"
        self.gateway.command("nft", f"add chain inet plain forward {chain}")
        for direction in ("iifname", "oifname"):
            rule = f'{direction} "ipsec0" accept'
            self.gateway.command("nft", f"add rule inet plain forward {rule}")
        self._echo = self.corp.run(self._serve())

    async def _serve(self) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline() + writer.get_extra_info("peername")[0].encode())
            await writer.drain()
            writer.close()

        return await asyncio.start_server(answer, "::", ECHO_PORT)

    def reach(self, address: str, timeout: float = PATIENCE) -> str:
        """Speak to the echo service from the client; return whom it saw."""
        return self.client.run(reach(address, timeout))

    def close(self) -> None:
        self.corp.run(_close(self._echo))
        for host in (self.client, self.gateway, self.corp):
            host.close()

    @staticmethod
    def _wire(left: Host, left_name: str, right: Host, right_name: str) -> None:
        left.command(
            *("ip", "link", "add", left_name, "type", "veth"),
            *("peer", "name", right_name, "netns", str(right.pid)),
        )
        left.ip(f"link set {left_name} up")
        right.ip(f"link set {right_name} up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    await server.wait_closed()


async def reach(address: str, seconds: float = PATIENCE) -> str:
    """Speak to the echo service; return whom it saw, "" when nobody answered."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address, ECHO_PORT)
            try:
                writer.write(b"hello\n")
                return (await reader.read()).decode().partition("\n")[2]
            finally:
                writer.close()
    except (TimeoutError, OSError):
        return ""


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until a condition holds, looking often."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of another thread or process
            await asyncio.sleep(0.01)


async def until_true(condition: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    """Wait until an awaited condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - of another thread or process
            await asyncio.sleep(0.02)


def md4(data: bytes) -> bytes:
    """Return the MD4 digest (RFC 1320), which OpenSSL 3 hides; for NT hashes."""
    try:
        return hashlib.new("md4", data).digest()
    except ValueError:
        answer = subprocess.run(
            ("openssl", "dgst", "-provider", "legacy", "-md4", "-binary"),
            input=data,
            capture_output=True,
            check=True,
        )
        return answer.stdout


@dataclass(frozen=True)
class Deployment:
    """Files and configurations of one deployment: an authority, a gateway, computers."""

    directory: Path
    root: Credential

    @classmethod
    def create(cls, directory: Path) -> "Deployment":
        root = create_root("Test Root", datetime.now(UTC) - timedelta(days=365))
        deployment = cls(directory, root)
        deployment.write("ca.pem", build_certificate_pem(deployment.root.certificate))
        deployment.credential("gateway", Profile.GATEWAY, GATEWAY_IDENTITY)
        for number in (1, 2):
            deployment.credential(
                f"client{number}", Profile.COMPUTER, f"client{number}.corp.example.com"
            )
            password = f"password {number}"
            deployment.write(f"client{number}.password", f"{password}\n".encode())
            nt_hash = md4(password.encode("utf-16-le")).hex()
            deployment.write(f"client{number}.nthash", f"{nt_hash}\n".encode())
        return deployment

    def write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.touch(0o600)
        path.write_bytes(content)
        return path

    def credential(
        self,
        name: str,
        profile: Profile,
        identity: str,
        *,
        root: Credential | None = None,
        age_days: int = 0,
        days: int = 30,
        crl_url: str = "",
    ) -> Credential:
        now = datetime.now(UTC) - timedelta(days=age_days)
        credential = issue(
            root or self.root, profile, [identity], now=now, days=days, crl_url=crl_url
        )
        self.write(f"{name}.crt", build_certificate_pem(credential.certificate))
        self.write(f"{name}.key", build_key_pem(credential.key))
        return credential

    def server(self) -> IPsecServerConfig:
        return IPsecServerConfig(
            identity=GATEWAY_IDENTITY,
            certificate=self.directory / "gateway.crt",
            key=self.directory / "gateway.key",
            ca=self.directory / "ca.pem",
            infrastructure_endpoint=ENDPOINTS[0],
            intranet_endpoint=ENDPOINTS[1],
            infrastructure_prefixes=(INFRASTRUCTURE_PREFIX,),
            intranet_prefixes=(INTRANET_PREFIX,),
        )

    def computers(self, *numbers: int) -> tuple[Computer, ...]:
        return tuple(
            Computer(
                account=f"CLIENT{number}$",
                identity=f"client{number}.corp.example.com",
                nt_hash=self.directory / f"client{number}.nthash",
            )
            for number in numbers
        )

    def client(
        self, *, certificate: str = "client1", account: str = "CLIENT1$", password: str = "client1"
    ) -> ClientConfig:
        number = certificate[-1] if certificate[-1].isdecimal() else "1"
        return ClientConfig(
            file=self.directory / "client.toml",
            certificate=self.directory / f"{certificate}.crt",
            key=self.directory / f"{certificate}.key",
            account=account,
            identity=f"client{number}.corp.example.com",
            password_file=self.directory / f"{password}.password",
            runtime_directory=self.directory / "run-client",
        )

    def policy(self, *, root: Credential | None = None) -> Policy:
        anchor = build_certificate_pem((root or self.root).certificate).decode()
        return Policy(
            deployment="corp.example.com",
            version=1,
            issued_at=0,
            expires_at=2**32,
            iphttps_url="https://da.example.com:443/IPHTTPS",
            gateway_identity=GATEWAY_IDENTITY,
            infrastructure=TunnelPolicy(endpoint=ENDPOINTS[0], prefixes=(INFRASTRUCTURE_PREFIX,)),
            intranet=TunnelPolicy(endpoint=ENDPOINTS[1], prefixes=(INTRANET_PREFIX,)),
            nrpt=(),
            nls_urls=(),
            trust_anchors=(anchor,),
            kerberos_realm=REALM,
            kerberos_service=SERVICE,
        )


@functools.cache
def shared_world() -> "World":
    """Return the one world of this test run; building it takes a tenth of a second."""
    world = World()
    atexit.register(world.close)
    return world


REALM, SERVICE = "CORP.EXAMPLE.COM", "host@da.example.com"
PASSWORDS = {
    "alice": "Passw0rd.2",
    "bob": "Passw0rd.4",
    "disabled": "Passw0rd.5",
    "expired": "Passw0rd.6",
    "carol": "Passw0rd.8",
}
"""carol is for tests that break her account."""
_PROVISION = """
import sys
from samba.netcmd.main import cmd_sambatool
target = sys.argv[1]
def run(*arguments):
    if cmd_sambatool()._run("samba-tool", *arguments):
        sys.exit(f"{arguments} failed")
run("domain", "provision", "--realm=CORP.EXAMPLE.COM", "--domain=CORP", "--server-role=dc",
    "--dns-backend=NONE", "--adminpass=Passw0rd.1", f"--targetdir={target}", "--host-name=dc1")
own = f"--configfile={target}/etc/smb.conf"
for user, password in zip(sys.argv[2::2], sys.argv[3::2]):
    run("user", "create", user, password, own)
run("user", "disable", "disabled", own)
run("user", "setpassword", "expired", "--newpassword=Passw0rd.6", own,
    "--must-change-at-next-login")
run("user", "create", "svc-da", "Passw0rd.3", own)
run("spn", "add", "host/da.example.com", "svc-da", own)
run("domain", "exportkeytab", f"{target}/da.keytab", "--principal=host/da.example.com", own)
run("user", "create", "svc-proxy", "Passw0rd.7", own)
run("spn", "add", "HTTP/proxy.corp.example.com", "svc-proxy", own)
run("domain", "exportkeytab", f"{target}/proxy.keytab",
    "--principal=HTTP/proxy.corp.example.com", own)

run("spn", "add", "ldap/dc1.corp.example.com", "DC1$", own)
with open(f"{target}/etc/smb.conf") as file:
    text = file.read()
# What winbindd would else share with every other one of the machine.
private = (f"winbindd socket directory = {target}/winbindd", f"pid directory = {target}",
    f"ncalrpc dir = {target}/ncalrpc", "ntlm auth = mschapv2-and-ntlmv2-only",
    "interfaces = lo gw0", "server services = kdc ldap winbindd", f"log file = {target}/log.%m")
lines = [line for line in text.splitlines() if "server services" not in line and
    "log file" not in line]
at = lines.index("[global]") + 1
with open(f"{target}/etc/smb.conf", "w") as file:
    file.write("\\n".join((*lines[:at], *private, *lines[at:])) + "\\n")
# One opening of the database for the rest, where each command would be half a second.
from samba.auth import system_session
from samba.net import Net
from samba.param import LoadParm
from samba.samdb import SamDB
import samba
parameters = LoadParm()
parameters.load(f"{target}/etc/smb.conf")
sam = SamDB(url=f"{target}/private/sam.ldb", session_info=system_session(), lp=parameters)
samba.enable_net_export_keytab()
net = Net(None, parameters)
net.export_keytab(keytab=f"{target}/da.keytab", principal="svc-da")
for computer in ("CLIENT1", "CLIENT2", "CLIENT3"):
    sam.newcomputer(computer, prepare_oldjoin=True)
    sam.setpassword(f"(sAMAccountName={computer}$)", f"Passw0rd.{computer}")
    net.export_keytab(keytab=f"{target}/{computer.lower()}.keytab", principal=f"{computer}$")
MEMBERS = {
    "DA Laptops": ["CLIENT2$"], "DA Sales": ["bob", "carol"], "DA Staff": ["DA Sales"],
    "DA Computers": ["CLIENT1$", "DA Laptops"], "DA Users": ["alice", "DA Staff"],
}
for group, members in MEMBERS.items():
    sam.newgroup(group)
    sam.add_remove_group_members(group, members, add_members_operation=True)
"""


class DomainController:
    """A real Samba AD domain controller (its KDC, rather) on the intranet host."""

    def __init__(self, host: Host, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.keytab = directory / "da.keytab"
        self.proxy_keytab = directory / "proxy.keytab"
        users = [word for pair in PASSWORDS.items() for word in pair]
        # Debian's own Python: samba's modules are not for any other.
        answer = subprocess.run(
            ("/usr/bin/python3", "-c", _PROVISION, str(directory), *users),
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        (directory / "krb5.conf").write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n"
            f"[realms]\n {REALM} = {{\n  kdc = [{SERVER}]:88\n }}\n"
        )
        self.krb5_conf = directory / "krb5.conf"
        self._process = subprocess.Popen(
            (
                *("nsenter", f"--net={host.namespace}", "setpriv", "--pdeathsig", "KILL"),
                # A process namespace: winbindd leaves samba's group, and must not outlive it.
                *("unshare", "--pid", "--fork", "--kill-child"),
                *("samba", "-i", "-M", "single", f"--configfile={directory}/etc/smb.conf"),
            ),
            # Of a pipe there samba would take the end for its own.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Four seconds where nothing else runs.
        host.run(until_true(self._serves, 3 * PATIENCE), 4 * PATIENCE)

    async def _serves(self) -> bool:
        assert self._process.poll() is None, "samba ended"
        try:
            _, writer = await asyncio.open_connection(SERVER, 88)
        except OSError:
            return False
        writer.close()
        return True

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@functools.cache
def shared_domain() -> DomainController:
    """Return the one domain controller of this test run; it takes four seconds to come up."""
    directory = tempfile.TemporaryDirectory(prefix="throughway-dc-")
    domain = DomainController(shared_world().corp, Path(directory.name) / "dc")
    atexit.register(directory.cleanup)
    atexit.register(domain.close)
    return domain


class Recorder(AuditLog):
    """An audit log that writes nowhere."""

    def __init__(self, records: list[AuditRecord]) -> None:
        super().__init__(None, None, side="gateway")
        self._records = records

    def record(self, record: AuditRecord) -> None:
        self._records.append(cleaned(record))


async def _no_sessions() -> tuple[SessionStatus, ...]:
    return ()


async def _begin(audit: GatewayAudit) -> None:
    audit.start()


async def _once(client: ClientIPsec, name: str, attempt: Awaitable[None]) -> None:
    """Await an attempt; after one that fails the next must not begin, and be told of later on."""
    try:
        await attempt
    except ThroughwayError:
        await client.down(name)
        raise


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Let an attempt take as long as it needs: it must be refused, not given up."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client_ipsec, "INITIATE_TIMEOUT_MS", int(PATIENCE * 500))
        yield


class Site:
    """A gateway and one client at a time in the shared world, with all that they told."""

    def __init__(
        self,
        directory: Path,
        users: UsersConfig | None = None,
        revocation: Revocation = Revocation.WEAK,
        roots: Iterable[Credential] = (),
        **options: Any,  # noqa: ANN401 - of GatewayIPsec
    ) -> None:
        self.world = shared_world()
        self.deployment = Deployment.create(directory)
        trusted = (self.deployment.root, *roots)
        self.deployment.write(
            "ca.pem", b"".join(build_certificate_pem(root.certificate) for root in trusted)
        )
        self.client_options: dict[str, Any] = {}
        self.policy = self.deployment.policy()
        self.failures: list[tuple[str, str, str]] = []
        self.client_failures: list[tuple[str, str, str]] = []
        self.daemon: list[str] = []
        self.records: list[AuditRecord] = []
        """What the gateway's audit has recorded."""
        self.audit = GatewayAudit(
            Recorder(self.records),
            prefix="2001:db8:da::/64",
            computer_of=lambda connection: self.gateway.computer_of(connection),
            shown=lambda: self.gateway.shown_certificates(),
            forget=lambda: self.gateway.forget_shown(),
            sessions=_no_sessions,
        )
        self.world.gateway.run(_begin(self.audit))
        self.gateway = GatewayIPsec(
            replace(self.deployment.server(), revocation=revocation),
            self.deployment.computers(1, 2),
            users,
            directory=directory / "run-gateway",
            on_failure=lambda *failure: self.failures.append(failure),
            on_cut=self.cut,
            on_event=self.audit.ipsec_event,
            on_refused=self.audit.refused,
            **options,
        )
        self.client: ClientIPsec | None = None
        self.world.gateway.run(self.gateway.start())

    def cut(self, reason: str, problem: str, peer: str) -> None:
        """Take what is said of a tunnel that is ended, as the daemon does."""
        self.failures.append((reason, problem, peer))
        self.audit.cut(reason, problem, peer)

    def start_client(self, config: ClientConfig | None = None) -> ClientIPsec:
        """Start a client's charon; no tunnel yet."""
        self.stop_client()
        self.client = ClientIPsec(
            config or self.deployment.client(),
            self.policy,
            **self.client_options,
            on_failure=lambda *failure: self.client_failures.append(failure),
            on_daemon=self.daemon.append,
        )
        self.world.client.run(self.client.start())
        return self.client

    def stop_client(self) -> None:
        if self.client is not None:
            self.world.client.run(self.client.stop())
            self.client = None

    def up(self, address: str = CLIENT, *, renew: bool = False) -> None:
        assert self.client is not None
        self.world.client.run(self.client.up_infrastructure(address, renew=renew))

    def refusal(self, config: ClientConfig | None = None) -> tuple[str, str]:
        """Let a client try that must be refused; return the problems both ends name."""
        self.world.gateway.run(self._all_told())
        self.failures.clear()
        self.start_client(config)
        with pytest.raises(IPsecError) as caught:
            self.try_up()
        self.world.gateway.run(until(lambda: bool(self.failures)))
        self.stop_client()
        return self.failures[0][1], caught.value.problem

    def try_up(self) -> None:
        """Ask for the infrastructure tunnel; where it is refused, no second time."""
        assert self.client is not None
        client = self.client
        with patient():
            self.world.client.run(_once(client, INFRASTRUCTURE, client.up_infrastructure(CLIENT)))

    def try_user(self, principal: str, proof: Proof) -> None:
        """Ask for the intranet tunnel; where it is refused, no second time."""
        assert self.client is not None
        client = self.client
        with patient():
            self.world.client.run(_once(client, INTRANET, client.up_intranet(principal, proof)))

    def at_gateway(self, name: str) -> list[TunnelStatus]:
        """Return the tunnels of a name which are up as the gateway sees them now."""
        self.world.gateway.run(self.gateway.refresh())
        return [t for t in self.gateway.tunnels() if t.name == name and t.state is TunnelState.UP]

    def at_client(self, name: str) -> TunnelStatus:
        """Return a tunnel as the client sees it now."""
        assert self.client is not None
        self.world.client.run(self.client.refresh())
        return next(t for t in self.client.tunnels() if t.name == name)

    def wait_client(self, name: str, state: TunnelState, seconds: float = PATIENCE) -> None:
        client = self.client
        assert client is not None

        def reached() -> bool:
            return next(t for t in client.tunnels() if t.name == name).state is state

        self.world.client.run(until(reached, seconds))

    def close(self) -> None:
        self.stop_client()
        self.world.gateway.run(self.gateway.stop())
        self.world.gateway.run(self.audit.close())

    def recorded(self, event: AuditEvent) -> AuditRecord:
        """Return the next audit record of an event; it is looked at once."""

        def find() -> AuditRecord | None:
            return next((record for record in self.records if record.event is event), None)

        self.world.gateway.run(until(lambda: find() is not None))
        record = find()
        assert record is not None
        self.records.remove(record)
        return record

    async def _all_told(self) -> None:
        """Wait for what an earlier client tried last: it may be under way to the audit.

        One that was stopped amid an attempt leaves half an IKE_SA behind: charon forgets it in
        30 s. Whoever is there longer than that came up, or went, before charon's log said that
        they came: of them nothing is told any more.
        """
        suspects = self.gateway._refusals._suspects
        with contextlib.suppress(TimeoutError):
            await until(lambda: not suspects)
        suspects.clear()
        async with asyncio.timeout(PATIENCE):
            await self.audit._drafts.join()

    def forget_told(self) -> None:
        """Begin anew: the audit counts, and no longer records, who is refused all the time."""
        self.world.gateway.run(self._all_told())
        self.records.clear()
        self.failures.clear()
        self.audit._gate = FloodGate()

    def refused_as(self) -> tuple[AuditEvent, str]:
        """Return event and problem of the next refusal in the audit."""
        records = self.records
        self.world.gateway.run(
            until(lambda: any(one.outcome is Outcome.REFUSED for one in records))
        )
        record = next(one for one in records if one.outcome is Outcome.REFUSED)
        return record.event, record.problem
