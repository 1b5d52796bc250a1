"""What a computer can say of its own health, from local files and commands, each with a limit.

Nothing is asked of the network, and nothing is guessed: what cannot be told is *unknown*.
"""

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from throughway import __version__
from throughway.model.statement import (
    CheckKind,
    CheckResult,
    CheckState,
    HealthPolicy,
    PolicyCheck,
    StatementOfHealth,
    SubjectKind,
)

COMMAND_TIME = 20.0
"""Seconds of one command: a simulated upgrade reads all package lists, on slow disks too."""
MAX_OUTPUT = 4 * 1024 * 1024
MAX_HASHED = 64 * 1024 * 1024
"""Bytes of a file of which a hash is made."""
MAX_LAYERS = 8
"""Block devices one upon the other."""
DAY = 86400.0
_LAST_RULE = re.compile(r"(counter( packets \d+ bytes \d+)? )?(drop|reject( with .*)?)")
"""What turns away whatever no rule before it has let in."""


def run_command(command: Sequence[str]) -> str | None:
    """Return what a command says, None when it cannot be run, fails or takes too long."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            tuple(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIME,
            check=False,
            env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return done.stdout[:MAX_OUTPUT].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The computer that is looked at; tests give another root and other commands."""

    root: Path = Path("/")
    command: Callable[[Sequence[str]], str | None] = run_command
    clock: Callable[[], float] = field(default=time.time)

    def path(self, name: str) -> Path:
        """Return a file of that computer."""
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """Return a small text file, None where it cannot be read."""
        try:
            with self.path(name).open(errors="replace") as file:
                return file.read(MAX_OUTPUT)
        except OSError:
            return None

    def age(self, *names: str) -> float | None:
        """Return the days since the newest of these files was written."""
        ages = []
        for name in names:
            try:
                ages.append(max(0.0, (self.clock() - self.path(name).stat().st_mtime) / DAY))
            except OSError:
                continue
        return min(ages, default=None)


def collect(policy: HealthPolicy, machine: Machine, *, slow: bool = True) -> StatementOfHealth:
    """Look at everything that the policy wants; without ``slow`` only at what costs little."""
    own = {check.name: check for check in policy.checks}
    results = []
    for name in dict.fromkeys((*policy.required, *own)):
        if name in own:
            results.append(_own(own[name], machine))
        elif name in COLLECTORS and (slow or name not in SLOW):
            results.append(COLLECTORS[name](machine))
    return StatementOfHealth(agent=__version__, results=tuple(results))


def firewall(machine: Machine) -> CheckResult:
    """Say whether something filters what comes in: nftables or iptables, by whatever tool."""
    name = CheckKind.FIREWALL
    ruleset = machine.command(("nft", "list", "ruleset"))
    if ruleset is not None and filters_input(ruleset):
        return CheckResult(name=name, state=CheckState.GOOD, words="nftables filters what comes in")
    for command in (("iptables-save",), ("iptables-legacy-save",)):
        saved = machine.command(command)
        if saved is not None and _iptables_filters(saved):
            words = "iptables filters what comes in"
            return CheckResult(name=name, state=CheckState.GOOD, words=words)
        ruleset = ruleset if ruleset is not None else saved
    if ruleset is None:
        return CheckResult(name=name, state=CheckState.UNKNOWN, words="neither nft nor iptables")
    return CheckResult(name=name, state=CheckState.BAD, words="nothing filters what comes in")


def filters_input(ruleset: str) -> bool:
    """Say whether a ruleset of nftables has a chain at input that lets not everything in.

    Our own tables do not count: they guard the tunnels, not the computer.
    """
    ours = False
    drops = at_input = False
    for line in map(str.strip, ruleset.splitlines()):
        if line.startswith("table "):
            ours = "throughway" in line
        elif line.startswith("chain "):
            at_input = drops = False
        elif line.startswith("type filter hook input"):
            at_input = True
            drops = "policy drop" in line
        else:
            drops = drops or bool(_LAST_RULE.fullmatch(line))
        if at_input and drops and not ours:
            return True
    return False


