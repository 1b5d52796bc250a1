"""From connections of a capture to facts: TCP, TLS without keys, HTTP in the clear."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from throughway.doctor.parsers.captures.link import read_link
from throughway.doctor.parsers.captures.shown import read_certificate, read_list
from throughway.model.errors import WireError
from throughway.model.evidence import Source
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import (
    ConnectionEnd,
    HTTPExchange,
    TCPConnection,
    TLSHandshake,
    TLSStage,
)
from throughway.proto.flows.tcp import KEPT_BYTES, Side, TCPFlow
from throughway.wire.http import (
    PROXY_AUTHENTICATION_REQUIRED,
    Request,
    Response,
    parse_request,
    parse_response,
)
from throughway.wire.ip import format_ip
from throughway.wire.tls import Alert, Opening, Stream, read_stream, recognise
from throughway.wire.tls_handshake import (
    Certificate,
    CertificateRequest,
    ClientHello,
    HandshakeType,
    ServerHello,
)

MAXIMUM_FACTS = 20_000
"""Different connections, handshakes and so on; more say nothing new."""
PATIENCE = 3.0
"""Seconds for which a connection must have waited before no answer is none."""
LARGE = 500
"""Bytes of a segment that may be too large for the way; what is smaller was lost otherwise."""
_HOP_LIMITS = (64, 128, 255)
"""With which packets set out."""
_OTHER_PLACE = 3
"""Hops of difference which no other way between the same two explains."""
_MEASURABLE = 0.008
"""Seconds; on shorter ways timing tells nothing."""
_MAXIMUM_TRIES = 8
"""Requests of one connection that a proxy may answer with 407 before it lets it through."""
_Message = TypeVar("_Message", ClientHello, Certificate, CertificateRequest)
_TLS_1_3 = 0x0304
_LONGEST_ALERT = 40
"""Bytes of an encrypted alert of TLS 1.3; the Finished message is longer."""
_OK = 200
_SEQUENCES = (b"\x30\x81", b"\x30\x82", b"\x30\x83")
"""How a revocation list begins (DER)."""
_LINE = 80
"""Characters that are quoted of what is no TLS."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A connection that nobody had answered when it was last seen."""

    fact: TCPConnection
    asked_at: float | None


class Streams:
    """Collects facts; what happened often is told once, with how often."""

    def __init__(self, file: str) -> None:
        self.ended: float | None = None
        """When the capture ended."""
        self._file = file
        self._connections: dict[tuple[str, str, int, ConnectionEnd], TCPConnection] = {}
        self._waiting: list[_Waiting] = []
        self._facts: dict[Fact, None] = {}

    def add(self, flow: TCPFlow) -> None:
        """Take a connection that has ended, or that is open at the end."""
        source = Source(self._file, None, f"packet {flow.first_packet}")
        fact = self._connection(flow, source)
        if fact.end is ConnectionEnd.NO_ANSWER and flow.attempts < 2:
            self._waiting.append(_Waiting(fact, flow.ended))
        else:
            self._count(fact)
        if len(self._facts) < MAXIMUM_FACTS:
            for told in _told(flow, source):
                self._facts.setdefault(told)

    def facts(self) -> Iterator[Fact]:
        """Yield them all."""
        for waiting in self._waiting:
            if self._waited(waiting.asked_at):
                self._count(waiting.fact)
        yield from self._connections.values()
        yield from self._facts

    def _connection(self, flow: TCPFlow, source: Source) -> TCPConnection:
        lost = flow.lost_size >= LARGE and self._is_gone(flow)
        return TCPConnection(
            source=source,
            client=format_ip(flow.client),
            server=format_ip(flow.server),
            port=flow.server_port,
            end=_end(flow),
            attempts=max(1, flow.attempts),
            bytes_sent=flow.sent,
            bytes_received=flow.received,
            reset_from_between=_from_between(flow),
            lost_by_server=flow.lost_by is Side.SERVER if lost else None,
            lost_size=flow.lost_size if lost else 0,
        )

    def _is_gone(self, flow: TCPFlow) -> bool:
        """Whether a gap stayed one for long enough not to be a packet that is late."""
        if flow.gap_at is None:
            return True
        closed = flow.reset_by is not None or flow.finished_by is not None
        end = flow.ended if closed else self.ended
        return end is not None and end - flow.gap_at >= PATIENCE

    def _waited(self, asked_at: float | None) -> bool:
        """Whether there was time to answer before the capture ended."""
        if asked_at is None or self.ended is None:
            return True
        return self.ended - asked_at >= PATIENCE

    def _count(self, fact: TCPConnection) -> None:
        key = (fact.client, fact.server, fact.port, fact.end)
        known = self._connections.get(key)
        if known is not None:
            fact = replace(
                known,
                attempts=known.attempts + fact.attempts,
                bytes_sent=known.bytes_sent + fact.bytes_sent,
                bytes_received=known.bytes_received + fact.bytes_received,
                reset_from_between=known.reset_from_between or fact.reset_from_between,
                lost_by_server=known.lost_by_server if known.lost_size else fact.lost_by_server,
                lost_size=known.lost_size or fact.lost_size,
            )
        elif len(self._connections) >= MAXIMUM_FACTS:
            return
        self._connections[key] = fact


