"""How many bundles a second the doctor examines: ``throughway doctor --fleet`` as people run it.

    python -m bench.fleet [--bundles 2000] [--jobs 2] [--rounds 5]

Each bundle is a folder of ten small outputs of tests/evidence, in turn of one machine or another;
every other one is a zip. Each round is one run of the command, start of all processes included;
the median counts. CPU time of one bundle is said as well: wall time suffers from other work.
Writes bench/results/fleet.json. Exit 1 below 200 bundles a second.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "tests" / "evidence"
RESULT = ROOT / "bench" / "results" / "fleet.json"
TARGET = 200
"""Bundles a second on two cores."""
FILES = 10
SMALL = 8 * 1024


def outputs() -> Iterator[Path]:
    """Yield small outputs, machine after machine, without end."""
    texts = (path for path in sorted(EVIDENCE.rglob("*.txt")) if path.stat().st_size < SMALL)
    return cycle(list(texts))


def write(folder: Path, bundles: int) -> int:
    """Write the bundles; return the bytes of their files."""
    files = outputs()
    total = 0
    for number in range(bundles):
        chosen = {
            f"{n}-{path.name}": path.read_bytes() for n, path in enumerate(islice(files, FILES))
        }
        total += sum(map(len, chosen.values()))
        if number % 2:
            with zipfile.ZipFile(folder / f"pc{number}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in chosen.items():
                    archive.writestr(name, content)
            continue
        (folder / f"pc{number}").mkdir()
        for name, content in chosen.items():
            (folder / f"pc{number}" / name).write_bytes(content)
    return total


def run(folder: Path, jobs: int) -> float:
    """Run the command once; return its wall time."""
    command = (sys.executable, "-m", "throughway.cli.main", "doctor", "--fleet", str(folder))
    began = time.perf_counter()
    done = subprocess.run(
        (*command, "--jobs", str(jobs), "--csv"), capture_output=True, check=False
    )
    taken = time.perf_counter() - began
    if done.returncode > 1 or b",failed," in done.stdout:
        raise SystemExit(f"the command failed: {done.stderr.decode()}")
    return taken


def main() -> int:
    """Write the bundles, examine them in rounds, print and keep the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bundles", type=int, default=2000)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        size = write(Path(name), given.bundles)
        times = [run(Path(name), given.jobs) for _ in range(given.rounds)]
    rate = given.bundles / statistics.median(times)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = used.ru_maxrss / 1024
    cpu = 1000 * (used.ru_utime + used.ru_stime) / given.bundles / given.rounds
    rates = sorted(round(given.bundles / taken) for taken in times)
    print(f"{rate:.0f} bundles/s (rounds: {rates}), CPU {cpu:.1f} ms each")
    print(f"largest process: {memory:.0f} MiB")
    figures = {
        "rate": round(rate),
        "rates": rates,
        "cpu_ms": round(cpu, 1),
        "memory": round(memory),
    }
    result = {**vars(given), "size": size, "cores": os.cpu_count(), **figures}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    return int(rate < TARGET)


if __name__ == "__main__":
    sys.exit(main())
