"""Turn a gateway's snapshot into what a person reads: Operations Status."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from throughway.catalogue import find
from throughway.cli.status import (
    COULD_NOT_TELL,
    LABEL_WIDTH,
    PROBLEMS,
    WELL,
    View,
    duration,
    joined,
    paragraph,
    printable,
    render_problems,
    row,
    size,
    traffic,
)
from throughway.health.tracker import roots_inside
from throughway.model.errors import ConfigError
from throughway.model.findings import Problem
from throughway.model.statement import ComputerHealth
from throughway.model.status import (
    CheckStatus,
    ComponentState,
    ComponentStatus,
    Condition,
    GatewaySnapshot,
    RefusedClient,
    SessionStatus,
    SixToFourServerStatus,
    TeredoServerStatus,
    TranslationStatus,
    TunnelStatus,
    WorkerStatus,
)

SHOWN = 100
"""Sessions and tunnels in a text for people."""
_GATEWAY_HEADLINES = {
    ComponentState.OK: "The gateway works",
    ComponentState.WARNING: "The gateway works, with warnings",
    ComponentState.ERROR: "The gateway does not work properly",
    ComponentState.UNKNOWN: "The gateway runs; not everything has been looked at yet",
    ComponentState.DISABLED: "The gateway is disabled",
}


_IN_WORDS = {
    ComponentState.OK: "Working properly",
    ComponentState.WARNING: "Working, with warnings",
    ComponentState.ERROR: "Not working properly",
    ComponentState.UNKNOWN: "Cannot be told",
    ComponentState.DISABLED: "Disabled",
}
"""As the console of Windows says it."""


def gateway_exit_code(state: ComponentState) -> int:
    """Return 0 when well, 1 with problems; what has not been looked at cannot be told."""
    return {
        ComponentState.ERROR: PROBLEMS,
        ComponentState.WARNING: PROBLEMS,
        ComponentState.UNKNOWN: COULD_NOT_TELL,
    }.get(state, WELL)


def render_gateway(snapshot: GatewaySnapshot, view: View) -> str:
    """Return components, sessions, tunnels and problems."""
    lines = [
        view.paint(_GATEWAY_HEADLINES[snapshot.state], snapshot.state),
        "",
        row("IP-HTTPS", joined(snapshot.iphttps_state, snapshot.url, by=" at ")),
        row("ESP", snapshot.esp or "unknown"),
        *([row("Packet pump", snapshot.pump)] if snapshot.pump else []),
        *_translation(snapshot.translation),
        "",
        "Components",
        *(_component(component, view) for component in snapshot.components),
        "",
        *_checks(snapshot.checks, view),
        *_workers(snapshot.workers, view),
        *_sixtofour(snapshot.sixtofour, view),
        *_teredo(snapshot.teredo, view),
        *_sessions(snapshot.sessions, view),
        *_tunnels(snapshot.tunnels, view),
        *_computers(snapshot.health, view),
        *_refusals(snapshot.refusals, view),
        *render_problems(snapshot.problems, view),
    ]
    return "\n".join(lines)


Part = ComponentStatus | CheckStatus
"""What can be looked at by itself."""


def render_part(snapshot: GatewaySnapshot, part: Part, view: View) -> str:
    """Return a component or a check as a console does: how it is; error, causes, resolution."""
    known: tuple[Condition, ...] = ()
    if isinstance(part, CheckStatus):
        title, checks = part.title, [part]
        lines = list(_about_check(part, view))
    else:
        title, known = str(part.component), part.conditions
        checks = [check for check in snapshot.checks if check.component is part.component]
        lines = [
            row("Since", view.since(part.since) or "nothing was heard of it yet", 1),
            row("Says", part.detail, 1),
            *(["", *_checks(checks, view)[:-1]] if checks else []),
        ]
    codes = {code for check in checks for code in check.problems}
    shown = [problem for problem in snapshot.problems if problem.code in codes]
    shown += [problem for problem in known if problem not in shown]
    for problem in shown:
        lines += ["", *_explained(problem, view)]
    told = {problem.code for problem in snapshot.problems}
    for code in sorted(codes - told):
        lines += ["", *_untold(find(code), told)]
    return "\n".join([f"{title}: {view.paint(_IN_WORDS[part.state], part.state)}", *lines])


def part_of(snapshot: GatewaySnapshot, name: str) -> Part:
    """Return a component or a check by its name."""
    parts: dict[str, Part] = {str(part.component): part for part in snapshot.components}
    parts |= {check.name: check for check in snapshot.checks if check.name not in parts}
    if name not in parts:
        raise ConfigError("COMPONENT", "", f"{name} is none of {', '.join(parts)}")
    return parts[name]


def _about_check(check: CheckStatus, view: View) -> Iterator[str]:
    yield row("Since", view.since(check.since) or "not looked at yet", 1)
    yield row("Found", check.detail, 1)
    if check.looked_at:
        ago, took = duration(view.now - check.looked_at), f"{check.took:.2f} s"
        yield row("Last look", f"{ago} ago, took {took}; every {duration(check.interval)}", 1)
    for number, change in enumerate(reversed(check.history)):
        label = "" if number else "History"
        words = f"{change.state:<9}{printable(change.detail)}"
        yield row(label, f"{view.at(change.at)}  {words}", 1)


def _explained(problem: Condition, view: View) -> Iterator[str]:
    """Yield a problem in the words of the console of Windows."""
    severity = view.paint(problem.severity, problem.severity)
    yield f"Error: {problem.title} [{problem.code}], {severity}, {view.since(problem.since)}"
    yield from (f"  {printable(line)}" for line in problem.detail.splitlines())
    yield from _remedies(problem.cause, problem.resolution)
    for title, commands in (("Mend", problem.fix), ("Prove", problem.verify)):
        yield from (f"  {title + ':':<12}{printable(command)}" for command in commands)


def _untold(problem: Problem, told: Collection[str]) -> Iterator[str]:
    """Yield what was found and is not among the problems that are shown, and why it is not."""
    roots = sorted(roots_inside(problem) & set(told))
    why = (
        f"follows from {', '.join(roots)}"
        if roots
        else "found just now, not told of until it lasts"
    )
    yield f"Error: {problem.title} [{problem.code}], {why}"
    yield from _remedies(problem.cause, problem.resolution)


def _remedies(cause: str, resolution: str) -> Iterator[str]:
    yield from paragraph("Causes", cause)
    yield from paragraph("Resolution", resolution)


def _component(component: ComponentStatus, view: View) -> str:
    state = view.paint(f"{component.state:<9}", component.state)
    detail = joined(view.since(component.since), printable(component.detail))
    return f"  {component.component:<{LABEL_WIDTH - 2}}{state}{detail}".rstrip()


def _checks(checks: Sequence[CheckStatus], view: View) -> list[str]:
    """Return what the components' states stand on, one line a check."""
    if not checks:
        return []
    return ["Checks", *(_check(check, view) for check in checks), ""]


