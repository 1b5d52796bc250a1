"""One fault put to the test: what both ends say of it, how soon, and how all becomes well again.

with Lab.up("trial") as lab:
    seen = Trial(lab).run(FAULTS["port-443-blocked"])
"""

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from throughway.lab.deployment import CLIENT, GATEWAY
from throughway.lab.faults import Fault
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer, Status, status_of, tunnel
from throughway.lab.topology import MOBILE_INTERFACE, NLS_NAME
from throughway.model.errors import LabError
from throughway.model.status import Connection

POLL = 0.1
"""Seconds between two looks."""
NOTICE = 60.0
"""Seconds in which a fault is to be noticed; ten are wanted."""
RECOVERY = 120.0
"""Seconds in which all is to be well again once its cause is gone; ten are wanted."""
QUIET = 12.0
"""Seconds for which who is not concerned is watched: longer than the interval of every check."""
USER = "alice"
MAX_LEAKS = 5
_DNS = re.compile(r"\.53( >|:) ")
_QUESTION = re.compile(r" > \S+\.53: ")
INSIDE_ONLY = "net 10.0.0.0/16 or net 2001:db8:c0::/48"
NAMES = "udp port 53"
BROWSE = """
while :; do
  curl -gs -o /dev/null --max-time 1 http://app1.corp.example.com/
  curl -gs -o /dev/null --max-time 1 'http://[2001:db8:c0:2::80]/'
  sleep 0.5
done
"""
"""What a person does meanwhile: nothing of it may leave the tunnel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one end said first of a fault, once it was settled."""

    code: str = ""
    """The first problem shown; "" when none is."""
    others: tuple[str, ...] = ()
    after: float = 0.0
    """Seconds until the code that was waited for was the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of a fault."""

    fault: str
    client: Said
    gateway: Said
    recovered: float = 0.0
    """Seconds from the clearing until both ends were well and the page was there; -1: never."""
    leaked: tuple[str, ...] = ()
    error: str = ""
    """Why it could not be tried."""

    def as_wanted(self, fault: Fault) -> bool:
        """Whether both ends said what they must, all became well, and nothing leaked."""
        said = (self.client.code, self.gateway.code) == (fault.client, fault.gateway)
        return said and not self.error and not self.leaked and self.recovered >= 0


class _End:
    """One end, as it is watched."""

    def __init__(self, wanted: str, look: Callable[[], Status]) -> None:
        self._wanted = wanted
        self._status = look
        self._codes: tuple[str, ...] = ()
        self._after: float | None = None

    @property
    def told(self) -> bool:
        """Whether it has said what it must; nothing is said at once."""
        return not self._wanted or self._after is not None

    def look(self, passed: float) -> None:
        """Look at it."""
        self._codes = _codes(self._status())
        if self._wanted and self._after is None and self._codes[:1] == (self._wanted,):
            self._after = passed

    def said(self) -> Said:
        """Return what it said."""
        if self._after is not None:
            return Said(code=self._wanted, others=self._codes, after=round(self._after, 1))
        return Said(code=next(iter(self._codes), ""), others=self._codes)


