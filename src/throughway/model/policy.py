"""What a client must know of a deployment: the content of one signed bundle."""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.revocation import CHECKED_WEAKLY, RevocationPolicy
from throughway.model.statement import NOTHING_WANTED, HealthPolicy

POLICY_FORMAT = 1
"""The version of the bundle's format; a client refuses a newer one."""


class Fallback(StrEnum):
    """When local DNS is asked for a name of the intranet ([MS-GPNRPT], DnsSecureNameQueryFallback).

    Whoever owns the network outside then hears such names, and may answer them.
    """

    NEVER = "never"
    NXDOMAIN = "nxdomain"
    """The intranet says that there is no such name."""
    PRIVATE = "private"
    """That, or its servers are silent and all DNS servers here have private addresses."""
    ANY = "any"
    """Whenever the intranet's answer is none."""


DEFAULT, DIRECT = "default", "direct"
"""The ``proxy`` of a rule that says nothing of one, and of names that are reached without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NRPTRule:
    """One rule of the Name Resolution Policy Table ([MS-GPNRPT] 2.2.2).

    ``namespace`` is ``.corp.example.com`` (suffix: the name itself and everything below),
    ``nls.corp.example.com`` (exactly that name) or ``.`` (any name).
    """

    namespace: str
    servers: tuple[str, ...] = ()
    """Addresses of intranet DNS servers; empty: an exemption, asked of the local DNS."""
    proxy: str = DEFAULT
    """Web proxy for these names: ``host:port``, ``direct``, or ``default``: what programs have
    set."""

    @property
    def exemption(self) -> bool:
        """Whether names under this rule are left to the local DNS."""
        return not self.servers


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelPolicy:
    """One IPsec tunnel as the client must ask for it."""

    endpoint: str
    """IPv6 address of the gateway's end."""
    prefixes: tuple[str, ...]
    """IPv6 prefixes behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportsPolicy:
    """What clients must know of the ways to the gateway, besides their order."""

    force_iphttps: bool = False
    """Whether clients use IP-HTTPS alone, whatever else would work."""
    force_tunnel: bool = False
    """Whether everything goes through the tunnels; that needs IP-HTTPS alone, too."""
    proxy: str = ""
    """``http://host:port`` of the web proxy that clients try, "": none."""
    proxy_script: str = ""
    """URL of a PAC script, in the place of ``proxy``."""
    force_tunnel_proxy: str = ""
    """URL of the HTTP proxy inside by which programs that know only IPv4 get out; "" for none."""
    portal_probe: str = ""
    """An http URL that answers 204 to whoever has Internet; "": the gateway's name is asked."""
    teredo_server: str = ""
    """First of the two IPv4 addresses of the Teredo server, "": none."""


class ProbeKind(StrEnum):
    """How a resource is tried."""

    HTTP = "http"
    """A web server answers a HEAD request; ``target`` is a URL."""
    FILE = "file"
    """A file server negotiates SMB; ``target`` is ``host`` or ``host:port``."""
    PING = "ping"
    """A host answers an ICMPv6 echo request; ``target`` is a name or an address."""
    DNS = "dns"
    """The intranet's DNS has addresses for ``target``, a name."""


LAST_DAYS, LAST_SHARE = 14 * 86400, 0.2
"""Seconds, and share of its life, before the end of a policy in which it is out of date."""
MAX_PROBES = 16
"""Resources that one client tries."""
SHORTEST_INTERVAL, PROBE_INTERVAL, LONGEST_INTERVAL = 10, 60, 3600
"""Seconds between two tries of one resource: of 2,000 clients, 33 a second come at the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceProbe:
    """Something inside that clients try while they are outside, to say whether it is reached."""

    kind: ProbeKind
    target: str
    name: str = ""
    """For people; "": kind and target."""
    interval: int = PROBE_INTERVAL
    """Seconds."""

    @property
    def title(self) -> str:
        """What people are told of."""
        return self.name or f"{self.kind} {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One deployment, as its clients see it."""

    deployment: str
    """A name for people, such as ``corp.example.com``."""
    version: int
    """Grows with every build; a client never goes back."""
    issued_at: int
    """Seconds since 1970-01-01 UTC."""
    expires_at: int
    iphttps_url: str
    gateway_identity: str
    """The IKE identity that the gateway's certificate proves (FQDN)."""
    infrastructure: TunnelPolicy
    intranet: TunnelPolicy
    nrpt: tuple[NRPTRule, ...]
    fallback: Fallback = Fallback.NEVER
    exempt_names: tuple[str, ...] = ()
    """Names beside the gateway's and the location servers' that are always asked outside: where
    the gateway's certificates have their revocation lists and OCSP responders."""
    nls_urls: tuple[str, ...]
    trust_anchors: tuple[str, ...]
    """PEM certificates: roots of the gateway's, the computers' and the NLS's certificates."""
    transport_order: tuple[str, ...] = ("iphttps",)
    """Kinds (:class:`TransportKind`) that clients may use, best first."""
    transports: TransportsPolicy = TransportsPolicy()
    revocation: RevocationPolicy = CHECKED_WEAKLY
    policy_url: str = ""
    """Where newer bundles are fetched, through the infrastructure tunnel."""
    enrolment_url: str = ""
    """Where computers renew their certificates (EST), through the infrastructure tunnel."""
    kerberos_realm: str = ""
    kerberos_service: str = ""
    """GSS host-based name of the gateway's authoriser, such as ``host@da.example.com``."""
    register_names: bool = True
    """Whether clients keep their names in the domain's DNS, so that managers inside find them."""
    code_url: str = ""
    """Where a one-time code is exchanged for a user's certificate, through the infrastructure
    tunnel; "": nowhere."""
    reasons_port: int = 0
    """TCP port of the infrastructure endpoint at which a client may ask why it was refused; 0:
    the gateway tells nobody."""
    health: HealthPolicy = NOTHING_WANTED
    """What this computer must be, and what follows when it is not."""
    probes: tuple[ResourceProbe, ...] = ()
    """What clients try of the intranet."""

    def ends_soon(self, now: float) -> bool:
        """Whether a newer one should be there by now."""
        life = self.expires_at - self.issued_at
        return now > self.expires_at - min(LAST_DAYS, life * LAST_SHARE)
