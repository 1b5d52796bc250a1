"""Hosts as sets of namespaces, each held by a PID 1 of its own.

A host is network, mount, UTS, IPC and PID namespace. Its ``/etc`` and ``/var`` are overlays,
its ``/root``, ``/run`` and ``/tmp`` its own, all in memory: programs run in it with their
default paths, and whatever they write vanishes with PID 1, as do they themselves. Nothing of
it shows outside but that process, so nothing can be left behind.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from select import select

from throughway.model.errors import LabError

MARK = "throughway-lab-host"
"""Stands in the command line of a host's holder, before the names of lab and host."""

BOOT_TIMEOUT = 60.0
"""Seconds; a host needs a tenth of one, on a machine that is not busy."""

NAMESPACES = ("--net", "--mount", "--uts", "--ipc", "--pid")

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSED_ON = ("TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR")
"""What a command in a host keeps of the caller's environment; proxies and paths it must not."""

BOOT = """
set -e
lab=$1 host=$2 root=$3; shift 3
echo "$host" > /proc/sys/kernel/hostname
mount -t tmpfs -o mode=755 throughway-lab "$root"
mkdir -p "$root/root" "$root/tmp" "$root/run/lock"
chmod 700 "$root/root"
chmod 1777 "$root/tmp" "$root/run/lock"
# The programs themselves must stay visible when they lie in a directory that is hidden here.
for keep in "$@"; do
  case $keep in
    /root/*|/tmp/*|/run/*) aside=$root$keep;;
    /etc/*|/var/*) aside=$root/keep$keep;;
    *) continue;;
  esac
  mkdir -p "$aside"; mount --rbind "$keep" "$aside"
done
for tree in /etc /var; do
  mkdir -p "$root/upper$tree" "$root/work$tree"
  mount -t overlay -o "lowerdir=$tree,upperdir=$root/upper$tree,workdir=$root/work$tree" \\
    throughway-lab $tree
done
# What this machine itself has there is not the lab's.
for own in /etc/throughway /etc/samba /etc/swanctl /etc/krb5.conf.d /var/lib/throughway \\
    /var/lib/samba /var/cache/samba /var/log; do
  mkdir -p "$root/own$own" $own
  mount --bind "$root/own$own" $own
done
rm -f /etc/krb5.conf /etc/krb5.keytab
mkdir -p /var/log/throughway /var/log/samba /var/log/nginx /var/lib/samba/private \\
  "$root/run/samba" "$root/run/nginx"
for keep in "$@"; do
  case $keep in /etc/*|/var/*) mkdir -p "$keep"; mount --rbind "$root/keep$keep" "$keep";; esac
done
mount --rbind "$root/root" /root
mount --rbind "$root/tmp" /tmp
# Its /sys/class/net shows this namespace; a container may forbid it, nothing depends on it.
mount -t sysfs sysfs /sys 2>/dev/null || true
mount --rbind "$root/run" /run
echo ready
exec tini -s -- sleep infinity </dev/null >/dev/null 2>&1
"""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The PID 1 of a host, as seen from outside; its start time tells it from a successor."""

    pid: int
    started: int
    """Clock ticks since boot (proc(5), /proc/PID/stat field 22); 0: it was gone when looked for."""

    def alive(self) -> bool:
        """Whether the host is still there."""
        return self.started != 0 and start_time(self.pid) == self.started


def start_time(pid: int) -> int:
    """Return when the process started, in clock ticks since boot; 0 when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