class Trial:
    """Tries faults in a lab that is up, on one client."""

    def __init__(
        self,
        lab: Lab,
        client: str = "client1",
        *,
        notice: float = NOTICE,
        quiet: float = QUIET,
        recovery: float = RECOVERY,
    ) -> None:
        self.lab = lab
        self.host = client
        self._observer = Observer(lab, client)
        self._notice, self._quiet, self._recovery = notice, quiet, recovery

    def prepare(self, fault: Fault) -> None:
        """Bring everything to where the fault is to be injected: well, and somebody at work."""
        if self.lab.where(self.host) != fault.place:
            self.lab.move(self.host, fault.place)
        if self.lab.service(self.host, CLIENT.name) is None:
            self.lab.start_client(self.host)
        self._wait_well(fault)

    def run(self, fault: Fault) -> Seen:
        """Inject it, see what is said, clear it, see all well again."""
        lab = self.lab
        try:
            self.prepare(fault)
        except LabError as error:
            return Seen(fault=fault.name, client=Said(), gateway=Said(), error=f"before: {error}")
        why, recovered, leaked = "", -1.0, list[str]()
        client = gateway = Said()
        with self._at_work():
            try:
                with self._watched(fault, leaked):
                    lab.inject(fault.name, self.host)
                with self._watched(fault, leaked):
                    client, gateway = self._settled(fault)
            except LabError as failed:
                why = str(failed)
            cleared = time.monotonic()
            try:
                with self._watched(fault, leaked):
                    lab.clear(fault.name)
                    self._wait_well(fault, self._recovery)
                recovered = round(time.monotonic() - cleared, 1)
            except LabError as failed:
                why = why or f"after: {failed}"
        return Seen(
            fault=fault.name,
            client=client,
            gateway=gateway,
            recovered=recovered,
            leaked=tuple(leaked[:MAX_LEAKS]),
            error=why,
        )

    @contextlib.contextmanager
    def _watched(self, fault: Fault, leaked: list[str]) -> Iterator[None]:
        """Look for leaks meanwhile; where the daemon was stopped, nothing was to be kept."""
        before = self.lab.service(self.host, CLIENT.name)
        filter_ = f"({INSIDE_ONLY}) or {NAMES}"
        with self.lab.capture(self.host, MOBILE_INTERFACE, filter_) as capture:
            yield
        if fault.place != "corp" and before == self.lab.service(self.host, CLIENT.name):
            leaked += _leaks(capture.lines())

    def _settled(self, fault: Fault) -> tuple[Said, Said]:
        """Watch both ends until each says what it must; who says nothing is watched for longer."""
        ends = (
            _End(fault.client, self._observer.status),
            _End(fault.gateway, lambda: status_of(self.lab, "edge1", GATEWAY)),
        )
        began = time.monotonic()
        while True:
            for end in ends:
                end.look(time.monotonic() - began)
            told = all(end.told for end in ends)
            least = 0.0 if fault.client and fault.gateway else self._quiet
            if time.monotonic() - began > (least if told else self._notice):
                return ends[0].said(), ends[1].said()
            time.sleep(POLL)

    def _wait_well(self, fault: Fault, patience: float = PATIENCE) -> None:
        """Return when neither end has anything to tell, and the page is there for whom it is."""
        deadline = time.monotonic() + patience
        while True:
            mine, theirs = self._observer.status(), status_of(self.lab, "edge1", GATEWAY)
            here = mine and not _codes(mine) and self._connected(fault, mine)
            if here and theirs and not _codes(theirs) and theirs["state"] == "ok":
                return
            if time.monotonic() > deadline:
                told = mine and (mine["connection"], *_codes(mine))
                words = f"not well in {patience:g} s: client {told}, gateway {_codes(theirs)}"
                raise LabError(words)
            if fault.user and mine and not mine["user"] and tunnel(mine, "infrastructure"):
                self._observer.log_on(USER)
            time.sleep(POLL)

    def _connected(self, fault: Fault, status: Status) -> bool:
        if fault.place == "corp":
            return bool(status["connection"] == Connection.CONNECTED_LOCALLY)
        name = "intranet" if fault.user else "infrastructure"
        return bool(tunnel(status, name))

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        null = subprocess.DEVNULL
        person = self.lab.popen(self.host, ["sh", "-c", BROWSE], stdout=null, stderr=null)
        try:
            yield
        finally:
            person.kill()
            person.wait()


def _codes(status: Status) -> tuple[str, ...]:
    return tuple(problem["code"] for problem in status.get("problems", ())) if status else ()


def _leaks(lines: list[str]) -> list[str]:
    """Return what should have gone through the tunnel; the location server is asked for outside."""
    outside = f" {NLS_NAME}."
    asked = [line for line in lines if _QUESTION.search(line)]
    names = [line for line in asked if ".corp.example.com." in line and outside not in line]
    return [*names, *(line for line in lines if not _DNS.search(line))]
