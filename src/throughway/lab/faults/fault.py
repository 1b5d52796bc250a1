"""What a fault is: steps that break something in a lab, and what must then be said of it.

Faults are data. A step knows how to do its harm and how to undo it, keeps nothing in memory (what
it replaced stays on the host that it replaced it on), and may be undone twice: so that a fault can
be injected by one process and cleared by another, and a half-made one can be cleared too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from throughway.lab.lab import Lab

CLIENT = "CLIENT"
"""As a step's host: the client that the fault is for."""
GATEWAY = "edge1"


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault is injected."""

    lab: "Lab"
    fault: str
    client: str

    def host(self, name: str) -> str:
        """Return the host that a step means."""
        return self.client if name == CLIENT else name

    @property
    def label(self) -> str:
        """The fault's name as nftables takes it."""
        return f"fault_{self.fault.replace('-', '_')}"


class Step(Protocol):
    """One thing that is broken, and how it is put right."""

    @property
    def holds(self) -> tuple[str, ...]:
        """What no other fault may hold at the same time, as ``HOST:WHAT``."""

    def do(self, scene: Scene) -> None:
        """Break it; :exc:`LabError` when it cannot be broken."""

    def undo(self, scene: Scene) -> None:
        """Put it right; nothing happens when it is so already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of the lab, and what everybody must say while it is there."""

    name: str
    """Kebab-case, as it is injected."""
    title: str
    """What is broken, in one line."""
    steps: tuple[Step, ...]
    """In the order in which they are done; undone in the other one."""
    client: str = ""
    """The catalogue's code that the client must show first; "" when it must stay well."""
    gateway: str = ""
    """The same of the gateway's Operations Status."""
    felt: str = ""
    """The code by which the end that stays well may feel it for a moment, without knowing more."""
    place: str = "home"
    """Where the client has to be for it."""
    transports: tuple[str, ...] = ("iphttps",)
    """What the client may come by: by another way faults are got round. None named: all."""
    user: bool = True
    """Whether somebody has to be logged on for it."""
    mended: bool = False
    """Whether ``throughway fix`` mends it on the host that shows it."""

    @property
    def root(self) -> str:
        """The code of the root cause: the doctor's first finding, wherever it looks."""
        return self.gateway or self.client

    def do(self, scene: Scene) -> None:
        """Inject it; what was done of it is undone when a step fails."""
        try:
            for step in self.steps:
                step.do(scene)
        except BaseException:
            self.undo(scene)
            raise

    def undo(self, scene: Scene) -> None:
        """Clear it, all that can be undone of it; what could not be is raised, the first of it."""
        errors: list[Exception] = []
        for step in reversed(self.steps):
            try:
                step.undo(scene)
            except Exception as error:  # whatever it was: the others are still to be undone
                errors.append(error)
        if errors:
            raise errors[0]


def held_by(fault: Fault) -> frozenset[str]:
    """Return what no other fault may hold beside this one."""
    return frozenset(what for step in fault.steps for what in step.holds)
