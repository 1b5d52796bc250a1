"""What every candidate of the tunnel benchmark is."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load import WARM_UP, Load, Marks, Stream
from bench.world import BenchError, World

SUITE = "TLS_AES_128_GCM_SHA256"
_OPENSSL = f"""openssl_conf = main
[main]
ssl_conf = ssl
[ssl]
system_default = all
[all]
Ciphersuites = {SUITE}
"""
"""Python 3.11 cannot choose a suite of TLS 1.3 by itself."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The addresses inside the tunnel, of the gateway and of each client.

    ``gateways`` are as many as clients: the address by which each of them speaks to it.
    """

    gateways: tuple[str, ...]
    clients: tuple[str, ...]

    def up(self, world: World) -> list[Stream]:
        """Return the way from each client to the gateway."""
        pairs = zip(world.clients, self.clients, self.gateways, strict=True)
        return [Stream(space, world.gateway, mine, its) for space, mine, its in pairs]

    def down(self, world: World) -> list[Stream]:
        """Return the way from the gateway to each client."""
        pairs = zip(world.clients, self.clients, self.gateways, strict=True)
        return [Stream(world.gateway, space, its, mine) for space, mine, its in pairs]


class Unmeasured(Exception):
    """A figure which this candidate does not have, and why."""


class Peer:
    """A candidate: how it is brought up, and what is special about measuring it."""

    name: str
    settings: str
    """Transport, cipher, MTU and tuning, in a line."""
    clients = 1
    measures: tuple[str, ...] | None = None
    """The only ones it is there for; None: all but those of two clients."""

    def version(self) -> tuple[str, str]:
        """Return the name and version of the software."""
        raise NotImplementedError

    @contextlib.contextmanager
    def up(self, world: World) -> Iterator[Ends]:
        """Bring the tunnel up; it need not be taken down, for its namespaces go."""
        raise NotImplementedError
        yield

    def tcp(
        self,
        load: Load,
        streams: list[Stream],
        seconds: float,
        *,
        parallel: int = 1,
        warm_up: float = WARM_UP,
        marks: Marks = lambda mark: None,
    ) -> float:
        """Return the Mbit/s of all streams together, each of ``parallel`` connections."""
        return load.tcp(streams, seconds, parallel=parallel, warm_up=warm_up, marks=marks)

    def tls_port(self, world: World) -> int:
        """Return the port of the gateway on which anybody may shake hands."""
        raise Unmeasured("its handshake is not plain TLS that a common client could speak")

    def idle_memory(self, world: World) -> float:
        """Return the KiB which a session that says nothing costs the gateway."""
        raise Unmeasured("not measured")


def package_version(package: str) -> str:
    """Return the version of a Debian package; BenchError when it is not there."""
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    status, _, version = answer.stdout.partition(" ")
    if not status.startswith("ii"):
        raise BenchError(
            f"the Debian package {package} is not there: "
            "packaging/install-debian-packages debian-packages-bench.txt"
        )
    return version


def tls_environment(world: World) -> dict[str, str]:
    """Return the environment in which Python speaks TLS 1.3 with SUITE."""
    return {"OPENSSL_CONF": write(world.folder / "openssl.cnf", _OPENSSL)}


def write(path: Path, *lines: str) -> str:
    """Write lines to a file; return its name."""
    path.write_text("\n".join((*lines, "")))
    return str(path)


def resident(pids: list[int]) -> float:
    """Return the KiB of these processes' own data, pages that they share counted once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss_Anon:"):
                    total += int(line.split()[1])
    return total
