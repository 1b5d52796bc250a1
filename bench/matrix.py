"""Every fault of the lab: who notices what, how soon, what mends it, and what is left of it.

    make matrix
    python -m bench.matrix port-443-blocked captive-portal     only these faults
    python -m bench.matrix --pairs                             only pairs of faults
    python -m bench.matrix --left                              what is untried or came out otherwise

Writes docs/operate/faults.md from what was seen; what is interrupted goes on with --left.
Exit 1: something came out otherwise than wanted, or was not tried; 130: interrupted.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import SubprocessError

from bench import busy, fault_page, fault_results, flapping
from bench.fault_results import Results
from throughway.lab import state
from throughway.lab.faults import FAULTS, Fault
from throughway.lab.faults.pairs import PAIRS, Pair
from throughway.lab.lab import Lab
from throughway.lab.trial import Said, Seen, Together, Trial
from throughway.model.errors import LabError

ROOT = Path(__file__).parent.parent
HOST = "client1"
PLACES = ("home", "hotel", "office", "direct", "corp")
LABS = re.compile(r"matrix-(\d+)-\d+")
MAX_JOBS = 6
"""Labs at once: each waits most of its time, and each is a client, a gateway, and a domain."""
INTERRUPTED = 130

Work = Fault | Pair
Say = Callable[[str], None]


@dataclass(slots=True)
class Queue:
    """What is still to be tried; workers take from it what is where their client is."""

    results: Results
    work: list[Work]
    say: Say = print
    as_json: bool = False
    folder: Path = fault_results.FOLDER
    stopped: bool = False
    errors: list[str] = field(default_factory=list)
    _done: int = 0
    _total: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        # The longest first, or somebody is left alone with it at the end.
        self.work.sort(key=self.results.took, reverse=True)
        self._total = len(self.work)

    def take(self, place: str) -> Work | None:
        """Return what to try next, of that place as long as there is something."""
        with self._lock:
            if self.stopped or not self.work:
                return None
            here = (work for work in self.work if work.place == place)
            places = sorted(self.work, key=lambda work: PLACES.index(work.place))
            work = next(here, places[0])
            self.work.remove(work)
            return work

    def keep(self, work: Work, seen: Seen | Together) -> None:
        """Write down what came of it, and say so."""
        with self._lock:
            if self.stopped:
                return
            self._done += 1
            if isinstance(seen, Seen):
                self.results.faults[work.name] = seen
            else:
                self.results.pairs[work.name] = seen
            fault_results.save(self.results, self.folder)
            self.say(self._told(work, seen))

    def _told(self, work: Work, seen: Seen | Together) -> str:
        good = self.results.good(work)
        if self.as_json:
            return json.dumps({"name": work.name, "as_wanted": good, **asdict(seen)})
        words = f"{'as wanted' if good else 'OTHERWISE'} {_row(work, seen)} {seen.took:.0f} s"
        left_out = "; ".join(filter(None, (seen.error, getattr(seen, "mending", ""))))
        return f"[{self._done}/{self._total}] {words} {left_out}".rstrip()


def _row(work: Work, seen: Seen | Together) -> str:
    if isinstance(work, Pair):
        assert isinstance(seen, Together)
        return fault_page.pair_line(work, seen)
    assert isinstance(seen, Seen)
    return fault_page.line(work, seen)


class Worker(threading.Thread):
    """Tries one after the other in a lab of its own, or in one that is there."""

    def __init__(self, queue: Queue, name: str, *, own: bool) -> None:
        super().__init__(name=name, daemon=True)
        self._queue = queue
        self._own = own

    def run(self) -> None:
        """Work until there is nothing left."""
        try:
            self._work()
        except LabError as error:
            if not self._queue.stopped:
                self._queue.errors.append(f"{self.name}: {error}")

    def _work(self) -> None:
        lab = Lab(self.name).up(replace=True) if self._own else Lab(self.name).require()
        restart(lab)
        while work := self._queue.take(lab.where(HOST)):
            seen = tried(lab, work)
            self._queue.keep(work, seen)
            if self._queue.stopped:
                return
            if seen.recovered < 0:
                lab = self._anew(lab)

    def _anew(self, lab: Lab) -> Lab:
        """Begin anew, in another lab when this one stays broken."""
        try:
            restart(lab)
            Trial(lab, HOST).prepare(next(iter(FAULTS.values())))
        except LabError:
            if not self._own:
                raise
            lab.down()
            lab = Lab(self.name).up()
            restart(lab)
        return lab

    def take_down(self) -> None:
        """Take a lab of its own down; whatever goes on in it fails."""
        if self._own:
            with contextlib.suppress(LabError):
                Lab(self.name).down()


def tried(lab: Lab, work: Work) -> Seen | Together:
    """Return what came of it, also when trying it fails in a way that nobody has thought of."""
    trial = Trial(lab, HOST)
    try:
        return trial.run_pair(work) if isinstance(work, Pair) else trial.run(work)
    except (OSError, ValueError, LookupError, SubprocessError) as error:
        why = f"{type(error).__name__}: {error}"
    if isinstance(work, Pair):
        return Together(pair=work.name, error=why)
    return Seen(fault=work.name, client=Said(), gateway=Said(), recovered=-1.0, error=why)


def restart(lab: Lab) -> None:
    """Begin anew, with nothing broken and one transport: by another one faults are got round."""
    for name in list(lab.faults)[::-1]:
        with contextlib.suppress(LabError):
            lab.clear(name)
    lab.stop_client(HOST)
    lab.allow_transports(HOST, "iphttps")
    lab.start_client(HOST)


def try_all(queue: Queue, jobs: int, name: str | None) -> None:
    """Try it all; KeyboardInterrupt leaves no lab behind."""
    names = [name] if name else [f"matrix-{os.getpid()}-{n}" for n in range(jobs)]
    workers = [Worker(queue, one, own=not name) for one in names]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    except BaseException:
        queue.stopped = True
        raise
    finally:
        for worker in workers:
            worker.take_down()
            worker.join()
            worker.take_down()  # it may have been about to build another one


def try_rest(results: Results, name: str | None, say: Say, *, flap: bool, load: bool) -> None:
    """Let faults flap, and ask while the data path is busy: one after the other, alone."""
    if not flap and not load:
        return
    with contextlib.ExitStack() as stack:
        if name:
            lab = Lab(name).require()
        else:
            lab = Lab(f"matrix-{os.getpid()}-0")
            stack.callback(lab.down)
            lab.up()
        restart(lab)
        for fault in flapping.every() if flap else ():
            one = results.flapped[fault.name] = flapping.flap(lab, HOST, fault)
            fault_results.save(results)
            say(f"{'bounded' if one.bounded else 'FLOODED'} {fault.name} {one}")
        if load:
            results.busy = busy.measure(lab, HOST)
            fault_results.save(results)
            for end, answered in results.busy.items():
                say(f"{'bounded' if answered.bounded else 'TOO SLOW'} {end} {answered}")


def clean() -> None:
    """Take down what a killed run has left."""
    for name in state.names():
        match = LABS.fullmatch(name)
        if match and not Path(f"/proc/{match[1]}").exists():
            Lab(name).down()


def wanted(arguments: argparse.Namespace, results: Results) -> list[Work]:
    """Return what is to be tried."""
    if arguments.faults:
        work: list[Work] = [FAULTS[name] for name in arguments.faults]
    else:
        kinds: Sequence[tuple[bool, Sequence[Work]]] = (
            (arguments.all, tuple(FAULTS.values())),
            (arguments.all or arguments.pairs, PAIRS),
        )
        work = [one for chosen, these in kinds if chosen for one in these]
    return [one for one in work if not (arguments.left and results.good(one))]


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; ``all``: nothing was chosen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("faults", nargs="*", metavar="FAULT", help="Only these.")
    add("--pairs", action="store_true", help="Only pairs of faults.")
    add("--flapping", action="store_true", help="Only faults that come and go.")
    add("--load", action="store_true", help="Only the status while the data path is busy.")
    add("--left", action="store_true", help="Only what is untried or came out otherwise.")
    add("--jobs", type=int, default=jobs_here(), help="Labs at once (default: %(default)s).")
    add("--lab", help="A lab that is up, instead of labs of its own.")
    add("--json", action="store_true", help="For programs: an object a line.")
    add("--page", action="store_true", help="Only write the page.")
    arguments = parser.parse_args(words)
    unknown = set(arguments.faults) - set(FAULTS)
    if unknown:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}; throughway lab fault list")
    if not 1 <= arguments.jobs <= MAX_JOBS:
        parser.error(f"--jobs: 1 to {MAX_JOBS}")
    arguments.all = not (
        arguments.faults
        or arguments.pairs
        or arguments.flapping
        or arguments.load
        or arguments.page
    )
    return arguments


def jobs_here() -> int:
    """Return how many labs this machine bears: a core and a half each, for they mostly wait."""
    return max(2, min(MAX_JOBS, (os.cpu_count() or 1) * 3 // 2))


def main(words: Sequence[str] | None = None) -> int:
    """Try what is wanted, keep what was seen, write the page."""
    arguments = parse(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = fault_results.load()

    def say(text: str) -> None:
        print(text, flush=True)

    note = (lambda text: None) if arguments.json else say
    queue = Queue(results, wanted(arguments, results), say, arguments.json)
    chosen = queue.work[:]
    try:
        clean()
        if chosen:
            try_all(queue, min(arguments.jobs, len(chosen)), arguments.lab)
        everything = arguments.all
        flap, load = everything or arguments.flapping, everything or arguments.load
        try_rest(results, arguments.lab, note, flap=flap, load=load)
    except KeyboardInterrupt:
        say_error("interrupted; go on with: python -m bench.matrix --left")
        return INTERRUPTED
    finally:
        fault_page.PAGE.write_text(fault_page.build(results))
    for error in queue.errors:
        say_error(error)
    return conclude(results, chosen or [*FAULTS.values(), *PAIRS], note)


def conclude(results: Results, chosen: Sequence[Work], say: Say) -> int:
    """Say how many came out as wanted; 1 when not all did."""
    good = sum(results.good(work) for work in chosen)
    say(f"{good} of {len(chosen)} as wanted; {fault_page.PAGE.relative_to(ROOT)}")
    rest = [one.bounded for one in results.flapped.values()]
    rest += [one.bounded for one in results.busy.values()]
    return 0 if good == len(chosen) and all(rest) else 1


def say_error(text: str) -> None:
    """Tell a person."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
