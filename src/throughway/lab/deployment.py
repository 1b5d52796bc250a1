"""What the deployment's administrator does: certificates, configuration, policy, joining.

The commands and files are those of the documentation; the lab takes no shortcut that a real
administrator does not have.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughway.control.client import ask
from throughway.lab import processes
from throughway.lab.domain import USERS, Accounts, account, computer_password
from throughway.lab.namespaces import Namespaces
from throughway.lab.processes import File, Service
from throughway.lab.services import SITE_CERTIFICATE, SITE_KEY, WEB_ROOT
from throughway.lab.topology import (
    CRL_NAME,
    DOMAIN,
    GATEWAY_NAME,
    INFRASTRUCTURE_ENDPOINT,
    INFRASTRUCTURE_PREFIX,
    INTRANET_ENDPOINT,
    INTRANET_PREFIX,
    IPHTTPS_PREFIXES,
    NLS_NAME,
    PROBE_NAME,
    REALM,
    Host,
    Role,
    fqdn,
)
from throughway.lab.translation import DNS64_ADDRESS, NAT64_TOML
from throughway.lab.trust import Issued, LabAuthority
from throughway.model.errors import ControlError
from throughway.model.findings import Component
from throughway.model.status import ComponentState
from throughway.net.privileges import IKE_ACCOUNT
from throughway.pki import bundle
from throughway.pki.authority import Profile

CONFIGURATION = "/etc/throughway"
GATEWAY_CONFIG = f"{CONFIGURATION}/gateway.toml"
CLIENT_CONFIG = f"{CONFIGURATION}/client.toml"
POLICY_KEY = f"{CONFIGURATION}/policy.key"
POLICY_PUBLIC_KEY = f"{CONFIGURATION}/policy.pub"
USER_PASSWORDS = "/etc/throughway-lab"
"""What people know by heart; in files of the clients, so that scripts can log on."""
ROOT_FILE = f"{CONFIGURATION}/root.crt"
BUNDLE = "/var/lib/throughway/policy.bundle"
CRL_FILE = str(WEB_ROOT / CRL_NAME / "root.crl")

START_TIMEOUT = 180.0
STOP_TIMEOUT = 60.0
"""Seconds; a daemon says goodbye to its peers before it ends."""

UNKNOWN = ComponentState.UNKNOWN
"""Of a row that has not spoken yet."""
WORKERS = 2
"""Of the gateway, however many cores this machine has: each has a link of its own."""

SYSTEM_ROOTS = "/etc/ssl/certs"
TRUST = f"""
set -e
cat {ROOT_FILE} >> {SYSTEM_ROOTS}/ca-certificates.crt
ln -sf {ROOT_FILE} {SYSTEM_ROOTS}/$(openssl x509 -in {ROOT_FILE} -noout -hash).0
"""
"""What update-ca-certificates would do in ten times as long."""

ADD_ACCOUNT = f"useradd --system --no-create-home --shell /usr/sbin/nologin {IKE_ACCOUNT}"
"""What systemd-sysusers does with packaging/systemd/throughway.sysusers."""

GATEWAY_TOML = f"""\
# The gateway of the lab; every key is explained in docs/operate/configuration.md.

[iphttps]
url = "https://{GATEWAY_NAME}:443/IPHTTPS"
listen = ["131.107.0.2:443"]
certificate = "{CONFIGURATION}/gateway.crt"
key = "{CONFIGURATION}/gateway.key"
prefix = "{IPHTTPS_PREFIXES}"
workers = {WORKERS}

[ipsec]
identity = "{GATEWAY_NAME}"
certificate = "{CONFIGURATION}/gateway.crt"
key = "{CONFIGURATION}/gateway.key"
ca = "{ROOT_FILE}"
infrastructure_endpoint = "{INFRASTRUCTURE_ENDPOINT}"
intranet_endpoint = "{INTRANET_ENDPOINT}"
infrastructure_prefixes = ["{INFRASTRUCTURE_PREFIX}"]
intranet_prefixes = ["{INTRANET_PREFIX}"]

[sixtofour]

[teredo]
address = "131.107.0.2"

[users]
realm = "{REALM}"
keytab = "{CONFIGURATION}/gateway.keytab"
service = "host@{GATEWAY_NAME}"

[publish]
portal_probe = "http://{PROBE_NAME}/"
deployment = "{DOMAIN}"
signing_key = "{POLICY_KEY}"
bundle = "{BUNDLE}"
nls_urls = ["https://{NLS_NAME}/"]
trust_anchors = ["{ROOT_FILE}"]
serve = "[2001:db8:c0:1::1]:8080"
reasons_port = 4433

[[publish.nrpt]]
namespace = ".{DOMAIN}"
servers = ["{DNS64_ADDRESS}"]

[[publish.nrpt]]
namespace = "{NLS_NAME}"
"""

COMPUTER_TOML = """\

