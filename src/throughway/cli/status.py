"""What ``status`` shows: snapshots in words, for terminals and pipes alike, and the exit code.

Pure: a snapshot, the time and a timezone in, text out. What asks the daemon is in ``asking``.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from throughway.catalogue.windows import describe
from throughway.health.connection import headline
from throughway.model.findings import Component, Severity
from throughway.model.policy import Fallback
from throughway.model.statement import HealthStatus
from throughway.model.status import (
    ClientSnapshot,
    Condition,
    Connection,
    Location,
    NamesStatus,
    StageStatus,
    TransportKind,
    TransportState,
    TransportStatus,
    TunnelState,
    TunnelStatus,
)

WELL, PROBLEMS, COULD_NOT_TELL = 0, 1, 3
"""Exit codes."""
LABEL_WIDTH = 24
STATE_WIDTH = 10
CHAIN_WIDTH = LABEL_WIDTH + STATE_WIDTH
TEXT_WIDTH = 96
_TYPED_ON = {
    "client": ("throughway client ", "throughway-client", "throughway login "),
    "gateway": ("throughway gateway ", "throughway-gateway", "throughway policy build"),
}
"""Words of commands that are for one end only."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
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
    fixable: frozenset[str] = frozenset()
    """Codes of what ``throughway fix`` mends here."""
    here: str = ""
    """What this host is, ``client`` or ``gateway``; "" where that matters to nobody."""

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
        *_chain(snapshot.chain, view),
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


def _chain(chain: Iterable[StageStatus], view: View) -> Iterator[str]:
    """Yield a line for each stage; what is beyond its width goes on below."""
    chain = tuple(chain)
    for stage in chain:
        about = joined(printable(stage.reason), view.since(stage.since))
        lines = textwrap.wrap(about, TEXT_WIDTH - CHAIN_WIDTH, break_on_hyphens=False) or [""]
        state = view.paint(f"{stage.state:<{STATE_WIDTH}}", stage.state)
        yield f"{stage.stage:<{LABEL_WIDTH}}{state}{lines[0]}".rstrip()
        yield from (f"{'':<{CHAIN_WIDTH}}{line}" for line in lines[1:])
    if chain:
        yield ""


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
        yield row("Traffic", traffic(link.bytes_in, link.bytes_out), 1)
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
        yield row("Traffic", traffic(tunnel.bytes_in, tunnel.bytes_out), 1)
    if tunnel.last_error:
        yield row("Last error", tunnel.last_error, 1)


def _end(identity: str, address: str) -> str:
    return f"{identity} at {address}" if identity and address else identity or address


def traffic(bytes_in: int, bytes_out: int) -> str:
    """Return what passed, in both directions."""
    return f"{size(bytes_in)} in, {size(bytes_out)} out"


_FALLBACK = {
    Fallback.NXDOMAIN: "where the intranet has no such name",
    Fallback.PRIVATE: "where the intranet has no such name, or is silent on a private network",
    Fallback.ANY: "whenever the intranet has no answer",
}


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
        yield from indented(line)
    yield from paragraph("Cause", problem.cause)
    yield from paragraph("Resolution", problem.resolution)
    yield from commands(problem, view)


def commands(problem: Condition, view: View) -> Iterator[str]:
    """Yield what mends a problem, the one command that does it by itself first, and proves it."""
    itself = (f"throughway fix {problem.code}",) if problem.code in view.fixable else ()
    for title, lines in (("Mend", (*itself, *problem.fix)), ("Prove", problem.verify)):
        for line in lines:
            yield f"  {title + ':':<12}{printable(line)}{_elsewhere(line, view.here)}"


def _elsewhere(command: str, here: str) -> str:
    """Return where a command is to be typed when it is for the other end; shells pass it over."""
    hosts = [host for host, words in _TYPED_ON.items() if any(word in command for word in words)]
    return f"  # on the {hosts[0]}" if here and hosts and here not in hosts else ""


def indented(text: str) -> list[str]:
    """Return a text in lines, all of them indented."""
    return textwrap.wrap(
        printable(text),
        TEXT_WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def paragraph(title: str, text: str) -> list[str]:
    """Return a text in lines, its title before the first."""
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
        tuple((stage.stage, stage.state) for stage in snapshot.chain),
        tuple((problem.code, problem.detail) for problem in snapshot.problems),
    )
