"""Keys and powers of the daemons as they run: who is who, and that nothing secret leaks."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.actions import log_of, login, shown
from throughway.lab.deployment import CONFIGURATION, POLICY_KEY
from throughway.lab.domain import USERS, computer_password
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, POLL, Observer
from throughway.lab.processes import wait_until
from throughway.net import privileges

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "keys.md"
ROW = re.compile(
    r"^\| (gateway|client) \| `([^`]+)` \| ([\w-]+) \| ([^|]*) \| ([^|]*) \|", re.MULTILINE
)
SOMETIMES = "sometimes: "
"""Begins what a process reads that is there only while it is needed."""
HOSTS = {"gateway": "edge1", "client": "client1"}


@dataclass(frozen=True)
class Process:
    """A process of a host, as /proc shows it."""

    folder: Path
    accounts: dict[str, str]

    @property
    def command(self) -> str:
        return (self.folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()

    @property
    def environ(self) -> str:
        return (self.folder / "environ").read_bytes().decode(errors="replace")

    @property
    def status(self) -> dict[str, str]:
        lines = (self.folder / "status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def account(self) -> str:
        uids = sorted(set(self.status["Uid"].split()))
        return " ".join(self.accounts.get(uid, uid) for uid in uids)

    @property
    def powers(self) -> frozenset[str]:
        mask = int(self.status["CapPrm"], 16)
        known = {number: name for name, number in privileges.CAPABILITIES.items()}
        return frozenset(known.get(n, f"CAP_{n}") for n in range(64) if mask >> n & 1)

    @property
    def children(self) -> Iterator["Process"]:
        for task in (self.folder / "task").iterdir():
            for pid in (task / "children").read_text().split():
                yield Process(self.folder.parent / pid, self.accounts)


def processes(lab: Lab, side: str) -> Iterator[Process]:
    """Yield a daemon and all that it has started."""
    running = lab.service(HOSTS[side], side)
    assert running is not None
    passwd = (line.split(":") for line in lab.read(HOSTS[side], "/etc/passwd").splitlines())
    accounts = {uid: name for name, _, uid, *_ in passwd}
    folder = Path(f"/proc/{running.namespaces.pid}/root/proc/{running.pid}")
    ahead = [Process(folder, accounts)]
    while ahead:
        process = ahead.pop()
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            ahead += process.children
            if process.command:
                yield process


@dataclass(frozen=True)
class Documented:
    """A row of the page."""

    account: str
    powers: frozenset[str]
    sometimes: bool


def documented(side: str) -> dict[str, Documented]:
    """Return the rows of the page, by a word of the process's command line."""
    rows = [m.groups() for m in ROW.finditer(PAGE.read_text()) if m[1] == side]
    assert rows
    return {
        word: Documented(
            account, frozenset(re.findall(r"CAP_\w+", powers)), reads.startswith(SOMETIMES)
        )
        for _, word, account, powers, reads in rows
    }


@pytest.mark.parametrize("side", ["gateway", "client"])
def test_every_process_is_who_the_documentation_says(connected: Observer, side: str) -> None:
    table = documented(side)
    seen: set[str] = set()
    always = {word for word, row in table.items() if not row.sometimes}

    def all_seen() -> bool:
        for process in processes(connected.lab, side):
            # One that has just been started is on its way there.
            deadline = time.monotonic() + PATIENCE
            while wrong := what_is_wrong(process, table, seen):
                assert time.monotonic() < deadline, wrong
                time.sleep(POLL)
        return seen >= always

    wait_until(all_seen, PATIENCE, "every process of the documentation")


def what_is_wrong(process: Process, table: dict[str, Documented], seen: set[str]) -> str:
    """Say what a process has or is that it should not, "" of one that has ended."""
    try:
        if not (command := process.command):
            return ""
        status, limits = process.status, (process.folder / "limits").read_text()
        is_so = process.account, process.powers
    except (FileNotFoundError, ProcessLookupError):
        return ""
    words = [word for word in table if word in command]
    if len(words) != 1:
        return f"{command} is not in docs/operate/keys.md"
    seen.add(words[0])
    row = table[words[0]]
    if is_so != (row.account, row.powers):
        return f"{command} is {is_so}"
    if status["NoNewPrivs"] != "1":
        return f"{command} may have new privileges"
    if not re.search(r"Max core file size +0 +0 ", limits):
        return f"{command} may leave a core file"
    return ""


def secrets(lab: Lab) -> dict[str, str]:
    """Return what must never be seen, by what it is."""
    found = {f"password of {user}": password for user, password in USERS.items()}
    found["password typed"] = "guessed by nobody"
    found["computer account"] = computer_password("client1")
    for host, name in (("edge1", "gateway.key"), ("client1", "computer.key")):
        body = lab.read(host, f"{CONFIGURATION}/{name}").splitlines()
        found[name] = max(body, key=len)
    found["policy key"] = max(lab.read("edge1", POLICY_KEY).splitlines(), key=len)
    found["NT hash"] = lab.read("edge1", f"{CONFIGURATION}/accounts/client1.nthash").strip()
    conf = lab.read("edge1", "/run/throughway/gateway/ipsec/strongswan.conf")
    shared = re.search(r"secret = (\w+)", conf)
    assert shared is not None
    found["RADIUS secret"] = shared[1]
    return found


def test_no_secret_is_in_a_process_list_a_log_a_status_or_an_event(connected: Observer) -> None:
    lab = connected.lab
    assert login(connected, "bob", "guessed by nobody").returncode == 1
    places: dict[str, str] = {}
    for side, host in HOSTS.items():
        for process in processes(lab, side):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                places[f"{host}: {process.command}"] = process.command + process.environ
        places[f"{host}: log"] = log_of(lab, host, side)
        places[f"{host}: status"] = shown(lab, host, side).text
        status = lab.run(host, ["throughway", side, "status", "--json"])
        assert json.loads(status.stdout)
        places[f"{host}: snapshot"] = status.stdout
        events = lab.run(host, ["throughway", "events", "--json", "--last", "1000"])
        assert events.stdout
        places[f"{host}: events"] = events.stdout
        # What people put into a bundle of evidence, as it comes out of the redaction.
        lab.run(host, ["sh", "-c", BUNDLE.format(side=side)], check=True)
        places[f"{host}: bundle"] = lab.run(host, ["sh", "-c", UNPACKED], check=True).stdout
    known = secrets(lab)
    assert len(known) >= 7
    leaks = [
        f"{what} in {place}"
        for place, text in places.items()
        for what, secret in known.items()
        if secret in text
    ]
    assert leaks == []


BUNDLE = """
rm -rf /tmp/evidence /tmp/shared.zip /tmp/out; mkdir -p /tmp/evidence
throughway {side} status > /tmp/evidence/status.txt
throughway {side} status --json > /tmp/evidence/status.json
throughway events --json --last 1000 > /tmp/evidence/events.jsonl
throughway redact /tmp/evidence --output /tmp/shared.zip || [ $? -le 1 ]
"""
UNPACKED = "python3 -m zipfile -e /tmp/shared.zip /tmp/out && find /tmp/out -type f -exec cat {} +"