def _from_between(flow: TCPFlow) -> bool | None:
    """Tell whether somebody on the way sent the reset; None where nothing tells."""
    if flow.reset_by is None:
        return None
    early = flow.received == 0 and flow.reset_by is Side.SERVER
    if early and flow.answered and flow.round_trip is not None and flow.reset_delay is not None:
        near = flow.round_trip >= _MEASURABLE and flow.reset_delay < flow.round_trip / 4
        if near:
            return True
    peer, reset = _distance(flow.peer_hop_limit), _distance(flow.reset_hop_limit)
    if not flow.answered or peer is None or reset is None:
        return None
    return abs(peer - reset) >= _OTHER_PLACE


def _distance(hop_limit: int | None) -> int | None:
    """Return how many hops away a packet set out."""
    if not hop_limit:
        return None
    return next(start - hop_limit for start in _HOP_LIMITS if hop_limit <= start)


def _end(flow: TCPFlow) -> ConnectionEnd:
    if flow.attempts and not flow.answered and not flow.received and not flow.sent:
        refused = flow.reset_by is Side.SERVER
        return ConnectionEnd.REFUSED if refused else ConnectionEnd.NO_ANSWER
    if flow.finished_by is not None:
        server = flow.finished_by is Side.SERVER
        return ConnectionEnd.CLOSED_BY_SERVER if server else ConnectionEnd.CLOSED_BY_CLIENT
    if flow.reset_by is not None:
        server = flow.reset_by is Side.SERVER
        return ConnectionEnd.RESET_BY_SERVER if server else ConnectionEnd.RESET_BY_CLIENT
    return ConnectionEnd.OPEN


def _told(flow: TCPFlow, source: Source) -> Iterator[Fact]:
    """Yield what both sides said in the clear."""
    said, answer = flow.client_data, flow.server_data
    if recognise(said) is Opening.HTTP_REQUEST:
        exchange, said, answer = _http(flow, source, said, answer)
        if exchange is not None:
            yield exchange
            if exchange.method == "GET" and answer.startswith(_SEQUENCES):
                yield from filter(None, (read_list(answer, source),))
        if exchange is None or exchange.method != "CONNECT":
            return
    if recognise(said) in (Opening.TLS, Opening.SSL2):
        yield from _tls(flow, source, said, answer)


def _http(
    flow: TCPFlow, source: Source, said: bytes, answer: bytes
) -> tuple[HTTPExchange | None, bytes, bytes]:
    """Return the exchange that counts, and what came behind both heads of it.

    That is the first, or behind a proxy that asks who it is the last one.
    """
    exchange: HTTPExchange | None = None
    behind = b""
    for _ in range(_MAXIMUM_TRIES):
        try:
            request = parse_request(said)
        except WireError:
            break
        try:
            response: Response | None = parse_response(answer)
        except WireError:
            response = None
        exchange = _exchange(flow, source, request, response)
        said, behind = said[request.length :], b""
        if response is None:
            break
        behind = answer[response.length :]
        if request.method != "CONNECT" or response.status != PROXY_AUTHENTICATION_REQUIRED:
            break
        answer = behind[max(0, behind.find(b"HTTP/1.")) :]
    return exchange, said, behind


def _exchange(
    flow: TCPFlow, source: Source, request: Request, response: Response | None
) -> HTTPExchange:
    headers = response.headers if response else None
    wanted = headers.all("proxy-authenticate") + headers.all("www-authenticate") if headers else ()
    return HTTPExchange(
        source=source,
        server=format_ip(flow.server),
        method=request.method,
        target=request.target,
        status=response.status if response else None,
        location=response.redirect if response else "",
        authenticate=", ".join(wanted),
        host=request.headers.get("host"),
    )


