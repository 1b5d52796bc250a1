"""The ways in which things are broken: files, filters, commands, processes, lines, daemons."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from throughway.lab import deployment, processes
from throughway.lab.faults.fault import GATEWAY, Scene, Step
from throughway.lab.impair import Impairment
from throughway.lab.processes import File
from throughway.model.errors import LabError

GONE_TIMEOUT = 60.0
"""Seconds in which a process that was killed must be gone; a hundredth of one is usual."""
KEEP = """
set -e
[ -e "$1.sound" ] || [ -e "$1.absent" ] || if [ -e "$1" ]; then cp -a "$1" "$1.sound"
else touch "$1.absent"; fi
"""
BRING_BACK = """
set -e
if [ -e "$1.sound" ]; then mv -f "$1.sound" "$1"
elif [ -e "$1.absent" ]; then rm -f "$1" "$1.absent"; fi
"""


@dataclass(frozen=True, slots=True)
class Put:
    """Another file stands where the right one was, or none does."""

    host: str
    path: str
    make: Callable[[Scene], bytes] | None
    """What to put there; None: nothing."""
    mode: int = 0o644

    @property
    def holds(self) -> tuple[str, ...]:
        """The file."""
        return (f"{self.host}:{self.path}",)

    def do(self, scene: Scene) -> None:
        """Put it there; the right one is kept beside it."""
        host = scene.host(self.host)
        content = None if self.make is None else self.make(scene)
        scene.lab.run(host, ["sh", "-c", KEEP, "sh", self.path], check=True)
        if content is None:
            scene.lab.run(host, ["rm", "-f", self.path], check=True)
        else:
            files = {self.path: File(content, self.mode)}
            processes.write_files(scene.lab.namespaces(host), files)

    def undo(self, scene: Scene) -> None:
        """Put the right one back."""
        command = ["sh", "-c", BRING_BACK, "sh", self.path]
        scene.lab.run(scene.host(self.host), command, check=True)


@dataclass(frozen=True, slots=True)
class Edit:
    """Words of a text file are others; edits of several faults in one file go together."""

    host: str
    path: str
    old: str
    new: str

    @property
    def holds(self) -> tuple[str, ...]:
        """The words."""
        return (f"{self.host}:{self.path}:{self.old}",)

    def do(self, scene: Scene) -> None:
        """Replace the words where they stand first."""
        self._replace(scene, self.old, self.new, must=True)

    def undo(self, scene: Scene) -> None:
        """Replace them back."""
        self._replace(scene, self.new, self.old, must=False)

    def _replace(self, scene: Scene, old: str, new: str, *, must: bool) -> None:
        host = scene.host(self.host)
        text = scene.lab.read(host, self.path)
        if old in text:
            scene.lab.write(host, self.path, text.replace(old, new, 1))
        elif must:
            raise LabError(f"{host}: {self.path} does not say {old!r}")


@dataclass(frozen=True, slots=True)
class Filter:
    """A packet filter drops, refuses, resets or redirects what it should not."""

    host: str
    chains: str
    """The inside of an nftables table of family inet."""

    @property
    def holds(self) -> tuple[str, ...]:
        """Nothing: each fault has a table of its own."""
        return ()

    def do(self, scene: Scene) -> None:
        """Load the table."""
        ruleset = f"table inet {scene.label} {{\n{self.chains}\n}}\n"
        scene.lab.run(scene.host(self.host), ["nft", "-f", "-"], stdin=ruleset, check=True)

    def undo(self, scene: Scene) -> None:
        """Delete it; made first, because deleting what is not there is an error."""
        ruleset = f"table inet {scene.label} {{}}\ndelete table inet {scene.label}\n"
        scene.lab.run(scene.host(self.host), ["nft", "-f", "-"], stdin=ruleset, check=True)


@dataclass(frozen=True, slots=True)
class Run:
    """A command breaks it, another one mends it; both may be run twice."""

    host: str
    breaks: tuple[str, ...]
    mends: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()

    def do(self, scene: Scene) -> None:
        """Run the one."""
        if self.breaks:
            scene.lab.run(scene.host(self.host), self.breaks, check=True)

    def undo(self, scene: Scene) -> None:
        """Run the other one."""
        if self.mends:
            scene.lab.run(scene.host(self.host), self.mends, check=True)


@dataclass(frozen=True, slots=True)
class Frozen:
    """Programs hang: they are there, hold their ports, and do nothing."""

    host: str
    program: str

    @property
    def holds(self) -> tuple[str, ...]:
        """The program."""
        return (f"{self.host}:{self.program}",)

    def do(self, scene: Scene) -> None:
        """Stop every process of that name."""
        self._signal(scene, "STOP", must=True)

    def undo(self, scene: Scene) -> None:
        """Let them go on."""
        self._signal(scene, "CONT", must=False)

    def _signal(self, scene: Scene, name: str, *, must: bool) -> None:
        host = scene.host(self.host)
        # Only those of this host: it has process ids of its own.
        answer = scene.lab.run(host, ["pkill", f"-{name}", "-x", self.program])
        if answer.returncode and must:
            raise LabError(f"{host}: no {self.program} runs here")


@dataclass(frozen=True, slots=True)
class Stopped:
    """Programs are not there."""

    host: str
    program: str
    start: tuple[str, ...]
    """What starts them again."""

    @property
    def holds(self) -> tuple[str, ...]:
        """The program."""
        return (f"{self.host}:{self.program}",)

    def do(self, scene: Scene) -> None:
        """End every process of that name, and see it gone."""
        host = scene.host(self.host)
        scene.lab.run(host, ["pkill", "-KILL", "-x", self.program])
        gone = partial(self._gone, scene)
        processes.wait_until(gone, GONE_TIMEOUT, f"the end of {self.program} on {host}")

    def undo(self, scene: Scene) -> None:
        """Start them, unless they run."""
        if self._gone(scene):
            scene.lab.run(scene.host(self.host), self.start, check=True)

    def _gone(self, scene: Scene) -> bool:
        found = scene.lab.run(scene.host(self.host), ["pgrep", "-x", self.program])
        return found.returncode != 0


@dataclass(frozen=True, slots=True)
class BadLine:
    """The client's line loses, delays or reorders frames."""

    impairment: Impairment
    holds: tuple[str, ...] = ("CLIENT:line",)

    def do(self, scene: Scene) -> None:
        """Put the bad line in the place of the good one."""
        scene.lab.impair(scene.client, self.impairment)

    def undo(self, scene: Scene) -> None:
        """A good line again."""
        scene.lab.impair(scene.client, None)


