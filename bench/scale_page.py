"""How many sessions a gateway holds: the part of ``docs/performance.md``."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "scale.json"
TARGET_MEMORY = 20.0
"""KiB of an idle session, on the gateway."""

Found = dict[str, Any]


def load() -> Found | None:
    """Return what was measured, None if nothing was."""
    if not RESULTS.exists():
        return None
    found: Found = json.loads(RESULTS.read_text())
    return found


def part(found: Found | None) -> str:
    """Return the part of the page."""
    if found is None:
        return f"## How many it holds\n\nNot measured yet: no `bench/results/{RESULTS.name}`.\n"
    rows = "\n".join(f"| {what} | {figure} |" for what, figure in figures(found))
    return f"""\
## How many it holds

| what | figure |
|---|---|
{rows}

- A gateway with {found["workers"]} workers and all of its clients share {found["cores"]} cores,
  over loopback; the last four are of one worker. Load before it began:
  {found["load_before"]:.1f}. Linux {found["kernel"]}, Python {found["python"]}, {found["openssl"]}.
- Again, as root: `make bench`, or this part alone: `python -m bench.scale`
"""


def figures(found: Found) -> list[tuple[str, str]]:
    """Return what is told, in words and figures."""
    idle, storm, pings = found["idle"], found["storm"], found["pings"]
    hoard, silence = found["hoard"], found["silence"]
    memory = idle["kib_per_session"]
    verdict = "met" if memory <= TARGET_MEMORY else "**MISSED**"
    return [
        (
            f"memory of an idle session, of {idle['sessions']:,}, on the gateway",
            f"{memory:.1f} KiB (to reach: {TARGET_MEMORY:g}, {verdict})",
        ),
        ("processor time at rest with them", f"{idle['cpu_percent_at_rest']:.1f} % of a core"),
        (
            "time to accept them, 64 at a time",
            f"{idle['seconds_to_accept']:.1f} s, {idle['handshakes_per_second']:,.0f} a second",
        ),
        (
            f"{storm['clients']:,} clients at the same moment",
            f"{storm['opened']:,} served in {storm['seconds']:.1f} s, "
            f"{sum(storm['failed'].values())} refused",
        ),
        (
            f"{pings['sessions']:,} sessions that ping once a second",
            f"{pings['lost']} of {pings['sent']:,} lost, median {pings['rtt'] * 1000:.2f} ms, "
            f"{pings['cpu_percent']:.0f} % of a core",
        ),
        (
            f"{hoard['sessions']} sessions that read nothing of what they are sent in bulk",
            f"{hoard['mib_held']:.0f} MiB held; {hoard['pings']['lost']} of the others' "
            f"{hoard['pings']['sent']} pings lost",
        ),
        *(
            (
                f"pings beside {found[kind]['floods']} sessions that flood ({words})",
                f"{found[kind]['among']['lost']} of {found[kind]['among']['sent']} lost, median "
                f"{found[kind]['among']['rtt'] * 1000:.2f} ms "
                f"(alone {found[kind]['alone']['rtt'] * 1000:.2f})",
            )
            for kind, words in (("bulk", "bulk"), ("slow", "packets to look at one by one"))
        ),
        (
            f"{silence['clients']} clients beside {silence['silent']:,} connections without a word",
            f"{silence['opened']} served in {silence['seconds']:.1f} s",
        ),
    ]
