"""A gateway and its clients for a benchmark: network namespaces on one wire, and a certificate.

Whatever was started in them ends with them. What a program writes to /run, /var/lib and
/var/log stays in them, too.
"""

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

CONGESTION_CONTROL = "reno"
"""The same for everybody: BBR takes two thirds of plain TLS on some machines."""
NAME = "da.example.com"
"""Of the gateway, in its certificate."""
GATEWAY, FIRST_CLIENT = "10.97.0.1", 2
WIRE = "wire"
"""Name of a client's end of the wire; the gateway's ends are wire1, wire2 …"""
PATIENCE = 20.0
"""Seconds for anything to come up."""
SETTLE = 0.02
"""Seconds between two looks at something that comes up."""

_BOOT = """
set -e
for directory in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 bench $directory; done
ip link set lo up
sysctl -qw net.ipv4.tcp_congestion_control=$1
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
echo ready
exec sleep infinity
"""


class BenchError(Exception):
    """Something that was to be measured did not come up, or not as it should."""


class Space:
    """A network and mount namespace, and what runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._started: list[subprocess.Popen[bytes]] = []
        self.generators: set[int] = set()
        """Processes that make the load: no part of what is measured."""
        self._holder = subprocess.Popen(
            *_words("unshare", "-n", "-m", "sh", "-c", _BOOT, "sh", CONGESTION_CONTROL),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        try:
            if next_line(self._holder) != "ready":
                assert self._holder.stderr is not None
                self._holder.kill()
                raise BenchError(f"no namespaces: {self._holder.stderr.read().decode().strip()}")
            self._net = os.readlink(f"/proc/{self.pid}/ns/net")
        except BaseException:
            self._end_holder()
            raise

    @property
    def pid(self) -> int:
        """The process that holds the namespaces."""
        return self._holder.pid

    def run(self, *command: str, check: bool = True, stdin: str | None = None) -> str:
        """Run a command there; return what it says."""
        answer = subprocess.run(
            *self._inside(*command),
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=PATIENCE,
        )
        if check and answer.returncode:
            said = f"{answer.stdout}{answer.stderr}".strip()
            raise BenchError(f"{' '.join(command)}: {said or answer.returncode}")
        return answer.stdout

    def start(
        self, *command: str, log: str = "", environment: dict[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a program there. With ``log`` that file takes its output, else pipes."""
        output: int | IO[bytes] = subprocess.PIPE
        with contextlib.ExitStack() as stack:
            if log:
                output = stack.enter_context((self.folder / log).open("wb"))
            process = subprocess.Popen(
                *self._inside(*command),
                stdin=subprocess.DEVNULL if log else subprocess.PIPE,
                stdout=output,
                stderr=output if log else None,
                bufsize=0,
                env=os.environ | _ENVIRONMENT | (environment or {}),
                start_new_session=True,
            )
        self._started.append(process)
        return process

    @contextlib.contextmanager
    def load(self, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a load generator there; it is ended afterwards."""
        generator = self.start(*command)
        self.generators.add(generator.pid)
        with ended(generator):
            yield generator

    def processes(self) -> list[int]:
        """Return all processes there, but for what holds it and what makes the load."""
        found = []
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and os.readlink(f"/proc/{entry}/ns/net") == self._net:
                    found.append(int(entry))
        return [pid for pid in found if pid != self.pid and pid not in self.generators]

    def said(self, log: str) -> str:
        """Return what a program has written to its log."""
        return (self.folder / log).read_text(errors="replace")

    def close(self) -> None:
        """End everything there."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        until = time.monotonic() + PATIENCE
        while self._alive() and time.monotonic() < until:
            for process in self._started:
                process.poll()
            time.sleep(SETTLE)
        self._end_holder()

    def _alive(self) -> bool:
        return any(_state(pid) not in "ZX" for pid in self.processes())

    def _end_holder(self) -> None:
        self._holder.kill()
        self._holder.communicate()

    def _inside(self, *command: str) -> tuple[list[str]]:
        return _words("nsenter", "-t", str(self.pid), "-n", "-m", "--", *command)


_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONPATH": str(Path(__file__).parent.parent),
}


def _name(process: "subprocess.Popen[bytes]") -> str:
    """Return the command without the words that bring it into its namespaces."""
    words = [str(word) for word in process.args]  # type: ignore[union-attr]
    return " ".join(words[words.index("--") + 1 :] if "--" in words else words)


def _words(*command: str) -> tuple[list[str]]:
    # Should the benchmark be killed, its namespaces and programs go with it.
    return (["setpriv", "--pdeathsig", "KILL", *command],)


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "X"


def next_line(process: "subprocess.Popen[bytes]", patience: float = PATIENCE) -> str:
    """Return the next line that a process says; its pipe has no buffer of ours."""
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([process.stdout], [], [], patience)[0]:
            raise BenchError(f"nothing is heard of {_name(process)}")
        byte = process.stdout.read(1)
        if not byte:
            raise BenchError(f"it ended early: {_name(process)}")
        line += byte
    return line.decode().strip()


@contextlib.contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End a process afterwards, whatever it does."""
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def wait(what: str, ready: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until something holds; BenchError when it does not come."""
    until = time.monotonic() + patience
    while not ready():
        if time.monotonic() > until:
            raise BenchError(f"{what}: not within {patience:g} s")
        time.sleep(SETTLE)


@dataclass
class World:
    """The gateway, its clients, and a folder with cert.pem and key.pem."""

    folder: Path
    gateway: Space
    clients: list[Space] = field(default_factory=list)

    @property
    def client(self) -> Space:
        """The first of the clients."""
        return self.clients[0]

    @property
    def spaces(self) -> list[Space]:
        """All of them."""
        return [self.gateway, *self.clients]

    def add_client(self) -> None:
        """Add a client with the next address; the gateway's address is the same for all."""
        number = len(self.clients) + 1
        space = Space(self.folder / f"client{number}")
        self.clients.append(space)
        ours, address = f"{WIRE}{number}", client_address(number)
        self.gateway.run(
            *("ip", "link", "add", ours, "type", "veth", "peer", "name", WIRE),
            *("netns", str(space.pid)),
        )
        self.gateway.run("ip", "link", "set", ours, "up")
        self.gateway.run("ip", "addr", "replace", f"{GATEWAY}/32", "dev", ours)
        self.gateway.run("ip", "route", "replace", f"{address}/32", "dev", ours)
        space.run("ip", "addr", "add", f"{address}/24", "dev", WIRE)
        space.run("ip", "link", "set", WIRE, "up")


def client_address(number: int = 1) -> str:
    """Return the address of a client on the wire; they are numbered from 1."""
    return f"10.97.0.{FIRST_CLIENT + number - 1}"


@contextlib.contextmanager
def world(clients: int = 1) -> Iterator[World]:
    """Make a gateway, a number of clients, and a certificate."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="throughway-bench-")))
        make_certificate(folder)
        made = World(folder, Space(folder / "gateway"))
        stack.callback(_close, made)
        for _ in range(clients):
            made.add_client()
        yield made


def _close(made: World) -> None:
    for space in made.spaces:
        space.close()


def make_certificate(folder: Path) -> None:
    """Write a self-signed P-256 certificate for NAME and for the gateway's address."""
    command = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    files = ("-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-nodes")
    names = f"subjectAltName=DNS:{NAME},IP:{GATEWAY}"
    subprocess.run(
        [*command, *files, "-days", "30", "-subj", f"/CN={NAME}", "-addext", names],
        check=True,
        capture_output=True,
    )
