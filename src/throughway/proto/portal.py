"""Is a captive portal in the way? Answers to probes, judged, and when to probe again.

Driven by :mod:`throughway.client.portal`. A probe is one GET by plain http, which a portal
answers in the place of whoever was asked; where the network names its portal's API (RFC 8910),
that is asked instead (RFC 8908). A portal is waited for: probed again and again, slower and
slower, until the way is free. Nothing here says that a gateway is one: that its certificate does.
"""

import json
import re
from collections import deque
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from urllib.parse import urlsplit

from throughway.model.errors import LocalProtocolError, WireError

GRACE = 1.0
"""Seconds in which a gateway that answers at once shows that nobody need be asked: on most networks
no probe is sent, which would tell them more than that somebody speaks TLS."""
FIRST_WAIT = 2.0
"""Seconds between the first two probes of a portal; people need longer than that to sign in."""
SLOWER = 1.25
LONGEST_WAIT = 15.0
DOUBTS = 2
"""Probes in a row without a clear answer after which a portal counts as gone: what stood in the
way has let go, even if whoever was asked does not answer."""
NETWORK_AUTHENTICATION_REQUIRED = 511
UNRESTRICTED = "urn:ietf:params:capport:unrestricted"
"""RFC 8910, section 2: there is no portal."""
MAXIMUM_URL = 2048
MAXIMUM_PAGE = 1024
"""Bytes; probe pages have fewer."""
KNOWN_TEXTS = frozenset(
    {
        *("success", "throughway probe", "microsoft connect test", "microsoft ncsi"),
        "networkmanager is online",
    }
)
"""What well-known probe pages say where they answer with 200, without title and tags."""
_TAGS = re.compile(r"<title>.*?</title>|<[^>]*>", re.DOTALL)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class State(StrEnum):
    """What is known of this network."""

    UNKNOWN = "unknown"
    FREE = "free"
    CAPTIVE = "captive"


class Verdict(Enum):
    """What one answer says."""

    FREE = auto()
    CAPTIVE = auto()
    UNCLEAR = auto()


class Input(Enum):
    """What moves it."""

    FREE = auto()
    CAPTIVE = auto()
    FORGOTTEN = auto()
    """The network is another one, or nobody wants to know any more."""


