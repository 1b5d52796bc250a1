"""Configuration of the daemons, validated; read from TOML by the daemons' ``settings``."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from throughway.model.policy import Fallback, NRPTRule, ResourceProbe
from throughway.model.revocation import CHECKED_WEAKLY, Revocation, RevocationPolicy
from throughway.model.statement import NOTHING_WANTED, HealthPolicy
from throughway.model.status import TransportKind

EVERYTHING = "::/0"
"""What the intranet tunnel leads to under force tunnelling."""
MAX_WORKERS = 32
"""One for each /64 of a /59."""


class AuthenticationMode(StrEnum):
    """Whether the IP-HTTPS server asks clients for certificates ([MS-IPHTTPS] 3.2.1)."""

    NONE = "none"
    CERTIFICATES = "certificates"


class Spread(StrEnum):
    """By what a client's connections are given to a worker."""

    ADDRESS = "address"
    """Its public address: one that comes back finds the worker it had, and keeps its address."""
    CONNECTION = "connection"
    """Each by itself: for many clients behind few addresses."""


class Assertion(StrEnum):
    """How a device that ends TLS tells which certificate a client showed."""

    HEADER = "header"
    """By HTTP headers that hold the certificate and what became of it."""
    PROXY_PROTOCOL = "proxy-protocol"
    """By PP2_TYPE_SSL of the PROXY protocol, version 2: its common name, and that it is good."""
    CONNECTION = "connection"
    """By letting nobody through who showed none that is good."""


class ESPMode(StrEnum):
    """Who encrypts: the kernel, or charon's kernel-libipsec."""

    AUTO = "auto"
    KERNEL = "kernel"
    LIBIPSEC = "libipsec"


class Carrier(StrEnum):
    """Who carries packets of 6to4: the kernel's ``sit``, or a process of ours."""

    AUTO = "auto"
    KERNEL = "kernel"
    USER = "user"


class CardRemoval(StrEnum):
    """What follows when a user's smart card is pulled."""

    LOG_OFF = "log-off"
    NOTHING = "nothing"
    """The tunnel stays until it must be made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ADCConfig:
    """An application delivery controller before the gateway: nginx, HAProxy, a load balancer."""

    listen: tuple[tuple[str, int], ...]
    """For its connections alone."""
    addresses: tuple[str, ...]
    """Prefixes from which it connects; everybody else is turned away there."""
    tls: bool = False
    """Whether the clients' TLS comes through to the gateway; else what comes is plain HTTP."""
    proxy_protocol: bool = True
    """Whether each connection begins with a PROXY header; one without it is then refused."""
    client_certificate: Assertion = Assertion.HEADER
    """How it tells of clients' certificates, where TLS ends there."""
    certificate_header: str = "X-SSL-Client-Cert"
    verify_header: str = "X-SSL-Client-Verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class IPHTTPSServerConfig:
    """The IP-HTTPS listener of a gateway."""

    url: str
    listen: tuple[tuple[str, int], ...]
    certificate: Path | None = None
    """None: only an :attr:`adc` that ends TLS connects."""
    key: Path | None = None
    prefix: str
    """/59 to /64: each worker's link has a /64 of it, of which the gateway is the first address."""
    authentication: AuthenticationMode = AuthenticationMode.NONE
    client_ca: Path | None = None
    client_crls: tuple[Path, ...] = ()
    """Revocation lists of :attr:`client_ca`, one an authority; none: revocation is not checked."""
    sessions_per_certificate: int = 1
    """0: any number."""
    null_suites: bool = False
    """Whether clients that offer nothing else get a suite without encryption."""
    rsa_certificate: Path | None = None
    """Beside :attr:`certificate`, for clients that know no other; NULL suites need it."""
    rsa_key: Path | None = None
    adc: ADCConfig | None = None
    interface: str = "iphttps0"
    """Of the first worker; the others count on from it."""
    workers: int | None = None
    """Processes that carry the sessions; None: as many as there are cores and /64."""
    spread: Spread = Spread.ADDRESS
    max_sessions: int = 2000
    """Of all workers together."""
    max_sessions_per_source: int = 64
    max_addresses_per_session: int = 8
    head_timeout: float = 10.0
    """Seconds a peer has for TLS handshake and HTTP head together."""
    client_to_client: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """The health registration authority; ``[health]``."""

    policy: HealthPolicy = NOTHING_WANTED
    authority: Path | None = None
    """The directory of the authority that issues health certificates and nothing else; None: none
    are issued, and the gateway alone remembers who is healthy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IPsecServerConfig:
    """The two IPsec endpoints of a gateway."""

    identity: str
    certificate: Path
    key: Path
    ca: Path
    infrastructure_endpoint: str
    intranet_endpoint: str
    infrastructure_prefixes: tuple[str, ...]
    intranet_prefixes: tuple[str, ...]
    revocation: Revocation = Revocation.WEAK
    crl_urls: tuple[str, ...] = ()
    """Where computers' certificates have their lists, beside those that the gateway's own names
    and those that it learns from computers."""
    esp: ESPMode = ESPMode.AUTO
    health: HealthConfig = HealthConfig()
    """As ``[health]`` says: who wants the intranet tunnel may have to show its certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """A computer that may open the infrastructure tunnel."""

    account: str
    """The computer account, such as ``CLIENT1$``."""
    identity: str
    """The identity its certificate proves, such as ``client1.corp.example.com``."""
    nt_hash: Path | None = None
    """File with the account's NT hash: 32 hexadecimal digits; None: the domain proves it, by
    Kerberos or RADIUS."""