@dataclass(frozen=True, slots=True)
class Unplugged:
    """The client's cable is not plugged in."""

    holds: tuple[str, ...] = ("CLIENT:line",)

    def do(self, scene: Scene) -> None:
        """Pull it."""
        scene.lab.link(scene.client, up=False)

    def undo(self, scene: Scene) -> None:
        """Plug it in where it was."""
        scene.lab.link(scene.client, up=True)


@dataclass(frozen=True, slots=True)
class Heard:
    """Steps of which a daemon hears only when it is told to look, both times."""

    steps: tuple[Step, ...]
    tell: Callable[[Scene], None]

    @property
    def holds(self) -> tuple[str, ...]:
        """What the steps hold."""
        return tuple(what for step in self.steps for what in step.holds)

    def do(self, scene: Scene) -> None:
        """Do the steps, then tell the daemon."""
        for step in self.steps:
            step.do(scene)
        self.tell(scene)

    def undo(self, scene: Scene) -> None:
        """Undo them, then tell the daemon."""
        for step in reversed(self.steps):
            step.undo(scene)
        self.tell(scene)


def reload_gateway(scene: Scene) -> None:
    """Let the gateway read its configuration; that it refuses it may be the fault itself."""
    if scene.lab.service(GATEWAY, deployment.GATEWAY.name):
        scene.lab.run(GATEWAY, ["throughway", "gateway", "reload"])


def restart_gateway(scene: Scene) -> None:
    """Stop the gateway's daemon and start it again, when it runs."""
    if scene.lab.service(GATEWAY, deployment.GATEWAY.name):
        scene.lab.stop_gateway(GATEWAY)
        scene.lab.start_gateway(GATEWAY)


def restart_client(scene: Scene) -> None:
    """Stop the client's daemon and start it again, when it runs."""
    if scene.lab.service(scene.client, deployment.CLIENT.name):
        scene.lab.stop_client(scene.client)
        scene.lab.start_client(scene.client)


def flush_revocation(scene: Scene) -> None:
    """Let both ends forget what they know of revocation."""
    for host in (scene.client, GATEWAY):
        scene.lab.run(host, ["throughway", "pki", "cache", "flush"], check=True)
