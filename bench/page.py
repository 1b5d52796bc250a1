"""``docs/performance.md``: both benchmarks on one page."""

from bench import report, tunnel_page, tunnel_results
from bench.tunnel_results import Results

PAGE = report.ROOT / "docs" / "performance.md"


def tunnel() -> Results | None:
    """Return what was measured of the tunnels, None if nothing was."""
    return tunnel_results.load() if tunnel_results.RESULTS.exists() else None


def text(connect: report.Results, carry: Results | None) -> str:
    """Return the page."""
    return f"""\
# Performance

Generated from `bench/results/{tunnel_results.RESULTS.name}` and \
`bench/results/{report.RESULTS.name}`; not edited by hand. Why a target is missed
where one is: [told by hand]({tunnel_page.LIMITS.name}).
What an administrator can choose: [speed and size of a gateway](operate/size.md).

{tunnel_page.part(carry)}
{report.part(connect)}"""


def write() -> None:
    """Write the page from both results."""
    PAGE.write_text(text(report.load(), tunnel()))