class Holder:
    """A host that is about to be there: start many, then wait for each."""

    def __init__(self, lab: str, host: str, staging: Path) -> None:
        self.host = host
        staging.mkdir(parents=True, exist_ok=True)
        command = ["setsid", "--fork", "unshare", *NAMESPACES, "--fork", "--kill-child"]
        command += ["--mount-proc", "--propagation", "private", "sh", "-c", BOOT]
        command += [MARK, lab, host, str(staging), *program_directories()]
        # setsid ends at once: the holder is nobody's child and survives whoever built the lab.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
            cwd="/",
        )
        self._lab = lab

    def wait(self) -> Namespaces:
        """Return the host when it has made itself at home."""
        with self._process:
            assert self._process.stdout
            said = b""
            while not said.endswith(b"ready\n"):
                readable, _, _ = select([self._process.stdout], [], [], BOOT_TIMEOUT)
                chunk = os.read(self._process.stdout.fileno(), 4096) if readable else b""
                if not chunk:
                    raise LabError(f"{self.host}: cannot be made: {said.decode().strip()}")
                said += chunk
        for host, namespaces in find_hosts(self._lab):
            if host == self.host:
                return namespaces
        raise LabError(f"{self.host}: ended at once; is `tini` installed? (apt-get install tini)")

    def abandon(self) -> None:
        """Stop waiting; :func:`kill_hosts` finds what has become of it."""
        with self._process:
            assert self._process.stdout


def find_hosts(lab: str) -> Iterator[tuple[str, Namespaces]]:
    """Find every host of a lab among the machine's processes, whatever its state file says."""
    for holder, host in _marked(lab, b"unshare"):
        for pid in _children(holder):
            if started := start_time(pid):
                yield host, Namespaces(pid, started)


def kill_hosts(lab: str) -> None:
    """End every host of a lab, also half-made ones, and wait until they are gone.

    The kernel kills all processes of a PID namespace with its PID 1.
    """
    # What makes a host may fork while we look.
    while makers := [pid for pid, _ in _marked(lab, b"setsid", b"unshare")]:
        _kill([pid for maker in makers for pid in (*_children(maker), maker)], lab)


def _kill(pids: list[int], lab: str) -> None:
    watched = [fd for pid in pids if (fd := _pidfd(pid)) is not None]
    for fd in watched:
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for fd in watched:
        # A pidfd becomes readable when its process has ended.
        gone, _, _ = select([fd], [], [], BOOT_TIMEOUT)
        os.close(fd)
        if not gone:
            raise LabError(f"a host of the lab {lab} does not die; see `ps -ef | grep {MARK}`")


def enter_command(namespaces: Namespaces, argv: Iterable[str]) -> list[str]:
    """Return the command that runs ``argv`` in a host."""
    if not namespaces.alive():
        raise LabError("the host is gone; bring the lab up again: throughway lab up")
    # Its root, too: in a chroot that is not the root of its mount namespace, and the lab would
    # write to the machine around it.
    target = ["nsenter", "--target", str(namespaces.pid), *NAMESPACES, "--root"]
    return [*target, "--wdns=/root", "--", *argv]


def enter_network_command(namespaces: Namespaces, argv: Iterable[str]) -> list[str]:
    """Return the command that runs ``argv`` in a host's network, but with our processes."""
    return ["nsenter", "--target", str(namespaces.pid), "--net", "--", *argv]


def environment() -> dict[str, str]:
    """Return the environment of commands in a host: a fresh root login with our programs."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = f"{Path(sys.prefix) / 'bin'}:{SYSTEM_PATH}"
    home = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash"}
    return {"LANG": "C.UTF-8", **kept, **home, "PATH": path}


def program_directories() -> list[str]:
    """Return the directories that our own programs run from."""
    source = Path(__file__).resolve().parents[2]
    # In a checkout the tests beside the source are run in hosts too.
    checkout = source.parent if (source.parent / "pyproject.toml").exists() else source
    found = {Path(sys.prefix), Path(sys.base_prefix), checkout}
    return sorted(str(path.resolve()) for path in found)


def _marked(lab: str, *programs: bytes) -> Iterator[tuple[int, str]]:
    """Find what runs these programs to make a lab's hosts; `unshare` is the parent of a PID 1."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] not in programs or MARK.encode() not in words:
            continue
        name, host = words[words.index(MARK.encode()) + 1 :][:2]
        if name == lab.encode():
            yield int(entry.name), host.decode()


def _children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
