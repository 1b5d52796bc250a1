"""From datagrams of a capture to exchanges: questions with their answers."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from throughway.doctor.parsers.captures.link import advertisement
from throughway.model.errors import WireError
from throughway.model.evidence import Source
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import (
    DNSExchange,
    IKEExchange,
    RouterAdvertisementSeen,
    TeredoExchange,
)
from throughway.proto.flows.tcp import RETRANSMISSION_TIME
from throughway.proto.flows.tracker import (
    DNS_PORT,
    IKE_PORT,
    NAT_T_PORT,
    AdvertisementReceived,
    DatagramReceived,
    Event,
)
from throughway.wire.dns import Answer, parse_answer
from throughway.wire.ike import Message, parse_ike, unwrap
from throughway.wire.ip import format_ip
from throughway.wire.teredo import PORT as TEREDO_PORT
from throughway.wire.teredo import Kind, Mapping, parse_teredo

MAXIMUM_EXCHANGES = 20_000
"""Exchanges of one kind; more say nothing new."""
MAXIMUM_MESSAGES = 1000
"""Messages of one negotiation that are remembered; later ones only show that it goes on."""

STUCK_AFTER = 2
"""Repetitions of the last message, after which a negotiation counts as stuck."""


@dataclass(slots=True)
class _Question:
    number: int
    asked: int = 0
    answer: Answer | None = None


@dataclass(slots=True)
class _Negotiation:
    number: int
    initiator: bytes
    responder: bytes
    protocol: str
    answered: bool = False
    retransmissions: int = 0
    encrypted: bool = False
    error: int | None = None
    notifies: dict[int, None] = field(default_factory=dict)
    vendors: dict[str, None] = field(default_factory=dict)
    last: bytes = b""
    """Who said something new last."""
    repeated: int = 0
    """How often that was repeated."""
    said: dict[bytes, float | None] = field(default_factory=dict)
    """Digests of messages, with when they were said."""


@dataclass(slots=True)
class _Qualification:
    number: int
    solicitations: int = 0
    answers: int = 0
    origins: set[Mapping] = field(default_factory=set)


class Exchanges:
    """Collects what belongs together."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._questions: dict[tuple[bytes, bytes, int, str], _Question] = {}
        self._negotiations: dict[bytes, _Negotiation] = {}
        self._qualifications: dict[tuple[bytes, int, bytes], _Qualification] = {}
        self._advertisements: dict[RouterAdvertisementSeen, None] = {}

    def add(self, event: Event) -> None:
        """Take an event; what cannot be read of its kind is left out."""
        if isinstance(event, AdvertisementReceived):
            self._add_advertisement(event)
        elif isinstance(event, DatagramReceived):
            try:
                self._add_datagram(event)
            except WireError:
                return

    def facts(self) -> Iterator[Fact]:
        """Yield what was found, equal things once."""
        found: dict[Fact, None] = {}
        for fact in (*self._dns(), *self._ike(), *self._teredo(), *self._advertisements):
            found.setdefault(fact)
        yield from found

    def _add_datagram(self, event: DatagramReceived) -> None:
        ports = {event.source_port, event.destination_port}
        if DNS_PORT in ports:
            self._add_dns(event)
        elif ports & {IKE_PORT, NAT_T_PORT}:
            message = unwrap(event.payload, NAT_T_PORT if NAT_T_PORT in ports else IKE_PORT)
            if message is not None:
                self._add_ike(event, message)
        elif TEREDO_PORT in ports:
            self._add_teredo(event)

    def _add_dns(self, event: DatagramReceived) -> None:
        answer = parse_answer(event.payload)
        message = answer.message
        if message.response:
            client, server = event.destination, event.source
        else:
            client, server = event.source, event.destination
        question = message.question
        key = (client, server, question.type, question.name)
        known = self._questions.get(key)
        if known is None and len(self._questions) < MAXIMUM_EXCHANGES:
            known = self._questions[key] = _Question(event.number)
        if known is not None and message.response:
            known.answer = answer
        elif known is not None:
            known.asked += 1

    def _dns(self) -> Iterator[Fact]:
        for (_, server, kind, name), question in self._questions.items():
            answer = question.answer
            yield DNSExchange(
                source=self._source(question.number),
                name=name,
                type=kind,
                server=format_ip(server),
                answered=answer is not None,
                asked=max(1, question.asked),
                code=answer.message.rcode if answer else None,
                addresses=answer.addresses if answer else (),
            )

    def _add_ike(self, event: DatagramReceived, payload: bytes) -> None:
        message = parse_ike(payload)
        key = message.initiator_spi
        known = self._negotiations.get(key)
        if known is None:
            if len(self._negotiations) >= MAXIMUM_EXCHANGES:
                return
            ends = (event.source, event.destination)
            initiator, responder = ends[::-1] if message.response else ends
            known = _Negotiation(event.number, initiator, responder, message.protocol)
            self._negotiations[key] = known
        self._note(known, event, message, payload)

    def _note(
        self, known: _Negotiation, event: DatagramReceived, message: Message, payload: bytes
    ) -> None:
        if event.source == known.responder:
            known.answered = True
        known.encrypted = known.encrypted or message.encrypted
        if len(known.said) < MAXIMUM_MESSAGES:
            known.notifies.update(dict.fromkeys(notify.type for notify in message.notifies))
            known.vendors.update(dict.fromkeys(message.vendors))
        known.error = known.error if known.error is not None else message.windows_error
        digest = hashlib.blake2b(event.source + payload, digest_size=16).digest()
        before, now = known.said.get(digest), event.timestamp
        if digest in known.said and (
            before is None or now is None or now - before >= RETRANSMISSION_TIME
        ):
            known.retransmissions += 1
            known.repeated += event.source == known.last
        if digest not in known.said:
            known.last, known.repeated = event.source, 0
        if len(known.said) < MAXIMUM_MESSAGES:
            known.said[digest] = now

    def _ike(self) -> Iterator[Fact]:
        for known in self._negotiations.values():
            yield IKEExchange(
                source=self._source(known.number),
                initiator=format_ip(known.initiator),
                responder=format_ip(known.responder),
                protocol=known.protocol,
                answered=known.answered,
                retransmissions=known.retransmissions,
                notifies=tuple(known.notifies),
                error_code=known.error,
                vendors=tuple(known.vendors),
                encrypted=known.encrypted,
                stuck=known.answered and known.repeated >= STUCK_AFTER,
            )

    def _add_teredo(self, event: DatagramReceived) -> None:
        packet = parse_teredo(event.payload)
        if packet.kind is Kind.SOLICITATION and event.destination_port == TEREDO_PORT:
            ends = (event.source, event.source_port, event.destination)
            known = self._qualification(ends, event.number)
            known.solicitations += 1
        elif packet.kind is Kind.ADVERTISEMENT and event.source_port == TEREDO_PORT:
            ends = (event.destination, event.destination_port, event.source)
            known = self._qualification(ends, event.number)
            known.answers += 1
            if packet.origin is not None:
                known.origins.add(packet.origin)

    def _qualification(self, key: tuple[bytes, int, bytes], number: int) -> _Qualification:
        if key not in self._qualifications and len(self._qualifications) >= MAXIMUM_EXCHANGES:
            return _Qualification(number)
        return self._qualifications.setdefault(key, _Qualification(number))

    def _teredo(self) -> Iterator[Fact]:
        """Yield one for each server; the mappings of one port are compared over all of them."""
        seen: dict[tuple[bytes, int], set[Mapping]] = {}
        answers: dict[tuple[bytes, int], int] = {}
        for (client, port, _), known in self._qualifications.items():
            end = (client, port)
            seen.setdefault(end, set()).update(known.origins)
            answers[end] = answers.get(end, 0) + (known.answers if known.origins else 0)
        for (client, port, server), known in self._qualifications.items():
            compared = answers[client, port] > 1
            yield TeredoExchange(
                source=self._source(known.number),
                client=format_ip(client),
                server=format_ip(server),
                solicitations=known.solicitations,
                answers=known.answers,
                same_mapping=len(seen[client, port]) == 1 if compared else None,
            )

    def _add_advertisement(self, event: AdvertisementReceived) -> None:
        if len(self._advertisements) < MAXIMUM_EXCHANGES:
            source = self._source(event.number)
            fact = advertisement(event.router, event.advertisement, source)
            self._advertisements.setdefault(fact)

    def _source(self, number: int) -> Source:
        return Source(self._file, None, f"packet {number}")
