"""Where a client is, and whether its tunnels work, as far as all the facts together say."""

from collections.abc import Iterable

from throughway.model.evidence import Role
from throughway.model.facts.base import Fact
from throughway.model.facts.names import DAConnectionStatus, DNSClientState, NRPTTable, PolicyView
from throughway.model.facts.network import NetworkShare
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus

Sign = DAConnectionStatus | DNSClientState | NRPTTable | IPHTTPSInterface | NetworkShare
"""What tells; rules ask for ``tuple[Sign, ...]``."""
_OUTSIDE = frozenset({IPHTTPSStatus.ACTIVE, IPHTTPSStatus.CONNECTING})
_CONNECTED = frozenset({"connectedremotely", "connectedlocally"})
_FAILING = frozenset({"error", "actionableerror"})


def outside(signs: Iterable[Fact]) -> bool | None:
    """Whether the client is outside the intranet, or believes so; None where nothing says it."""
    told = {place for sign in signs if (place := _outside(sign)) is not None}
    return None if not told else False not in told


def connected(signs: Iterable[Fact]) -> bool:
    """Whether the client itself says that DirectAccess works."""
    return any(
        isinstance(sign, DAConnectionStatus) and (sign.status or "").lower() in _CONNECTED
        for sign in signs
    )


def failing(signs: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return what shows that the intranet is not reached: a status, a share that did not open."""
    return tuple(sign for sign in signs if _fails(sign))


def _outside(sign: Fact) -> bool | None:
    if isinstance(sign, DNSClientState):
        return None if sign.inside is None else not sign.inside
    if isinstance(sign, NRPTTable):
        if sign.inside or sign.view is not PolicyView.EFFECTIVE or not sign.rules:
            return False if sign.inside else None
        return True
    if isinstance(sign, DAConnectionStatus):
        status = (sign.status or "").lower()
        return {"connectedlocally": False, "connectedremotely": True}.get(status)
    if isinstance(sign, IPHTTPSInterface) and sign.role is not Role.SERVER:
        return True if sign.status in _OUTSIDE else None
    return None


def _fails(sign: Fact) -> bool:
    if isinstance(sign, DAConnectionStatus):
        return (sign.status or "").lower() in _FAILING
    return isinstance(sign, NetworkShare) and sign.succeeded is False
