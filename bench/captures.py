"""How fast the doctor reads a large capture, beside ``tshark -Y tls.alert_message`` on the same.

    python -m bench.captures [--mebibytes 1024] [--connections 400] [--segment 1400] [--rounds 3]

The capture is made for the run: TLS connections (handshakes of tests/vectors/tls) that carry bulk
data, one in ten of which is refused. Both read it in turns, each in a process of its own; the
medians of wall and CPU time and the largest memory count. tshark is Debian's package; without it
only the doctor is measured. Writes bench/results/captures.json. Exit 1 when the doctor is slower
than tshark or takes more than 300 MiB.
"""

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.packets import ethernet, ip, tcp

ROOT = Path(__file__).parent.parent
TLS = ROOT / "tests" / "vectors" / "tls"
RESULT = ROOT / "bench" / "results" / "captures.json"
MEMORY = 300
"""MiB that the doctor may take."""
SERVER = "198.51.100.2"
SYN, ACK, PSH, FIN = 2, 16, 24, 17
_POOL = 1 << 20

READER = """
import sys
from throughway.doctor.parsers.captures.pcap import parse
from throughway.model.evidence import Evidence
path = sys.argv[1]
print(sum(1 for fact in parse(Evidence(path, open=lambda: open(path, "rb")))))
"""


class Ends:
    """Both ends of a connection, numbering what they say."""

    def __init__(self, number: int) -> None:
        self.client = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.port = 1024 + number % 60_000
        self.said = {"client": 1000, "server": 5000}

    def say(self, side: str, payload: bytes = b"", flags: int = ACK) -> bytes:
        """Return the frame."""
        ends, ports = (self.client, SERVER), (self.port, 443)
        if side == "server":
            ends, ports = ends[::-1], ports[::-1]
        segment = tcp(payload, flags, ports=ports, sequence=self.said[side] % (1 << 32))
        self.said[side] += len(payload) + bool(flags & 3)
        return ethernet(ip(*ends, 6, segment))


def connection(number: int, size: int, segment: int, pool: bytes) -> Iterator[bytes]:
    """Yield the frames of one connection with that many bytes of data."""
    ends = Ends(number)
    yield ends.say("client", flags=SYN)
    yield ends.say("server", flags=SYN | ACK)
    yield ends.say("client")
    name = "tls13" if number % 10 else "no-common-suite"
    for side in ("client", "server"):
        data = (TLS / f"{name}.{side}").read_bytes()
        for at in range(0, len(data), segment):
            yield ends.say(side, data[at : at + segment], PSH)
    record = b"\x17\x03\x03" + struct.pack("!H", segment - 5)
    for at in range(0, size, 2 * segment):
        start = (at * 31 + number) % (_POOL - segment)
        yield ends.say("server", record + pool[start : start + segment - 5])
        yield ends.say("server", record + pool[start : start + segment - 5])
        yield ends.say("client")
    yield ends.say("server", flags=FIN)
    yield ends.say("client", flags=FIN)


def write(path: Path, mebibytes: int, connections: int, segment: int) -> int:
    """Write the capture; return its size."""
    pool = random.Random(1).randbytes(_POOL)
    each = mebibytes * (1 << 20) // connections * segment // (segment + 100)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        at = 1_700_000_000 * 10**6
        for number in range(1, connections + 1):
            for frame in connection(number, each, segment, pool):
                at += 20
                head = (at // 10**6, at % 10**6, len(frame), len(frame))
                file.write(struct.pack("<4I", *head) + frame)
        return file.tell()


def measure(*command: str) -> dict[str, float]:
    """Run a command; return its wall time, CPU time and MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *command], check=True, capture_output=True, text=True
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "memory": int(done.stdout) / 1024}


def main() -> int:
    """Make the capture, read it in turns, print and keep the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mebibytes", type=int, default=1024)
    arguments.add_argument("--connections", type=int, default=400)
    arguments.add_argument("--segment", type=int, default=1400)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    candidates: dict[str, tuple[str, ...]] = {"doctor": (sys.executable, "-c", READER)}
    if tshark := shutil.which("tshark"):
        candidates["tshark"] = (tshark, "-n", "-Y", "tls.alert_message", "-r")
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in candidates}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bulk.pcap")
        size = write(path, given.mebibytes, given.connections, given.segment)
        for _ in range(given.rounds):
            for name, command in candidates.items():
                runs[name].append(measure(*command, str(path)))
    figures = {
        name: {
            "wall": round(statistics.median(run["wall"] for run in measured), 2),
            "cpu": round(statistics.median(run["cpu"] for run in measured), 2),
            "memory": round(max(run["memory"] for run in measured)),
        }
        for name, measured in runs.items()
    }
    for name, figure in figures.items():
        print(f"{name:8} {figure['wall']} s, CPU {figure['cpu']} s, {figure['memory']} MiB")
    result = {**vars(given), "size": size, "cores": os.cpu_count(), "figures": figures}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    mine, theirs = figures["doctor"], figures.get("tshark")
    slower = theirs is not None and mine["wall"] > theirs["wall"]
    return int(slower or mine["memory"] > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