def _iptables_filters(saved: str) -> bool:
    lines = [line.strip() for line in saved.splitlines()]
    return any(line.startswith(":INPUT DROP") for line in lines) or any(
        line in {"-A INPUT -j DROP", "-A INPUT -j REJECT"}
        or line.startswith("-A INPUT -j REJECT --reject-with")
        for line in lines
    )


def updates(machine: Machine) -> CheckResult:
    """Say how many days ago the system was last brought up to date (apt or dnf)."""
    name = CheckKind.UPDATES
    age = machine.age(
        "/var/lib/apt/periodic/update-success-stamp",
        "/var/lib/apt/periodic/upgrade-stamp",
        "/var/lib/apt/lists/partial",
        "/var/cache/dnf/last_makecache",
        "/var/cache/libdnf5/last_makecache",
    )
    if age is None:
        words = "neither apt nor dnf has left a sign of an update"
        return CheckResult(name=name, state=CheckState.UNKNOWN, words=words)
    words = f"the last update was {age:.0f} days ago"
    return CheckResult(name=name, state=CheckState.GOOD, value=f"{age:.0f}", words=words)


def security_updates(machine: Machine) -> CheckResult:
    """Count the security updates that are known here and not installed."""
    name = CheckKind.SECURITY_UPDATES
    said = machine.command(("apt-get", "-s", "-o", "Debug::NoLocking=true", "upgrade"))
    if said is not None:
        count = sum("ecurity" in line for line in said.splitlines() if line.startswith("Inst "))
    else:
        said = machine.command(("dnf", "-C", "-q", "updateinfo", "list", "--security"))
        if said is None:
            words = "neither apt nor dnf answers"
            return CheckResult(name=name, state=CheckState.UNKNOWN, words=words)
        count = sum(1 for line in said.splitlines() if line.strip())
    words = f"{count} security updates wait"
    return CheckResult(name=name, state=CheckState.GOOD, value=str(count), words=words)


def disk_encryption(machine: Machine) -> CheckResult:
    """Say whether the root file system lies on dm-crypt."""
    name = CheckKind.DISK_ENCRYPTION
    device = _root_device(machine.read("/proc/self/mountinfo") or "")
    block = machine.path(f"/sys/dev/block/{device}")
    if not device or not block.exists():
        words = "the root file system is on no block device that can be seen"
        return CheckResult(name=name, state=CheckState.UNKNOWN, words=words)
    if _encrypted(block, MAX_LAYERS):
        words = "the root file system lies on dm-crypt"
        return CheckResult(name=name, state=CheckState.GOOD, words=words)
    words = "the root file system is not encrypted"
    return CheckResult(name=name, state=CheckState.BAD, words=words)


def _root_device(mountinfo: str) -> str:
    """Return major:minor of what is mounted last on /."""
    fields = [line.split() for line in mountinfo.splitlines()]
    found = [f[2] for f in fields if len(f) > 4 and f[4] == "/"]
    return found[-1] if found and not found[-1].startswith("0:") else ""


def _encrypted(block: Path, layers: int) -> bool:
    try:
        if (block / "dm" / "uuid").read_text().startswith("CRYPT-"):
            return True
    except OSError:
        pass
    below = block / "slaves"
    if layers == 0 or not below.is_dir():
        return False
    devices = list(below.iterdir())
    # A volume group on several disks is encrypted only when all of them are.
    return bool(devices) and all(_encrypted(device, layers - 1) for device in devices)


def antivirus(machine: Machine) -> CheckResult:
    """Say whether clamd runs and how old its signatures are; absent where none is installed."""
    name = CheckKind.ANTIVIRUS
    if not any(map(_exists(machine), ("/usr/sbin/clamd", "/usr/bin/clamscan"))):
        return CheckResult(name=name, state=CheckState.ABSENT, words="no antivirus is installed")
    if not _runs(machine, ("clamav-daemon.service", "clamd@scan.service")):
        return CheckResult(name=name, state=CheckState.BAD, words="clamd does not run")
    age = machine.age("/var/lib/clamav/daily.cld", "/var/lib/clamav/daily.cvd")
    if age is None:
        return CheckResult(name=name, state=CheckState.BAD, words="clamd has no signatures")
    words = f"the signatures are {age:.0f} days old"
    return CheckResult(name=name, state=CheckState.GOOD, value=f"{age:.0f}", words=words)


