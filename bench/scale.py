"""How many sessions one gateway process holds, what each costs, and how fast they come.

    python -m bench.scale [--sessions 10000]

One network namespace with a real TUN device; the server in a process of its own, its clients in
another (:mod:`bench.crowd`), all over loopback, from many addresses. Needs root. Writes
bench/results/scale.json. The functions are for other measurements and for the tests.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from throughway.model.config import IPHTTPSServerConfig

NAME = "da.example.com"
PREFIX = "2001:db8:da:1000::"
RESULT = Path(__file__).parent / "results" / "scale.json"
AT_ONCE = 64
"""Clients that connect at a time where it is not a storm: more would measure the crowd."""
SETTLE = 1.0
"""Seconds until what a process frees by itself is free."""
REST = 10.0
"""Seconds over which the CPU time at rest is measured."""
WORKERS = 2
"""Of the gateway that is measured."""
WARM_UP = 64
"""Sessions before the first look at memory: what is loaded and cached once is nobody's."""
PARTS = ("idle", "storm", "pings", "hoard", "bulk", "slow", "silence")

Answer = dict[str, Any]

TICK = os.sysconf("SC_CLK_TCK")


# The server's process


def serve(folder: str, limits: str) -> None:
    """Serve IP-HTTPS and answer questions, until the end of standard input.

    With ``workers`` among the limits as the gateway does it, else in this process.
    """
    from throughway.control.lifecycle import allow_descriptors
    from throughway.model.config import IPHTTPSServerConfig

    allow_descriptors()
    settings = json.loads(limits)
    workers = settings.get("workers")
    config = IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("0.0.0.0", 443),),
        certificate=Path(folder, "cert.pem"),
        key=Path(folder, "key.pem"),
        prefix=f"{PREFIX}/59" if workers else f"{PREFIX}/64",
        **settings,
    )
    asyncio.run(serve_by_workers(config) if workers else serve_alone(config))


async def serve_alone(config: "IPHTTPSServerConfig") -> None:
    """Be one worker."""
    from throughway.net.iphttps_server import IPHTTPSServer, tls_context
    from throughway.net.tun import configure_gateway, open_tun
    from throughway.wire.ipv6 import parse_address

    tun = open_tun("iphttps0")
    configure_gateway(tun, (parse_address(f"{PREFIX}1"), parse_address("fe80::1")))
    server = IPHTTPSServer(config, tun, tls=tls_context(config))
    server.start()

    async def status() -> Answer:
        return {
            "sessions": len(server.machine.sessions),
            "refusals": {str(k): v for k, v in server.refusals.items()},
            "drops": {str(k): v for k, v in server.drops.items()},
        }

    await answer_questions(status)
    await server.close()
    tun.close()


async def serve_by_workers(config: "IPHTTPSServerConfig") -> None:
    """Be the gateway, as far as it is about sessions."""
    from throughway.gateway.workers import Workers

    class Owner:
        def __getattr__(self, _name: str) -> Callable[..., None]:
            return lambda *_: None

    workers = Workers(config, Owner(), routes=())
    workers.open()
    await workers.start()

    async def status() -> Answer:
        await workers.report(sessions=False)
        told = workers.status()
        return {
            "sessions": sum(worker.sessions for worker in told),
            "by_worker": [worker.sessions for worker in told],
            "refusals": dict(sum((Counter(dict(w.refusals)) for w in told), Counter())),
            "drops": dict(sum((Counter(dict(w.drops)) for w in told), Counter())),
        }

    await answer_questions(status)
    await workers.close()


