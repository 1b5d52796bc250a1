"""What ``status`` shows: snapshots in words, for terminals and pipes alike, and the exit code.

Pure: a snapshot, the time and a timezone in, text out. What asks the daemon is in ``asking``.
"""

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from throughway.catalogue.windows import describe
from throughway.health.connection import headline
from throughway.model.errors import ConfigError
from throughway.model.findings import Component, Severity
from throughway.model.policy import Fallback
from throughway.model.statement import ComputerHealth, HealthStatus
from throughway.model.status import (
    ClientSnapshot,
    ComponentState,
    ComponentStatus,
    Condition,
    Connection,
    GatewaySnapshot,
    Location,
    NamesStatus,
    RefusedClient,
    SessionStatus,
    SixToFourServerStatus,
    TeredoServerStatus,
    TranslationStatus,
    TransportKind,
    TransportState,
    TransportStatus,
    TunnelState,
    TunnelStatus,
    WorkerStatus,
)

WELL, PROBLEMS, COULD_NOT_TELL = 0, 1, 3
"""Exit codes."""
LABEL_WIDTH = 24
TEXT_WIDTH = 96
SHOWN = 100
"""Sessions and tunnels in a text for people."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_GATEWAY_HEADLINES = {
    ComponentState.OK: "The gateway works",
    ComponentState.WARNING: "The gateway works, with warnings",
    ComponentState.ERROR: "The gateway does not work properly",
    ComponentState.UNKNOWN: "The gateway runs; not everything has been looked at yet",
    ComponentState.DISABLED: "The gateway is disabled",
}

Paint = Callable[[str, str], str]
"""Gives a text the colour of a state or severity."""


def plain(text: str, _: str) -> str:
    """Paint nothing."""
    return text


@dataclass(frozen=True, slots=True)
class View:
    """The circumstances of a rendering."""

    now: float
    zone: tzinfo | None = None
    """None: the machine's own."""
    paint: Paint = plain

    def at(self, moment: float) -> str:
        """Return a time of day, with the date unless it is today's."""
        when = datetime.fromtimestamp(moment, self.zone)
        today = datetime.fromtimestamp(self.now, self.zone).date()
        return f"{when:%H:%M}" if when.date() == today else f"{when:%Y-%m-%d %H:%M}"

    def since(self, moment: float) -> str:
        """Return ``since 12:03 (4 min)``; nothing for what never began."""
        if moment <= 0:
            return ""
        return f"since {self.at(moment)} ({duration(self.now - moment)})"

    def to_come(self, moment: float) -> str:
        """Return ``12:08 (in 30 s)``."""
        return f"{self.at(moment)} (in {duration(moment - self.now)})"


def duration(seconds: float) -> str:
    """Return a length of time, to about one part in ten."""
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d"


def size(count: int) -> str:
    """Return a number of bytes with three digits and a unit."""
    if count < 1024:
        return f"{count} B"
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.{0 if value >= 100 else 1}f} {_UNITS[unit]}"


