"""What should hold, given what is: the one decision of the client daemon, pure.

The daemon calls :func:`wanted` after every change and brings the machine in step with the
answer. Because nothing is remembered here, a missed event costs a delay, never a wrong state.
"""

from dataclasses import dataclass

from throughway.model.status import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the daemon sees at one moment."""

    location: Location
    address: str = ""
    """Global address on the IP-HTTPS link; "" while there is none."""
    infrastructure_up: bool = False
    intranet_up: bool = False
    user: str = ""
    """Kerberos principal of the user who is logged on; "" when nobody is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What should hold."""

    fail_closed: bool
    """Intranet prefixes unreachable but through a tunnel."""
    names: bool
    """NRPT effective."""
    link: bool
    infrastructure: bool
    intranet: bool


NOTHING = Wanted(fail_closed=False, names=False, link=False, infrastructure=False, intranet=False)
"""Inside: the intranet is the local network."""


def wanted(observed: Observed) -> Wanted:
    """Return what should hold.

    While the location is not known yet, intranet prefixes and names are held back but nothing
    is brought up: a computer that starts inside must not build tunnels, one that starts outside
    must not leak.
    """
    if observed.location is Location.INSIDE:
        return NOTHING
    outside = observed.location is Location.OUTSIDE
    infrastructure = outside and bool(observed.address)
    return Wanted(
        fail_closed=True,
        names=True,
        link=outside,
        infrastructure=infrastructure,
        # The user's ticket comes through the infrastructure tunnel; a tunnel that is up
        # already needs no new one.
        intranet=infrastructure
        and bool(observed.user)
        and (observed.infrastructure_up or observed.intranet_up),
    )
