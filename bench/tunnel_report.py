"""How fast the tunnels carry: tables and verdicts for the terminal, chart and page for the docs.

    python -m bench.tunnel_report [--json] [FILE]

Reads bench/results/tunnel.json, prints it, writes bench/results/tunnel.svg and
docs/performance.md. With ``--json`` it prints ratios and verdicts, and with another FILE its
tables; either way it writes nothing. Exit 0: every target is met; 1: one is missed, or was not
measured; 2: the results cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import page, tunnel_page
from bench.targets import BUILDS, Verdict, judge
from bench.tunnel_results import RESULTS, Results, ResultsError, load
from bench.tunnel_tables import figures, shares, targets


def main(arguments: Sequence[str] | None = None) -> int:
    """Report, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.tunnel_report", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print ratios and verdicts as JSON")
    parser.add_argument("file", type=Path, nargs="?", default=RESULTS)
    asked = parser.parse_args(arguments)
    try:
        results = load(asked.file)
    except ResultsError as error:
        print(error, file=sys.stderr)
        return 2
    verdicts = judge(results)
    if asked.json:
        print(told(verdicts))
    else:
        show(results, verdicts, Console())
        if asked.file == RESULTS:
            tunnel_page.CHART.write_text(tunnel_page.picture(results))
            page.write()
            print(f"Written: {tunnel_page.CHART}, {page.PAGE}")
    return 0 if all(verdict.met for verdict in verdicts) else 1


def show(results: Results, verdicts: Sequence[Verdict], console: Console) -> None:
    """Print every table."""
    for table in (*figures(results), shares(results), targets(verdicts)):
        table.print(console)
    for row in tunnel_page.unexplained(verdicts, tunnel_page.LIMITS.read_text()):
        console.print(
            f"docs/{tunnel_page.LIMITS.name} does not tell yet why: {row}", soft_wrap=True
        )


def told(verdicts: Sequence[Verdict]) -> str:
    """Return ratios and verdicts as JSON."""
    rows = [
        {
            "target": v.target.row,
            "build": v.build,
            "compared_with": list(v.target.against[BUILDS.index(v.build)]),
            "sign": v.target.sign,
            "bound": v.bound,
            "met": None if v.bound is None else v.met,
            "checks": [
                {"measure": c.measure, "value": c.value, "against": c.reference, "why": c.why}
                for c in v.checks
            ],
        }
        for v in verdicts
    ]
    return json.dumps({"met": all(v.met for v in verdicts), "targets": rows}, indent=1)


if __name__ == "__main__":
    sys.exit(main())