def printable(text: str) -> str:
    """Return the text with whatever could steer a terminal made visible."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def row(label: str, value: str, depth: int = 0) -> str:
    """Return one line: what, and how it is."""
    return f"{'  ' * depth + label + '  ':<{LABEL_WIDTH}}{printable(value)}".rstrip()


def joined(*parts: str, by: str = ", ") -> str:
    """Join what is not empty."""
    return by.join(part for part in parts if part)


# The client


def client_exit_code(snapshot: ClientSnapshot) -> int:
    """Return 0 only for a connected client without problems."""
    connected = snapshot.connection in (
        Connection.CONNECTED_LOCALLY,
        Connection.CONNECTED_REMOTELY,
    )
    return WELL if connected and not grave(snapshot.problems) else PROBLEMS


def grave(problems: Iterable[Condition]) -> bool:
    """Whether any of the problems is more than a notice."""
    return any(problem.severity is not Severity.INFO for problem in problems)


def render_client(snapshot: ClientSnapshot, view: View) -> str:
    """Return the whole chain from where the machine is to who is logged on, then the problems."""
    tunnels = {tunnel.name: tunnel for tunnel in snapshot.tunnels}
    lines = [
        view.paint(printable(headline(snapshot)), snapshot.connection),
        "",
        row("Location", joined(snapshot.location, snapshot.location_detail, by=": ")),
    ]
    if snapshot.location is not Location.INSIDE:
        lines += [
            row("Transport", snapshot.transport or "none"),
            *_transports(snapshot.transports, view),
            *_link(snapshot, view),
            *_tunnel("Infrastructure tunnel", tunnels.get("infrastructure"), snapshot.esp, view),
        ]
    lines += _names(snapshot.names)
    if snapshot.location is not Location.INSIDE:
        lines += _tunnel("Intranet tunnel", tunnels.get("intranet"), snapshot.esp, view)
    lines += [
        row("User", snapshot.user or "nobody is logged on"),
        row("Policy", _policy(snapshot, view)),
        *_health(snapshot.health, view),
        "",
        *render_problems(snapshot.problems, view),
    ]
    return "\n".join(lines)


def _health(health: HealthStatus | None, view: View) -> Iterator[str]:
    if health is None:
        return
    said = {None: "not judged yet", True: "good", False: "not good enough"}[health.healthy]
    until = f"believed until {view.at(health.until)}" if health.until else ""
    mode = f"mode {health.mode}"
    if health.deferred_until:
        mode += f": everybody comes in until {health.deferred_until}"
    yield row("Health", joined(said, until, mode))
    if health.certified_until:
        yield row("Certificate", f"health certificate until {view.at(health.certified_until)}", 1)
    failing = {each.name: each for each in health.failing}
    for check in health.checks:
        bad = failing.get(check.name)
        yield row(check.name, bad.words if bad else check.words or check.state, 1)
        if bad is not None and bad.fix:
            yield row("", f"to mend it: {bad.fix}", 1)
    if health.last_error:
        yield row("Last error", health.last_error, 1)


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


def _policy(snapshot: ClientSnapshot, view: View) -> str:
    if not snapshot.policy_deployment:
        refused = any(problem.component is Component.POLICY for problem in snapshot.problems)
        missing = any(problem.code == "policy-missing" for problem in snapshot.problems)
        if refused and not missing:
            return "none: the one that is here was refused"
        return "none: this client has joined no deployment"
    until = view.at(snapshot.policy_expires_at) if snapshot.policy_expires_at else ""
    return joined(
        f"{snapshot.policy_deployment}, version {snapshot.policy_version}",
        f"valid until {until}" if until else "",
    )


def _transports(transports: Iterable[TransportStatus], view: View) -> Iterator[str]:
    for transport in transports:
        where = ", ".join(transport.addresses) if transport.state is TransportState.UP else ""
        place = f"{where} on {transport.interface}" if where else ""
        since = view.since(transport.since) if transport.state is TransportState.UP else ""
        details = ", ".join(f"{word} {value}" for word, value in transport.details)
        yield row(transport.kind, joined(transport.reason or transport.state, since, by=" "), 1)
        if place and transport.kind is not TransportKind.IPHTTPS:
            yield row("", joined(place, details), 1)


def _link(snapshot: ClientSnapshot, view: View) -> Iterator[str]:
    link = snapshot.link
    if snapshot.transport not in {"", TransportKind.IPHTTPS} and link.state == "disabled":
        return
    yield row("IP-HTTPS link", joined(link.state, view.since(link.since), by=" "))
    if link.url:
        yield row("URL", link.url, 1)
    if link.addresses:
        yield row("Address", f"{', '.join(link.addresses)} on {link.interface}", 1)
    if link.way and link.way != "direct":
        yield row("Way", link.way, 1)
    if link.tls:
        yield row("TLS", link.tls, 1)
    if link.pump:
        yield row("Packet pump", link.pump, 1)
    if link.bytes_in or link.bytes_out:
        yield row("Traffic", _traffic(link.bytes_in, link.bytes_out), 1)
    if link.dropped:
        yield row("Dropped", f"{link.dropped} packets", 1)
    if link.last_error:
        yield row("Last error", link.last_error, 1)
    if link.windows_code:
        yield row("As Windows says it", describe(link.windows_code), 1)
    if link.retry_at > view.now:
        yield row("Next try", view.to_come(link.retry_at), 1)


def _tunnel(title: str, tunnel: TunnelStatus | None, esp: str, view: View) -> Iterator[str]:
    if tunnel is None:
        yield row(title, TunnelState.DOWN)
        return
    yield row(title, joined(tunnel.state, view.since(tunnel.since), by=" "))
    if tunnel.remote_identity or tunnel.remote_address:
        yield row("Gateway", _end(tunnel.remote_identity, tunnel.remote_address), 1)
    if tunnel.local_identity or tunnel.local_address:
        yield row("Computer", _end(tunnel.local_identity, tunnel.local_address), 1)
    if tunnel.account:
        yield row("Account", tunnel.account, 1)
    if tunnel.prefixes:
        yield row("Reaches", ", ".join(tunnel.prefixes), 1)
    if tunnel.state is TunnelState.UP:
        if esp:
            yield row("ESP", esp, 1)
        yield row("Traffic", _traffic(tunnel.bytes_in, tunnel.bytes_out), 1)
    if tunnel.last_error:
        yield row("Last error", tunnel.last_error, 1)


def _end(identity: str, address: str) -> str:
    return f"{identity} at {address}" if identity and address else identity or address


def _traffic(bytes_in: int, bytes_out: int) -> str:
    return f"{size(bytes_in)} in, {size(bytes_out)} out"


_FALLBACK = {
    Fallback.NXDOMAIN: "where the intranet has no such name",
    Fallback.PRIVATE: "where the intranet has no such name, or is silent on a private network",
    Fallback.ANY: "whenever the intranet has no answer",
}


def _translation(every: tuple[TranslationStatus, ...]) -> Iterator[str]:
    for status in every:
        word = f"by {status.prefix}" if status.running else "does not run"
        yield row("NAT64", word)
        if status.last_error and not status.running:
            yield row("Last error", status.last_error, 1)
        yield row("Traffic", _traffic(status.bytes_in, status.bytes_out), 1)
        yield row("DNS64", f"on {', '.join(status.listening) or 'nothing'}")
        told = f"{status.queries}, {status.made} answered with made addresses"
        yield row("Queries", f"{told}, {status.failed} failed, {status.limited} refused", 1)


def _names(names: NamesStatus) -> Iterator[str]:
    if names.effective:
        yield row("Names", f"rules in effect, asked at {names.stub}")
    else:
        yield row("Names", "rules not in effect")
    for rule in names.rules:
        yield row("Rule", rule, 1)
    if names.always_exempt:
        yield row("Exempt", f"always: {', '.join(names.always_exempt)}", 1)
    if names.fallback not in ("", Fallback.NEVER):
        yield row("Fallback", f"local DNS: {_FALLBACK[Fallback(names.fallback)]}", 1)
    if names.upstreams:
        yield row("Other names", f"asked of {', '.join(names.upstreams)}", 1)
    if names.registered:
        yield row("Registered", names.registered, 1)
    if names.queries:
        told = f"{names.queries}, {names.hits} of them from the cache of {names.cached} answers"
        yield row("Queries", told, 1)


# The gateway


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


def render_component(component: ComponentStatus, view: View) -> str:
    """Return one component with all its problems."""
    return "\n".join(
        [_component(component, view), "", *render_problems(component.conditions, view)]
    )


def component_of(snapshot: GatewaySnapshot, name: str) -> ComponentStatus:
    """Return a component by its name."""
    components = {str(component.component): component for component in snapshot.components}
    if name not in components:
        raise ConfigError("COMPONENT", "", f"{name} is none of {', '.join(components)}")
    return components[name]


def _component(component: ComponentStatus, view: View) -> str:
    state = view.paint(f"{component.state:<9}", component.state)
    detail = joined(view.since(component.since), printable(component.detail))
    return f"  {component.component:<{LABEL_WIDTH - 2}}{state}{detail}".rstrip()


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
    yield row("Traffic", _traffic(status.bytes_in, status.bytes_out), 1)
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
    yield row("Traffic", _traffic(status.bytes_in, status.bytes_out), 1)
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


# Problems


def render_problems(problems: tuple[Condition, ...], view: View) -> list[str]:
    """Return each problem with its cause, its resolution and the commands."""
    if not problems:
        return ["Problems: none"]
    lines = [f"Problems: {len(problems)}"]
    for problem in problems:
        lines += ["", *render_problem(problem, view)]
    return lines


def render_problem(problem: Condition, view: View) -> Iterator[str]:
    """Yield the lines of one problem."""
    severity = view.paint(problem.severity, problem.severity)
    yield f"{severity}: {problem.title} [{problem.code}]"
    for line in joined(problem.detail, view.since(problem.since), by="; ").splitlines():
        yield "  " + printable(line)
    yield from _paragraph("Cause", problem.cause)
    yield from _paragraph("Resolution", problem.resolution)
    for title, commands in (("Mend", problem.fix), ("Prove", problem.verify)):
        for command in commands:
            yield f"  {title + ':':<12}{printable(command)}"


def _paragraph(title: str, text: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        TEXT_WIDTH,
        initial_indent=f"  {title + ':':<12}",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )


# Watching


def client_gist(snapshot: ClientSnapshot) -> object:
    """Return what a reader of a log wants to be told of when it changes: not times, not bytes."""
    return (
        headline(snapshot),
        snapshot.location,
        (snapshot.link.state, snapshot.link.addresses, snapshot.link.last_error),
        tuple((tunnel.name, tunnel.state, tunnel.last_error) for tunnel in snapshot.tunnels),
        snapshot.names.effective,
        tuple((problem.code, problem.detail) for problem in snapshot.problems),
    )


def gateway_gist(snapshot: GatewaySnapshot) -> object:
    """Return the same for a gateway."""
    return (
        snapshot.state,
        snapshot.iphttps_state,
        tuple((component.component, component.state) for component in snapshot.components),
        snapshot.sixtofour.state if snapshot.sixtofour is not None else "",
        snapshot.teredo.state if snapshot.teredo is not None else "",
        tuple((session.id, session.addresses) for session in snapshot.sessions),
        tuple((t.name, t.state, t.remote_identity, t.account) for t in snapshot.tunnels),
        snapshot.refusals,
        tuple((problem.code, problem.detail) for problem in snapshot.problems),
    )