def _check(check: CheckStatus, view: View) -> str:
    state = view.paint(f"{check.state:<9}", check.state)
    detail = joined(view.since(check.since), printable(check.detail))
    return f"  {check.name:<{LABEL_WIDTH - 2}}{state}{detail}".rstrip()


def _workers(workers: tuple[WorkerStatus, ...], view: View) -> list[str]:
    header = ("worker", "state", "pid", "link", "prefix", "for", "sessions", "restarts", "last end")
    rows = [
        (
            str(worker.number),
            worker.state,
            str(worker.pid or "-"),
            worker.interface,
            worker.prefix,
            duration(view.now - worker.since) if worker.since else "-",
            str(worker.sessions),
            str(worker.restarts),
            worker.last_end or "-",
        )
        for worker in workers
    ]
    if not workers:
        return []
    return [f"Workers: {len(workers)}", *_table(header, rows), "", *_lost(workers)]


def _sixtofour(status: SixToFourServerStatus | None, view: View) -> Iterator[str]:
    if status is None:
        return
    yield row("6to4", joined(status.state, view.since(status.since), by=" "))
    yield row("Addresses", ", ".join(status.addresses), 1)
    yield row("Carried by", printable(status.carrier or "unknown"), 1)
    yield row("Traffic", traffic(status.bytes_in, status.bytes_out), 1)
    if status.drops:
        yield row("Dropped", ", ".join(f"{what} {count}" for what, count in status.drops), 1)
    if status.last_end:
        yield row("Last end", printable(status.last_end), 1)
    yield ""


def _teredo(status: TeredoServerStatus | None, view: View) -> Iterator[str]:
    if status is None:
        return
    yield row("Teredo", joined(status.state, view.since(status.since), by=" "))
    yield row("Addresses", ", ".join(status.addresses), 1)
    yield row("Clients", f"{status.clients} remembered, {status.answered} answers", 1)
    yield row("Traffic", traffic(status.bytes_in, status.bytes_out), 1)
    if status.drops:
        yield row("Dropped", ", ".join(f"{what} {count}" for what, count in status.drops), 1)
    if status.last_end:
        yield row("Last end", printable(status.last_end), 1)
    yield ""