def _tls(flow: TCPFlow, source: Source, said: bytes, answer: bytes) -> Iterator[Fact]:
    client, server = read_stream(said), read_stream(answer)
    hello = _first(ClientHello, client)
    chosen = _chosen(server)
    shown = _first(Certificate, server)
    alert, by_server = _alert(client, server)
    stage = _stage(client, server, chosen)
    sent = _first(Certificate, client)
    read = (read_certificate(der, source) for der in (shown.chain if shown else ()))
    certificates = [certificate for certificate in read if certificate is not None]
    yield TLSHandshake(
        source=source,
        client=format_ip(flow.client),
        server=format_ip(flow.server),
        port=flow.server_port,
        server_name=hello.server_name if hello else None,
        offered=hello.suites if hello else (),
        versions=hello.versions if hello else (),
        chosen=chosen.suite if chosen else None,
        version=chosen.version if chosen else None,
        stage=stage,
        alert=alert.description if alert else None,
        alert_by_server=by_server,
        reset=flow.reset_by is not None and stage is not TLSStage.FINISHED,
        certificate_requested=_requested(server, chosen),
        client_certificate_sent=bool(sent.chain) if sent else None,
        certificate=certificates[0].thumbprint if certificates else "",
        not_tls=_not_tls(answer),
        ended_by_server=_ended_by_server(flow),
        reset_from_between=_from_between(flow),
        repetitions=0 if flow.received else flow.client_retransmissions,
        issuers=tuple(certificate.thumbprint for certificate in certificates[1:]),
        incomplete=_is_cut(flow),
    )
    yield from certificates
    if chosen is not None and chosen.null_suite and client.application:
        yield from _session(flow, source, client.application, server.application)


def _session(flow: TCPFlow, source: Source, said: bytes, answer: bytes) -> Iterator[Fact]:
    """Read a session that nothing hides: the request, and the link behind its answer."""
    exchange, said, answer = _http(flow, source, said, answer)
    if exchange is None:
        return
    yield exchange
    if exchange.status == _OK:
        ends = (format_ip(flow.client), format_ip(flow.server))
        yield from read_link(ends, source, said, answer)


def _is_cut(flow: TCPFlow) -> bool:
    """Whether some of what both said is not in the capture."""
    both = ((flow.client_data, flow.sent), (flow.server_data, flow.received))
    return any(len(data) < min(length, KEPT_BYTES) for data, length in both)


def _ended_by_server(flow: TCPFlow) -> bool | None:
    side = flow.finished_by or flow.reset_by
    return None if side is None else side is Side.SERVER


def _first(kind: type[_Message], stream: Stream) -> _Message | None:
    return next((message for message in stream.messages if isinstance(message, kind)), None)


def _chosen(server: Stream) -> ServerHello | None:
    """Return the last hello of the server: one before it may only ask for another offer."""
    hellos = [message for message in server.messages if isinstance(message, ServerHello)]
    return hellos[-1] if hellos else None


def _alert(client: Stream, server: Stream) -> tuple[Alert | None, bool | None]:
    for stream, by_server in ((server, True), (client, False)):
        for alert in stream.alerts:
            if alert.fatal:
                return alert, by_server
    return None, None


def _stage(client: Stream, server: Stream, chosen: ServerHello | None) -> TLSStage:
    if chosen is None:
        return TLSStage.CLIENT_HELLO
    if chosen.version >= _TLS_1_3:
        return _stage_of_tls_1_3(client, server)
    if client.ciphered and server.ciphered:
        return TLSStage.FINISHED
    types = {message.type for message in (*server.messages, *client.messages)}
    if HandshakeType.CLIENT_KEY_EXCHANGE in types:
        return TLSStage.CLIENT_KEY_EXCHANGE
    if HandshakeType.CERTIFICATE_REQUEST in types:
        return TLSStage.CERTIFICATE_REQUEST
    if _first(Certificate, server) is not None:
        return TLSStage.CERTIFICATE
    return TLSStage.SERVER_HELLO


def _stage_of_tls_1_3(client: Stream, server: Stream) -> TLSStage:
    """Tell by sizes: a client that gives up says only an alert, which is shorter than Finished."""
    if not server.encrypted_records:
        return TLSStage.SERVER_HELLO
    if not client.encrypted_records or len(client.application) <= _LONGEST_ALERT:
        return TLSStage.CERTIFICATE
    return TLSStage.FINISHED


def _requested(server: Stream, chosen: ServerHello | None) -> bool | None:
    """Tell whether a client certificate was wanted; TLS 1.3 says that under keys."""
    if _first(CertificateRequest, server) is not None:
        return True
    done = any(message.type == HandshakeType.SERVER_HELLO_DONE for message in server.messages)
    return False if done and chosen is not None and chosen.version < _TLS_1_3 else None


def _not_tls(answer: bytes) -> str:
    opening = recognise(answer)
    if opening in (None, Opening.TLS):
        return ""
    line = answer.splitlines()[0][:_LINE].decode("ascii", "backslashreplace")
    return f"{opening}: {line}" if opening is not Opening.OTHER else str(opening)
