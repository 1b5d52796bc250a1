"""Who was refused, and why: put together from charon's log, one IKE_SA at a time.

charon tells of an authentication that failed by the end of an IKE_SA which was never up, if by
anything: an initiator who gives up first leaves nothing but lines in the log. So the lines are
followed from the first (``is initiating``) to the last.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from throughway.model.config import Computer
from throughway.model.status import RefusedClient
from throughway.net.causes import UNSPECIFIED, explain, goes_along, meaning
from throughway.net.radius import Refusal
from throughway.net.sas import LineLogged
from throughway.proto.access import Withheld

T = TypeVar("T")

MISMATCH = "ipsec-account-certificate-mismatch"
UNHEALTHY = "ipsec-health-certificate-missing"
UNKNOWN = "ipsec-computer-account-refused"

MAX_SUSPECTS = 1000
"""IKE_SAs under way whose lines are remembered; a flood pushes the oldest out."""
MAX_LINES = 20
STRANGERS, STRANGERS_SHOWN = "iphttps-", 5
"""Problems of those who have proven nothing yet, and how many of one are remembered."""

_INITIATING = re.compile(r"^(\S+) is initiating an IKE_SA$")
_LOOKING = re.compile(r"^looking for peer configs matching .*\.\.\..*\[(.*)\]$")
_ACCOUNT = re.compile(r"^EAP-MS-CHAPv2 username: '(.*)'$")
_RADIUS_REFUSED = re.compile(r"RADIUS authentication of '(.*)' failed")
_GIVEN_UP = re.compile(r"^parsed INFORMATIONAL request \d+ \[.*N\(AUTH_FAILED\)")
_TIMED_OUT = "deleting half open IKE_SA"
_PACKET = re.compile(r"^received packet: from (\S+)\[(\d+)\] to ")
_CERTIFICATE = re.compile(r'^received end entity cert "(.*)"$')
_ROUND_DONE = re.compile(r"^authentication of '(.*)' with \S+ successful$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of an attempt, for the audit."""

    unique_id: int
    connection: str = ""
    """charon's name for it, once it had chosen one: ``intranet-client1``."""
    address: str = ""
    port: int = 0
    """Of IKE."""
    identity: str = ""
    """Whom the peer says to be; proven when ``rounds`` is at least 1."""
    account: str = ""
    user: str = ""
    certificate: str = ""
    """The subject of the certificate that came, "" while none has."""
    rounds: int = 0
    """Rounds of authentication that were done."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One client that did not come in."""

    reason: str
    problem: str
    peer: str
    """Whom its certificate names, as far as it was seen, and its address."""
    seen: Seen = field(default=Seen(unique_id=0), compare=False)


class Lately:
    """The latest refused clients, oldest first.

    Anybody on the Internet can be refused by IP-HTTPS, and scanners are all day: of one problem of
    it only some are kept, so that they push nobody out whom a person would look for.
    """

    def __init__(self, shown: int) -> None:
        self._shown = shown
        self._clients: list[RefusedClient] = []

    def __iter__(self) -> Iterator[RefusedClient]:
        return iter(self._clients)

    def append(self, client: RefusedClient) -> None:
        """Take one; another one goes when there are too many."""
        self._clients.append(client)
        if client.problem.startswith(STRANGERS):
            same = [one for one in self._clients if one.problem == client.problem]
            if len(same) > STRANGERS_SHOWN:
                self._clients.remove(same[0])
        del self._clients[: -self._shown]


@dataclass(slots=True)
class _Suspect:
    address: str
    identity: str = ""
    lines: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    seen: Seen = field(default=Seen(unique_id=0))

    def look(self, line: LineLogged) -> None:
        """Take from a line what the audit wants to know."""
        seen, text = self.seen, line.text
        if line.name.partition("-")[2] and line.name != seen.connection:
            seen = replace(seen, connection=line.name)
        if match := _PACKET.search(text):
            seen = replace(seen, address=match[1], port=int(match[2]))
        elif match := _LOOKING.search(text):
            self.identity = match[1]
            seen = replace(seen, identity=match[1])
        elif match := _CERTIFICATE.search(text):
            seen = replace(seen, certificate=match[1])
        elif match := _ACCOUNT.search(text):
            seen = replace(seen, account=match[1])
        elif match := _RADIUS_REFUSED.search(text):
            seen = replace(seen, user=match[1])
        elif _ROUND_DONE.search(text):
            seen = replace(seen, rounds=seen.rounds + 1)
        self.seen = seen


