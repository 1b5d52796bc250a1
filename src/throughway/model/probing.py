"""What a probe saw of a public server from outside; ``None`` means "not seen", never "no".

Made by :mod:`throughway.probe`, judged by :mod:`throughway.probe.analysis`; the JSON of
``throughway probe`` is these dataclasses as they stand (``docs/schema/probe-1.json``).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from throughway.model.revocation import Fault


class Outcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    UNFINISHED = "unfinished"
    """The time was up."""
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was tried, and how long it took."""

    name: str
    outcome: Outcome
    seconds: float
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why something failed: ``problem`` is the catalogue's code, "" where none fits."""

    words: str
    problem: str = ""
    windows_code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is probed."""

    url: str
    host: str
    """Without brackets, lower case."""
    port: int
    path: str
    tls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSeen:
    """The addresses of the name in one family."""

    family: str
    """``ipv4`` or ``ipv6``."""
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """The names that CNAME records led over."""
    server: str = ""
    """Who answered: a DNS server's address, or the hosts file."""
    seconds: float = 0.0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSeen:
    """One try to connect."""

    address: str
    port: int
    seconds: float
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSeen:
    """A cipher suite that the server chose."""

    number: int
    name: str
    null: bool = False
    """Whether it encrypts nothing."""
    worn_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSeen:
    """A version of TLS: whether the server speaks it, and with which suites, its favourite first.

    One that follows the client's order shows the order that was offered.
    """

    version: str
    spoken: bool | None = None
    suites: tuple[SuiteSeen, ...] = ()
    complete: bool = False
    """Whether every suite was asked for."""
    seconds: float = 0.0
    words: str = ""
    """Why it does not speak it, or why that could not be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSeen:
    """A certificate as it was sent."""

    subject: str
    issuer: str
    serial: str
    names: tuple[str, ...]
    key: str
    signature: str
    not_before: datetime
    not_after: datetime
    days_left: int
    self_signed: bool
    fingerprint: str
    """SHA-256."""
    crl_urls: tuple[str, ...]
    delta_urls: tuple[str, ...]
    ocsp_urls: tuple[str, ...]
    issuer_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSeen:
    """The certificates that one address shows."""

    address: str
    certificates: tuple[CertificateSeen, ...] = ()
    covers_host: bool | None = None
    for_servers: bool | None = None
    """Whether its usages allow it to be a server's."""
    trusted: bool | None = None
    why: str = ""
    """Why it is not trusted."""
    mended_by: str = ""
    """The intermediate certificate that was not sent and completes the chain."""
    unreadable: str = ""
    asks_certificate: bool | None = None
    """Whether the server asks the client for a certificate."""
    accepted_authorities: tuple[str, ...] = ()
    """The names that the server sent with its question; none: of any authority."""


class PointState(StrEnum):
    """What a distribution point or responder is good for."""

    GOOD = "good"
    REVOKED = "revoked"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    USELESS = "useless"
    """It answers, but not with what it should."""
    NOT_TRIED = "not-tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSeen:
    """One place where revocation can be asked."""

    kind: str
    """``crl``, ``delta`` or ``ocsp``."""
    url: str
    subject: str
    """Whose revocation it tells of."""
    leaf: bool
    state: PointState
    fault: Fault | None = None
    """Why it does not prove that the certificate is good."""
    words: str = ""
    this_update: datetime | None = None
    next_update: datetime | None = None
    number: int | None = None
    """Of the CRL (RFC 5280, section 5.2.3)."""
    entries: int | None = None
    size: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixSeen:
    """A prefix of a Router Advertisement."""

    prefix: str
    autonomous: bool
    on_link: bool
    valid: int
    preferred: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertisementSeen:
    """A Router Advertisement."""

    router: str
    router_lifetime: int
    mtu: int | None
    prefixes: tuple[PrefixSeen, ...]
    routes: tuple[str, ...]
    dns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPSeen:
    """What the server answered to the POST of IP-HTTPS, and what came behind it."""

    address: str
    tls: str = ""
    """Version and suite that a client gets."""
    status: int | None = None
    reason: str = ""
    server: str = ""
    """The header of that name."""
    location: str = ""
    """Where it sends us instead."""
    content_type: str = ""
    page_status: int | None = None
    """Of its page ``/``, which is asked for where the POST was refused."""
    page_location: str = ""
    page_title: str = ""
    asks_certificate: bool = False
    """Whether TLS, in the version that a client gets, asked for a certificate."""
    shorter_length: bool = False
    """Whether the answer is that to a smaller Content-Length: the specified one got 400."""
    accepted: bool | None = None
    """Whether it opened a session."""
    advertisement: AdvertisementSeen | None = None
    packets: int = 0
    """IPv6 packets that came."""
    not_ipv6: str = ""
    """What came instead of IPv6 packets."""
    connect_seconds: float | None = None
    tls_seconds: float | None = None
    answer_seconds: float | None = None
    advertisement_seconds: float | None = None
    """Each since the one before had ended."""
    trouble: Trouble | None = None

    @property
    def windows(self) -> bool:
        """Whether it is the web server in the kernel of Windows."""
        return self.server.lower().startswith("microsoft-httpapi")


@dataclass(frozen=True, slots=True, kw_only=True)
class TeredoSeen:
    """The answer of a Teredo server to one solicitation."""

    address: str
    cone: bool
    """Whether it was asked to answer from its other address, as only a cone NAT lets through."""
    answered: bool
    answered_from: str = ""
    mapping: str = ""
    """Where it saw us: address and port."""
    prefix: str = ""
    seconds: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SixToFourSeen:
    """Whether an echo request in protocol 41 was answered."""

    endpoint: str
    tried: bool
    answered: bool | None = None
    seconds: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSeen:
    """Everything that one probe saw."""

    target: Target
    at: datetime
    names: tuple[NameSeen, ...] = ()
    connections: tuple[ConnectionSeen, ...] = ()
    versions: tuple[VersionSeen, ...] = ()
    null_suites: tuple[VersionSeen, ...] = ()
    """What the server said when nothing but NULL suites was offered."""
    chains: tuple[ChainSeen, ...] = ()
    revocation: tuple[PointSeen, ...] = ()
    revocation_tried: bool = True
    http: tuple[HTTPSeen, ...] = ()
    teredo: tuple[TeredoSeen, ...] = ()
    sixtofour: tuple[SixToFourSeen, ...] = ()
    went_to: str = ""
    """The address that was named in place of those of the name."""
    proxies: tuple[str, ...] = ()
    """From the environment, without passwords; the probe itself goes past them."""
    certificate_shown: bool = False
    """Whether the probe has a client certificate of its own to show."""
    steps: tuple[Step, ...] = ()
    seconds: float = 0.0
