"""How long it takes until the intranet page is there, and what an idle client weighs.

    make measure        (python -m bench.connect --rounds 10)

Brings up a lab of its own. Each round takes every figure once, one after the other, so that
whatever else the machine does falls on all of them. Writes ``bench/results/connect.json`` and
``docs/performance.md``.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import delay, imports, page, probe, report
from bench.report import Machine, Memory, Phases, Results, Round
from throughway import __version__
from throughway.lab.deployment import GATEWAY, START_TIMEOUT
from throughway.lab.lab import Lab
from throughway.lab.observe import PAGE, Observer, status_of, tunnel
from throughway.lab.processes import wait_until
from throughway.model.errors import LabError

CLIENT, USER = "client1", "alice"
APP, TITLE = "app1.corp.example.com", "<title>app1.corp.example.com</title>"
LOG = "/var/log/throughway/client.log"
STEADY = 1.0
"""Seconds with nothing done to the client before each measurement."""
PROBE, DELAY = Path(probe.__file__), Path(delay.__file__)
ROUTER, EDGE, RELAY_PORT = "homenat", "131.107.0.2", 4443
REDIRECT = f"""
table ip measure {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "lan" ip daddr {EDGE} tcp dport 443 dnat to 192.168.137.1:{RELAY_PORT}
  }}
}}
"""
"""On the home router: connections to the gateway go through the relay."""

CURLS = 5

MARKS = (
    ("location known", r"event=location .*location=(outside|inside)"),
    ("IP-HTTPS up", r"event=IP-HTTPS .*state=link-up"),
    ("infrastructure tunnel up", r"event=tunnel .*tunnel=infrastructure state=up"),
    ("intranet tunnel up", r"event=tunnel .*tunnel=intranet state=up"),
)
"""Lines of the client's log which tell where the time goes."""


class Stopwatch:
    """From an act to the page: the time, and when the log said what."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.phases: Phases = {}
        self._zero = self._wall = 0.0

    def start(self) -> None:
        """The act is done now."""
        self._zero, self._wall = time.monotonic(), time.time()

    def stop(self, moment: float, log: str) -> None:
        """The page was there at this moment."""
        # The gateway's clients may be faster than its own control socket.
        self.seconds = max(0.0, moment - self._zero)
        for line in log.splitlines():
            said = re.match(r"timestamp=(\S+)", line)
            since = datetime.fromisoformat(said[1]).timestamp() - self._wall if said else -1.0
            if since >= 0:
                for name, pattern in MARKS:
                    if re.search(pattern, line):
                        self.phases.setdefault(name, since)


class Bench:
    """The measurements over a lab that is up, with the user logged on once."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client = Observer(lab, CLIENT)

    def prepare(self) -> None:
        """Log the user on; the ticket is kept from then on."""
        self.lab.start_client(CLIENT)
        self.client.wait_tunnel("infrastructure")
        self.client.log_on(USER)
        self.client.wait_page()
        self.lab.stop_client(CLIENT)

    def connect(self) -> Stopwatch:
        """From the start of the client's daemon."""
        with self._until_page() as watch:
            watch.start()
            self.lab.start_client(CLIENT)
        return watch

    def link_loss(self) -> Stopwatch:
        """From the cable's return; the client had noticed that it was gone."""
        self._settle()
        self.lab.link(CLIENT, up=False)
        self.client.wait("the loss of the link", lambda s: s["link"]["state"] != "link-up", 60.0)
        with self._until_page() as watch:
            watch.start()
            self.lab.link(CLIENT, up=True)
        return watch

    def gateway_restart(self) -> Stopwatch:
        """From the first answer of the gateway's new daemon; the client had lost the old one."""
        self._settle()
        self.lab.stop_gateway()
        self.client.wait("the loss of the gateway", lambda s: s["link"]["state"] != "link-up", 60.0)
        with self._until_page() as watch:
            # Not start_gateway(): it returns later, when everything there serves.
            gateway = self.lab.start("edge1", GATEWAY.name, GATEWAY.command)
            wait_until(self._gateway_answers, START_TIMEOUT, "the gateway", gateway)
            watch.start()
        return watch

    def _gateway_answers(self) -> bool:
        return bool(status_of(self.lab, "edge1", GATEWAY))

    def carry(self) -> Stopwatch:
        """From the beginning of the move home out of the office."""
        self.lab.move(CLIENT, "corp")
        self.client.wait("inside", lambda s: s["connection"] == "connected-locally")
        self.client.wait_page()
        time.sleep(STEADY)
        # Inside, the page is there until the move; so the probe begins after it.
        with self._until_page(begin=False) as watch:
            watch.start()
            self.lab.move(CLIENT, "home")
        return watch

    def memory(self) -> Memory:
        """Every process of the client, idle."""
        self._settle()
        time.sleep(report.IDLE - STEADY)
        service = self.lab.service(CLIENT, "client")
        assert service is not None
        processes = Path(f"/proc/{service.namespaces.pid}/root/proc")
        return {
            _name(processes / str(pid)): _weigh(processes / str(pid))
            for pid in _family(processes, service.pid)
        }

    def curl(self) -> tuple[float, float]:
        """Return how long curl takes from outside, and by its own clock, for the page."""
        begun = time.monotonic()
        command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{time_total}", "--max-time", "2", PAGE]
        own = float(self.lab.run(CLIENT, command, check=True).stdout)
        return time.monotonic() - begun, own

    def _settle(self) -> None:
        """Wait for both tunnels and the page, and then a moment more."""
        self.client.wait_tunnel("intranet")
        self.client.wait("the whole way", lambda s: tunnel(s, "infrastructure"))
        self.client.wait_page()
        time.sleep(STEADY)

    @contextmanager
    def _until_page(self, *, begin: bool = True) -> Iterator[Stopwatch]:
        """Run the act inside while the probe asks; stop the watch when the page was there."""
        watch = Stopwatch()
        command = [sys.executable, str(PROBE), APP, TITLE]
        environment = {"RES_OPTIONS": "timeout:1 attempts:2"}
        pipe = subprocess.PIPE
        asking = self.lab.popen(CLIENT, command, env=environment, stdin=pipe, stdout=pipe)
        with asking:
            assert asking.stdin is not None
            assert asking.stdout is not None
            asking.stdout.readline()
            if begin:
                self._go(asking.stdin.fileno())
            yield watch
            if not begin:
                self._go(asking.stdin.fileno())
            said = asking.stdout.readline().decode().strip()
        if said == "never":
            raise LabError(f"the page did not come: {self.client.status()}")
        watch.stop(float(said), self.lab.read(CLIENT, LOG))

    @staticmethod
    def _go(pipe: int) -> None:
        os.write(pipe, b"go\n")


