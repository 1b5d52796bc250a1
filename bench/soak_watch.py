"""What a soak looks at while it runs: status, logs, audits, processes, files, and what leaks."""

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.soak_judge import Alarm, Attempt, Weight
from throughway.lab.capture import Capture
from throughway.lab.deployment import CLIENT, GATEWAY, Daemon
from throughway.lab.lab import Lab
from throughway.lab.observe import Status, status_of
from throughway.lab.topology import NLS_NAME

LOOK = 1.0
"""Seconds between two looks at the status of all."""
BAD = frozenset({"warning", "error"})
LOUD = frozenset({"warning", "error", "critical"})
LOGS = "/var/log/throughway"
KEEPS = (LOGS, "/var/lib/throughway", "/run/throughway")
ROUTERS = {
    "homenat": "lan",
    "hotelnat": "lan",
    "officegw": "lan",
    "cgnnat": "lan",
    "isp6": "lan",
    "inet1": "eth0",
}
"""Who sees what leaves a client in each place that is not the intranet."""
INSIDE_ONLY = "net 10.0.0.0/16 or net 2001:db8:c0::/48"
NAMES = "udp port 53"
_TICKS = os.sysconf("SC_CLK_TCK")
_QUESTION = re.compile(r" > \S+\.53: ")
_DNS = re.compile(r"\.53( >|:) ")


@dataclass(frozen=True, slots=True)
class End:
    """A daemon that is watched."""

    host: str
    daemon: Daemon


ENDS = (End("client1", CLIENT), End("client2", CLIENT), End("edge1", GATEWAY))


def shown(who: str, status: Status, now: float) -> Iterator[Alarm]:
    """Yield what a status shows that would make somebody look."""
    for problem in status.get("problems", ()):
        yield _alarm(who, "problem", problem["code"], problem["detail"], now)
    rows = (
        ("component", "component", status.get("components", ())),
        ("check", "name", status.get("checks", ())),
        ("stage", "stage", status.get("chain", ())),
    )
    for where, key, group in rows:
        for row in group:
            if row["state"] in BAD:
                yield _alarm(who, where, row[key], row.get("detail") or row.get("reason", ""), now)


def said(who: str, line: str) -> Iterator[Alarm]:
    """Yield the alarm that a line of a log or of an audit is."""
    entry = json.loads(line)
    if entry.get("level") in LOUD:
        words = " ".join(str(entry.get(key, "")) for key in ("event", "detail", "reason"))
        yield _alarm(who, "log", entry.get("code") or entry["event"], words, entry["at"])
    if entry.get("outcome") == "refused":
        name = entry.get("problem") or entry["event"]
        words = f"{entry['event']}: {entry.get('reason', '')}"
        yield _alarm(who, "event", name, words, entry["at"])


def _alarm(who: str, where: str, name: str, detail: str, at: float) -> Alarm:
    return Alarm(who=who, where=where, name=name, detail=detail[:200], first=at, last=at)


