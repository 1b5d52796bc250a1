"""Turn a gateway's snapshot into what a person reads: Operations Status."""

from collections import Counter
from collections.abc import Iterator, Sequence

from throughway.cli.parts import check_rows, component_row
from throughway.cli.status import (
    View,
    duration,
    joined,
    printable,
    render_problems,
    row,
    size,
    traffic,
)
from throughway.model.statement import ComputerHealth
from throughway.model.status import (
    ComponentState,
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
        *(component_row(component, view) for component in snapshot.components),
        "",
        *check_rows(snapshot.checks, view),
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
