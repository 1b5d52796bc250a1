"""What is to be reached, as data, and whether a run has reached it."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.tunnel_results import CANDIDATES, MEASURES, PEERS, Results

BUILDS = ("native", "pure")
"""With the C module, and without it: the two columns of every target."""
ONE_STREAM = ("tcp-1-up", "tcp-1-down")
SMALL_PACKETS = ("udp-200-up", "udp-200-down")
TWO_CLIENTS = ("two-clients-up", "two-clients-down")
LOADED = ("rtt-loaded-up", "rtt-loaded-down")
TUNNEL = BUILDS

Both = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Target:
    """A comparison. Where there are two values for one key, they are those of :data:`BUILDS`.

    With several candidates to compare with, the best of the run counts, for each measure by
    itself. With none, the bound is one of the figure itself. Whether the bound is the least or
    the most follows from the measure. Without bounds the comparison is shown and not judged.
    """

    row: str
    measures: tuple[str, ...]
    candidates: tuple[str, str]
    against: Both
    bounds: tuple[float, float] | None
    reference: tuple[str, ...] | None = None
    """The measures of those compared with, where they are others than our own."""

    @property
    def sign(self) -> str:
        return "≥" if MEASURES[self.measures[0]].higher_is_better else "≤"

    @property
    def compared(self) -> str:
        """What it is compared with, as text."""
        names = self.against[0]
        if names == PEERS:
            return "the best peer"
        return {
            (): "",
            ("native",): "one worker, one client",
            ("native-1x2",): "one worker, two clients",
        }.get(names) or ", ".join(CANDIDATES[name] for name in names)


def _with(*names: str) -> Both:
    return names, names


TARGETS = (
    Target("One stream against plain TLS", ONE_STREAM, TUNNEL, _with("plain-tls"), (0.42, 0.16)),
    Target("One stream against other tunnels", ONE_STREAM, TUNNEL, _with("softether"), (5.5, 2.2)),
    Target("One stream against other tunnels", ONE_STREAM, TUNNEL, _with("ocserv"), (9, 4)),
    Target("One stream against other tunnels", ONE_STREAM, TUNNEL, _with("openvpn"), (11, 4.5)),
    Target("Small packets", SMALL_PACKETS, TUNNEL, _with(*PEERS), (1.1, 1.05)),
    Target(
        "Two workers",
        TWO_CLIENTS,
        ("native-2", "pure-2"),
        (("native",), ("pure",)),
        (1.3, 1.3),
        reference=ONE_STREAM,
    ),
    Target(
        "Two workers",
        TWO_CLIENTS,
        ("native-2", "pure-2"),
        (("native-1x2",), ("pure-1x2",)),
        None,
    ),
    Target("Round trip under load", LOADED, TUNNEL, _with(*PEERS), (1.0, 2.0)),
    Target("Memory of an idle session", ("memory-idle",), TUNNEL, _with(), (20, 20)),
    Target(
        "Whole path against ESP alone", ONE_STREAM, ("path", "path-pure"), _with("esp"), (0.9, 0.9)
    ),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One measure of a target: the ratio, or the figure where nothing is compared."""

    measure: str
    value: float | None
    reference: str
    why: str
    met: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target for one build."""

    target: Target
    build: str
    bound: float | None
    checks: tuple[Check, ...]

    @property
    def met(self) -> bool:
        """Whether it is reached with every measure; what is not judged is."""
        return self.bound is None or all(check.met for check in self.checks)

    @property
    def word(self) -> str:
        """The verdict as text."""
        if self.bound is None:
            return ""
        if self.met:
            return "met"
        judged = [check for check in self.checks if check.value is not None]
        return "not measured" if all(check.met for check in judged) else "MISSED"

    @property
    def to_reach(self) -> str:
        """The bound as text."""
        return "" if self.bound is None else f"{self.target.sign} {self.bound:g}{self._unit}"

    @property
    def measured(self) -> str:
        """The ratios as text."""
        if len({(check.value, check.why) for check in self.checks}) == 1 and self.checks[0].why:
            return f"- ({self.checks[0].why})"
        return ", ".join(self._told(check) for check in self.checks)

    @property
    def _unit(self) -> str:
        return "" if self.target.against[0] else f" {MEASURES[self.target.measures[0]].unit}"

    def _told(self, check: Check) -> str:
        way = check.measure.rpartition("-")[2] if len(self.checks) > 1 else ""
        if check.value is None:
            return f"{way} - ({check.why})".strip()
        number = exact(check.value, self.bound) + self._unit
        several = len(self.target.against[0]) > 1
        return f"{way} {number}{f' ({CANDIDATES[check.reference]})' if several else ''}".strip()


def exact(value: float, bound: float | None) -> str:
    """Write a number with two digits, or as many as show on which side of the bound it is."""
    for digits in (2, 3, 4):
        text = f"{value:.{digits}f}"
        if bound is None or (float(text) < bound, float(text) > bound) == (
            value < bound,
            value > bound,
        ):
            break
    return text


def judge(results: Results) -> list[Verdict]:
    """Return the verdict on every target, for both builds."""
    return [
        Verdict(
            target,
            build,
            target.bounds[column] if target.bounds else None,
            tuple(_checks(results, target, column)),
        )
        for target in TARGETS
        for column, build in enumerate(BUILDS)
    ]


def _checks(results: Results, target: Target, column: int) -> Iterator[Check]:
    candidate, against = target.candidates[column], target.against[column]
    bound = target.bounds[column] if target.bounds else None
    for measure, theirs in zip(target.measures, target.reference or target.measures, strict=True):
        higher = MEASURES[measure].higher_is_better
        value = results.median(candidate, measure)
        if value is None:
            why = f"{CANDIDATES[candidate]}: {results.why_not(candidate, measure)}"
            yield Check(measure, None, "", why, met=False)
            continue
        reference = ""
        if against:
            reference = _best(results, against, theirs, higher=higher)
            if not reference:
                why = "; ".join(f"{CANDIDATES[n]}: {results.why_not(n, theirs)}" for n in against)
                yield Check(measure, None, "", why, met=False)
                continue
            value /= results.median(reference, theirs) or 1.0
        reached = bound is None or (value >= bound if higher else value <= bound)
        yield Check(measure, value, reference, "", reached)


def _best(results: Results, names: tuple[str, ...], measure: str, *, higher: bool) -> str:
    """Return the candidate with the best median; "" if there is none to divide by."""
    medians = {name: m for name in names if (m := results.median(name, measure))}
    if not medians:
        return ""
    return (max if higher else min)(medians, key=lambda name: medians[name])
