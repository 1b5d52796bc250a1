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


class TLSStage(StrEnum):
    """How far a handshake got, in order."""

    CLIENT_HELLO = "after ClientHello"
    SERVER_HELLO = "after ServerHello"
    CERTIFICATE = "after the server's Certificate"
    CERTIFICATE_REQUEST = "after CertificateRequest"
    CLIENT_KEY_EXCHANGE = "after the client's answer"
    FINISHED = "finished"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DNSExchange(Fact):
    """One question and its answer."""

    QUESTION = "What do the DNS servers answer on the wire?"
    COLLECT = _CAPTURE

    name: str
    type: int
    server: str
    answered: bool
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
class TraceFile(Fact):
    """An ETL trace, which must be converted before it can be read."""

    size: int
