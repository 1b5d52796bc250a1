"""Faults put to the test: what both ends say of them, how soon, and how all becomes well again.

with Lab.up("trial") as lab:
    seen = Trial(lab).run(FAULTS["port-443-blocked"])
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from throughway.catalogue import find
from throughway.health.tracker import roots_of
from throughway.lab import leaks
from throughway.lab.deployment import CLIENT
from throughway.lab.deployment import GATEWAY as GATEWAY_DAEMON
from throughway.lab.faults import GATEWAY, Fault
from throughway.lab.faults.pairs import Pair
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer, Status, status_of, tunnel
from throughway.model.errors import LabError
from throughway.model.findings import Severity
from throughway.model.status import Connection

POLL = 0.1
"""Seconds between two looks."""
NOTICE = 75.0
"""Seconds in which a fault is to be noticed; ten are wanted. What may pass by itself is held back
for a minute."""
RECOVERY = 120.0
"""Seconds in which all is to be well again once its cause is gone; ten are wanted."""
QUIET = 12.0
"""Seconds for which who is not concerned is watched: longer than the interval of every check."""
USER = "alice"
EXAMINED = (0, 1, 3)
"""Exit codes of a doctor that has come to an end."""
FIX = ("throughway", "fix", "--all", "--yes", "--json")
MENDED = ("mended", "gone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one end said first of a fault, once it was settled."""

    code: str = ""
    """The first problem shown; "" when none is."""
    others: tuple[str, ...] = ()
    after: float = 0.0
    """Seconds until the code that was waited for was the first one."""
    doctor: tuple[str, ...] | None = None
    """What the live doctor has found there, the first first; None: it was not asked."""

    def went_on_to(self, code: str) -> bool:
        """Whether the end itself says this by now, as the cause of what it said first."""
        return bool(self.code) and code in self.others and code in roots_of(find(self.code))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of a fault."""

    fault: str
    client: Said
    gateway: Said
    recovered: float = 0.0
    """Seconds from the clearing until both ends were well and the page was there; -1: never."""
    mended: float | None = None
    """Seconds from ``throughway fix --all`` until that was so; -1: never; None: not tried."""
    mending: str = ""
    """Why it was not mended."""
    leaked: tuple[str, ...] = ()
    error: str = ""
    """Why it could not be tried."""
    took: float = 0.0
    """Seconds for all of it."""

    def as_wanted(self, fault: Fault) -> bool:
        """Whether both ends and the doctor said what they must, all became well, none leaked."""
        ends = (self.client, fault.client), (self.gateway, fault.gateway)
        said = all(fits(said.code, wanted, fault) for said, wanted in ends)
        found = all(
            fits(first, wanted, fault)
            or (not wanted and is_deeper(first, fault))
            or said.went_on_to(first)
            for said, wanted in ends
            if said.doctor is not None
            for first in (next(iter(said.doctor), ""),)
        )
        mended = self.mended is None or self.mended >= 0
        well = not self.error and not self.leaked and self.recovered >= 0
        return said and found and mended and well


def fits(code: str, wanted: str, fault: Fault) -> bool:
    """Whether an end may say this: what it must, the root cause that it is near, or, where it
    has nothing to say of its own, what follows from that once it is felt there.
    """
    if not code or not fault.root:
        return code == wanted
    follows = not wanted and (code == fault.felt or fault.root in roots_of(find(code)))
    return code in (wanted, fault.root) or follows


def is_deeper(code: str, fault: Fault) -> bool:
    """Whether the doctor has found from what the root cause follows, where no daemon could."""
    return bool(code and fault.root) and code in roots_of(find(fault.root))


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What came of two faults at the same time."""

    pair: str
    shown: tuple[str, ...] = ()
    """What either end showed."""
    found: tuple[str, ...] | None = None
    """What the live doctor has found at either end; None: it was not asked."""
    after: float = -1.0
    """Seconds until both were shown at the same time; -1: never."""
    recovered: float = -1.0
    error: str = ""
    took: float = 0.0

    def as_wanted(self, pair: Pair) -> bool:
        """Whether both faults were named by everybody, and all became well."""
        found = self.found is None or pair.named_in(self.found)
        return self.after >= 0 and found and self.recovered >= 0 and not self.error


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
        self._codes = codes_of(self._status())
        if self._wanted and self._after is None and self._codes[:1] == (self._wanted,):
            self._after = passed

    def said(self, doctor: tuple[str, ...] | None = None) -> Said:
        """Return what it said."""
        if self._after is None:
            return Said(code=next(iter(self._codes), ""), others=self._codes, doctor=doctor)
        after = round(self._after, 1)
        return Said(code=self._wanted, others=self._codes, after=after, doctor=doctor)