[[computers]]
account = "{account}"
identity = "{identity}"
nt_hash = "{file}"
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the administrator carries to a client, in the hand and in the head."""

    bundle: bytes
    fingerprint: str
    """Of the key that signed it."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """One of our daemons, as the lab starts it."""

    name: str
    command: tuple[str, ...]
    control_socket: str
    component: str
    """The row of its status that speaks once it has started."""


GATEWAY = Daemon(
    "gateway",
    ("throughway", "gateway", "run", "--config", GATEWAY_CONFIG),
    "/run/throughway/gateway.sock",
    Component.GATEWAY,
)
CLIENT = Daemon(
    "client", ("throughway", "client", "run"), "/run/throughway/client.sock", Component.POLICY
)


def issue_for(host: Host, authority: LabAuthority) -> Issued:
    """Issue the certificate that a host of this role needs."""
    if host.role is Role.GATEWAY:
        return authority.issue(Profile.GATEWAY, GATEWAY_NAME)
    if host.role is Role.CLIENT:
        return authority.issue(Profile.COMPUTER, fqdn(host.name))
    return authority.issue(Profile.SERVER, fqdn(host.name))


def equip(namespaces: Namespaces, host: Host, authority: LabAuthority) -> None:
    """Give a host the root to trust, its certificate, and what else its role needs."""
    files: dict[str, File | str | bytes] = {ROOT_FILE: authority.certificate}
    if host.role is Role.GATEWAY:
        files |= _credential(f"{CONFIGURATION}/gateway", issue_for(host, authority))
    if host.role is Role.CLIENT:
        files |= _credential(f"{CONFIGURATION}/computer", issue_for(host, authority))
        password = f"{computer_password(host.name)}\n"
        files[f"{CONFIGURATION}/account.password"] = File(password, 0o600)
        for user, secret in USERS.items():
            files[f"{USER_PASSWORDS}/{user}.password"] = File(f"{secret}\n", 0o600)
    if any(site.tls for site in host.sites):
        issued = issue_for(host, authority)
        files |= {SITE_CERTIFICATE: issued.certificate, SITE_KEY: File(issued.key, 0o600)}
    if any(site.name == CRL_NAME for site in host.sites):
        files[CRL_FILE] = authority.build_crl()
    processes.write_files(namespaces, files)
    processes.run(namespaces, ["sh", "-c", TRUST], check=True)
    if host.role is Role.GATEWAY:
        processes.run(namespaces, ADD_ACCOUNT.split(), check=True)


def receive_accounts(namespaces: Namespaces, accounts: Accounts, clients: tuple[str, ...]) -> None:
    """Put on the gateway what the domain's administrator hands over, and its configuration."""
    files: dict[str, File | str | bytes] = {
        f"{CONFIGURATION}/gateway.keytab": File(accounts.keytab, 0o600),
        GATEWAY_CONFIG: build_gateway_toml(clients),
    }
    for client in clients:
        nt_hash = accounts.nt_hashes[account(client)]
        files[_hash_file(client)] = File(f"{nt_hash}\n", 0o600)
    processes.write_files(namespaces, files)


def build_gateway_toml(clients: tuple[str, ...]) -> str:
    """Return the gateway's configuration."""
    computers = (
        COMPUTER_TOML.format(
            account=account(client), identity=fqdn(client), file=_hash_file(client)
        )
        for client in clients
    )
    return GATEWAY_TOML + NAT64_TOML + "".join(computers)


def make_policy_key(gateway: Namespaces) -> None:
    """Make the key that signs the policy; its public half lies beside it."""
    processes.run(gateway, ["throughway", "policy", "key", POLICY_KEY], check=True)


def build_policy(gateway: Namespaces) -> Policy:
    """Build the signed bundle, on the gateway."""
    command = ["throughway", "policy", "build", "--config", GATEWAY_CONFIG]
    processes.run(gateway, command, check=True)
    # What `policy key` has shown the administrator.
    public = bundle.parse_public_key(processes.read_file(gateway, POLICY_PUBLIC_KEY))
    return Policy(processes.read_file(gateway, BUNDLE), bundle.fingerprint(public))


def join(client: Namespaces, policy: Policy) -> None:
    """Carry the bundle to a client and let it join, as from a memory stick."""
    carried = "/tmp/policy.bundle"
    processes.write_files(client, {carried: policy.bundle})
    command = ["throughway", "client", "join", carried, "--trust", policy.fingerprint]
    processes.run(client, command, check=True)


def wait_started(service: Service, daemon: Daemon) -> None:
    """Wait until the daemon has begun its work: it can be asked for its status before."""

    def started() -> bool:
        status = status_of(service.namespaces, daemon)
        spoke = {r["component"] for r in status.get("components", ()) if r["state"] != UNKNOWN}
        # A policy that says what cannot be is a problem of what it says that of.
        refused = daemon is CLIENT and not status.get("policy_version", 1)
        return daemon.component in spoke or bool(refused and status.get("problems"))

    processes.wait_until(started, START_TIMEOUT, f"the {daemon.name}", service)


def status_of(namespaces: Namespaces, daemon: Daemon) -> dict[str, Any]:
    """Return what a daemon's ``status --json`` prints; nothing when it does not answer.

    The daemon is asked without the command, whose start costs more than all that is waited for.
    """
    try:
        status: Any = ask(Path(f"/proc/{namespaces.pid}/root{daemon.control_socket}"), "status")
    except ControlError:
        return {}
    return dict(status)


def _credential(stem: str, issued: Issued) -> dict[str, File | str | bytes]:
    return {f"{stem}.crt": issued.certificate, f"{stem}.key": File(issued.key, 0o600)}


def _hash_file(client: str) -> str:
    return f"{CONFIGURATION}/accounts/{client}.nthash"
