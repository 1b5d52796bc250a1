"""What holds on this computer now: told by its daemons, and seen without them where it can be."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from throughway.catalogue import PROBLEMS, find
from throughway.control.client import ask
from throughway.control.codec import CommandRefused, from_json
from throughway.model.errors import ControlError, WireError
from throughway.model.findings import Problem
from throughway.model.status import ClientSnapshot, Condition, GatewaySnapshot
from throughway.remedies import leftovers
from throughway.remedies.machine import Machine, setting
from throughway.remedies.remedy import Host

LOOK_TIME = 70.0
"""Seconds for a daemon to look at everything; each of its checks has four."""


@dataclass(frozen=True, slots=True)
class Held:
    """A problem that holds."""

    problem: Problem
    host: Host
    detail: str = ""
    by_hand: tuple[str, ...] = ()
    """What a person would type, with the values of this deployment where they are known."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon, as far as it was found."""

    host: Host
    runs: bool
    held: tuple[Held, ...] = ()
    interfaces: tuple[str, ...] = ()
    """Its devices."""
    why: str = ""
    """Why it could not be asked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was seen."""

    held: tuple[Held, ...]
    daemons: Mapping[Host, Daemon]

    def holds(self, code: str, host: Host | None = None) -> tuple[Held, ...]:
        """Return where a problem holds."""
        return tuple(h for h in self.held if h.problem.code == code and host in {None, h.host})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where to look."""

    machine: Machine
    sockets: Mapping[Host, Path]
    configs: Mapping[Host, Path] = field(default_factory=dict)
    client_state: Path = Path("/var/lib/throughway/client")

    def look(self, *, now: bool = False, deadline: float = LOOK_TIME) -> Seen:
        """Look; ``now`` has the gateway run its checks first, which only root may."""
        daemons = {host: self._ask(host, now=now, deadline=deadline) for host in self.sockets}
        held = [each for daemon in daemons.values() for each in daemon.held]
        for host, daemon in daemons.items():
            if daemon.runs or self._is(host):
                known = {each.problem.code for each in held if each.host is host}
                held += [h for h in self._on_the_spot(daemon) if h.problem.code not in known]
        return Seen(tuple(held), daemons)

    def _is(self, host: Host) -> bool:
        """Say whether this computer is such a host, though its daemon does not run."""
        config = self.configs.get(host)
        left = host is Host.CLIENT and leftovers.names(self.client_state)
        return left or (config is not None and config.exists())

    def _ask(self, host: Host, *, now: bool, deadline: float) -> Daemon:
        socket = self.sockets[host]
        try:
            if now and host is Host.GATEWAY:
                ask(socket, "look", deadline=deadline)
            answer = ask(socket, "status", deadline=deadline)
            if host is Host.GATEWAY:
                return _gateway(from_json(GatewaySnapshot, answer))
            return _client(from_json(ClientSnapshot, answer))
        except (CommandRefused, WireError) as error:
            return Daemon(host, runs=True, why=str(error))
        except ControlError as error:
            gone = isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)
            return Daemon(host, runs=not gone, why=str(error))

    def _on_the_spot(self, daemon: Daemon) -> Iterator[Held]:
        """See what needs no daemon."""
        for interface in ("all", *daemon.interfaces):
            name = setting(interface, "disable_ipv6")
            if self.machine.get(name) == "1":
                yield Held(find("ipv6-disabled"), daemon.host, f"{name} is 1")
                break
        if daemon.host is not Host.CLIENT or daemon.runs:
            return
        if leftovers.names(self.client_state):
            words = "/etc/resolv.conf names the stub of a client that does not run"
            yield Held(find("nrpt-stale-rule"), daemon.host, words)
        if leftovers.rules():
            words = "the nftables table throughway-client stands, and no client runs"
            yield Held(find("firewall-rules-stale"), daemon.host, words)


def _gateway(snapshot: GatewaySnapshot) -> Daemon:
    told = {problem.code: problem.detail for problem in snapshot.problems}
    for check in snapshot.checks:  # these also tell what follows from something else
        for code in check.problems:
            told.setdefault(code, check.detail)
    interfaces = tuple(worker.interface for worker in snapshot.workers)
    return Daemon(Host.GATEWAY, True, _held(told, Host.GATEWAY, snapshot.problems), interfaces)


def _client(snapshot: ClientSnapshot) -> Daemon:
    told = {problem.code: problem.detail for problem in snapshot.problems}
    devices = (snapshot.link.interface, *(each.interface for each in snapshot.transports))
    interfaces = tuple(dict.fromkeys(filter(None, devices)))
    return Daemon(Host.CLIENT, True, _held(told, Host.CLIENT, snapshot.problems), interfaces)


def _held(told: Mapping[str, str], host: Host, shown: Iterable[Condition]) -> tuple[Held, ...]:
    by_hand = {condition.code: condition.fix for condition in shown}
    return tuple(
        Held(PROBLEMS[code], host, detail, by_hand.get(code, PROBLEMS[code].fix))
        for code, detail in told.items()
        if code in PROBLEMS
    )
