"""What the idle client weighs as it is joined, and with everything on that proves trust.

Writes ``bench/results/memory.json`` and a part of ``docs/performance.md``.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import report
from bench.report import Memory
from throughway.lab.deployment import CLIENT_CONFIG, GATEWAY_CONFIG
from throughway.lab.lab import Lab

RESULTS = report.ROOT / "bench" / "results" / "memory.json"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
STRONG = """
[publish.revocation]
iphttps = "strong"
ipsec = "strong"
location = "strong"

[[computers]]"""
HEALTH = '\n[health]\nmode = "report"\nrequired = ["firewall", "updates"]\n'
CARD = f'\n[smart_card]\nmodule = "{MODULE}"\n'
LONG = 30.0
"""Seconds in which lists are fetched and health is stated."""

Found = dict[str, Memory]
"""By how much is on: ``joined``, ``everything``."""


def sums(memory: Memory) -> tuple[float, float]:
    """Return RSS and PSS of all processes, in MiB."""
    rss, pss = (sum(process[kind] for process in memory.values()) for kind in ("rss", "pss"))
    return rss, pss


def load() -> tuple[str, Found]:
    """Return when it was measured, and what."""
    values = json.loads(RESULTS.read_text())
    return values["taken"], values["memory"]


def part(taken: str, found: Found) -> str:
    """Return the part of the page."""
    names = {"joined": "as it is joined", "everything": "with everything"}
    lines, target = [], report.TARGET_MEMORY
    for key, memory in found.items():
        rss, pss = sums(memory)
        said = "met" if rss <= target else "**MISSED**"
        lines.append(
            f"| {names[key]} | {rss:.1f} MiB | {pss:.1f} MiB | ≤ {target:g} MiB | {said} |"
        )
    processes = "; ".join(
        f"{name} {weight['rss']:.1f} MiB" for name, weight in found["everything"].items()
    )
    return f"""
### What trust weighs

The idle client, all processes, as it is joined (revocation `weak`, audit), and with everything:
revocation `strong` of all three kinds of certificates, health, a reader for smart cards.

| client | RSS | PSS | target of RSS | verdict |
| --- | --- | --- | --- | --- |
{chr(10).join(lines)}

- With everything: {processes}.
- Taken {taken}. Again, as root: `python -m bench.weigh`
"""


def _measure() -> Found:
    from bench.connect import CLIENT, Bench  # it imports the page, which imports this

    with Lab(f"weigh-{os.getpid()}") as lab:
        lab.up()
        lab.allow_transports(CLIENT, "iphttps")
        bench = Bench(lab)
        bench.prepare()
        lab.start_client(CLIENT)
        found = {"joined": bench.memory()}
        lab.stop_client(CLIENT)
        text = lab.read("edge1", GATEWAY_CONFIG).replace("\n[[computers]]", STRONG, 1)
        lab.write("edge1", GATEWAY_CONFIG, text + HEALTH)
        build = ["throughway", "policy", "build", "--config", GATEWAY_CONFIG]
        lab.run("edge1", build, check=True)
        lab.stop_gateway()
        lab.start_gateway()
        lab.write(CLIENT, CLIENT_CONFIG, lab.read(CLIENT, CLIENT_CONFIG) + CARD)
        lab.start_client(CLIENT)
        bench.client.wait_tunnel("infrastructure")
        lab.run(CLIENT, ["throughway", "client", "refresh"], check=True)
        bench.client.wait("health", lambda s: s["health"] is not None)
        bench.client.wait_tunnel("intranet")
        time.sleep(LONG)
        found["everything"] = bench.memory()
        lab.stop_client(CLIENT)
    return found


def main() -> None:
    """Measure and write. Exit 1: the target was missed."""
    from bench import page  # it imports this

    if os.geteuid() != 0 or not Path(MODULE).exists():
        sys.exit("python -m bench.weigh: needs root, for the lab's namespaces, and SoftHSM")
    found = _measure()
    rounded = report.rounded({"taken": f"{datetime.now(UTC):%Y-%m-%d}", "memory": found})
    RESULTS.write_text(json.dumps(rounded, indent=1) + "\n")
    page.write()
    print(part(*load()))
    sys.exit(0 if all(sums(each)[0] <= report.TARGET_MEMORY for each in found.values()) else 1)


if __name__ == "__main__":
    main()
