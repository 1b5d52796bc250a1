"""What a remedy is: a problem of the catalogue, on which host, and the steps that mend it."""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.findings import Problem
from throughway.remedies.steps import Step

LIMIT = 30.0
"""Seconds after which a problem that is still there was not mended."""


class Host(StrEnum):
    """What this computer is; it may be both."""

    GATEWAY = "gateway"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """How one problem is mended on one kind of host, safely: what it changes can be undone, or is
    what the daemon does by itself sooner or later."""

    problem: Problem
    host: Host
    steps: tuple[Step, ...]
    daemon: bool = True
    """Whether the daemon must run for it; False: it must not."""
    anyhow: bool = False
    """Whether it does not matter if the daemon runs."""
    limit: float = LIMIT
    after: str = ""
    """What is left for a person to do, "" when nothing is."""

    def refusal(self, *, runs: bool) -> str:
        """Say why it cannot be applied while the daemon runs or does not, "" when it can."""
        if self.anyhow or runs == self.daemon:
            return ""
        return f"the {self.host} daemon {'runs' if runs else 'does not run'}"