class UserProof(StrEnum):
    """By what users must prove themselves for the intranet tunnel."""

    ANY = "any"
    """A Kerberos ticket, or whatever else is configured."""
    SMART_CARD = "smart-card"
    CODE = "code"
    """A certificate of a few hours, given for a one-time code."""
    STRONG = "strong"
    """A smart card or a code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCertificatesConfig:
    """Certificates of users, on smart cards above all."""

    ca: Path
    """Roots (PEM) of users' certificates."""
    revocation: Revocation = Revocation.WEAK


class CodeCheck(StrEnum):
    """Who knows one-time codes."""

    TOTP = "totp"
    """The gateway: RFC 6238."""
    RADIUS = "radius"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesConfig:
    """One-time codes, for which users get a certificate of some hours."""

    listen: tuple[str, int]
    """Inside address on which clients ask."""
    authority: str
    """URL of the enrolment service that issues."""
    authority_ca: Path
    """The authority's root (PEM)."""
    certificate: Path
    """The registrar's certificate by which the gateway asks, and its key."""
    key: Path
    check: CodeCheck = CodeCheck.TOTP
    hours: int = 8
    book: Path | None = None
    """Where TOTP devices are kept; None: beside the gateway's other state."""
    servers: tuple[tuple[str, int], ...] = ()
    """RADIUS servers."""
    secret: Path | None = None
    timeout: float = 10.0
    """Seconds for one RADIUS server's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersConfig:
    """How users are authorised: by Kerberos tickets for the gateway's service, or more."""

    realm: str
    keytab: Path
    service: str
    """GSS host-based name, such as ``host@da.example.com``."""
    require: UserProof = UserProof.ANY
    certificates: UserCertificatesConfig | None = None
    codes: CodesConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """Users of these groups, on computers of those, may reach these prefixes."""

    computers: tuple[str, ...] = ()
    """Groups of Active Directory by sAMAccountName or DN; empty: all that have an account."""
    users: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    """Empty: all of the intranet tunnel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryConfig:
    """How Active Directory is asked about accounts and groups."""

    domain: str
    """DNS name; its upper case is the realm."""
    keytab: Path
    principal: str
    """The gateway's own account, such as ``EDGE1$``."""
    servers: tuple[str, ...] = ()
    """Names of domain controllers; empty: as the domain's SRV records say."""
    base: str = ""
    """DN under which accounts and groups are; "": the whole domain."""
    interval: float = 20.0
    """Seconds between two looks at the accounts in use."""
    keep: float = 3600.0
    """Seconds for which the last answer holds while no domain controller can be reached."""
    enrol: bool = False
    """Whether every computer of the rules' groups may come, without a ``[[computers]]``."""

    @property
    def realm(self) -> str:
        """The Kerberos realm."""
        return self.domain.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class RADIUSConfig:
    """Servers that check the passwords of computer accounts (EAP-MSCHAPv2)."""

    servers: tuple[tuple[str, int], ...]
    """Asked in this order; the next one when one is silent."""
    secret: Path
    timeout: float = 3.0
    """Seconds for one server's answer, sent twice in that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KDCProxyConfig:
    """Kerberos through HTTPS, for computers that are not inside yet ([MS-KKDCP])."""

    listen: tuple[str, int]
    """With the certificate of IP-HTTPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishConfig:
    """What the gateway tells its clients in the policy bundle."""

    deployment: str
    signing_key: Path
    bundle: Path
    """Where ``throughway policy build`` puts the bundle, and from where it is served."""
    nrpt: tuple[NRPTRule, ...]
    nls_urls: tuple[str, ...]
    trust_anchors: tuple[Path, ...]
    fallback: Fallback = Fallback.NEVER
    """When clients ask local DNS for names of the intranet."""
    valid_days: int = 90
    transports: tuple[TransportKind, ...] = ()
    """What clients may use, best first; empty: all that this gateway offers."""
    force_iphttps: bool = False
    force_tunnel: bool = False
    force_tunnel_proxy: str = ""
    revocation: RevocationPolicy = CHECKED_WEAKLY
    """How hard clients check; where the lists are is filled in when the policy is built."""
    register_names: bool = True
    """Whether clients keep their names in the domain's DNS."""
    reasons_port: int = 0
    """TCP port of the infrastructure endpoint at which a client may ask why its own certificate
    was refused; 0: nobody is told."""
    proxy: str = ""
    """The URL of a web proxy that clients try; "": none."""
    proxy_script: str = ""
    """The URL of a PAC script, in the place of ``proxy``."""
    portal_probe: str = ""
    """An http URL by which clients tell captive portals from the Internet."""
    serve: tuple[str, int] | None = None
    """Address and port, inside, on which the bundle is served to clients by http."""
    probes: tuple[ResourceProbe, ...] = ()
    """What clients try of the intranet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SixToFourServerConfig:
    """6to4 to the two endpoints, which must be of the gateway's public IPv4 addresses."""

    interface: str = "sixtofour0"
    """Where the kernel carries, the second endpoint's counts on from it."""
    carrier: Carrier = Carrier.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class TeredoServerConfig:
    """Teredo server and relay at two consecutive public IPv4 addresses."""

    address: str
    """The first; the second follows it."""
    interface: str = "teredo0"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Figures for Prometheus."""

    listen: tuple[str, int] = ("127.0.0.1", 9723)
    """Address and port; they have no protection of their own."""


class LogLevel(StrEnum):
    """How much a log tells: this and what is worse."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """What the daemon says of itself, and where; ``[log]``."""

    level: LogLevel = LogLevel.INFO
    file: Path | None = None
    """JSON lines; None: no file."""
    journal: bool = True
    """Whether journald has it, where the daemon's output goes there, and the file has nothing."""
    keep_days: int = 30
    """After which rotated files are removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NAT64Config:
    """DNS64 and NAT64: how clients reach hosts of the intranet that have only IPv4."""

    prefix: str
    """/96 in which IPv4 hosts appear, among the intranet tunnel's prefixes."""
    ipv4_prefixes: tuple[str, ...]
    """What clients may reach by it."""
    listen: tuple[tuple[str, int], ...]
    """Addresses and ports of the DNS64, among the infrastructure tunnel's prefixes."""
    servers: tuple[str, ...]
    """The intranet's DNS servers, which it asks."""
    pool: str = "198.18.0.0/20"
    """IPv4 addresses that tayga gives to clients; nobody else ever sees them."""
    interface: str = "nat64"
    exclude_names: tuple[str, ...] = ()
    """Names, with all below them, that get no IPv6 address made."""
    exclude_prefixes: tuple[str, ...] = ()
    """IPv6 prefixes that count as no address, beside ::ffff:0:0/96."""
    queries_per_client: int = 200
    """A second, in the long run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """Where it is written who was admitted and who was refused; ``[audit]``."""

    file: Path | None = None
    """JSON lines; None: no file."""
    journal: bool = True
    keep_days: int = 90
    """After which rotated files are removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentConfig:
    """Where gateway and clients renew certificates of ``ipsec.ca``."""

    url: str
    """Of the EST service, which clients reach through the infrastructure tunnel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """A whole gateway."""

    file: Path
    iphttps: IPHTTPSServerConfig
    ipsec: IPsecServerConfig
    computers: tuple[Computer, ...] = ()
    users: UsersConfig | None = None
    directory: DirectoryConfig | None = None
    access: tuple[AccessRule, ...] = ()
    radius: RADIUSConfig | None = None
    kdc_proxy: KDCProxyConfig | None = None
    publish: PublishConfig | None = None
    metrics: MetricsConfig | None = None
    sixtofour: SixToFourServerConfig | None = None
    teredo: TeredoServerConfig | None = None
    nat64: NAT64Config | None = None
    enrolment: EnrolmentConfig | None = None
    health: HealthConfig = HealthConfig()
    audit: AuditConfig = AuditConfig()
    log: LogConfig = LogConfig()
    state_directory: Path = Path("/var/lib/throughway/gateway")
    runtime_directory: Path = Path("/run/throughway/gateway")
    control_socket: Path = Path("/run/throughway/gateway.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityConfig:
    """The service that enrols and renews; ``authority.toml``."""

    file: Path
    listen: tuple[tuple[str, int], ...]
    names: tuple[str, ...]
    """DNS names and addresses by which it is asked."""
    directory: Path = Path("/etc/throughway/pki")
    """Of the authority; its owner is who the service is."""
    policy: str = ""
    """URL or file of the policy bundle that new computers join with; "": none."""
    crl: Path | None = None
    """Where every new CRL is put to be served."""
    days: int = 365
    """Life of what is issued."""
    crl_days: int = 7
    log: LogConfig = LogConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """How a client gets through HTTP proxies; ``[proxy]`` of ``client.toml``."""

    url: str = ""
    """``http://host:port``; "": as the policy, the environment or the network says."""
    script: str = ""
    """URL of a PAC script, in the place of ``url``."""
    user: str = ""
    domain: str = ""
    password_file: Path | None = None
    detect: bool = True
    """Whether the network's own script (WPAD) is asked where the direct way is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A private key that stays on a PKCS#11 token, or in a TPM behind such a module."""

    module: Path
    token: str
    """The token's label."""
    id: str
    """CKA_ID, hexadecimal."""
    pin_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmartCardConfig:
    """Where users' smart cards are; ``[smart_card]`` of ``client.toml``."""

    module: Path
    """The PKCS#11 module, such as ``/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so``."""
    on_removal: CardRemoval = CardRemoval.LOG_OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """A whole client; what the deployment says is in its policy bundle, not here."""

    file: Path
    certificate: Path
    key: Path
    account: str
    """The computer account, such as ``CLIENT1$``."""
    identity: str
    """The identity in the computer certificate, such as ``client1.corp.example.com``."""
    password_file: Path | None
    """The computer account's password, one line; None where there is a keytab."""
    keytab: Path | None = None
    """With the computer account's key."""
    kdc_proxy: str = ""
    """URL of the gateway's KDC proxy: the account is proven by Kerberos; "": by its password."""
    bundle: Path = Path("/var/lib/throughway/client/policy.bundle")
    policy_key: Path = Path("/etc/throughway/policy.pub")
    """The Ed25519 public key (PEM) that bundles must be signed with, pinned at ``join``."""
    interface: str = "iphttps0"
    stub_address: str = "127.0.0.88"
    esp: ESPMode = ESPMode.AUTO
    iphttps_ca: Path | None = None
    """Roots for the IP-HTTPS server's certificate; None: the policy's anchors and the system's."""
    transports: tuple[str, ...] = ()
    """Of those that the policy allows only these; empty: all."""
    proxy: ProxyConfig = ProxyConfig()
    audit: AuditConfig = AuditConfig()
    """Of this computer's own view."""
    log: LogConfig = LogConfig()
    metrics: MetricsConfig | None = None
    iphttps_revocation: str = ""
    """How hard the IP-HTTPS server is checked (:class:`Revocation`); "": as the policy says."""
    ipsec_revocation: str = ""
    """The same of the tunnels' certificate."""
    smart_card: SmartCardConfig | None = None
    token_key: TokenKey | None = None
    """Where ``key`` is a URI (RFC 7512): the computer certificate's key, which no file has."""
    logon_users: tuple[str, ...] = ()
    """Accounts of this computer that may log on without sitting at it."""
    state_directory: Path = Path("/var/lib/throughway/client")
    runtime_directory: Path = Path("/run/throughway/client")
    control_socket: Path = Path("/run/throughway/client.sock")
