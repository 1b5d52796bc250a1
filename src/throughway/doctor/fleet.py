"""Many bundles at once: each entry of a folder is one, examined in processes side by side.

What goes wrong with one bundle, even the end of the process that reads it, is that bundle's row.
"""

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from throughway.catalogue import PROBLEMS
from throughway.doctor.examination import Examination, examine
from throughway.doctor.report import COULD_NOT_TELL, FINDINGS, WELL, exit_code

CHUNK = 16
"""Bundles handed to a process at a time: enough that handing over costs nothing."""
AHEAD = 4
"""Chunks a process that wait or are done; what is kept in memory is bounded by it."""
FEW = 2 * CHUNK
"""So many are done sooner than other processes have started."""
SECONDS = 120.0
"""For one bundle; one of a whole capture takes half of that, one of outputs a hundredth second."""
MEMORY = 2 * 1024**3
"""Bytes of addresses that a process may use; what it takes by itself is a fifth of that."""
OUTCOMES = {WELL: "well", FINDINGS: "findings", COULD_NOT_TELL: "unknown"}
FAILED = "failed"
_MAIN = threading.main_thread()


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one bundle."""

    bundle: str
    outcome: str
    """One of OUTCOMES, or FAILED."""
    causes: tuple[str, ...] = ()
    """Codes of the root causes, the first to be mended first."""
    host: str = ""
    facts: int = 0
    summary: str = ""
    """Of the first cause; or why the examination failed."""


def bundles(folder: Path) -> list[Path]:
    """Return what is a bundle in a folder, in a fixed order: folders, archives, single files."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    return [folder / name for name in names]


class TimeUpError(BaseException):
    """A bundle has had its time; no net for other errors on the way may hold it."""


def examine_one(path: Path) -> Row:
    """Examine one bundle; whatever happens is a row."""
    try:
        with _in_time():
            return _row(path, examine([path]))
    except TimeUpError:
        return Row(path.name, FAILED, summary=f"it takes more than {SECONDS:g} seconds")
    except MemoryError:
        return Row(path.name, FAILED, summary="it needs more memory than there is")
    except Exception as error:  # one bundle of thousands must not end the work on the others
        return Row(path.name, FAILED, summary=f"{type(error).__name__}: {error}"[:200])


@contextmanager
def _in_time() -> Iterator[None]:
    """Raise TimeUpError when the time is up, where the system has clocks that interrupt."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not _MAIN:
        yield
        return
    before = signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _time_is_up(number: int, frame: object) -> None:
    raise TimeUpError


def examine_all(paths: Sequence[Path], jobs: int | None = None) -> Iterator[Row]:
    """Yield a row for each bundle, in order."""
    processes = jobs or os.cpu_count() or 1
    if processes == 1 or len(paths) <= FEW:
        yield from map(examine_one, paths)
        return
    waiting = deque(paths[at : at + CHUNK] for at in range(0, len(paths), CHUNK))
    while waiting:
        yield from _until_it_breaks(waiting, processes)
        if waiting:
            yield from map(_alone, waiting.popleft())


def _until_it_breaks(waiting: deque[Sequence[Path]], processes: int) -> Iterator[Row]:
    """Yield rows and take their chunks away, until a process dies: its chunk is then the first."""
    with _processes(processes) as pool:
        running: deque[Future[list[Row]]] = deque()
        try:
            while waiting:
                for chunk in islice(waiting, len(running), processes * AHEAD):
                    with _no_interrupts():
                        running.append(pool.submit(_examine_chunk, chunk))
                rows = running.popleft().result()
                waiting.popleft()
                yield from rows
        except BrokenProcessPool:
            return
        finally:
            # Who ends the work early does not wait for what has not begun.
            pool.shutdown(cancel_futures=True)


def _processes(number: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(number, get_context("spawn"), _begin)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Let processes that are started begin without Ctrl-C, which would else break their imports."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Leave Ctrl-C to the first process, else each would have its last words; bound the memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ImportError, ValueError, OSError):  # as on Windows
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))


def _examine_chunk(paths: Sequence[Path]) -> list[Row]:
    return [examine_one(path) for path in paths]


def _alone(path: Path) -> Row:
    """Examine a bundle in a process of its own, whose end is that of nobody else."""
    with _processes(1) as pool:
        try:
            with _no_interrupts():
                done = pool.submit(examine_one, path)
            return done.result()
        except BrokenProcessPool:
            return Row(path.name, FAILED, summary="the process that examined it was ended")


def totals(rows: Iterable[Row]) -> "Totals":
    """Count outcomes and causes."""
    counted = Totals(Counter(), Counter(), Counter())
    for row in rows:
        counted.add(row)
    return counted


@dataclass
class Totals:
    """How many bundles have come to what."""

    outcomes: Counter[str]
    first: Counter[str]
    """By the cause that stands first."""
    causes: Counter[str]
    """By every root cause."""

    def add(self, row: Row) -> None:
        """Count one more."""
        self.outcomes[row.outcome] += 1
        self.first.update(row.causes[:1])
        self.causes.update(set(row.causes))

    def by_cause(self) -> list[tuple[str, str, int, int]]:
        """Return code, title, bundles in which it stands first, and in which at all."""
        ordered = sorted(
            self.causes, key=lambda code: (-self.first[code], -self.causes[code], code)
        )
        return [
            (code, PROBLEMS[code].title, self.first[code], self.causes[code]) for code in ordered
        ]


def _row(path: Path, examination: Examination) -> Row:
    findings = examination.diagnosis.findings
    return Row(
        bundle=path.name,
        outcome=OUTCOMES[exit_code(examination)],
        causes=tuple(dict.fromkeys(item.finding.problem.code for item in findings)),
        host=", ".join(dict.fromkeys(host.name for host in examination.hosts if host.name)),
        facts=examination.reading.facts,
        summary=findings[0].finding.summary if findings else "",
    )