def _lost(workers: tuple[WorkerStatus, ...]) -> Iterator[str]:
    """Say what went no further since the gateway started, and how what goes is encrypted."""
    for title, field in (
        ("Dropped packets", "drops"),
        ("Refused connections", "refusals"),
        ("Cipher suites", "suites"),
    ):
        counts: Counter[str] = Counter()
        for worker in workers:
            counts.update(dict(getattr(worker, field)))
        if counts:
            told = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            yield row(title, ", ".join(f"{what or 'none'} {count}" for what, count in told))
            yield ""


def _sessions(sessions: tuple[SessionStatus, ...], view: View) -> list[str]:
    header = ("id", "peer", "addresses", "for", "in", "out", "dropped", "certificate")
    rows = [
        (
            str(session.id),
            session.peer,
            " ".join(session.addresses) or "-",
            duration(view.now - session.since),
            size(session.bytes_in),
            size(session.bytes_out),
            str(session.dropped),
            session.certificate or "-",
        )
        for session in sessions[:SHOWN]
    ]
    return [f"Sessions: {len(sessions)}", *_table(header, rows), *_more(sessions), ""]


def _more(rows: Sequence[object]) -> list[str]:
    left = len(rows) - SHOWN
    return [f"  … and {left} more: --json tells them all"] if left > 0 else []


def _tunnels(tunnels: tuple[TunnelStatus, ...], view: View) -> list[str]:
    header = ("tunnel", "state", "computer", "address", "account", "for", "in", "out")
    rows = [
        (
            tunnel.name,
            tunnel.state,
            tunnel.remote_identity or "-",
            tunnel.remote_address or "-",
            tunnel.account or "-",
            duration(view.now - tunnel.since) if tunnel.since else "-",
            size(tunnel.bytes_in),
            size(tunnel.bytes_out),
        )
        for tunnel in tunnels[:SHOWN]
    ]
    return [f"Tunnels: {len(tunnels)}", *_table(header, rows), *_more(tunnels), ""]


def _refusals(refusals: tuple[RefusedClient, ...], view: View) -> list[str]:
    """Show what the refused themselves are not told; nothing when nobody was."""
    if not refusals:
        return []
    rows = [(view.at(r.at), r.peer, _why(r)) for r in refusals]
    return [f"Refused lately: {len(refusals)}", *_table(("at", "peer", "why"), rows), ""]


def _why(refused: RefusedClient) -> str:
    return joined(refused.reason, f"[{refused.problem}]" if refused.problem else "", by=" ")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned columns; no table when there is nothing in it."""
    if not rows:
        return []
    lines = [header, *([printable(cell) for cell in cells] for cells in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return [
        "  " + "  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _computers(computers: Sequence[ComputerHealth], view: View) -> Iterator[str]:
    """Show who is not healthy; of the others only how many there are."""
    if not computers:
        return
    healthy = sum(each.healthy for each in computers)
    yield f"Health: {healthy} of {len(computers)} computers healthy"
    for each in [each for each in computers if not each.healthy][-SHOWN:]:
        told = "; ".join(map(str, each.failing))
        yield row(each.computer, f"{told} ({view.since(each.at)})", 1)
    yield ""


def _translation(every: tuple[TranslationStatus, ...]) -> Iterator[str]:
    for status in every:
        word = f"by {status.prefix}" if status.running else "does not run"
        yield row("NAT64", word)
        if status.last_error and not status.running:
            yield row("Last error", status.last_error, 1)
        yield row("Traffic", traffic(status.bytes_in, status.bytes_out), 1)
        yield row("DNS64", f"on {', '.join(status.listening) or 'nothing'}")
        told = f"{status.queries}, {status.made} answered with made addresses"
        yield row("Queries", f"{told}, {status.failed} failed, {status.limited} refused", 1)


def gateway_gist(snapshot: GatewaySnapshot) -> object:
    """Return the same for a gateway."""
    return (
        snapshot.state,
        snapshot.iphttps_state,
        tuple((component.component, component.state) for component in snapshot.components),
        tuple((check.name, check.state) for check in snapshot.checks),
        snapshot.sixtofour.state if snapshot.sixtofour is not None else "",
        snapshot.teredo.state if snapshot.teredo is not None else "",
        tuple((session.id, session.addresses) for session in snapshot.sessions),
        tuple((t.name, t.state, t.remote_identity, t.account) for t in snapshot.tunnels),
        snapshot.refusals,
        tuple((problem.code, problem.detail) for problem in snapshot.problems),
    )
