"""A lab that is up: run things in its hosts, move its clients, start and stop its daemons.

with Lab.up("trial") as lab:
    lab.start_client("client1")
    lab.run("client1", ["curl", "http://app1.corp.example.com/"], check=True)
    lab.move("client1", "corp")
"""

import json
import math
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from subprocess import DEVNULL, CompletedProcess
from types import TracebackType
from typing import IO, Self

from throughway.lab import build, deployment, network, processes, requirements, state
from throughway.lab.build import Progress, silent
from throughway.lab.capture import Capture
from throughway.lab.faults import FAULTS, Fault, Scene, held_by
from throughway.lab.impair import (
    Impairment,
    cable_seen,
    in_place,
    plain_frames,
    port_settled,
)
from throughway.lab.namespaces import Namespaces
from throughway.lab.processes import File, HostProcess, Service
from throughway.lab.state import DEFAULT_NAME, LabState
from throughway.lab.topology import (
    CRL_NAME,
    DIRECTACCESS,
    MOBILE_INTERFACE,
    SWITCH,
    Host,
    Place,
    Role,
    Topology,
    port_name,
)
from throughway.lab.trust import LabAuthority
from throughway.model.errors import LabError

IMPAIR_TIMEOUT = 60.0
"""Seconds in which a bad line takes the place of a good one; a fifth of one is usual."""
CABLE_TIMEOUT = 60.0
"""Seconds in which both ends of a cable notice that it was pulled or plugged in; the kernel takes
one at most."""


@dataclass(slots=True)
class Absence:
    """When a daemon was not there because it was stopped by this handle on the lab."""

    host: str
    daemon: str
    begun: float
    """Seconds since 1970; it was told to end."""
    ended: float = math.inf
    """It did its work again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host of a lab, as ``throughway lab status`` shows it."""

    name: str
    purpose: str
    alive: bool
    pid: int
    place: str
    """Of a mobile host."""
    cable: bool
    addresses: tuple[str, ...]
    services: tuple[str, ...]
    """Our daemons that run there."""


