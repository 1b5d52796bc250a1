"""``docs/performance.md``: all benchmarks on one page."""

from bench import report, scale_page, tunnel_page, tunnel_results, weigh
from bench.tunnel_results import Results

PAGE = report.ROOT / "docs" / "performance.md"


def tunnel() -> Results | None:
    """Return what was measured of the tunnels, None if nothing was."""
    return tunnel_results.load() if tunnel_results.RESULTS.exists() else None


def text(connect: report.Results, carry: Results | None, scale: scale_page.Found | None) -> str:
    """Return the page."""
    return f"""\
# Performance

Generated from `{tunnel_results.RESULTS.name}`, `{scale_page.RESULTS.name}` and \
`{report.RESULTS.name}` in `bench/results`; not edited by hand. Why a target is missed
where one is: [told by hand]({tunnel_page.LIMITS.name}).
What an administrator can choose: [speed and size of a gateway](operate/size.md).

{tunnel_page.part(carry)}
{scale_page.part(scale)}
{report.part(connect)}{weigh.part(*weigh.load())}"""


def write() -> None:
    """Write the page from all results."""
    PAGE.write_text(text(report.load(), tunnel(), scale_page.load()))
