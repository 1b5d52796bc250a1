"""The intranet's domain: a real Samba AD domain controller with accounts, records and a share."""

import json
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from throughway.lab import processes
from throughway.lab.namespaces import Namespaces
from throughway.lab.processes import File, Service
from throughway.lab.topology import (
    DC_ADDRESSES,
    DOMAIN,
    GATEWAY_NAME,
    INTRANET_NETWORKS,
    NETBIOS_DOMAIN,
    REALM,
    Host,
    Role,
    Topology,
    fqdn,
)

SERVICE = "samba"
LOG = "/var/log/samba/samba.log"
SYSTEM_PYTHON = "/usr/bin/python3"
ACCOUNTS_SCRIPT = Path(__file__).with_name("domain_accounts.py")

ADMINISTRATOR_PASSWORD = "Administrator.Passw0rd"
USERS = {"alice": "Alice.Passw0rd", "bob": "Bob.Passw0rd"}

GATEWAY_PRINCIPAL = f"host/{GATEWAY_NAME}"
KEYTAB = "/var/lib/samba/private/gateway.keytab"

PROVISION_TIMEOUT = 240.0
"""Seconds; four on an idle machine."""
START_TIMEOUT = 120.0

TLS_DIRECTORY = "/var/lib/samba/private/tls"
SHARE = "/var/lib/samba/share"
SMB_SHARE = f"""
[share]
\tpath = {SHARE}
\tread only = No
"""

KRB5_CONF = f"""\
[libdefaults]
  default_realm = {REALM}
  dns_lookup_kdc = true
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false

[domain_realm]
  .{DOMAIN} = {REALM}
  {DOMAIN} = {REALM}
  {GATEWAY_NAME} = {REALM}
"""
"""No KDC is named: it is found by DNS SRV, which outside only the NRPT can answer."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the domain hands to the administrator of the gateway."""

    nt_hashes: dict[str, str]
    """By account, such as ``CLIENT1$``."""
    keytab: bytes


def account(host: str) -> str:
    """Return the computer account of a host."""
    return f"{host.upper()}$"


def computer_password(host: str) -> str:
    """Return the password of a host's computer account."""
    return f"{host.capitalize()}.Passw0rd"


def provision(namespaces: Namespaces, topology: Topology, files: dict[str, File]) -> Accounts:
    """Make the domain's database, and everything in it; the controller is not started yet.

    ``files`` are the controller's own certificate: without one Samba would spend a second on
    making an RSA key.
    """
    v6, v4 = DC_ADDRESSES
    command = ["samba-tool", "domain", "provision", "--server-role=dc"]
    command += [f"--realm={REALM}", f"--domain={NETBIOS_DOMAIN}", "--host-name=dc1"]
    command += [f"--adminpass={ADMINISTRATOR_PASSWORD}", "--dns-backend=SAMBA_INTERNAL"]
    command += [f"--host-ip={v4}", f"--host-ip6={v6}", "--option=dns forwarder=131.107.0.1"]
    processes.run(namespaces, command, timeout=PROVISION_TIMEOUT, check=True)
    share: dict[str, File | str | bytes] = {f"{SHARE}/readme.txt": "The intranet's share.\n"}
    processes.write_files(namespaces, share | files)
    append = ["sh", "-c", f"cat >> /etc/samba/smb.conf; chmod 1777 {SHARE}"]
    processes.run(namespaces, append, stdin=SMB_SHARE, check=True)
    command = [SYSTEM_PYTHON, str(ACCOUNTS_SCRIPT)]
    filled = processes.run(
        namespaces,
        command,
        stdin=json.dumps(wanted(topology)),
        timeout=PROVISION_TIMEOUT,
        check=True,
    )
    # Samba's own messages may come first.
    hashes = json.loads(filled.stdout[filled.stdout.index("{") :])
    return Accounts(hashes, processes.read_file(namespaces, KEYTAB))


def wanted(topology: Topology) -> dict[str, object]:
    """Return what the domain must hold, as ``domain_accounts`` reads it."""
    members = topology.with_role(Role.CLIENT) + topology.with_role(Role.GATEWAY)
    gateways = [account(host.name) for host in topology.with_role(Role.GATEWAY)]
    return {
        "domain": DOMAIN,
        "users": USERS,
        "computers": [
            {
                "account": account(host.name),
                "password": computer_password(host.name),
                "services": [GATEWAY_PRINCIPAL] if host.role is Role.GATEWAY else [],
            }
            for host in members
        ],
        "records": {host.name: _inside(host) for host in topology.hosts if _inside(host)},
        # The gateway asks the directory as its own computer account.
        "keytabs": dict.fromkeys((GATEWAY_PRINCIPAL, *gateways), KEYTAB),
    }


def start(namespaces: Namespaces) -> Service:
    """Start the domain controller; see :func:`wait_ready`."""
    command = ["samba", "--foreground", "--model=single", "--no-process-group"]
    return processes.start(namespaces, SERVICE, command, log=LOG)


def wait_ready(namespaces: Namespaces, service: Service) -> None:
    """Wait until a client would find the controller by DNS SRV and be served by it."""
    names = (f"_kerberos._udp.{DOMAIN}", f"_ldap._tcp.dc._msdcs.{DOMAIN}")
    processes.in_network(
        namespaces,
        lambda: processes.wait_until(
            lambda: all(_answers(name) for name in names),
            START_TIMEOUT,
            "the domain controller's DNS",
            service,
        ),
    )
    for port in (88, 389, 445):
        for address in DC_ADDRESSES:
            processes.wait_port(namespaces, address, port, START_TIMEOUT, service)


def tls_files(certificate: bytes, key: bytes, root: bytes) -> dict[str, File]:
    """Return the controller's certificate where Samba looks for it."""
    return {
        f"{TLS_DIRECTORY}/cert.pem": File(certificate),
        f"{TLS_DIRECTORY}/key.pem": File(key, 0o600),
        f"{TLS_DIRECTORY}/ca.pem": File(root),
    }


def _inside(host: Host) -> list[str]:
    """Return the addresses under which the intranet's DNS knows a host."""
    if host.role is Role.DOMAIN_CONTROLLER:
        return []  # provision has written its own
    return [
        address.partition("/")[0]
        for interface in host.interfaces
        if interface.network in INTRANET_NETWORKS
        for address in interface.addresses
    ][:2]


def _answers(name: str) -> bool:
    query = dns.message.make_query(name, dns.rdatatype.SRV)
    try:
        answer = dns.query.udp(query, DC_ADDRESSES[0], timeout=1.0)
    except (OSError, dns.exception.DNSException):
        return False
    return any(fqdn("dc1") in str(record) for record in answer.answer)
