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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "da.example.com"
PREFIX = "2001:db8:da:1000::/64"
ROUTER = "2001:db8:da:1000::1"
RESULT = Path(__file__).parent / "results" / "scale.json"
AT_ONCE = 64
"""Clients that connect at a time where it is not a storm: more would measure the crowd."""
SETTLE = 1.0
"""Seconds until what a process frees by itself is free."""
REST = 10.0
"""Seconds over which the CPU time at rest is measured."""
WARM_UP = 64
"""Sessions before the first look at memory: what is loaded and cached once is nobody's."""
Answer = dict[str, Any]

TICK = os.sysconf("SC_CLK_TCK")


# The server's process


def serve(folder: str, limits: str) -> None:
    """Serve IP-HTTPS and answer questions, until the end of standard input."""
    from throughway.control.lifecycle import allow_descriptors
    from throughway.model.config import IPHTTPSServerConfig
    from throughway.net.iphttps_server import IPHTTPSServer, tls_context
    from throughway.net.tun import configure_gateway, open_tun
    from throughway.wire.ipv6 import parse_address

    allow_descriptors()
    config = IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("0.0.0.0", 443),),
        certificate=Path(folder, "cert.pem"),
        key=Path(folder, "key.pem"),
        prefix=PREFIX,
        **json.loads(limits),
    )

    async def live() -> None:
        loop = asyncio.get_running_loop()
        tun = open_tun("iphttps0")
        configure_gateway(tun, (parse_address(ROUTER), parse_address("fe80::1")))
        server = IPHTTPSServer(config, tun, tls=tls_context(config))
        server.start()
        over = asyncio.Event()

        def asked() -> None:
            if not os.read(0, 65536):
                over.set()
                return
            print(
                json.dumps(
                    {
                        "sessions": len(server.machine.sessions),
                        "refusals": {str(k): v for k, v in server.refusals.items()},
                    }
                ),
                flush=True,
            )

        loop.add_reader(0, asked)
        print("{}", flush=True)
        await over.wait()
        loop.remove_reader(0)
        await server.close()
        tun.close()

    asyncio.run(live())


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

    def memory(self) -> float:
        """Return its share of memory in KiB."""
        for line in Path(f"/proc/{self._process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1])
        raise RuntimeError("the kernel says nothing of its memory")

    def cpu(self) -> float:
        """Return the CPU seconds that it has used."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICK

    def close(self) -> None:
        """End it."""
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class World:
    """A server and its crowd, in a namespace of their own."""

    def __init__(self, pid: int, folder: str, limits: dict[str, int]) -> None:
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
def world(**limits: int) -> Iterator[World]:
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
        made = World(holder.pid, folder, {"max_sessions": 20000} | limits)
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


def idle(sessions: int) -> dict[str, Any]:
    """Hold idle sessions: memory of each, CPU at rest, and the time to accept them."""
    with world() as here:
        here.open(WARM_UP)
        time.sleep(SETTLE)
        before = here.server.memory()
        told = here.open(sessions)
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


def pings(sessions: int = 1000, seconds: float = 20.0) -> dict[str, Any]:
    """Let sessions ping the gateway once a second each."""
    with world() as here:
        here.open(sessions)
        before = here.server.cpu()
        told = here.crowd.ask(do="ping", count=sessions, seconds=seconds)
        used = (here.server.cpu() - before) / seconds
        return {"sessions": sessions, "cpu_percent": 100 * used} | told


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10000)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--only", choices=("idle", "storm", "pings"))
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.serve:
        serve(*wanted.serve)
        return
    parts = {
        "idle": lambda: idle(wanted.sessions),
        "storm": lambda: storm(wanted.clients),
        "pings": lambda: pings(),
    }
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": platform.release(),
        "cores": os.cpu_count(),
    }
    for name, part in parts.items():
        if wanted.only in (None, name):
            found[name] = part()
            print(json.dumps({name: found[name]}, indent=2), flush=True)
    if wanted.only is None:
        RESULT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
