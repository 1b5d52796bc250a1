"""Facts from network captures."""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.facts.base import Fact

_CAPTURE = (
    "netsh trace start capture=yes report=disabled tracefile=%TEMP%\\da.etl",
    "netsh trace stop",
    "etl2pcapng %TEMP%\\da.etl %TEMP%\\da.pcapng",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(Fact):
    """A capture as a whole."""

    QUESTION = "What passes over the network?"
    COLLECT = _CAPTURE

    packets: int
    began: float | None = None
    ended: float | None = None
    truncated: bool = False


class ConnectionEnd(StrEnum):
    """How an attempt at a TCP connection went."""

    NO_ANSWER = "no answer"
    REFUSED = "refused"
    RESET_BY_SERVER = "reset by the server"
    RESET_BY_CLIENT = "reset by the client"
    CLOSED_BY_SERVER = "closed by the server"
    CLOSED_BY_CLIENT = "closed by the client"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPConnection(Fact):
    """One connection, or the attempt at one."""

    QUESTION = "What becomes of the TCP connection to the server?"
    COLLECT = _CAPTURE

    client: str
    server: str
    port: int
    end: ConnectionEnd
    attempts: int = 1
    bytes_sent: int = 0
    bytes_received: int = 0
    reset_from_between: bool | None = None
    """Whether hop limit or timing shows that the reset came from a device on the way."""
    lost_by_server: bool | None = None
    """Whose large segment never arrived, however often it was sent; None: nobody's."""
    lost_size: int = 0
    """Bytes of it."""


class TLSStage(StrEnum):
    """How far a handshake got, in order."""

    CLIENT_HELLO = "after ClientHello"
    SERVER_HELLO = "after ServerHello"
    CERTIFICATE = "after the server's Certificate"
    CERTIFICATE_REQUEST = "after CertificateRequest"
    CLIENT_KEY_EXCHANGE = "after the client's answer"
    FINISHED = "finished"


NULL_SUITES = frozenset({0x0001, 0x0002, 0x003B, 0xC001, 0xC006, 0xC00B, 0xC010, 0xC015})
"""Cipher suites that encrypt nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSHandshake(Fact):
    """One TLS handshake, as far as it can be seen without keys."""

    QUESTION = "Where does the TLS handshake break?"
    COLLECT = _CAPTURE

    client: str
    server: str
    port: int
    server_name: str | None = None
    offered: tuple[int, ...] = ()
    """Cipher suites of the ClientHello."""
    versions: tuple[int, ...] = ()
    chosen: int | None = None
    version: int | None = None
    stage: TLSStage
    alert: int | None = None
    """The description of a fatal alert."""
    alert_by_server: bool | None = None
    reset: bool = False
    certificate_requested: bool | None = None
    client_certificate_sent: bool | None = None
    certificate: str = ""
    """Thumbprint of the server's own certificate, where it can be seen (TLS up to 1.2)."""
    not_tls: str = ""
    """What the other side said instead of TLS."""
    ended_by_server: bool | None = None
    """Who closed or reset the connection first; None: it was still open."""
    reset_from_between: bool | None = None
    """Whether hop limit or timing shows that the reset came from a device on the way."""
    repetitions: int = 0
    """How often the client repeated what it said last, unanswered."""
    issuers: tuple[str, ...] = ()
    """Thumbprints of the certificates that were sent behind the server's own."""
    incomplete: bool = False
    """Packets of it were cut off or not captured: what is not seen may have been there."""

    @property
    def null_offered(self) -> bool:
        """Whether suites without encryption were offered, as only IP-HTTPS does."""
        return any(suite in NULL_SUITES for suite in self.offered)

    @property
    def finished(self) -> bool:
        """Whether both sides went over to their keys."""
        return self.stage is TLSStage.FINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class DNSExchange(Fact):
    """One question and its answer."""

    QUESTION = "What do the DNS servers answer on the wire?"
    COLLECT = _CAPTURE

    name: str
    type: int
    server: str
    answered: bool
    asked: int = 1
    """How often, answered or not."""
    code: int | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IKEExchange(Fact):
    """One IKE or AuthIP negotiation."""

    QUESTION = "How far does the IPsec negotiation get on the wire?"
    COLLECT = _CAPTURE

    initiator: str
    responder: str
    protocol: str
    """IKEv1, AuthIP or IKEv2."""
    answered: bool
    retransmissions: int = 0
    notifies: tuple[int, ...] = ()
    error_code: int | None = None
    """Of Windows, where a notify carries one."""
    vendors: tuple[str, ...] = ()
    encrypted: bool = False
    stuck: bool = False
    """The last that was said was repeated and got no answer, although there were some before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeredoExchange(Fact):
    """Teredo qualification as seen on the wire."""

    QUESTION = "Does the Teredo server answer?"
    COLLECT = _CAPTURE

    client: str
    server: str
    solicitations: int
    answers: int
    same_mapping: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterAdvertisementSeen(Fact):
    """A Router Advertisement."""

    QUESTION = "Is a Router Advertisement seen?"
    COLLECT = _CAPTURE

    router: str
    lifetime: int
    prefixes: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    iphttps: bool = False
    """It was seen on an IP-HTTPS link, in a session with a NULL suite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPExchange(Fact):
    """An HTTP request in the clear, CONNECT among them, and its answer."""

    QUESTION = "What do proxies and portals answer?"
    COLLECT = _CAPTURE

    server: str
    method: str
    target: str
    status: int | None = None
    location: str = ""
    authenticate: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IPHTTPSLink(Fact):
    """An IP-HTTPS session with a NULL suite: what passed over the new link."""

    QUESTION = "Does the IP-HTTPS server advertise itself on the link?"
    COLLECT = _CAPTURE

    client: str
    server: str
    solicitations: int
    advertisements: int


class Refusal(StrEnum):
    """Why a packet did not arrive, as somebody on the way says by ICMP."""

    NO_ROUTE = "no route"
    UNREACHABLE = "the host cannot be reached"
    PROTOCOL = "the protocol is not spoken there"
    PORT = "nobody listens on the port"
    PROHIBITED = "a filter forbids it"
    TOO_BIG = "the packet is too big"
    HOP_LIMIT = "the packet went in circles"
    FRAGMENTS = "fragments are missing"
    OTHER = "another error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ICMPErrorSeen(Fact):
    """Somebody says by ICMP that packets did not arrive; alike ones once."""

    QUESTION = "Which errors do routers and hosts on the way report?"
    COLLECT = _CAPTURE

    reporter: str
    sender: str
    destination: str
    protocol: int
    port: int | None
    """To which the packet went."""
    refusal: Refusal
    mtu: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ESPSeen(Fact):
    """Packets of IPsec went from one address to the other."""

    QUESTION = "Does traffic protected by IPsec pass?"
    COLLECT = _CAPTURE

    sender: str
    receiver: str
    in_udp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentsSeen(Fact):
    """Packets in fragments between two addresses."""

    QUESTION = "Do fragments arrive whole?"
    COLLECT = _CAPTURE

    sender: str
    receiver: str
    protocol: int
    port: int | None = None
    """500 or 4500 for IKE, 3544 for Teredo."""
    whole: int
    broken: int
    """Of these the first fragment was seen, and not all the others."""
