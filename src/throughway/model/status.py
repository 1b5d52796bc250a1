"""Snapshots: the whole state of a daemon at one moment, as the control socket carries it.

Times are seconds since 1970-01-01 UTC; 0.0 means "never yet". Counters are bytes unless named.
"""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.findings import Component, Severity
from throughway.model.statement import ComputerHealth, HealthStatus


class ComponentState(StrEnum):
    """State of a component, as Operations Status shows it."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"
    DISABLED = "disabled"


class Location(StrEnum):
    """Where the client is."""

    UNKNOWN = "unknown"
    INSIDE = "inside"
    OUTSIDE = "outside"


class TunnelState(StrEnum):
    """An IPsec tunnel."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"


class TransportKind(StrEnum):
    """A way for IPv6 from the client to the gateway's endpoints, best first."""

    NATIVE = "native"
    SIXTOFOUR = "6to4"
    TEREDO = "teredo"
    IPHTTPS = "iphttps"


class TransportState(StrEnum):
    """How far a transport is."""

    IDLE = "idle"
    """Not started."""
    TRYING = "trying"
    FAILED = "failed"
    """It has said why; it may go on trying."""
    UP = "up"
    """Proven: an exchange with the gateway's endpoint succeeded over it and is kept alive."""


class Connection(StrEnum):
    """The one word for the user, in the manner of Get-DAConnectionStatus."""

    CONNECTED_LOCALLY = "connected-locally"
    CONNECTED_REMOTELY = "connected-remotely"
    CONNECTING = "connecting"
    ACTION_REQUIRED = "action-required"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A problem of the catalogue which holds now, with what is particular to this case."""

    code: str
    title: str
    severity: Severity
    component: Component
    detail: str
    cause: str
    resolution: str
    fix: tuple[str, ...]
    verify: tuple[str, ...]
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentStatus:
    """One row of Operations Status."""

    component: Component
    state: ComponentState
    since: float
    detail: str = ""
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckChange:
    """When a check came to another result."""

    at: float
    state: ComponentState
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStatus:
    """One part that is looked at again and again, and how it was found."""

    name: str
    title: str
    component: Component
    state: ComponentState
    since: float
    detail: str = ""
    looked_at: float = 0.0
    took: float = 0.0
    """Seconds of the last look."""
    interval: float = 0.0
    """Seconds between two looks."""
    problems: tuple[str, ...] = ()
    """Codes of what the last look that came to a result has found."""
    history: tuple[CheckChange, ...] = ()
    """The last changes, oldest first."""


class StageState(StrEnum):
    """A stage of the client's chain."""

    OK = "ok"
    WARNING = "warning"
    """It does its work, but something is to be seen to."""
    ERROR = "error"
    UNKNOWN = "unknown"
    """Under way, or not looked at yet."""
    DISABLED = "disabled"
    """Not needed here and now."""
    WAITING = "waiting"
    """An earlier stage must be mended, or come up, first."""


