"""The test run's Active Directory as the gateway asks it, and what can be wrong with accounts.

The faults are data (:data:`FAULTS`): each is put into the real directory and taken out again.
"""

import atexit
import contextlib
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ipsec_world import (
    PASSWORDS,
    REALM,
    SERVER,
    DomainController,
    shared_domain,
    shared_world,
    until,
    until_true,
)
from throughway.model.config import AccessRule, DirectoryConfig, RADIUSConfig
from throughway.model.errors import TrustError
from throughway.net import directory
from throughway.net.kerberos import get_ticket

RULES = (AccessRule(computers=("DA Computers",), users=("DA Users",)),)
GATEWAY_ACCOUNT = "svc-da"

_EDITOR = """
import json, sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
import ldb
target = sys.argv[1]
parameters = LoadParm()
parameters.load(f"{target}/etc/smb.conf")
sam = SamDB(url=f"{target}/private/sam.ldb", session_info=system_session(), lp=parameters)
for line in sys.stdin:
    what, *words = json.loads(line)
    if what == "set":
        name, attribute, value = words
        [found] = sam.search(sam.domain_dn(), expression=f"(sAMAccountName={name})",
            attrs=[attribute])
        old = str(found[attribute]) if attribute in found else None
        flag = ldb.FLAG_MOD_DELETE if value is None else ldb.FLAG_MOD_REPLACE
        if value is not None or old is not None:
            message = ldb.Message(found.dn)
            message[attribute] = ldb.MessageElement(value or [], flag, attribute)
            sam.modify(message)
        answer = old
    elif what == "domain":
        message = ldb.Message(ldb.Dn(sam, sam.domain_dn()))
        message[words[0]] = ldb.MessageElement(words[1], ldb.FLAG_MOD_REPLACE, words[0])
        answer = sam.modify(message)
    elif what == "group":
        group, member, add = words
        answer = sam.add_remove_group_members(group, [member], add_members_operation=add)
    elif what == "add":
        name, password = words
        if name.endswith("$"):
            sam.newcomputer(name, prepare_oldjoin=True)
        else:
            sam.newuser(name, password)
        answer = sam.setpassword(f"(sAMAccountName={name})", password)
    elif what == "delete":
        [found] = sam.search(sam.domain_dn(), expression=f"(sAMAccountName={words[0]})")
        answer = sam.delete(found.dn)
    print(json.dumps(answer), flush=True)
"""


