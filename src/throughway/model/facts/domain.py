"""Facts about the domain: controllers, group policy."""

from dataclasses import dataclass

from throughway.model.facts.base import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainController(Fact):
    """``nltest /dsgetdc:``: the domain controller that was found, or why none was."""

    QUESTION = "Does the machine find a domain controller?"
    COLLECT = ("nltest /dsgetdc: /force",)

    found: bool
    name: str | None = None
    address: str | None = None
    domain: str | None = None
    dc_site: str | None = None
    our_site: str | None = None
    error_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPolicyResult(Fact):
    """``gpresult``: which policies the computer (or the user) applied."""

    QUESTION = "Which group policies does the computer apply?"
    COLLECT = ("gpresult /r /scope computer",)

    computer: bool
    """False: it is the part of the user."""
    applied: tuple[str, ...] = ()
    filtered: tuple[tuple[str, str], ...] = ()
    """Name and reason, as printed."""
    groups: tuple[str, ...] = ()
    applied_from: str | None = None
    last_applied: str | None = None
    os_version: str | None = None
    site: str | None = None
    slow_link: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOffset(Fact):
    """``w32tm``: how far the clock is from a time source, in seconds."""

    QUESTION = "Is the clock right?"
    COLLECT = ("w32tm /stripchart /computer:DC /samples:3 /dataonly", "w32tm /query /status")

    seconds: float
    reference: str = ""
