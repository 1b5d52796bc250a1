"""What ``throughway netcheck`` saw of the network around; ``None`` means "not seen", never "no".

Made by :mod:`throughway.probe.network`, judged by :mod:`throughway.probe.analysis.network`; the
JSON is these dataclasses as they stand (``docs/schema/netcheck-1.json``).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from throughway.model.probing import ConnectionSeen, NameSeen, SixToFourSeen, Step, TeredoSeen

WPAD = "WPAD"
"""The source of a script that the network itself names."""


class Reach(StrEnum):
    """Whose an address is."""

    PUBLIC = "public"
    SHARED = "shared"
    """A provider's, behind its NAT (RFC 6598)."""
    PRIVATE = "private"
    TRANSITION = "transition"
    """6to4's or Teredo's."""


class NAT(StrEnum):
    """What stands between this host and the Internet, as far as UDP shows."""

    NONE = "none"
    CONE = "cone"
    RESTRICTED = "restricted"
    """By address, or by address and port: two servers cannot tell these apart."""
    SYMMETRIC = "symmetric"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSeen:
    """An address of this computer."""

    interface: str
    address: str
    reach: Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSeen:
    """A default route."""

    family: str
    interface: str
    via: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverSeen:
    """The DNS that this network gives."""

    servers: tuple[str, ...] = ()
    answers: bool | None = None
    """Whether any of them answers at all."""
    answered_by: str = ""
    invents: tuple[str, ...] = ()
    """Addresses given for a name that cannot exist."""
    nat64: str = ""
    """The address synthesised for one that is IPv4 only (RFC 7050): there is NAT64 here."""
    seconds: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSeen:
    """What came when a page was asked for whose text is known."""

    url: str
    open: bool | None = None
    """Whether it was the page itself; None: nothing came."""
    status: int | None = None
    location: str = ""
    seconds: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationSeen:
    """What came of a network location server."""

    url: str
    proven: bool = False
    """Whether it has answered with a certificate that proves it."""
    seconds: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySeen:
    """A web proxy that somebody names, or the name by which programs look for one."""

    source: str
    proxy: str
    """Without user name and password."""
    tunnel: bool | None = None
    """Whether it led to the gateway's port; None: it was not asked."""
    seconds: float = 0.0
    words: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSeen:
    """What came of an echo request to the gateway's endpoint, over the network's own IPv6."""

    endpoint: str
    tried: bool
    answered: bool | None = None
    seconds: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSeen:
    """How large packets to the gateway may be."""

    address: str
    mtu: int | None = None
    """What the kernel knows of the path after it was tried."""
    mss: int | None = None
    """Bytes of a TCP segment that both ends agreed on."""
    small_passes: bool | None = None
    large_passes: bool | None = None
    """Whether a hello of TLS was answered, as one small and as several full packets."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WaySeen:
    """Whether a transport would work here."""

    transport: str
    possible: bool | None
    why: str
    problem: str = ""
    """The catalogue's code, where it would not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSeen:
    """Everything that one check saw."""

    at: datetime
    gateway: str = ""
    """The name or address; "": none is known."""
    gateway_port: int = 443
    gateway_source: str = ""
    """Who named it."""
    addresses: tuple[AddressSeen, ...] = ()
    routes: tuple[RouteSeen, ...] = ()
    resolver: ResolverSeen = ResolverSeen()
    portals: tuple[PortalSeen, ...] = ()
    locations: tuple[LocationSeen, ...] = ()
    proxies: tuple[ProxySeen, ...] = ()
    names: tuple[NameSeen, ...] = ()
    connections: tuple[ConnectionSeen, ...] = ()
    """To the gateway; to a well-known server where none is known."""
    teredo: tuple[TeredoSeen, ...] = ()
    teredo_expected: bool = False
    """Whether somebody said that there is a Teredo server."""
    nat: NAT = NAT.UNKNOWN
    mapping: str = ""
    """Where Teredo servers see us: address and port."""
    native: tuple[NativeSeen, ...] = ()
    sixtofour: tuple[SixToFourSeen, ...] = ()
    path: tuple[PathSeen, ...] = ()
    steps: tuple[Step, ...] = ()
    seconds: float = 0.0
