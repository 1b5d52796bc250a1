"""The one word for the user: is this machine connected, and to what?"""

from collections.abc import Iterable

from throughway.catalogue import one_time_code, smart_card
from throughway.catalogue.domain import (
    KERBEROS_PASSWORD_EXPIRED,
    KERBEROS_PASSWORD_WRONG,
    KERBEROS_TICKET_EXPIRED,
    KERBEROS_TICKET_MISSING,
    KERBEROS_USER_UNKNOWN,
)
from throughway.catalogue.internet import (
    CAPTIVE_PORTAL,
    PROXY_AUTHENTICATION_REQUIRED,
    PROXY_CREDENTIALS_REFUSED,
)
from throughway.catalogue.ipsec import SMART_CARD_REQUIRED
from throughway.model.findings import Severity
from throughway.model.status import (
    ClientSnapshot,
    Condition,
    Connection,
    Location,
    TransportKind,
    TunnelState,
)

LINK_UP = "link-up"
"""[MS-IPHTTPS] 3.1.1: only in LinkUp do packets pass."""
FOR_THE_USER = frozenset(
    problem.code
    for problem in (
        CAPTIVE_PORTAL,
        PROXY_AUTHENTICATION_REQUIRED,
        PROXY_CREDENTIALS_REFUSED,
        KERBEROS_PASSWORD_WRONG,
        KERBEROS_PASSWORD_EXPIRED,
        KERBEROS_USER_UNKNOWN,
        KERBEROS_TICKET_EXPIRED,
        KERBEROS_TICKET_MISSING,
        SMART_CARD_REQUIRED,
        *smart_card.FOR_THE_USER,
        *one_time_code.FOR_THE_USER,
    )
)
"""What the person at the keyboard can mend, here and now."""


def connection_of(
    *,
    location: Location,
    link_state: str,
    infrastructure: TunnelState,
    intranet: TunnelState,
    names_effective: bool,
    user: str,
    problems: Iterable[Condition] = (),
) -> Connection:
    """Judge from what is up, never from what was intended.

    Outside, *connected* means that the link, the infrastructure tunnel and the names all work, and
    for a user who has logged on the intranet tunnel too. Nobody logged on is not a fault: the
    infrastructure is all that the machine itself may reach.
    """
    if location is Location.INSIDE:
        # With the rules still in effect, names would be asked through tunnels that are not there.
        return Connection.CONNECTING if names_effective else Connection.CONNECTED_LOCALLY
    whole = (
        location is Location.OUTSIDE
        and link_state == LINK_UP
        and infrastructure is TunnelState.UP
        and names_effective
        and (not user or intranet is TunnelState.UP)
    )
    return Connection.CONNECTED_REMOTELY if whole else _why_not(problems)


def _why_not(problems: Iterable[Condition]) -> Connection:
    problems = tuple(problems)
    if any(problem.code in FOR_THE_USER for problem in problems):
        return Connection.ACTION_REQUIRED
    if any(problem.severity is Severity.CRITICAL for problem in problems):
        return Connection.ERROR
    return Connection.CONNECTING


def tunnel_state(snapshot: ClientSnapshot, name: str) -> TunnelState:
    """Return the state of a tunnel; one that the snapshot does not list is down."""
    return next((t.state for t in snapshot.tunnels if t.name == name), TunnelState.DOWN)


def headline(snapshot: ClientSnapshot) -> str:
    """Say in one line whether the machine is connected, and if not, why."""
    match snapshot.connection:
        case Connection.CONNECTED_LOCALLY:
            return "Connected locally: inside the intranet, no tunnels needed"
        case Connection.CONNECTED_REMOTELY if not snapshot.user:
            return "Connected remotely: infrastructure only; log on for the intranet"
        case Connection.CONNECTED_REMOTELY:
            return f"Connected remotely: infrastructure and intranet, {snapshot.user}"
        case Connection.CONNECTING:
            return f"Connecting: {next_step(snapshot)}"
        case Connection.ACTION_REQUIRED | Connection.ERROR:
            return f"{_word(snapshot.connection)}: {_reason(snapshot)}"


def _word(connection: Connection) -> str:
    return "Action required" if connection is Connection.ACTION_REQUIRED else "Not connected"


def _reason(snapshot: ClientSnapshot) -> str:
    """Name what the person can mend before what they cannot."""
    problems = sorted(snapshot.problems, key=lambda p: p.code not in FOR_THE_USER)
    return problems[0].title if problems else next_step(snapshot)


def next_step(snapshot: ClientSnapshot) -> str:
    """Say what the connection waits for."""
    if snapshot.location is Location.UNKNOWN:
        return "finding out where this machine is"
    if snapshot.location is Location.INSIDE:
        return "inside the intranet; taking the name resolution rules back"
    if snapshot.link.state != LINK_UP and snapshot.transport in {"", TransportKind.IPHTTPS}:
        return "the IP-HTTPS link is not up yet"
    if tunnel_state(snapshot, "infrastructure") is not TunnelState.UP:
        return "the infrastructure tunnel is not up yet"
    if not snapshot.names.effective:
        return "the name resolution rules are not in effect yet"
    return "the intranet tunnel is not up yet"