class Refusals:
    """Follows IKE_SAs from their first line until :meth:`came_up` or :meth:`ended`.

    ``computer_of`` returns the computer that a connection of charon's is for, ``withheld`` why
    the computer of an identity has no connection.
    """

    def __init__(
        self,
        computer_of: Callable[[str], Computer | None],
        withheld: Callable[[str], Withheld | None] = lambda identity: None,
    ) -> None:
        self._computer_of = computer_of
        self._withheld = withheld
        self._suspects: OrderedDict[int, _Suspect] = OrderedDict()
        self._users: OrderedDict[int, Refusal] = OrderedDict()
        self._came: OrderedDict[int, _Suspect] = OrderedDict()
        """Those that came up last."""

    def line(self, line: LineLogged) -> bool:
        """Take a line of the log; True when it says that its IKE_SA ends without an event."""
        if match := _INITIATING.search(line.text):
            seen = Seen(unique_id=line.unique_id, address=match[1])
            _remember(self._suspects, line.unique_id, _Suspect(match[1], seen=seen))
        suspect = self._suspects.get(line.unique_id)
        if suspect is None:
            return False
        suspect.look(line)
        text = line.text
        if match := _ACCOUNT.search(line.text):
            text = self._mismatch(line.name, match[1])
        given_up = bool(_GIVEN_UP.search(line.text))
        if given_up and not suspect.lines:
            suspect.lines.append("the client refused the gateway")
        if len(suspect.lines) < MAX_LINES and (meaning(text) or text.startswith(MISMATCH)):
            suspect.lines.append(text)
        elif len(suspect.beside) < MAX_LINES and goes_along(text):
            suspect.beside.append(text)
        return given_up or line.text.startswith(_TIMED_OUT)

    def user(self, refusal: Refusal) -> None:
        """Take the authoriser's reason; charon's own words will only be that it refused."""
        _remember(self._users, refusal.unique_id, refusal)

    def came_up(self, unique_id: int) -> None:
        """Forget an IKE_SA: all is well with it."""
        if suspect := self._suspects.pop(unique_id, None):
            _remember(self._came, unique_id, suspect)
        self._users.pop(unique_id, None)

    def was_up(self, unique_id: int) -> bool:
        """Say whether an IKE_SA has come up lately."""
        return unique_id in self._came

    def unfit(self, unique_id: int, problem: str, reason: str) -> Refused | None:
        """Return what is to be told of an IKE_SA that is refused by us, up or not."""
        suspect = self._suspects.pop(unique_id, None) or self._came.pop(unique_id, None)
        self._users.pop(unique_id, None)
        if suspect is None:
            return None
        peer = f"{suspect.identity or 'unknown'} ({suspect.address})"
        return Refused(reason, problem, peer, suspect.seen)

    def ended(self, unique_id: int) -> Refused | None:
        """Return why an IKE_SA ended without having been up; None when nothing says so."""
        suspect = self._suspects.pop(unique_id, None)
        user = self._users.pop(unique_id, None)
        if suspect is None or not (suspect.lines or user):
            return None
        problem, reason = _cause(suspect.lines, suspect.beside)
        if user is not None:
            # Whoever is told why, by an alert of TLS, may go before charon says that it refused.
            problem, reason = user.problem, f"{user.principal}: {user.reason}"
        # Its secret may go while an attempt is under way: charon's words are then others.
        elif problem in (UNKNOWN, UNHEALTHY) and (why := self._withheld(suspect.identity)):
            problem, reason = why.problem, why.reason
        seen = suspect.seen
        if user is not None:
            seen = replace(seen, user=user.principal)
        peer = f"{suspect.identity or 'unknown'} ({suspect.address})"
        return Refused(reason, problem, peer, seen)

    def clear(self) -> None:
        """Forget everything: charon's numbers begin anew."""
        self._suspects.clear()
        self._users.clear()
        self._came.clear()

    def _mismatch(self, connection: str, account: str) -> str:
        """Say what is wrong with the account that a computer names, "" when nothing is."""
        computer = self._computer_of(connection)
        if computer is None or account.upper() == computer.account.upper():
            return ""
        return f"{MISMATCH}: the certificate of {computer.identity} came with {account}"


def _remember(table: OrderedDict[int, T], key: int, value: T) -> None:
    table[key] = value
    while len(table) > MAX_SUSPECTS:
        table.popitem(last=False)


def _cause(lines: list[str], beside: list[str]) -> tuple[str, str]:
    """Return problem and reason."""
    if not lines:
        return UNSPECIFIED, ""
    for line in lines:
        if line.startswith(MISMATCH):
            return MISMATCH, line.removeprefix(f"{MISMATCH}: ")
    cause = explain((*lines, *beside))
    return (UNSPECIFIED, lines[-1]) if cause is None else (cause.problem, cause.reason)
