"""How long something takes: CPU time on a machine of a known pace, whatever this one is and does.

And how much memory: it is done in a process that gets no more.

A slow machine, or one whose cores are shared, takes longer for everything. What takes longer than
it may is therefore measured again, beside a fixed piece of work, and judged in proportion.
"""

import gc
import re
import subprocess
import sys
import time
from collections.abc import Callable

ATTEMPTS = 4
PACE = 0.02
"""Seconds that the fixed work takes on the machine for which limits are written."""
HOPELESS = 20
"""Times the limit that no machine is to blame for."""
_LIMITED = """
import io, resource, sys
from throughway.doctor.examination import examine_bundle
from throughway.doctor.sources.bundle import Bundle
import throughway.doctor.parsers.logs.evtx, throughway.doctor.parsers.certificates.decoded
data = sys.stdin.buffer.read()
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (int(sys.argv[2]) << 20),) * 2)
bundle = Bundle()
bundle.add(sys.argv[1], len(data), lambda: io.BytesIO(data))
print(examine_bundle(bundle).reading.mistakes)
"""
_LINE = re.compile(r"(\s*)(\w[^:]{0,40}?)\s*:\s(\S.*)")
_TEXT = "".join(f"  Label {n} of it   : value {n * 7}\n\n" for n in range(15_000))


def seconds(work: Callable[[], object], limit: float) -> float:
    """Return the seconds that some work takes; it is done again while they are above the limit.

    Garbage is not collected meanwhile: that takes the longer the more other tests have left.
    """
    best = _cpu(work)
    for _ in range(ATTEMPTS):
        if best <= limit or best > HOPELESS * limit:
            break
        before = _cpu(fixed)
        taken = _cpu(work)
        slow = max(1.0, min(before, _cpu(fixed)) / PACE)
        best = min(best, taken / slow)
    return best


def examined_within(mebibytes: int, name: str, data: bytes) -> tuple[str, str]:
    """Have the doctor examine a file with so much memory beside it; return what is printed.

    That is the mistakes that the doctor noticed in itself, and what it stopped with.
    """
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, name, str(mebibytes)],
        input=data,
        capture_output=True,
        check=False,
    )
    return done.stdout.decode().strip(), done.stderr.decode()


def fixed() -> int:
    """Do what parsers do, always as much: lines, a pattern, small objects."""
    found = {}
    for number, line in enumerate(_TEXT.split("\n")):
        if match := _LINE.match(line):
            found[match[2]] = (number, len(match[1]), match[3].strip().lower())
    return len(found)


def _cpu(work: Callable[[], object]) -> float:
    collects = gc.isenabled()
    gc.disable()
    try:
        started = time.process_time()
        work()
        return time.process_time() - started
    finally:
        if collects:
            gc.enable()
