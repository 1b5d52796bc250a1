"""The base of all facts: what the evidence says, typed, with where it says so. No judgement."""

from dataclasses import dataclass, field
from typing import ClassVar

from throughway.model.evidence import Platform, Role, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one piece of evidence says; ``None`` in a fact means "does not say", never "no"."""

    QUESTION: ClassVar[str] = ""
    """What is not known while no fact of this kind is there."""
    COLLECT: ClassVar[tuple[str, ...]] = ()
    """The commands that print it; only reading ones."""
    ROLE: ClassVar[Role | None] = None
    """The role which such a fact shows its host to have."""
    PLATFORM: ClassVar[Platform | None] = None
    """The platform which such a fact shows its host to have."""

    source: Source = field(compare=False)

    @property
    def role_shown(self) -> Role | None:
        """What this very fact shows its host to be."""
        return self.ROLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Host(Fact):
    """The machine that the other facts are about; there is always exactly one for a rule."""

    name: str
    """"" where the evidence is of one machine that nowhere says its name."""
    role: Role | None = None
    platform: Platform = Platform.WINDOWS
    """Linux where its evidence is of our own software."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedAt(Fact):
    """When the evidence was collected, as far as it says so itself."""

    QUESTION = "When was this collected?"
    COLLECT = ("Get-Date -Format o",)

    iso: str
    """ISO 8601; local time of the machine where it has no offset."""
