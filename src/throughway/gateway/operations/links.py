"""What carries clients: the workers with their links, 6to4 and Teredo, the advertisement."""

import time
from collections.abc import Callable, Iterable, Iterator

from throughway.catalogue.gateway import NETWORK_ADAPTER_DOWN
from throughway.catalogue.host import WORKER_RESTARTING
from throughway.catalogue.iphttps import ADVERTISING_DISABLED
from throughway.catalogue.sixtofour import INTERFACE_DOWN as SIXTOFOUR_DOWN
from throughway.catalogue.teredo import SECOND_ADDRESS_MISSING
from throughway.catalogue.teredo import SERVER_STOPPED as TEREDO_STOPPED
from throughway.gateway import sixtofour, teredo
from throughway.gateway.operations.kernel import down, routed
from throughway.gateway.operations.parts import Parts
from throughway.gateway.telling import RESTART_SHOWN
from throughway.gateway.workers import State
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.findings import Component, Problem
from throughway.model.status import SixToFourServerStatus, TeredoServerStatus, WorkerStatus
from throughway.net import netlink


def checks(parts: Parts) -> tuple[Check, ...]:
    """Return the checks."""

    async def look_at_links() -> Iterable[Found] | str:
        return list(_switched_off(parts.devices())) or f"{', '.join(parts.devices())} are up"

    async def look_at_workers() -> Iterable[Found] | str:
        workers = parts.workers()
        return list(_restarting(workers, time.time())) or f"{len(workers)} serve"

    async def look_at_sixtofour() -> Iterable[Found] | str:
        return _transition(parts.sixtofour(), SIXTOFOUR_DOWN)

    async def look_at_teredo() -> Iterable[Found] | str:
        return _transition(parts.teredo(), TEREDO_STOPPED)

    def no_sixtofour() -> str:
        return "" if parts.config().sixtofour is not None else "no [sixtofour] is configured"

    def no_teredo() -> str:
        return "" if parts.config().teredo is not None else "no [teredo] is configured"

    return (
        Check(
            name="links",
            title="Links of IP-HTTPS",
            component=Component.IPHTTPS,
            problems=(NETWORK_ADAPTER_DOWN,),
            look=look_at_links,
        ),
        Check(
            name="advertisement",
            title="Router Advertisements",
            component=Component.IPHTTPS,
            problems=(ADVERTISING_DISABLED,),
            look=Advertisement(parts.workers).look,
        ),
        Check(
            name="workers",
            title="Workers",
            component=Component.HOST,
            problems=(WORKER_RESTARTING,),
            look=look_at_workers,
        ),
        Check(
            name="6to4-server",
            title="6to4",
            component=Component.SIXTOFOUR,
            problems=(SIXTOFOUR_DOWN,),
            look=look_at_sixtofour,
            wanted=no_sixtofour,
        ),
        Check(
            name="teredo-server",
            title="Teredo",
            component=Component.TEREDO,
            problems=(TEREDO_STOPPED, SECOND_ADDRESS_MISSING),
            look=look_at_teredo,
            wanted=no_teredo,
        ),
    )


def _switched_off(devices: Iterable[str]) -> Iterator[Found]:
    links = netlink.links()
    for device in devices:
        if device not in links:
            yield Found(NETWORK_ADAPTER_DOWN, f"{device} is gone", device, device)
        elif why := down(links[device]):
            yield Found(NETWORK_ADAPTER_DOWN, f"{device} {why}", device, device)


def _restarting(workers: Iterable[WorkerStatus], now: float) -> Iterator[Found]:
    """Yield workers that are down, and for as long as that is shown those that were."""
    for worker in workers:
        serves = worker.state == State.SERVING
        if not serves or (worker.restarts and now - worker.since < RESTART_SHOWN):
            why = f": {worker.last_end}" if worker.last_end else f" is {worker.state}"
            words = f"worker {worker.number}{why}; restarts: {worker.restarts}"
            yield Found(WORKER_RESTARTING, words, str(worker.number))


class Advertisement:
    """Whether who comes in is told prefix and routes: each new link gets one at once."""

    def __init__(self, workers: Callable[[], tuple[WorkerStatus, ...]]) -> None:
        self._workers = workers
        self._known: dict[int, tuple[int, int]] = {}
        """By worker, clients that have come and advertisements that went, when it was well."""

    async def look(self) -> Iterable[Found] | str:
        """Compare what each worker has counted since it was last seen to advertise."""
        workers = [worker for worker in self._workers() if worker.state == State.SERVING]
        if not workers:
            raise CannotTell("no worker serves")
        silent = [worker for worker in workers if self._is_silent(worker)]
        sent = sum(worker.advertised for worker in workers)
        if silent:
            return [self._found(worker) for worker in silent]
        if not sent:
            return "nobody has come in yet; who does gets one at once"
        return f"{sent} went to clients: to each at once, and every ten minutes"

    def _is_silent(self, worker: WorkerStatus) -> bool:
        """Whether clients came, some are still there, and not one of them was told anything."""
        opened, advertised = self._known.setdefault(worker.number, (0, 0))
        came, sent = worker.opened - opened, worker.advertised - advertised
        if came > 0 and sent == 0 and worker.sessions:
            return True
        self._known[worker.number] = worker.opened, worker.advertised
        return False

    def _found(self, worker: WorkerStatus) -> Found:
        came = worker.opened - self._known[worker.number][0]
        words = f"worker {worker.number} has sent none to {came} new links"
        return Found(ADVERTISING_DISABLED, words, str(worker.number))


def _transition(
    status: SixToFourServerStatus | TeredoServerStatus | None, problem: Problem
) -> Iterable[Found] | str:
    """Look at the process by what its keeper says, at device and route by what the kernel says."""
    if status is None:
        raise CannotTell("it was configured after the gateway's start: restart the gateway")
    if status.state == sixtofour.STARTING:
        raise CannotTell("it is being started")
    if status.state != sixtofour.SERVING:
        missing_second = (
            isinstance(status, TeredoServerStatus) and status.addresses[1] in status.last_end
        )
        return [Found(SECOND_ADDRESS_MISSING if missing_second else problem, status.last_end)]
    return list(_broken(status, problem)) or f"at {' and '.join(status.addresses)}"


def _broken(
    status: SixToFourServerStatus | TeredoServerStatus, problem: Problem
) -> Iterator[Found]:
    if isinstance(status, TeredoServerStatus):
        devices: tuple[str, ...] = (status.interface,)
        prefix = teredo.CLIENTS
    else:
        devices, prefix = status.interfaces, sixtofour.CLIENTS
    links = netlink.links()
    for device in devices:
        if why := "is gone" if device not in links else down(links[device]):
            yield Found(problem, f"{device} {why}")
            return
    if not any(routed(prefix, device) for device in devices):
        yield Found(problem, f"no route leads to {prefix} by {devices[0]}")