class Watcher:
    """Looks at all ends again and again, from a thread of its own, while the block runs."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._open: dict[tuple[str, str, str], Alarm] = {}
        self._over: list[Alarm] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._places: dict[Path, int] = {}
        self.doubts: Counter[str] = Counter()
        self.silent: Counter[str] = Counter()
        """Looks that were not answered."""

    def __enter__(self) -> "Watcher":
        for end in ENDS:
            for path in self._files(end):
                self._places[path] = path.stat().st_size
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def alarms(self) -> list[Alarm]:
        """Return everything that was seen."""
        return sorted([*self._over, *self._open.values()], key=lambda alarm: alarm.first)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK):
            for end in ENDS:
                self._look(end)
                self._read(end)

    def _look(self, end: End) -> None:
        status, now = status_of(self._lab, end.host, end.daemon), time.time()
        if not status:
            self.silent[end.host] += 1
            return
        seen = {(a.who, a.where, a.name): a for a in shown(end.host, status, now)}
        for key in [k for k in self._open if k[0] == end.host and k not in seen]:
            self._over.append(self._open.pop(key))
        for key, alarm in seen.items():
            first = self._open[key].first if key in self._open else alarm.first
            self._open[key] = Alarm(
                who=alarm.who,
                where=alarm.where,
                name=alarm.name,
                detail=alarm.detail,
                first=first,
                last=now,
            )
        for check in status.get("checks", ()):
            if check["state"] == "unknown" and check["looked_at"]:
                self.doubts[f"{end.host} {check['name']}: {check['detail']}"] += 1

    def _files(self, end: End) -> list[Path]:
        folder = Path(f"/proc/{self._lab.namespaces(end.host).pid}/root{LOGS}")
        return [folder / f"{end.daemon.name}-{kind}.jsonl" for kind in ("log", "events")]

    def _read(self, end: End) -> None:
        """Read what was written since."""
        for path in self._files(end):
            with path.open("rb") as file:
                file.seek(self._places.get(path, 0))
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._places[path] = self._places.get(path, 0) + len(whole)
            for line in whole.decode().splitlines():
                self._over += said(end.host, line)


def weigh(lab: Lab, end: End) -> dict[str, Weight]:
    """Return every process of a daemon; of two of one name the later one has a number."""
    service = lab.service(end.host, end.daemon.name)
    if service is None:
        return {}
    processes = Path(f"/proc/{service.namespaces.pid}/root/proc")
    found: dict[str, Weight] = {}
    for pid in _family(processes, service.pid):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            name = _name(processes / str(pid))
            twins = sum(1 for other in found if other.split(" #")[0] == name)
            found[f"{name} #{twins + 1}" if twins else name] = _weigh(processes / str(pid))
    return found


def _family(processes: Path, root: int) -> list[int]:
    try:
        children = (processes / f"{root}/task/{root}/children").read_text().split()
    except OSError:
        return []
    return [root, *(pid for child in children for pid in _family(processes, int(child)))]


def _name(process: Path) -> str:
    words = (process / "cmdline").read_bytes().decode().split("\0")
    ours = [word for word in words if word.startswith("throughway.")]
    if ours:
        return ours[0]
    return "throughway.gateway" if "gateway" in words else Path(words[0]).name


def _weigh(process: Path) -> Weight:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    pages = int((process / "statm").read_text().split()[1])
    return Weight(
        rss=round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2),
        descriptors=len(os.listdir(process / "fd")),
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
    )


def kept(lab: Lab, host: str) -> int:
    """Return how many bytes of logs and state a host keeps."""
    root = f"/proc/{lab.namespaces(host).pid}/root"
    total = 0
    for folder in KEEPS:
        for path in Path(root + folder).rglob("*"):
            with contextlib.suppress(OSError):
                total += path.lstat().st_size
    return total


@contextlib.contextmanager
def captured(lab: Lab) -> Iterator[list[Capture]]:
    """Capture, in every network outside, what belongs inside, and all names."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(lab.capture(host, interface, f"({INSIDE_ONLY}) or {NAMES}"))
            for host, interface in ROUTERS.items()
        ]


def leaks(captures: Iterable[Capture]) -> list[str]:
    """Return what should have gone through the tunnel, each with its time."""
    found: list[str] = []
    for capture in captures:
        command = ["tcpdump", "-n", "-tt", "-r", str(capture.path)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        found += [
            f"{capture.path.name}: {line}" for line in answer.stdout.splitlines() if leaking(line)
        ]
    return found


def leaking(line: str) -> bool:
    """Whether a packet belongs inside; the location server alone is asked for outside."""
    if not _DNS.search(line):
        return True
    asks = _QUESTION.search(line) and ".corp.example.com." in line
    return bool(asks) and f" {NLS_NAME}." not in line


def attempts(lab: Lab, host: str, log: str) -> list[Attempt]:
    """Return what a user wanted, and how it went."""
    found = []
    file = Path(f"/proc/{lab.namespaces(host).pid}/root{log}")
    for line in file.read_text().rpartition("\n")[0].splitlines():
        at, what, came, took = line.split()
        found.append(Attempt(host, float(at), what, came == "1", float(took)))
    return found
