"""One query under way: its states, the way it goes, and what was tried."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from throughway.model.errors import LocalProtocolError
from throughway.wire.dns import Message


class Transport(Enum):
    """How a query came; it is forwarded the same way."""

    UDP = auto()
    TCP = auto()


class State(Enum):
    """Where a query is."""

    __hash__ = object.__hash__  # by identity, and not by a call into Python for each look-up

    RECEIVED = auto()
    HELD = auto()
    ASKED = auto()
    ENDED = auto()


class Input(Enum):
    """What can happen to a query."""

    __hash__ = object.__hash__

    ROUTE_OPEN = auto()
    """There are servers and a way to them."""
    ROUTE_COMING = auto()
    """The tunnel is being set up."""
    ROUTE_CLOSED = auto()
    ATTEMPT_FAILED = auto()
    ANSWERED = auto()
    TIME_SPENT = auto()


TRANSITIONS: dict[tuple[State, Input], State] = {
    (State.RECEIVED, Input.ROUTE_OPEN): State.ASKED,
    (State.RECEIVED, Input.ROUTE_COMING): State.HELD,
    (State.RECEIVED, Input.ROUTE_CLOSED): State.ENDED,
    (State.HELD, Input.ROUTE_OPEN): State.ASKED,
    (State.HELD, Input.ROUTE_COMING): State.HELD,
    (State.HELD, Input.ROUTE_CLOSED): State.ENDED,
    (State.HELD, Input.TIME_SPENT): State.ENDED,
    (State.ASKED, Input.ROUTE_OPEN): State.ASKED,
    (State.ASKED, Input.ROUTE_COMING): State.HELD,
    (State.ASKED, Input.ROUTE_CLOSED): State.ENDED,
    (State.ASKED, Input.ATTEMPT_FAILED): State.ASKED,
    (State.ASKED, Input.ANSWERED): State.ENDED,
    (State.ASKED, Input.TIME_SPENT): State.ENDED,
}
NEXT: dict[State, dict[Input, State]] = {
    state: {what: to for (of, what), to in TRANSITIONS.items() if of is state} for state in State
}
"""The same, to be looked up without making a pair."""


class Route(NamedTuple):
    """Where a name is asked now."""

    servers: tuple[str, ...]
    intranet: bool
    state: Input


class Attempt(NamedTuple):
    """One message to one server."""

    server: str
    number: bytes
    """The first two octets of the message."""
    question: bytes
    """As it was sent, octet by octet."""
    transport: Transport


@dataclass(slots=True, eq=False)
class Query:
    """One question under way, for everybody who asks it in the same words."""

    data: bytes
    message: Message
    question: bytes
    """As the client wrote it."""
    transport: Transport
    arrived_at: float
    route: Route
    generation: int
    """Of the situation in which it was asked."""
    waiters: list[tuple[Hashable, bytes]]
    """Clients, each with the number of its query."""
    state: State = State.RECEIVED
    timer_at: float = 0.0
    asked: dict[str, int] = field(default_factory=dict)
    """How often each server has been asked."""
    attempts: dict[int, Attempt] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    """Servers that failed since the last pause."""
    refusal: bytes | None = None
    """An answer of a server that could not help: passed on when nobody else can."""
    refused_by: set[str] = field(default_factory=set)
    lost_rounds: int = 0
    given_up: bytes | None = None
    """What the intranet said, while local DNS is asked instead."""

    @property
    def key(self) -> bytes:
        """All of the query but its number."""
        return self.data[2:]

    def start_over(self, route: Route) -> None:
        """Forget what was tried on another way."""
        self.route, self.refusal, self.lost_rounds = route, None, 0
        self.asked.clear()
        self.failed.clear()
        self.refused_by.clear()

    def advance(self, what: Input) -> None:
        """Go to the next state."""
        try:
            self.state = NEXT[self.state][what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} in state {self.state.name}") from None