class StageName(StrEnum):
    """The stages between a computer and what its user wants, in order."""

    LOCATION = "location"
    TRANSPORT = "transport"
    LINK = "link"
    ADDRESS = "address"
    INFRASTRUCTURE = "infrastructure tunnel"
    NAMES = "names"
    CONTROLLER = "domain controller"
    INTRANET = "intranet tunnel"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatus:
    """One stage of the chain: how it is, since when, and why."""

    stage: StageName
    state: StageState
    since: float = 0.0
    reason: str = ""
    problems: tuple[str, ...] = ()
    """Codes of what is wrong at this stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportStatus:
    """A transport as it says itself; what the selection makes of it is added by that."""

    kind: TransportKind
    state: TransportState
    interface: str = ""
    """The device that packets leave by, "" while there is none."""
    addresses: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    """What is particular to the kind, as words and values: ``("NAT", "cone")``."""
    last_error: str = ""
    problem: str = ""
    """The catalogue's code for ``last_error``, "" where none fits."""
    since: float = 0.0
    """When it took this state."""
    bytes_in: int = 0
    bytes_out: int = 0
    chosen: bool = False
    """Whether it carries the traffic; set by the selection."""
    reason: str = ""
    """Why it does or does not carry the traffic; set by the selection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """The client's IP-HTTPS link."""

    state: str
    """Of [MS-IPHTTPS] 3.1.1: disabled, enabled, link-down, established, link-up."""
    url: str
    interface: str
    addresses: tuple[str, ...] = ()
    last_error: str = ""
    windows_code: int = 0
    since: float = 0.0
    retry_at: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    way: str = ""
    """How the gateway is reached: ``direct``, or through which proxy; "" while it was not."""
    tls: str = ""
    """Version and cipher suite, such as ``TLSv1.3 TLS_AES_128_GCM_SHA256``."""
    pump: str = ""
    """Who moves the packets, ``native`` or ``pure``, and why; "" without a link."""
    dropped: int = 0
    """Packets, and super-packets, which went no further."""
    round_trip: float = 0.0
    """Seconds, as TCP knows them; 0.0 without a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelStatus:
    """An IPsec tunnel, seen from either end."""

    name: str
    """``infrastructure`` or ``intranet``."""
    state: TunnelState
    local_address: str = ""
    remote_address: str = ""
    local_identity: str = ""
    remote_identity: str = ""
    account: str = ""
    """The second authentication: computer account or user."""
    prefixes: tuple[str, ...] = ()
    since: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamesStatus:
    """The Name Resolution Policy Table and the stub resolver."""

    effective: bool
    stub: str
    since: float = 0.0
    """When the rules came into effect, or ceased to be."""
    rules: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    registered: str = ""
    """What this computer's name stands for in the domain's DNS; "" while nothing."""
    always_exempt: tuple[str, ...] = ()
    """Names that are asked outside whatever the rules say."""
    fallback: str = ""
    """When local DNS is asked for names of the intranet: never, nxdomain, private, any."""
    queries: int = 0
    """Since the client started."""
    hits: int = 0
    """Of these, answered from the cache."""
    cached: int = 0
    """Answers that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSnapshot:
    """A client, whole."""

    version: str
    taken_at: float
    connection: Connection
    location: Location
    location_detail: str
    transport: str
    """What carries the tunnels, "" while nothing does."""
    link: LinkStatus
    esp: str
    tunnels: tuple[TunnelStatus, ...]
    names: NamesStatus
    user: str
    policy_deployment: str
    policy_version: int
    policy_expires_at: float
    kerberos_realm: str = ""
    """The policy's: users are of this realm unless they name another one."""
    transports: tuple[TransportStatus, ...] = ()
    """All of them, best first."""
    components: tuple[ComponentStatus, ...] = ()
    problems: tuple[Condition, ...] = ()
    checks: tuple[CheckStatus, ...] = ()
    """What is looked at again and again; of the policy's resources one each."""
    chain: tuple[StageStatus, ...] = ()
    """From where the computer is to what its user wants; empty without a policy."""
    health: HealthStatus | None = None
    """None where the policy asks for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """One IP-HTTPS session on the gateway."""

    id: int
    peer: str
    since: float
    addresses: tuple[str, ...] = ()
    certificate: str = ""
    """The subject of the certificate that the client showed, "" where it showed none."""
    fingerprint: str = ""
    """What tells that certificate from all others."""
    serial: str = ""
    """Its serial number, hexadecimal."""
    suite: str = ""
    """Version and cipher suite of TLS; "" where it ends before the gateway and nobody says."""
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: int = 0
    """Packets."""
    worker: int = 0
    """The worker that carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """One process that carries sessions."""

    number: int
    """From 0."""
    state: str
    """``starting``, ``serving`` or ``down``."""
    interface: str
    prefix: str
    """Its clients' /64."""
    pid: int = 0
    since: float = 0.0
    """When it began to serve, or ended."""
    sessions: int = 0
    opened: int = 0
    """Sessions since the gateway started; so are the counters below."""
    opening: float = 0.0
    """Seconds from their accepted connections to these sessions, together."""
    bytes_in: int = 0
    bytes_out: int = 0
    drops: tuple[tuple[str, int], ...] = ()
    """Packets that went no further, by reason."""
    refusals: tuple[tuple[str, int], ...] = ()
    """Connections that did not become sessions, by reason."""
    advertised: int = 0
    """Router Advertisements that went to clients."""
    suites: tuple[tuple[str, int], ...] = ()
    """Open sessions, by cipher suite."""
    restarts: int = 0
    last_end: str = ""
    """Why it ended last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SixToFourServerStatus:
    """6to4 on the gateway."""

    state: str
    """``starting``, ``serving`` or ``down``."""
    carrier: str
    """Who carries the packets, and why; "" while that is unknown."""
    interfaces: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """The IPv4 addresses of the endpoints."""
    pid: int = 0
    since: float = 0.0
    bytes_in: int = 0
    """Since the gateway started; so are the counters below."""
    bytes_out: int = 0
    drops: tuple[tuple[str, int], ...] = ()
    """Packets that went no further, by reason; not where the kernel carries."""
    restarts: int = 0
    last_end: str = ""
    """Why it ended last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeredoServerStatus:
    """Teredo server and relay on the gateway."""

    state: str
    """``starting``, ``serving`` or ``down``."""
    interface: str
    addresses: tuple[str, ...] = ()
    """The two IPv4 addresses."""
    clients: int = 0
    """That are remembered; one that is silent is forgotten when others need the room."""
    pid: int = 0
    since: float = 0.0
    answered: int = 0
    """Solicitations, since the gateway started; so are the counters below."""
    bytes_in: int = 0
    bytes_out: int = 0
    drops: tuple[tuple[str, int], ...] = ()
    """Datagrams and packets that went no further, by reason."""
    restarts: int = 0
    last_end: str = ""
    """Why it ended last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedClient:
    """A client that was refused by IPsec; it hears only that authentication failed."""

    at: float
    peer: str
    reason: str
    problem: str = ""
    """The catalogue's code, "" where none fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationStatus:
    """DNS64 and NAT64: the way to hosts of the intranet that have only IPv4."""

    prefix: str
    interface: str
    running: bool
    """Whether packets are translated now."""
    pid: int = 0
    """Of tayga."""
    since: float = 0.0
    restarts: int = 0
    last_error: str = ""
    bytes_in: int = 0
    """From clients."""
    bytes_out: int = 0
    """To clients."""
    listening: tuple[str, ...] = ()
    """Addresses of the DNS64."""
    queries: int = 0
    """Since the gateway started; so are the counters below."""
    made: int = 0
    """Answers with made addresses."""
    failed: int = 0
    limited: int = 0
    """Queries that were dropped because somebody asked too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySnapshot:
    """A gateway, whole."""

    version: str
    taken_at: float
    state: ComponentState
    iphttps_state: str
    url: str
    esp: str
    sessions: tuple[SessionStatus, ...]
    tunnels: tuple[TunnelStatus, ...]
    components: tuple[ComponentStatus, ...] = ()
    checks: tuple[CheckStatus, ...] = ()
    """What the components' states stand on."""
    problems: tuple[Condition, ...] = ()
    refusals: tuple[RefusedClient, ...] = ()
    """The latest, oldest first."""
    pump: str = ""
    """Who moves the packets, ``native`` or ``pure``, and why; "" without a link."""
    workers: tuple[WorkerStatus, ...] = ()
    sixtofour: SixToFourServerStatus | None = None
    """None where it is not configured."""
    teredo: TeredoServerStatus | None = None
    """None where it is not configured."""
    translation: tuple[TranslationStatus, ...] = ()
    """One, where the gateway translates."""
    health: tuple[ComputerHealth, ...] = ()
    """What computers have stated, the latest last."""
