"""Who owns which address of the link: the server's Neighbor Cache ([MS-IPHTTPS] 3.2.5.2.2).

An address belongs to the session that first asked for it (duplicate address detection) or first
sent from it. When another session sends from it, the owner is asked whether it still lives: a
client that came back over a new connection must not wait until TCP has given up the old one.
"""

from dataclasses import dataclass
from enum import Enum, auto
from heapq import heappop, heappush

from throughway.proto.iphttps.session import Session
from throughway.proto.router import Link
from throughway.wire.icmpv6 import NeighborSolicitation, build_icmpv6

CONTEST_TIME = 1.0
"""Seconds an owner has to be heard of: RetransTimer of RFC 4861, section 10."""
CONTEST_PAUSE = 5.0
"""Seconds before a living owner is asked again."""
MAX_CONTESTS = 4
"""Contests one session may have at a time."""
MIN_HOLD = 600.0
"""Seconds an address stays with a session that wants more than it may have; then the oldest one
goes, since temporary addresses (RFC 8981) are never given back."""


class Claim(Enum):
    """What became of a wish for an address."""

    OWNED = auto()
    OUTSIDE = auto()
    """No address of a client on this link."""
    CONTESTED = auto()
    TOO_MANY = auto()


@dataclass(slots=True)
class Contest:
    """A session wants an address that another one owns."""

    challenger: Session
    started_at: float
    ends_at: float
    settled: bool = False
    """The owner lives; the contest stays for a while, so that it is not asked at each packet."""
    number: int = 0
    """Of its end, as it was set last."""


class Neighbours:
    """Addresses of the link and the sessions that own them."""

    def __init__(self, link: Link, *, max_addresses: int) -> None:
        self.link = link
        self.max_addresses = max_addresses
        self.sessions: dict[bytes, Session] = {}
        """By address; the driver looks up each packet's destination here."""
        self._contests: dict[bytes, Contest] = {}
        self._challenges: dict[int, set[bytes]] = {}
        """What each session contests, by its number."""
        self._ends: list[tuple[float, int, bytes]] = []
        """A heap of when contests end; some have ended otherwise before."""
        self._number = 0

    def claim(self, address: bytes, session: Session, now: float) -> Claim:
        """Say that the session uses the address."""
        if not self.link.holds(address) or address[8:] in _RESERVED:
            return Claim.OUTSIDE
        owner = self.sessions.get(address)
        if owner is session:
            return Claim.OWNED
        if owner is not None:
            return Claim.CONTESTED
        if len(session.owned) >= self.max_addresses and not self._make_room(session, now):
            return Claim.TOO_MANY
        self.sessions[address] = session
        session.owned[address] = now
        return Claim.OWNED

    def contest(self, address: bytes, session: Session, now: float) -> tuple[Session, bytes] | None:
        """Begin to ask the owner of a contested address whether it lives.

        Returns the owner and the packet to send to it, or None when that is under way already,
        was answered a moment ago, or the session asks for too many.
        """
        going = self._challenges.get(session.number, ())
        if address in self._contests or len(going) >= MAX_CONTESTS:
            return None
        self._contests[address] = contest = Contest(session, now, now + CONTEST_TIME)
        self._challenges.setdefault(session.number, set()).add(address)
        self._await_end(address, contest)
        message = NeighborSolicitation(target=address)
        probe = build_icmpv6(message, source=self.link.link_local, destination=address)
        return self.sessions[address], probe

    def release(self, session: Session) -> None:
        """Forget a session which ended."""
        for address in session.owned:
            del self.sessions[address]
            self._end_contest(address)
        session.owned.clear()
        for address in tuple(self._challenges.get(session.number, ())):
            self._end_contest(address)

    def inherit(self, old: Session, new: Session) -> None:
        """Give all addresses of a session to the one that replaces it."""
        for address, since in old.owned.items():
            self.sessions[address] = new
            new.owned[address] = since
            self._end_contest(address)
        old.owned.clear()

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        while self._ends and not self._going(*self._ends[0]):
            heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def handle_timer(self, now: float) -> None:
        """Let time pass: an owner which was not heard of loses its address."""
        while (at := self.timer_at()) is not None and at <= now:
            _, _, address = heappop(self._ends)
            contest, owner = self._contests[address], self.sessions[address]
            if not contest.settled and owner.heard_at > contest.started_at:
                contest.settled, contest.ends_at = True, now + CONTEST_PAUSE
                self._await_end(address, contest)
                continue
            self._end_contest(address)
            if not contest.settled:
                del self.sessions[address], owner.owned[address]
                self.claim(address, contest.challenger, now)

    def _await_end(self, address: bytes, contest: Contest) -> None:
        self._number = contest.number = self._number + 1
        heappush(self._ends, (contest.ends_at, contest.number, address))

    def _going(self, _ends_at: float, number: int, address: bytes) -> bool:
        contest = self._contests.get(address)
        return contest is not None and contest.number == number

    def _end_contest(self, address: bytes) -> None:
        contest = self._contests.pop(address, None)
        if contest is not None:
            challenges = self._challenges[contest.challenger.number]
            challenges.discard(address)
            if not challenges:
                del self._challenges[contest.challenger.number]

    def _make_room(self, session: Session, now: float) -> bool:
        if not session.owned:
            return False
        oldest = min(session.owned, key=session.owned.__getitem__)
        if now - session.owned[oldest] < MIN_HOLD:
            return False
        del session.owned[oldest], self.sessions[oldest]
        self._end_contest(oldest)
        return True


_RESERVED = (bytes(8), b"\0" * 7 + b"\x01")
"""Interface identifiers of the routers' anycast address (RFC 4291, 2.6.1) and of the router."""