async def answer_questions(status: Callable[[], Awaitable[Answer]]) -> None:
    """Print the status for each line of standard input, until its end."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop.add_reader(0, lambda: lines.put_nowait(os.read(0, 65536)))
    print("{}", flush=True)
    while await lines.get():
        print(json.dumps(await status()), flush=True)
    loop.remove_reader(0)


# Outside


class Part:
    """A process which answers commands, one JSON object a line."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **command: object) -> Answer:
        """Send a command, and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> Answer:
        """Wait for the next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a part ended early: {self._process.args!r}")
        told: Answer = json.loads(line)
        return told

    def processes(self) -> list[Path]:
        """Return its process and the children of that one, in /proc."""
        own = Path(f"/proc/{self._process.pid}")
        children = (own / f"task/{self._process.pid}/children").read_text().split()
        return [own, *(Path("/proc", child) for child in children)]

    def memory(self) -> float:
        """Return its share of memory in KiB."""
        return self._share("Pss:")

    def anonymous(self) -> float:
        """Return its share without files, of which it has the more the fewer others run."""
        return self._share("Pss_Anon:")

    def _share(self, what: str) -> float:
        return sum(
            float(line.split()[1])
            for process in self.processes()
            for line in (process / "smaps_rollup").read_text().splitlines()
            if line.startswith(what)
        )

    def cpu(self) -> float:
        """Return the CPU seconds that it has used."""
        stats = [p.joinpath("stat").read_text().rpartition(")")[2] for p in self.processes()]
        return sum(sum(map(int, stat.split()[11:13])) for stat in stats) / TICK

    def close(self) -> None:
        """End it."""
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class World:
    """A server and its crowd, in a namespace of their own."""

    def __init__(self, pid: int, folder: str, limits: dict[str, float]) -> None:
        inside = ("nsenter", "-t", str(pid), "-n")
        self._inside = inside
        python = (sys.executable, "-m")
        self.server = Part(*inside, *python, "bench.scale", "--serve", folder, json.dumps(limits))
        self.crowd = Part(*inside, *python, "bench.crowd")
        self.server.answer()

    def run(self, *words: str) -> str:
        """Run a command inside."""
        return subprocess.run(
            [*self._inside, *words], check=True, capture_output=True, text=True
        ).stdout

    def open(self, count: int, at_once: int = AT_ONCE, **more: object) -> Answer:
        """Open sessions; return the crowd's figures and the server's CPU seconds."""
        before = self.server.cpu()
        told = self.crowd.ask(do="open", count=count, at_once=at_once, **more)
        return told | {"server_cpu": self.server.cpu() - before}

    def ping(self, count: int, seconds: float = 1.0) -> Answer:
        """Let sessions ping the gateway, one after the other; then each owns its address."""
        return self.crowd.ask(do="ping", count=count, seconds=seconds, interval=seconds)

    def rest(self) -> dict[str, float]:
        """Return what the server uses while nobody does anything."""
        time.sleep(SETTLE)
        before, begin = self.server.cpu(), time.monotonic()
        time.sleep(REST)
        used, took = self.server.cpu() - before, time.monotonic() - begin
        return {"memory": self.server.memory(), "cpu_percent": 100 * used / took}

    def close(self) -> None:
        """End both processes."""
        self.crowd.close()
        self.server.close()


@contextlib.contextmanager
def world(**limits: float) -> Iterator[World]:
    """A fresh world; ``limits`` are settings of the server."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        make_certificate(folder)
        holder = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
        )
        stack.callback(holder.communicate)
        stack.callback(holder.kill)
        holder.stdout.readline()  # type: ignore[union-attr]
        inside = ["nsenter", "-t", str(holder.pid), "-n"]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        made = World(holder.pid, folder, {"max_sessions": 12000} | limits)
        stack.callback(made.close)
        yield made


def make_certificate(folder: str) -> None:
    """Make the server's certificate and key there."""
    files = ("-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-nodes")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={NAME}")
    extension = ("-addext", f"subjectAltName=DNS:{NAME}")
    command = ["openssl", "req", "-x509", *curve, *files, *extension]
    subprocess.run(command, check=True, capture_output=True)


# What is measured


def idle(sessions: int, **limits: int) -> dict[str, Any]:
    """Hold idle sessions: memory of each, CPU at rest, and the time to accept them."""
    with world(**limits) as here:
        here.open(WARM_UP)
        time.sleep(SETTLE)
        before = here.server.memory()
        told = here.open(sessions)
        assert here.ping(sessions + WARM_UP, seconds=5.0)["lost"] == 0
        rest = here.rest()
        assert here.server.ask()["sessions"] == sessions + WARM_UP, told
        return {
            "sessions": sessions,
            "kib_per_session": (rest["memory"] - before) / sessions,
            "process_kib": rest["memory"],
            "cpu_percent_at_rest": rest["cpu_percent"],
            "seconds_to_accept": told["seconds"],
            "handshakes_per_second": sessions / told["seconds"],
            "handshakes_per_cpu_second": sessions / told["server_cpu"],
        }