TRANSITIONS: dict[tuple[State, Input], State] = {
    **{(state, Input.FREE): State.FREE for state in State},
    **{(state, Input.CAPTIVE): State.CAPTIVE for state in State},
    **{(state, Input.FORGOTTEN): State.UNKNOWN for state in State},
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe got."""

    status: int
    location: str = ""
    """Where else to go, of a redirect."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class PortalAPI:
    """What a portal says of itself, RFC 8908, section 5."""

    captive: bool
    user_portal_url: str = ""


@dataclass(frozen=True, slots=True)
class ProbeWanted:
    """Ask; give the result back with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class ProbeUnwanted:
    """What is still asked is of no interest any more."""


@dataclass(frozen=True, slots=True)
class PortalFound:
    """A portal is in the way."""

    url: str
    """Where people sign in; "" when it does not say."""


@dataclass(frozen=True, slots=True)
class PortalOpened:
    """It is no longer in the way: what waited for it should go on at once."""


Event = ProbeWanted | ProbeUnwanted | PortalFound | PortalOpened


def judge(answer: Answer, asked: str, *, own: bool) -> tuple[Verdict, str]:
    """Return what an answer says, and the URL where people sign in.

    ``own``: the URL asked is a probe's, which answers 204 or a known page. Otherwise the
    gateway's name was asked for something that it has not got, and any refusal is its own.
    """
    if answer.status == NETWORK_AUTHENTICATION_REQUIRED:
        return Verdict.CAPTIVE, ""
    if answer.status in _REDIRECTS:
        if _same_host(answer.location, asked):
            return Verdict.UNCLEAR if own else Verdict.FREE, ""
        return Verdict.CAPTIVE, clean_url(answer.location)
    if answer.status == 204:
        return Verdict.FREE, ""
    if answer.status == 200:
        text = _TAGS.sub(" ", answer.body[:MAXIMUM_PAGE].decode("latin-1").lower())
        known = own and " ".join(text.split()) in KNOWN_TEXTS
        return (Verdict.FREE if known else Verdict.CAPTIVE), ""
    return Verdict.UNCLEAR if own else Verdict.FREE, ""


def parse_api(body: bytes) -> PortalAPI:
    """Read what a portal's API says; what is not known is passed over (RFC 8908, section 5)."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError("the portal's API does not answer in JSON") from error
    if not isinstance(values, dict) or not isinstance(values.get("captive"), bool):
        raise WireError("the portal's API does not say whether we are captive")
    url = values.get("user-portal-url")
    return PortalAPI(values["captive"], clean_url(url) if isinstance(url, str) else "")


def clean_url(text: str) -> str:
    """Return a web page's URL that can be shown to people, "" for anything else."""
    if len(text) > MAXIMUM_URL or not text.isascii() or not text.isprintable() or " " in text:
        return ""
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and host else ""


def _same_host(location: str, asked: str) -> bool:
    try:
        to = urlsplit(location)
        return not to.netloc or to.hostname == urlsplit(asked).hostname
    except ValueError:
        return False


class PortalWatch:
    """Knows whether a portal is in the way, while somebody wants to know."""

    def __init__(self) -> None:
        self.state = State.UNKNOWN
        self.url = ""
        """Where people sign in."""
        self._number = 0
        self._asking = False
        self._wait = FIRST_WAIT
        self._doubts = 0
        self._timer: float | None = None
        self._events: deque[Event] = deque()

    def network_changed(self, now: float) -> None:
        """This may be another network: begin anew, if the gateway cannot be reached soon."""
        self._forget()
        self._timer = now + GRACE

    def way_failed(self) -> None:
        """The gateway could not be reached: perhaps this is why."""
        if not self._asking and self.state is not State.CAPTIVE:
            self._ask()

    def way_found(self) -> None:
        """The gateway has proved itself: nothing is in the way."""
        self._end()
        self._advance(Input.FREE)

    def stop(self) -> None:
        """Nobody wants to know any more."""
        self._forget()

    def receive_verdict(self, number: int, verdict: Verdict, url: str, now: float) -> None:
        """Take the result of a probe; UNCLEAR is also what no answer is."""
        if not self._asking or number != self._number:
            return
        self._asking = False
        captive = self.state is State.CAPTIVE
        self._doubts = self._doubts + 1 if verdict is Verdict.UNCLEAR else 0
        if verdict is Verdict.CAPTIVE:
            if not captive or url != self.url:
                self.url = url
                self._events.append(PortalFound(url))
            self._advance(Input.CAPTIVE)
        elif captive and (verdict is Verdict.FREE or self._doubts >= DOUBTS):
            self._advance(Input.FREE)
            self.url, self._wait = "", FIRST_WAIT
            self._events.append(PortalOpened())
        elif verdict is Verdict.FREE:
            self._advance(Input.FREE)
        if self.state is State.CAPTIVE:
            self._timer = now + self._wait
            self._wait = min(self._wait * SLOWER, LONGEST_WAIT)

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return self._timer

    def handle_timer(self, now: float) -> None:
        """Let time pass: probe, or probe again."""
        if self._timer is not None and now >= self._timer:
            self._ask()

    def _ask(self) -> None:
        self._end()
        self._number += 1
        self._asking = True
        self._events.append(ProbeWanted(self._number))

    def _end(self) -> None:
        self._timer = None
        if self._asking:
            self._asking = False
            self._events.append(ProbeUnwanted())

    def _forget(self) -> None:
        self._end()
        self._advance(Input.FORGOTTEN)
        self.url, self._wait, self._doubts = "", FIRST_WAIT, 0

    def _advance(self, what: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} while {self.state.name}") from None