def agent(_machine: Machine) -> CheckResult:
    """Say which throughway this is."""
    words = f"throughway {__version__}"
    return CheckResult(name=CheckKind.AGENT, state=CheckState.GOOD, value=__version__, words=words)


COLLECTORS: dict[str, Callable[[Machine], CheckResult]] = {
    CheckKind.FIREWALL: firewall,
    CheckKind.UPDATES: updates,
    CheckKind.SECURITY_UPDATES: security_updates,
    CheckKind.DISK_ENCRYPTION: disk_encryption,
    CheckKind.ANTIVIRUS: antivirus,
    CheckKind.AGENT: agent,
}
SLOW = frozenset({CheckKind.SECURITY_UPDATES})
"""Too dear for every look."""


def _exists(machine: Machine) -> Callable[[str], bool]:
    return lambda name: machine.path(name).exists()


def _runs(machine: Machine, units: Sequence[str]) -> bool:
    # One unit after the other: is-active of several is well when any of them is.
    return any(machine.command(("systemctl", "is-active", "--", unit)) for unit in units)


# Checks of the policy: data, never a program


def _own(check: PolicyCheck, machine: Machine) -> CheckResult:
    match check.kind:
        case SubjectKind.FILE:
            state, words = _file(check, machine)
        case SubjectKind.SERVICE:
            runs = _runs(machine, (check.subject,))
            state = CheckState.GOOD if runs else CheckState.BAD
            words = f"{check.subject} is {'active' if runs else 'not active'}"
        case SubjectKind.PACKAGE:
            state, words = _package(check, machine)
        case SubjectKind.SYSCTL:
            state, words = _sysctl(check, machine)
    return CheckResult(name=check.name, state=state, words=words[:200])


def _file(check: PolicyCheck, machine: Machine) -> tuple[CheckState, str]:
    path = machine.path(check.subject)
    try:
        if not path.is_file():
            return CheckState.BAD, f"{check.subject} is not there"
        if not check.value:
            return CheckState.GOOD, f"{check.subject} is there"
        if path.stat().st_size > MAX_HASHED:
            return CheckState.UNKNOWN, f"{check.subject} is too large for a hash"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return CheckState.UNKNOWN, f"{check.subject}: {error.strerror}"
    same = digest == check.value.lower()
    return (
        (CheckState.GOOD, f"{check.subject} is as it must be")
        if same
        else (
            CheckState.BAD,
            f"{check.subject} has another content",
        )
    )


def _package(check: PolicyCheck, machine: Machine) -> tuple[CheckState, str]:
    fields = "--showformat=${db:Status-Status} ${Version}"
    said = machine.command(("dpkg-query", "--show", fields, "--", check.subject))
    status, _, version = (said or "").strip().partition(" ")
    if status != "installed":
        return CheckState.BAD, f"{check.subject} is not installed"
    if not check.value:
        return CheckState.GOOD, f"{check.subject} {version} is installed"
    compared = machine.command(("dpkg", "--compare-versions", version, "ge", check.value))
    if compared is None:
        return CheckState.BAD, f"{check.subject} {version} is older than {check.value}"
    return CheckState.GOOD, f"{check.subject} {version} is installed"


def _sysctl(check: PolicyCheck, machine: Machine) -> tuple[CheckState, str]:
    found = machine.read("/proc/sys/" + check.subject.replace(".", "/"))
    if found is None:
        return CheckState.UNKNOWN, f"{check.subject} cannot be read"
    value = " ".join(found.split())
    if value == check.value:
        return CheckState.GOOD, f"{check.subject} is {value}"
    return CheckState.BAD, f"{check.subject} is {value}, not {check.value}"
