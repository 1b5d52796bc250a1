"""What a library costs the daemon that imports it: resident memory and time, in a fresh process."""

import subprocess
import sys
from dataclasses import dataclass
from statistics import median

ROUNDS = 5

SCRIPT = """
import importlib, sys, time
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
import asyncio, ctypes, ipaddress, socket, ssl, struct  # what the daemon has anyway
before, begun = resident(), time.perf_counter()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(resident() - before, time.perf_counter() - begun)
"""

COMPARED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("netlink", "throughway.net.netlink", ("throughway.net.netlink",)),
    ("netlink", "pyroute2", ("pyroute2",)),
    ("DNS messages", "throughway.wire.dns", ("throughway.wire.dns",)),
    ("DNS messages", "dnspython", ("dns.message", "dns.rdatatype")),
    ("configuration", "throughway.client.settings", ("throughway.client.settings",)),
    ("configuration", "pydantic", ("pydantic",)),
    ("Kerberos", "gssapi, as in the helper that ends", ("gssapi", "gssapi.raw")),
    ("certificates", "cryptography.x509", ("cryptography.x509",)),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one import took."""

    purpose: str
    what: str
    mebibytes: float
    milliseconds: float


def measure() -> list[Cost]:
    """Return the medians of several fresh processes; what is not installed is left out."""
    costs = []
    for purpose, what, modules in COMPARED:
        runs = [run for _ in range(ROUNDS) if (run := _once(modules))]
        if runs:
            kibibytes, seconds = (median(values) for values in zip(*runs, strict=True))
            costs.append(Cost(purpose, what, kibibytes / 1024, seconds * 1000))
    return costs


def _once(modules: tuple[str, ...]) -> tuple[float, float] | None:
    command = [sys.executable, "-c", SCRIPT, *modules]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        return None
    kibibytes, seconds = answer.stdout.split()
    return float(kibibytes), float(seconds)