def memory_idle(sessions: int = 2000) -> float:
    """Return the KiB of memory of one idle session."""
    return float(idle(sessions)["kib_per_session"])


def handshakes_per_second(sessions: int = 2000) -> float:
    """Return the sessions opened in a second, the crowd on the other core."""
    with world() as here:
        here.open(WARM_UP)
        return sessions / float(here.open(sessions)["seconds"])


def storm(clients: int = 2000, **limits: int) -> dict[str, Any]:
    """Let clients connect all at once."""
    with world(**limits) as here:
        told = here.open(clients, at_once=clients)
        return {"clients": clients} | told | here.server.ask()


def pings(sessions: int = 1000, seconds: float = 20.0, **limits: int) -> dict[str, Any]:
    """Let sessions ping the gateway once a second each."""
    with world(**limits) as here:
        here.open(sessions)
        before = here.server.cpu()
        told = here.crowd.ask(do="ping", count=sessions, seconds=seconds)
        used = (here.server.cpu() - before) / seconds
        return {"sessions": sessions, "cpu_percent": 100 * used} | told


def hoard(sessions: int = 500, size: int = 1_000_000) -> dict[str, Any]:
    """Send much to sessions that read nothing, while others ping."""
    with world() as here:
        here.open(sessions + WARM_UP)
        here.ping(sessions + WARM_UP)
        here.crowd.ask(do="stop_reading", count=sessions)
        before = here.server.memory()
        here.crowd.ask(do="bulk", count=sessions, size=size)
        held = here.server.memory() - before
        told = here.crowd.ask(do="ping", count=WARM_UP, seconds=3, first=sessions)
        drops = here.server.ask()["drops"]
        return {"sessions": sessions, "mib_held": held / 1024, "drops": drops, "pings": told}


def flood(kind: str, floods: int = 4, seconds: float = 5.0) -> dict[str, Any]:
    """Let a few sessions send as fast as it goes while others ping; first without them."""
    with world() as here:
        here.open(floods + WARM_UP)
        here.ping(floods + WARM_UP)
        pinging = {"do": "ping", "count": WARM_UP, "seconds": seconds, "first": floods}
        alone = here.crowd.ask(**pinging)
        here.crowd.ask(do="flood", count=floods, kind=kind)
        among = here.crowd.ask(**pinging)
        here.crowd.ask(do="flood", count=0, kind=kind)
        return {"kind": kind, "floods": floods, "alone": alone, "among": among}


def silence(silent: int = 6000, clients: int = 500) -> dict[str, Any]:
    """Let clients come in the middle of a flood of connections that say nothing."""
    with world() as here:
        here.crowd.ask(do="silent", count=silent)
        told = here.open(clients)
        return {"silent": silent, "clients": clients} | told | here.server.ask()


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10000)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument(
        "--workers",
        type=int,
        default=WORKERS,
        help="of the gateway, for what is not about one of them; 0: one process without a gateway",
    )
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.serve:
        serve(*wanted.serve)
        return
    limits = {"workers": wanted.workers} if wanted.workers else {}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "idle": lambda: idle(wanted.sessions, **limits),
        "storm": lambda: storm(wanted.clients, **limits),
        "pings": lambda: pings(**limits),
        "hoard": hoard,
        "bulk": lambda: flood("bulk"),
        "slow": lambda: flood("slow"),
        "silence": silence,
    }
    assert tuple(parts) == PARTS
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "workers": wanted.workers,
    }
    for name, part in parts.items():
        if wanted.only in (None, name):
            found[name] = part()
            print(json.dumps({name: found[name]}, indent=2), flush=True)
    if wanted.only is None:
        RESULT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
