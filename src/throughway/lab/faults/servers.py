"""Servers that stand where none should, and what leads clients to them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from throughway.lab import processes
from throughway.lab.faults.fault import Scene, Step
from throughway.lab.faults.steps import Filter, restart_client
from throughway.lab.processes import File
from throughway.lab.trust import Issued

EDGE = "131.107.0.2"
FRONT_PORT = 8443
FOLDER = "/etc/nginx"
GONE_TIMEOUT = 60.0

STREAM = """\
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user www-data;
worker_processes 1;
pid /run/nginx/{name}.pid;
error_log /var/log/nginx/{name}.log;
events {{ worker_connections 64; }}
stream {{
  server {{
    listen {listen} ssl;
    ssl_certificate {folder}/{name}.crt;
    ssl_certificate_key {folder}/{name}.key;
    {more}
    proxy_pass {upstream};
    {onward}
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """nginx ends TLS with a certificate of its own, and passes on what is inside."""

    host: str
    make: Callable[[Scene], Issued]
    name: str = "front"
    listen: str = str(FRONT_PORT)
    upstream: str = f"{EDGE}:443"
    more: str = ""
    """Other directives of the server."""
    encrypted: bool = True
    """Whether it speaks TLS on its other side, too."""

    @property
    def holds(self) -> tuple[str, ...]:
        """The port."""
        return (f"{self.host}:{self.listen}",)

    def do(self, scene: Scene) -> None:
        """Start it."""
        issued = self.make(scene)
        text = STREAM.format(
            name=self.name,
            folder=FOLDER,
            listen=self.listen,
            upstream=self.upstream,
            more=self.more,
            onward="proxy_ssl on;" if self.encrypted else "",
        )
        files: dict[str, File | str | bytes] = {
            f"{FOLDER}/{self.name}.conf": text,
            f"{FOLDER}/{self.name}.crt": issued.certificate,
            f"{FOLDER}/{self.name}.key": File(issued.key, 0o600),
        }
        processes.write_files(scene.lab.namespaces(self.host), files)
        scene.lab.run(self.host, ["nginx", "-c", f"{FOLDER}/{self.name}.conf"], check=True)

    def undo(self, scene: Scene) -> None:
        """Stop it; it stops serving whom it serves, too."""
        file = f"/run/nginx/{self.name}.pid"
        scene.lab.run(self.host, ["sh", "-c", f"[ ! -s {file} ] || kill $(cat {file})"])
        gone = partial(self._gone, scene, file)
        processes.wait_until(gone, GONE_TIMEOUT, f"the end of nginx on {self.host}")

    def _gone(self, scene: Scene, file: str) -> bool:
        return scene.lab.run(self.host, ["test", "-e", file]).returncode != 0


@dataclass(frozen=True, slots=True)
class Program:
    """A program of ours runs on a host until it is stopped."""

    host: str
    name: str
    code: str
    """Python; what it says goes to a log."""

    @property
    def holds(self) -> tuple[str, ...]:
        """Its name."""
        return (f"{self.host}:{self.name}",)

    def do(self, scene: Scene) -> None:
        """Start it, unless it runs."""
        host = scene.host(self.host)
        if scene.lab.service(host, self.name) is None:
            scene.lab.start(host, self.name, [sys.executable, "-c", self.code])

    def undo(self, scene: Scene) -> None:
        """End it."""
        if service := scene.lab.service(scene.host(self.host), self.name):
            service.kill()


@dataclass(frozen=True, slots=True)
class Restarted:
    """The client's daemon begins anew, and meets what is wrong on its way."""

    holds: tuple[str, ...] = ()

    def do(self, scene: Scene) -> None:
        """Restart it."""
        restart_client(scene)

    def undo(self, scene: Scene) -> None:
        """Nothing: it has to find its way by itself."""


DIVERT = f"""
  chain divert {{{{
    type nat hook prerouting priority dstnat - 5;
    iifname "lan" ip daddr {EDGE} tcp dport 443 {{to}}
  }}}}
  chain cut {{{{
    type filter hook forward priority filter - 5;
    iifname "lan" ip daddr {EDGE} tcp dport 443 reject with tcp reset
  }}}}"""
"""What is new goes elsewhere, what goes on already is cut."""
ELSEWHERE = f"""
  chain divert {{{{
    type nat hook prerouting priority dstnat - 5;
    iifname "lan" ip daddr {EDGE} tcp dport 443 dnat ip to {{to}}
  }}}}
  chain cut {{{{
    type filter hook forward priority filter - 5;
    ip daddr {EDGE} tcp dport 443 reject with tcp reset
  }}}}"""


def between(make: Callable[[Scene], Issued], more: str = "") -> tuple[Step, ...]:
    """Return the steps that put another end of TLS between the client's home and the gateway."""
    return (
        Front(host="homenat", make=make, more=more),
        Filter("homenat", DIVERT.format(to=f"redirect to :{FRONT_PORT}")),
    )