class Lab:
    """A handle on a lab, there or not; any number of processes may hold one at the same time."""

    def __init__(self, name: str = DEFAULT_NAME, topology: Topology = DIRECTACCESS) -> None:
        self.name = name
        self.topology = topology
        self.directory = state.directory(name)
        self._state = state.load(name) or LabState(name=name)
        self.absences: list[Absence] = []
        self._captures = 0
        self._changing = threading.RLock()

    def require(self) -> Self:
        """Return this lab when it is up; :exc:`LabError` when not."""
        if not self.exists:
            raise LabError(f"the lab {self.name} is not up; throughway lab up --name {self.name}")
        return self

    @property
    def exists(self) -> bool:
        """Whether the lab is up, whole."""
        self._refresh()
        hosts = self._state.hosts.values()
        return self._state.complete and all(host.alive() for host in hosts)

    def up(
        self,
        *,
        gateway: bool = True,
        join: bool = True,
        clients: bool = False,
        replace: bool = False,
        progress: Progress = silent,
    ) -> Self:
        """Build the lab and return when everything in it answers.

        ``gateway``: start the gateway's daemon; ``join``: build the policy and let clients
        join; ``clients``: start their daemons; ``replace``: take down a lab of that name
        first. What a killed ``up`` left is always cleaned.
        """
        requirements.check()
        with state.locked(self.name):
            if self.exists and not replace:
                raise LabError(f"the lab {self.name} is up; throughway lab down --name {self.name}")
            build.tear_down(self.name)
            self._state = LabState(name=self.name)
            build.build(self._state, self.topology, progress)
            try:
                self._deploy(gateway=gateway, join=join, clients=clients, progress=progress)
            except BaseException:
                build.tear_down(self.name)
                raise
            self._state.complete = True
            self._save()
        return self

    def down(self) -> bool:
        """Take the lab down, also a half-built one; nothing is left. False: there was none."""
        with state.locked(self.name):
            return build.tear_down(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def namespaces(self, host: str) -> Namespaces:
        """Return the namespaces of a host, or of the ``switch``."""
        try:
            return self._state.hosts[host]
        except KeyError:
            known = ", ".join(self._state.hosts)
            raise LabError(f"there is no host {host} in this lab; there are {known}") from None

    def run(
        self,
        host: str,
        argv: Sequence[str],
        *,
        timeout: float | None = processes.RUN_TIMEOUT,
        check: bool = False,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> CompletedProcess[str]:
        """Run a program in a host to its end."""
        return processes.run(
            self.namespaces(host), argv, timeout=timeout, check=check, stdin=stdin, env=env
        )

    def popen(
        self,
        host: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] | None = DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> HostProcess:
        """Start a program in a host; signals go to the program itself. Wait for it."""
        return processes.popen(
            self.namespaces(host), argv, env=env, stdin=stdin, stdout=stdout, stderr=stderr
        )

    def start(self, host: str, name: str, argv: Sequence[str]) -> Service:
        """Start a program that outlives us, with its output in /var/log/throughway/NAME.log."""
        service = processes.start(self.namespaces(host), name, argv)
        with self._changing:
            self._refresh()
            self._state.services[f"{host}/{name}"] = service.pid
            self._save()
        return service

    def service(self, host: str, name: str) -> Service | None:
        """Return the program that was started under this name, when it runs."""
        self._refresh()
        pid = self._state.services.get(f"{host}/{name}", 0)
        service = Service(self.namespaces(host), pid, f"/var/log/throughway/{name}.log", name)
        return service if pid and service.running() else None

    def write(self, host: str, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Put a file on a host."""
        processes.write_files(self.namespaces(host), {path: File(content, mode)})

    def read(self, host: str, path: str) -> str:
        """Return a file of a host."""
        return processes.read_file(self.namespaces(host), path).decode(errors="replace")

    def capture(self, host: str, interface: str, filter_: str = "") -> Capture:
        """Return a capture to be used as a context manager; its file goes with the lab."""
        self._captures += 1
        folder = self.directory / "captures"
        folder.mkdir(exist_ok=True)
        path = folder / f"{host}-{interface}-{id(self):x}-{self._captures}.pcap"
        return Capture(self.namespaces(host), interface, path, filter_)

    def move(self, host: str, place: str) -> None:
        """Carry a client to another place while everything on it runs."""
        whom, where = self._mobile(host), self._place(place)
        namespaces = self.namespaces(host)
        # The cable comes out first: what the host sends from now on reaches nobody.
        self._batch(SWITCH, network.cable_batch(host, up=False))
        self._wait_cable(host, up=False)
        self._batch(host, network.leave_batch())
        self._batch(SWITCH, network.plug_batch(host, where))
        self._batch(host, network.join_batch(whom, where))
        resolv = network.build_resolv_conf(where.nameservers, where.search)
        processes.run(namespaces, ["sh", "-c", network.RESOLV_CONF], stdin=resolv, check=True)
        self._wait_cable(host, up=bool(where.network))
        with self._changing:
            self._refresh()
            self._state.places[host] = place
            self._state.unplugged = [name for name in self._state.unplugged if name != host]
            self._save()

    def link(self, host: str, *, up: bool) -> None:
        """Pull a client's cable, or plug it in again where it was."""
        self._mobile(host)
        self._refresh()
        if not self._place(self._state.places[host]).network:
            raise LabError(f"{host} is offline; throughway lab move {host} home")
        self._batch(SWITCH, network.cable_batch(host, up=up))
        self._wait_cable(host, up=up)
        with self._changing:
            others = [name for name in self._state.unplugged if name != host]
            self._state.unplugged = others if up else [*others, host]
            self._save()

    def impair(self, host: str, impairment: Impairment | None) -> None:
        """Make a client's line a bad one, whatever network it is in; None: a good one again."""
        self._mobile(host)
        name = f"impair-{host}"
        if running := self.service(SWITCH, name):
            running.stop()
            plugged = self._place(self._state.places[host]).network
            self._wait_cable(host, up=bool(plugged) and host not in self._state.unplugged)
        if impairment is None:
            return
        processes.in_network(self.namespaces(host), partial(plain_frames, MOBILE_INTERFACE))
        port = port_name(host, MOBILE_INTERFACE)
        values = json.dumps(asdict(impairment))
        command = [sys.executable, "-P", "-m", "throughway.lab.impair", port, values]
        service = self.start(SWITCH, name, command)
        switch = self.namespaces(SWITCH)
        processes.wait_until(
            lambda: processes.in_network(switch, partial(in_place, port)),
            IMPAIR_TIMEOUT,
            f"the line of {host}",
            service,
        )

    def _wait_cable(self, host: str, *, up: bool) -> None:
        """Return when a mobile host sees its cable so, and frames pass where there is one."""
        ends = (
            (self.namespaces(SWITCH), partial(port_settled, port_name(host, MOBILE_INTERFACE))),
            (self.namespaces(host), partial(cable_seen, MOBILE_INTERFACE, up=up)),
        )
        for spaces, settled in ends:
            processes.wait_until(
                partial(processes.in_network, spaces, settled),
                CABLE_TIMEOUT,
                f"the cable of {host}",
            )

    @property
    def faults(self) -> Mapping[str, str]:
        """The faults that are there, the oldest first, each with the client that it is for."""
        self._refresh()
        return dict(self._state.faults)

    def inject(self, name: str, client: str = "client1") -> None:
        """Break something, as :data:`FAULTS` describes it; injecting it again changes nothing."""
        fault = self._fault(name)
        there = self.faults
        if name in there:
            return
        self._mobile(client)
        for other in map(self._fault, there):
            if common := held_by(fault) & held_by(other):
                taken = ", ".join(sorted(common))
                raise LabError(
                    f"{other.name} holds what {name} needs ({taken}); "
                    f"throughway lab fault clear {other.name}"
                )
        # Written down first: what is killed half-way can be cleared.
        self._remember({**there, name: client})
        try:
            fault.do(Scene(self, name, client))
        except BaseException:
            self._remember(there)
            raise

    def clear(self, name: str) -> bool:
        """Mend what was broken; False: it was not."""
        fault = self._fault(name)
        there = dict(self.faults)
        if name not in there:
            return False
        fault.undo(Scene(self, name, there.pop(name)))
        self._remember(there)
        return True

    def _fault(self, name: str) -> Fault:
        try:
            return FAULTS[name]
        except KeyError:
            why = f"there is no fault {name}; throughway lab fault list"
            raise LabError(why) from None

    def _remember(self, faults: Mapping[str, str]) -> None:
        with self._changing:
            self._refresh()
            self._state.faults = dict(faults)
            self._save()

    def where(self, host: str) -> str:
        """Return the place of a mobile host."""
        self._mobile(host)
        self._refresh()
        return self._state.places[host]

    def allow_transports(self, host: str, *kinds: str) -> None:
        """Let a client use only these transports from its next start; none named: all."""
        lines = self.read(host, deployment.CLIENT_CONFIG).splitlines()
        kept = [line for line in lines if not line.startswith("transports = ")]
        named = ", ".join(f'"{kind}"' for kind in kinds)
        first = [f"transports = [{named}]"] if kinds else []
        self.write(host, deployment.CLIENT_CONFIG, "\n".join([*first, *kept, ""]))

    def transports(self, host: str) -> tuple[str, ...]:
        """Return the transports that a client may use; none: all."""
        lines = self.read(host, deployment.CLIENT_CONFIG).splitlines()
        named = [line for line in lines if line.startswith("transports = ")]
        return tuple(json.loads(named[0].removeprefix("transports = "))) if named else ()

    def start_gateway(self, host: str = "edge1") -> Service:
        """Start the gateway's daemon; it serves when this returns."""
        return self._start_daemon(host, deployment.GATEWAY)

    def start_client(self, host: str = "client1") -> Service:
        """Start the client's daemon; it has its policy, or told why not, when this returns."""
        return self._start_daemon(host, deployment.CLIENT)

    def stop_gateway(self, host: str = "edge1") -> None:
        """Stop the gateway's daemon and wait until it has ended."""
        self._stop(host, deployment.GATEWAY)

    def runs_client(self, host: str = "client1") -> bool:
        """Whether the client's daemon runs."""
        return self.service(host, deployment.CLIENT.name) is not None

    def stop_client(self, host: str = "client1") -> None:
        """Stop the client's daemon and wait until it has ended."""
        self._stop(host, deployment.CLIENT)

    @property
    def authority(self) -> LabAuthority:
        """The lab's certification authority."""
        return LabAuthority.open(self.directory / "pki")

    def publish_crl(self, *revoked: int) -> None:
        """Publish a new CRL that lists these serial numbers."""
        self.put_crl(self.authority.build_crl(*revoked))

    def put_crl(self, crl: bytes) -> None:
        """Put something where the CRL is."""
        for host in self.topology.hosts:
            if any(site.name == CRL_NAME for site in host.sites):
                self.write(host.name, deployment.CRL_FILE, crl)

    def status(self) -> list[HostStatus]:
        """Return what is known of every host."""
        self._refresh()
        return [self._host_status(host) for host in self._state.hosts if host != SWITCH]

    def _host_status(self, name: str) -> HostStatus:
        host, namespaces = self.topology.host(name), self._state.hosts[name]
        place = self._state.places.get(name, "")
        fixed = tuple(a for i in host.interfaces for a in i.addresses)
        addresses = self._place(place).addresses(host.number) if place else fixed
        ours = (key.split("/", 1) for key in self._state.services)
        return HostStatus(
            name=name,
            purpose=host.purpose,
            alive=namespaces.alive(),
            pid=namespaces.pid,
            place=place,
            cable=name not in self._state.unplugged,
            addresses=addresses,
            services=tuple(s for h, s in ours if h == name and self.service(h, s)),
        )

    def _deploy(self, *, gateway: bool, join: bool, clients: bool, progress: Progress) -> None:
        gateways = [host.name for host in self.topology.with_role(Role.GATEWAY)]
        with build.concurrently() as tasks:
            tasks.call(progress, "domain controller answers", build.wait_domain, self._state)
            if join or gateway:
                with build.step(progress, "policy"):
                    policy = deployment.build_policy(self.namespaces(gateways[0]))
            if gateway:
                for name in gateways:
                    tasks.call(progress, f"gateway on {name}", self.start_gateway, name)
            if join:
                for name in self.topology.clients:
                    whom = self.namespaces(name)
                    tasks.call(progress, f"{name} joins", deployment.join, whom, policy)
        if clients:
            for name in self.topology.clients:
                with build.step(progress, f"{name} starts"):
                    self.start_client(name)

    def _start_daemon(self, host: str, daemon: deployment.Daemon) -> Service:
        if self.service(host, daemon.name):
            raise LabError(f"the {daemon.name} runs already on {host}")
        service = self.start(host, daemon.name, daemon.command)
        deployment.wait_started(service, daemon)
        for absence in self.absences:
            if (absence.host, absence.daemon) == (host, daemon.name):
                absence.ended = min(absence.ended, time.time())
        return service

    def _stop(self, host: str, daemon: deployment.Daemon) -> None:
        if service := self.service(host, daemon.name):
            self.absences.append(Absence(host, daemon.name, time.time()))
            service.stop(deployment.STOP_TIMEOUT)

    def _mobile(self, name: str) -> Host:
        self.namespaces(name)
        mobile = [host.name for host in self.topology.hosts if host.mobile]
        if name not in mobile:
            raise LabError(f"{name} does not move; {', '.join(mobile)} do")
        return self.topology.host(name)

    def _place(self, name: str) -> Place:
        try:
            return self.topology.place(name)
        except KeyError:
            known = ", ".join(place.name for place in self.topology.places)
            raise LabError(f"there is no place {name}; there are {known}") from None

    def _batch(self, host: str, batch: str) -> None:
        processes.run_batch(self.namespaces(host), batch)

    def _refresh(self) -> None:
        """Read what another process may have changed meanwhile."""
        with self._changing:
            kept = state.load(self.name)
            if kept and kept.hosts == self._state.hosts:
                self._state = kept

    def _save(self) -> None:
        state.save(self._state)