class Editor:
    """Changes the directory's database, as an administrator at the controller would."""

    def __init__(self, domain: DomainController) -> None:
        self._process = subprocess.Popen(
            ("/usr/bin/python3", "-c", _EDITOR, str(domain.directory)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, *words: Any) -> Any:  # noqa: ANN401 - what JSON carries
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@functools.cache
def editor() -> Editor:
    """Return the one editor of this test run."""
    editor = Editor(shared_domain())
    atexit.register(editor.close)
    return editor


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with an account, and what the gateway calls it."""

    name: str
    problem: str
    attribute: str = ""
    user_value: str = ""
    computer_value: str = ""
    group: bool = False
    """Whether it is taken out of its group."""
    deleted: bool = False
    """Whether it is deleted; it comes back as another account, of the same name and group."""

    locked: bool = False
    """Whether too many wrong passwords were tried."""

    def __str__(self) -> str:
        return self.name


_PAST = "116444736000000000"
"""1970 as FILETIME."""

FAULTS = (
    Fault("disabled", "access-account-disabled", "userAccountControl", "514", "4098"),
    Fault("expired", "access-account-expired", "accountExpires", _PAST, _PAST),
    Fault("not in group", "access-group-missing", group=True),
    Fault("deleted", "access-account-unknown", deleted=True),
)
"""Of computers and of users alike."""
COMPUTER_FAULTS = FAULTS[:3]
"""A computer's account is not deleted here: it would come back with another key."""
USER_FAULTS = (
    *FAULTS,
    # The domain locks no computers out.
    Fault("locked", "access-account-locked", locked=True),
    Fault("of another computer", "access-computer-not-allowed", "userWorkstations", "OTHER", ""),
)
CUT_USERS = tuple(fault for fault in FAULTS if fault.name != "expired")
CUT_COMPUTERS = tuple(fault for fault in CUT_USERS if not fault.deleted)
"""Of those who are in."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How a computer proves its account in the domain, and what follows; a row."""

    keytab: str = ""
    """Of which computer, where it has one."""
    password: str = ""
    account: str = "CLIENT1$"
    fault: Fault | None = None
    at_client: str = ""
    at_gateway: str = ""
    """Both "": it comes in."""


_MISMATCH, _ACCOUNT = "ipsec-account-certificate-mismatch", "ipsec-computer-account-refused"
_DISABLED = "kerberos-account-disabled"
TICKETS = {
    "keytab": Proof(keytab="client1"),
    "password": Proof(password="Passw0rd.CLIENT1"),
    "keytab and account of another computer": Proof(
        keytab="client2", account="CLIENT2$", at_gateway=_MISMATCH, at_client=_ACCOUNT
    ),
    "keytab of another computer": Proof(keytab="client2", at_client="kerberos-ticket-missing"),
    "wrong password": Proof(password="wrong", at_client="kerberos-password-wrong"),
    "a user's account": Proof(
        password=PASSWORDS["alice"], account="alice", at_client="kerberos-unreachable"
    ),
    "account disabled": Proof(
        keytab="client1", fault=FAULTS[0], at_client="kerberos-account-disabled"
    ),
    "account expired": Proof(
        keytab="client1", fault=FAULTS[1], at_client="kerberos-account-disabled"
    ),
}
"""Computers by Kerberos."""
BY_RADIUS = {
    "good": Proof(password="client1"),
    "wrong password": Proof(password="wrong", at_gateway=_ACCOUNT, at_client=_ACCOUNT),
    "account of another computer": Proof(
        password="client2", account="CLIENT2$", at_gateway=_MISMATCH, at_client=_ACCOUNT
    ),
    "account disabled": Proof(
        password="client1",
        fault=FAULTS[0],
        at_gateway=_ACCOUNT,
        at_client=_ACCOUNT,
    ),
    "account expired": Proof(
        password="client1", fault=FAULTS[1], at_gateway=_ACCOUNT, at_client=_ACCOUNT
    ),
}
"""Computers by EAP-MSCHAPv2, FreeRADIUS and winbind."""
RADIUS_SILENT = "radius-server-unreachable"
RADIUS_SILENT_AT_CLIENT = _ACCOUNT

GROUPS = {"alice": "DA Users", "carol": "DA Sales", "CLIENT1$": "DA Computers"}


def lock_out(account: str) -> None:
    """Try a wrong password at the controller, for which one is enough in this moment."""
    edit = editor()
    edit("domain", "lockoutThreshold", "1")
    try:
        with pytest.raises(TrustError):
            shared_world().corp.call(
                get_ticket, f"{account}@{REALM}", "wrong", shared_domain().directory / "none"
            )
    finally:
        edit("domain", "lockoutThreshold", "0")


@contextmanager
def broken(account: str, fault: Fault) -> Iterator[None]:
    """Let an account have a fault for a while."""
    edit = editor()
    if fault.deleted:
        edit("delete", account)
        try:
            yield
        finally:
            edit("add", account, PASSWORDS[account])
            edit("group", GROUPS[account], account, True)
    elif fault.locked:
        lock_out(account)
        try:
            yield
        finally:
            edit("set", account, "lockoutTime", "0")
    elif fault.group:
        edit("group", GROUPS[account], account, False)
        try:
            yield
        finally:
            edit("group", GROUPS[account], account, True)
    else:
        value = fault.computer_value if account.endswith("$") else fault.user_value
        old = edit("set", account, fault.attribute, value)
        try:
            yield
        finally:
            edit("set", account, fault.attribute, old)


def directory_config(**changes: Any) -> DirectoryConfig:  # noqa: ANN401
    """Return how the gateway of these tests asks the directory."""
    values: dict[str, Any] = {
        "domain": REALM.lower(),
        "keytab": shared_domain().keytab,
        "principal": GATEWAY_ACCOUNT,
        "servers": ("dc1.corp.example.com",),
        "interval": 0.1,
    }
    return DirectoryConfig(**values | changes)


def reachable_directory(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the process that asks know the controller's name, which no DNS there does."""
    monkeypatch.setenv("KRB5_CONFIG", str(shared_domain().krb5_conf))
    command = with_hosts(folder, SERVER, "dc1.corp.example.com")
    monkeypatch.setattr(directory, "COMMAND", (*command, "throughway.net.directory_process"))


def with_hosts(folder: Path, address: str, name: str) -> tuple[str, ...]:
    """Return what runs a module of ours where a name has an address."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{address} {name}\n")
    script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-P", "-m")


RADIUS_SECRET = b"a secret of gateway and server"
_FREERADIUS = """
name = freeradius
localstatedir = {folder}
radacctdir = {folder}
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/pid
security {{
  allow_vulnerable_openssl = yes
}}
thread pool {{
  start_servers = 1
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 2
}}
client gateway {{
  ipaddr = 2001:db8:c0:1::1
  secret = "{secret}"
  require_message_authenticator = yes
}}
modules {{
  eap {{
    default_eap_type = mschapv2
    mschapv2 {{
      send_error = yes
    }}
  }}
  mschap {{
    ntlm_auth = "/usr/bin/ntlm_auth --configfile={smb_conf} --request-nt-key --allow-mschapv2 \
--domain=CORP --username=%{{mschap:User-Name}} \
--challenge=%{{%{{mschap:Challenge}}:-00}} --nt-response=%{{%{{mschap:NT-Response}}:-00}}"
  }}
}}
server default {{
  listen {{
    type = auth
    ipv6addr = *
    port = 1812
  }}
  authorize {{
    eap
  }}
  authenticate {{
    eap
    Auth-Type MS-CHAP {{
      mschap
    }}
  }}
}}
"""


class FreeRADIUS:
    """A real RADIUS server at the domain controller, which asks winbindd about passwords."""

    def __init__(self, domain: DomainController, folder: Path) -> None:
        host = shared_world().corp
        folder.mkdir()
        text = _FREERADIUS.format(
            folder=folder,
            secret=RADIUS_SECRET.decode(),
            smb_conf=domain.directory / "etc" / "smb.conf",
        )
        (folder / "radiusd.conf").write_text(text)
        Path("/run/samba/winbindd").mkdir(parents=True, exist_ok=True)
        log = folder / "log"
        # ntlm_auth knows one place only for winbindd's socket.
        script = f'mount --bind {domain.directory}/winbindd /run/samba/winbindd && exec "$@"'
        host.run(until_true(functools.partial(self._answers, domain)))
        self._process = subprocess.Popen(
            (
                *("nsenter", f"--net={host.namespace}", "setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--mount", "sh", "-c", script, "sh"),
                *("freeradius", "-f", "-l", str(log), "-d", str(folder)),
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        host.run(until(lambda: log.exists() and "Ready to process" in log.read_text()))

    async def _answers(self, domain: DomainController) -> bool:
        """Say whether winbindd serves; it takes a second or two longer than the KDC."""
        log = domain.directory / "log.wb-CORP"
        pipe = domain.directory / "winbindd" / "pipe"
        return pipe.exists() and log.exists()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@functools.cache
def shared_radius() -> FreeRADIUS:
    """Return the one RADIUS server of this test run."""
    directory = tempfile.TemporaryDirectory(prefix="throughway-radius-")
    server = FreeRADIUS(shared_domain(), Path(directory.name) / "radius")
    atexit.register(directory.cleanup)
    atexit.register(server.close)
    return server


def radius_config(
    folder: Path, secret: bytes = RADIUS_SECRET, timeout: float = 6.0
) -> RADIUSConfig:
    """Return how the gateway of these tests asks the RADIUS server."""
    file = folder / "radius.secret"
    file.write_bytes(secret + b"\n")
    file.chmod(0o600)
    return RADIUSConfig(servers=((SERVER, 1812),), secret=file, timeout=timeout)
