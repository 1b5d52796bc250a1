"""From connections of a capture to facts: TCP, TLS without keys, HTTP in the clear."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from throughway.doctor.parsers.captures.shown import read_certificate
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
from throughway.proto.flows.tcp import Side, TCPFlow
from throughway.wire.http import Request, Response, parse_request, parse_response
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
_Message = TypeVar("_Message", ClientHello, Certificate, CertificateRequest)
_TLS_1_3 = 0x0304
_LONGEST_ALERT = 40
"""Bytes of an encrypted alert of TLS 1.3; the Finished message is longer."""
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
        fact = _connection(flow, source)
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
            )
        elif len(self._connections) >= MAXIMUM_FACTS:
            return
        self._connections[key] = fact


def _connection(flow: TCPFlow, source: Source) -> TCPConnection:
    return TCPConnection(
        source=source,
        client=format_ip(flow.client),
        server=format_ip(flow.server),
        port=flow.server_port,
        end=_end(flow),
        attempts=max(1, flow.attempts),
        bytes_sent=flow.sent,
        bytes_received=flow.received,
    )


def _end(flow: TCPFlow) -> ConnectionEnd:
    if flow.attempts and not flow.answered and not flow.received:
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
        if exchange is None or exchange.method != "CONNECT":
            return
    if recognise(said) in (Opening.TLS, Opening.SSL2):
        yield from _tls(flow, source, said, answer)


def _http(
    flow: TCPFlow, source: Source, said: bytes, answer: bytes
) -> tuple[HTTPExchange | None, bytes, bytes]:
    """Return the first exchange, and what came behind both heads."""
    try:
        request = parse_request(said)
    except WireError:
        return None, b"", b""
    try:
        response: Response | None = parse_response(answer)
    except WireError:
        response = None
    exchange = _exchange(flow, source, request, response)
    behind = answer[response.length :] if response else b""
    return exchange, said[request.length :], behind


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
    )
    yield from certificates
    if chosen is not None and chosen.null_suite and client.application:
        exchange, _, _ = _http(flow, source, client.application, server.application)
        if exchange is not None:
            yield exchange


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
