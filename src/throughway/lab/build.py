"""Building a world from its topology, and clearing it away.

The order is by need: hosts, cables, certificates; then the domain is provisioned while
everything else starts.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec

from throughway.lab import (
    deployment,
    domain,
    namespaces,
    network,
    processes,
    services,
    state,
)
from throughway.lab.namespaces import Holder, Namespaces
from throughway.lab.processes import File, Service
from throughway.lab.state import LabState
from throughway.lab.topology import SWITCH, Host, Role, Topology
from throughway.lab.trust import LabAuthority

P = ParamSpec("P")

Progress = Callable[[str], None]
"""Told of every step when it is done: its name and the seconds it took."""

PARALLEL = 16
"""Threads; they wait for programs in hosts, of which there are about a dozen."""


def silent(line: str) -> None:
    """Show no progress."""


@contextmanager
def step(progress: Progress, name: str) -> Iterator[None]:
    """Report a step when it is done."""
    begun = time.monotonic()
    yield
    progress(f"{name} ({time.monotonic() - begun:.1f} s)")


class Tasks:
    """Steps that run at the same time; the first that fails is the one that is reported."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._futures: list[Future[None]] = []

    def call(
        self,
        progress: Progress,
        name: str,
        function: Callable[P, object],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> None:
        """Run the function as a step of this name."""

        def reported() -> None:
            with step(progress, name):
                function(*arguments, **named)

        self._futures.append(self._pool.submit(reported))

    def wait(self) -> None:
        """Wait for all; raise what the first failed one raised."""
        for future in self._futures:
            future.result()


@contextmanager
def concurrently() -> Iterator[Tasks]:
    """Run steps at the same time; all have ended when the block is left."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        tasks = Tasks(pool)
        yield tasks
        tasks.wait()


def build(kept: LabState, topology: Topology, progress: Progress) -> None:
    """Build the world up to the gateway's and clients' files; on failure nothing is left."""
    try:
        with step(progress, "hosts"):
            _make_hosts(kept, topology)
        with step(progress, "cables and addresses"):
            _connect(kept, topology)
        with step(progress, "certificates"):
            authority = LabAuthority.create(state.directory(kept.name) / "pki")
            _equip(kept, topology, authority)
        with concurrently() as tasks:
            for host in topology.with_role(Role.DOMAIN_CONTROLLER):
                tasks.call(progress, "domain", _make_domain, kept, host, topology, authority)
            for host in topology.with_role(Role.GATEWAY):
                spaces = kept.hosts[host.name]
                tasks.call(progress, "policy key", deployment.make_policy_key, spaces)
            for host in topology.hosts:
                if host.sites or host.names or host.masquerade or host.proxy:
                    name = f"services of {host.name}"
                    tasks.call(progress, name, services.start_all, host, kept.hosts[host.name])
        state.save(kept)
    except BaseException:
        tear_down(kept.name)
        raise


def tear_down(name: str) -> bool:
    """Clear away a lab in whatever state it is; False when there was nothing."""
    found = state.directory(name).exists() or any(namespaces.find_hosts(name))
    namespaces.kill_hosts(name)
    state.remove(name)
    return found


def wait_domain(kept: LabState) -> None:
    """Wait until the domain controller serves."""
    for key, pid in kept.services.items():
        host, name = key.split("/", 1)
        if name == domain.SERVICE:
            spaces = kept.hosts[host]
            domain.wait_ready(spaces, Service(spaces, pid, domain.LOG, name))


def _make_hosts(kept: LabState, topology: Topology) -> None:
    folder = state.directory(kept.name)
    folder.mkdir(mode=0o700, parents=True)
    state.save(kept)
    names = [SWITCH, *(host.name for host in topology.hosts)]
    holders = [Holder(kept.name, name, folder / "hosts" / name) for name in names]
    waiting: list[Holder] = list(holders)
    try:
        while waiting:
            holder = waiting.pop(0)
            kept.hosts[holder.host] = holder.wait()
    finally:
        for holder in waiting:
            holder.abandon()
    state.save(kept)


def _connect(kept: LabState, topology: Topology) -> None:
    pids = {name: spaces.pid for name, spaces in kept.hosts.items()}
    _set_up(kept.hosts[SWITCH], network.switch_settings())
    processes.run_batch(kept.hosts[SWITCH], network.switch_batch(topology, pids))
    with concurrently() as tasks:
        for host in topology.hosts:
            tasks.call(silent, host.name, _connect_host, kept, topology, host)


def _connect_host(kept: LabState, topology: Topology, host: Host) -> None:
    spaces, batch = kept.hosts[host.name], network.host_batch(host)
    nameservers, search = host.nameservers, host.search
    if host.mobile:
        place = topology.place(topology.start)
        plug = network.plug_batch(host.name, place)
        processes.run_batch(kept.hosts[SWITCH], plug)
        batch += network.join_batch(host, place)
        nameservers, search = place.nameservers, place.search
        kept.places[host.name] = place.name
    _set_up(spaces, network.host_settings(host))
    processes.run_batch(spaces, batch)
    files: dict[str, File | str | bytes] = {
        "/etc/hosts": network.build_hosts(host),
        "/etc/hostname": f"{host.name}\n",
        "/etc/resolv.conf": network.build_resolv_conf(nameservers, search),
        "/etc/krb5.conf": domain.KRB5_CONF,
    }
    processes.write_files(spaces, files)


def _set_up(spaces: Namespaces, settings: list[str]) -> None:
    processes.run(spaces, ["sh", "-c", network.SETTINGS, "settings", *settings], check=True)


def _equip(kept: LabState, topology: Topology, authority: LabAuthority) -> None:
    with concurrently() as tasks:
        for host in topology.hosts:
            spaces = kept.hosts[host.name]
            tasks.call(silent, host.name, deployment.equip, spaces, host, authority)


def _make_domain(kept: LabState, host: Host, topology: Topology, authority: LabAuthority) -> None:
    spaces = kept.hosts[host.name]
    certificate = deployment.issue_for(host, authority)
    files = domain.tls_files(certificate.certificate, certificate.key, authority.certificate)
    accounts = domain.provision(spaces, topology, files)
    service = domain.start(spaces)
    kept.services[f"{host.name}/{domain.SERVICE}"] = service.pid
    for gateway in topology.with_role(Role.GATEWAY):
        deployment.receive_accounts(kept.hosts[gateway.name], accounts, topology.clients)