def _family(processes: Path, root: int) -> list[int]:
    """Return a process and all that it has started."""
    children = (processes / f"{root}/task/{root}/children").read_text().split()
    return [root, *(pid for child in children for pid in _family(processes, int(child)))]


def _name(process: Path) -> str:
    words = (process / "cmdline").read_bytes().decode().split("\0")
    return "throughway.client" if "throughway.client" in words else Path(words[0]).name


def _weigh(process: Path) -> dict[str, float]:
    """Return RSS and PSS in MiB."""
    lines = (process / "smaps_rollup").read_text().splitlines()
    return {
        kind.lower(): next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))
        / 1024
        for kind in ("Rss", "Pss")
    }


def _machine() -> Machine:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    charon = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "charon-systemd"],
        capture_output=True,
        text=True,
        check=False,
    )
    return Machine(
        cores=os.cpu_count() or 0,
        processor=model[1] if model else platform.machine(),
        memory_gib=round(int(memory[1]) / 1024**2) if memory else 0,
        kernel=platform.release(),
        system=system,
        python=platform.python_version(),
        strongswan=charon.stdout,
        throughway=__version__,
    )


@contextmanager
def _distance(lab: Lab, round_trip: float) -> Iterator[None]:
    """Put the gateway further away from the home."""
    command = [sys.executable, str(DELAY), str(RELAY_PORT), EDGE, "443", str(round_trip)]
    lab.run(ROUTER, ["nft", "-f", "-"], stdin=REDIRECT, check=True)
    relay = lab.popen(ROUTER, command, stdout=subprocess.PIPE)
    with relay:
        assert relay.stdout is not None
        relay.stdout.readline()
        try:
            yield
        finally:
            relay.terminate()
            lab.run(ROUTER, ["nft", "delete", "table", "ip", "measure"], check=True)


def _round(bench: Bench, *, weigh: bool) -> Round:
    """Take every figure once, from a stopped client to a stopped client."""
    watches = {"connect": bench.connect()}
    memory = bench.memory() if weigh else {}
    watches["link-loss"] = bench.link_loss()
    watches["gateway-restart"] = bench.gateway_restart()
    watches["carry-home"] = bench.carry()
    bench.client.wait_page()
    bench.lab.stop_client(CLIENT)
    return Round(
        seconds={key: watch.seconds for key, watch in watches.items()},
        phases={key: watch.phases for key, watch in watches.items()},
        memory=memory,
    )


def run(rounds: int, say: Callable[[str], None]) -> Results:
    """Measure over a lab that is brought up and taken down."""
    with Lab(f"measure-{os.getpid()}") as lab:
        say("bringing up the lab")
        lab.up()
        lab.allow_transports(CLIENT, "iphttps")
        bench = Bench(lab)
        bench.prepare()
        near, far = [], []
        for number in range(1, rounds + 1):
            near.append(_round(bench, weigh=True))
            say(f"round {number:>2}/{rounds}: {report.line(near[-1])}")
        with _distance(lab, report.ROUND_TRIP):
            for number in range(1, rounds // 2 + 1):
                far.append(_round(bench, weigh=False))
                say(f"distant {number:>2}/{rounds // 2}: {report.line(far[-1])}")
        lab.start_client(CLIENT)
        bench.client.wait_page()
        esp = bench.client.status()["esp"]
        curl = tuple(
            median(times) for times in zip(*(bench.curl() for _ in range(CURLS)), strict=True)
        )
    say("weighing imports")
    return Results(
        taken=f"{datetime.now(UTC):%Y-%m-%d}",
        command=f"make measure ROUNDS={rounds}",
        machine=_machine(),
        esp=esp,
        step=probe.STEP,
        curl=curl,
        rounds=near,
        distant=far,
        imports=imports.measure(),
    )


def main() -> None:
    """Measure, print the table, write the results and the page. Exit 1: a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.connect")
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    if os.geteuid() != 0:
        sys.exit("make measure: needs root, for the lab's namespaces")
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {line}", flush=True)

    results = run(rounds, say)
    report.save(results)
    page.write()
    print(report.table(results))
    print(f"Written: {report.RESULTS}, {page.PAGE}")
    sys.exit(0 if report.met(results) else 1)


if __name__ == "__main__":
    main()