class Trial:
    """Tries faults in a lab that is up, on one client.

    ``thorough``: ask the live doctor, too, and let ``throughway fix`` mend what it can.
    """

    def __init__(
        self,
        lab: Lab,
        client: str = "client1",
        *,
        notice: float = NOTICE,
        quiet: float = QUIET,
        recovery: float = RECOVERY,
        thorough: bool = True,
    ) -> None:
        self.lab = lab
        self.host = client
        self._observer = Observer(lab, client)
        self._notice, self._quiet, self._recovery = notice, quiet, recovery
        self._thorough = thorough

    def prepare(self, fault: Fault | Pair) -> None:
        """Bring everything to where the fault is to be injected: well, and somebody at work."""
        if self.lab.transports(self.host) != fault.transports:
            self.lab.stop_client(self.host)
            self.lab.allow_transports(self.host, *fault.transports)
        if self.lab.where(self.host) != fault.place:
            self.lab.move(self.host, fault.place)
        if self.lab.service(self.host, CLIENT.name) is None:
            self.lab.start_client(self.host)
        self.wait_well(fault)

    def run(self, fault: Fault) -> Seen:
        """Inject it, see what is said, clear it, see all well again."""
        begun = time.monotonic()
        why, recovered, mended, mending = "", -1.0, None, ""
        client = gateway = Said()
        try:
            self.prepare(fault)
        except LabError as error:
            words = f"before: {error}"
            return Seen(fault=fault.name, client=client, gateway=gateway, error=words)
        with self._watched(fault) as leaked:
            try:
                self.lab.inject(fault.name, self.host)
                client, gateway = self._settled(fault, examined=self._thorough)
            except LabError as error:
                why = str(error)
            try:
                recovered = self._cleared(fault, fault.name)
                if fault.mended and self._thorough and not why:
                    mended, mending = self._mended(fault)
            except LabError as error:
                why = why or f"after: {error}"
        return Seen(
            fault=fault.name,
            client=client,
            gateway=gateway,
            recovered=recovered,
            mended=mended,
            mending=mending,
            leaked=leaks.counted(leaked, client.code),
            error=why,
            took=round(time.monotonic() - begun, 1),
        )

    def run_pair(self, pair: Pair) -> Together:
        """Inject both, see that both are named, clear both, see all well again."""
        begun = time.monotonic()
        why, after, recovered = "", -1.0, -1.0
        shown, found = set[str](), tuple[str, ...]()
        try:
            self.prepare(pair)
            try:
                for name in pair.names:
                    self.lab.inject(name, self.host)
                shown, after = self._both(pair)
                if self._thorough:
                    found = self._examine(self.host) + self._examine(GATEWAY)
            except LabError as error:
                why = str(error)
            recovered = self._cleared(pair, *reversed(pair.names))
        except LabError as error:
            why = why or str(error)
        return Together(
            pair=pair.name,
            shown=tuple(sorted(shown)),
            found=tuple(dict.fromkeys(found)) if self._thorough else None,
            after=after,
            recovered=recovered,
            error=why,
            took=round(time.monotonic() - begun, 1),
        )

    def wait_well(self, fault: Fault | Pair, patience: float = PATIENCE) -> None:
        """Return when neither end has anything to tell, and the page is there for whom it is."""
        deadline = time.monotonic() + patience
        while True:
            mine, theirs = self._observer.status(), self._gateway()
            here = mine and not codes_of(mine) and self._connected(fault, mine)
            if here and theirs and not codes_of(theirs) and theirs["state"] == "ok":
                return
            if time.monotonic() > deadline:
                told = mine and (mine["connection"], *codes_of(mine))
                words = f"not well in {patience:g} s: client {told}, gateway {codes_of(theirs)}"
                raise LabError(words)
            if fault.user and mine and not mine["user"] and tunnel(mine, "infrastructure"):
                self._observer.log_on(USER)
            time.sleep(POLL)

    def _settled(self, fault: Fault, *, examined: bool) -> tuple[Said, Said]:
        """Watch both ends until each says what it must; who says nothing is watched for longer."""
        ends = _End(fault.client, self._observer.status), _End(fault.gateway, self._gateway)
        least = 0.0 if fault.client and fault.gateway else self._quiet
        ripe = 0.0 if fault.root else self._quiet
        doctors: list[Future[tuple[str, ...]]] = []
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            while True:
                passed = time.monotonic() - began
                for end in ends:
                    end.look(passed)
                told = all(end.told for end in ends)
                over = passed >= (least if told else self._notice)
                due = over or (told and passed >= ripe)
                if due and examined and not doctors:
                    doctors = [pool.submit(self._examine, one) for one in (self.host, GATEWAY)]
                if over and all(doctor.done() for doctor in doctors):
                    break
                time.sleep(POLL)
        mine, theirs = (one.result() for one in doctors) if doctors else (None, None)
        return ends[0].said(mine), ends[1].said(theirs)

    def _both(self, pair: Pair) -> tuple[set[str], float]:
        """Watch both ends until both faults are shown."""
        began = time.monotonic()
        while True:
            shown = {*codes_of(self._observer.status()), *codes_of(self._gateway())}
            passed = time.monotonic() - began
            if pair.named_in(shown):
                return shown, round(passed, 1)
            if passed > self._notice:
                return shown, -1.0
            time.sleep(POLL)

    def _examine(self, host: str) -> tuple[str, ...]:
        """Return what the live doctor finds on a host.

        What is only to be known counts where the daemon itself tells it, too.
        """
        shown = codes_of(self._gateway() if host == GATEWAY else self._observer.status())
        answer = self.lab.run(host, ["throughway", "doctor", "--live", "--json"])
        if answer.returncode not in EXAMINED:
            raise LabError(f"doctor on {host}: {answer.stderr.strip()[-500:]}")
        findings = json.loads(answer.stdout)["diagnosis"]
        return tuple(
            one["code"]
            for one in findings
            if one["severity"] != Severity.INFO or one["code"] in shown
        )

    def _cleared(self, fault: Fault | Pair, *names: str) -> float:
        """Clear what was injected; return after how many seconds all was well."""
        cleared = time.monotonic()
        for name in names:
            self.lab.clear(name)
        self.wait_well(fault, self._recovery)
        return round(time.monotonic() - cleared, 1)

    def _mended(self, fault: Fault) -> tuple[float, str]:
        """Inject it once more and let ``throughway fix`` mend it: after how long, or why not."""
        host = GATEWAY if fault.gateway else self.host
        self.lab.inject(fault.name, self.host)
        try:
            self._settled(fault, examined=False)
            begun = time.monotonic()
            answer = self.lab.run(host, FIX)
            if why := _left(answer.stdout, fault.root) or answer.stderr.strip()[-500:]:
                return -1.0, why
            try:
                self.wait_well(fault, self._recovery)
            except LabError as error:
                return -1.0, str(error)
            return round(time.monotonic() - begun, 1), ""
        finally:
            self._cleared(fault, fault.name)

    def _gateway(self) -> Status:
        return status_of(self.lab, GATEWAY, GATEWAY_DAEMON)

    def _connected(self, fault: Fault | Pair, status: Status) -> bool:
        if fault.place == "corp":
            return bool(status["connection"] == Connection.CONNECTED_LOCALLY)
        name = "intranet" if fault.user else "infrastructure"
        return bool(tunnel(status, name))

    @contextlib.contextmanager
    def _watched(self, fault: Fault) -> Iterator[list[str]]:
        """Look for leaks meanwhile; in the intranet there are none."""
        with leaks.at_work(self.lab, self.host):
            if fault.place == "corp":
                yield []
                return
            with leaks.watched(self.lab, self.host) as leaked:
                yield leaked


def codes_of(status: Status) -> tuple[str, ...]:
    """Return the codes of the problems that are shown, the first first."""
    return tuple(problem["code"] for problem in status.get("problems", ())) if status else ()


def _left(answer: str, code: str) -> str:
    """Say why a problem was not mended, as ``fix --json`` tells; "" when it was."""
    try:
        results = json.loads(answer)["results"]
    except (ValueError, KeyError):
        return answer.strip()[-500:] or "fix says nothing"
    outcomes = {one["code"]: one for one in results}
    if code not in outcomes:
        return f"fix does not see it, but {', '.join(outcomes) or 'nothing'}"
    one = outcomes[code]
    return "" if one["outcome"] in MENDED else f"{one['outcome']}: {one['reason']}"
