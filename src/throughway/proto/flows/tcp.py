"""One TCP connection as a capture shows it: how it began, what was said first, how it ended."""

from dataclasses import dataclass, field
from enum import StrEnum

from throughway.wire.transport import TCPFlags, TCPSegment

KEPT_BYTES = 32 * 1024
"""Of each direction; a Windows server's list of accepted authorities alone may take 16 KiB."""
MAXIMUM_PENDING = 32
"""Segments of one direction that wait for one before them."""
RETRANSMISSION_TIME = 0.1
"""Seconds after which the same again is a retransmission; before, it is the same packet captured
in two places. The shortest timers wait longer."""
LOST_AFTER = 2
"""Repetitions of a segment that nobody acknowledged, after which it counts as lost for good."""

_APPLICATION_DATA = b"\x17\x03"
"""How a TLS record begins once a client has its keys and uses them: what the server answers to it
is the last that can tell anything (in a session with a NULL suite, the head of its answer)."""
_HTTP, _HEAD_LENGTH = b"HTTP/1.", 16
"""What a server says first in a session with a NULL suite, behind the head of the record."""
_SEQUENCES = 1 << 32
_HALF = 1 << 31
_SYN, _FIN, _RST, _ACK = (int(f) for f in (TCPFlags.SYN, TCPFlags.FIN, TCPFlags.RST, TCPFlags.ACK))


class Side(StrEnum):
    """Who did it."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPFlow:
    """What is known of a connection when it has ended or the capture has."""

    client: bytes
    """Address, of either version."""
    client_port: int
    server: bytes
    server_port: int
    first_packet: int
    """Number of its first packet in the capture, counted from 1."""
    last_packet: int
    began: float | None
    ended: float | None
    attempts: int
    """SYNs of the client; 0: the connection was there before the capture began."""
    answered: bool
    """Whether the server said SYN and ACK."""
    established: bool
    """Whether the client confirmed that, or data went."""
    reset_by: Side | None
    finished_by: Side | None
    """Who said first that it has no more to say."""
    sent: int
    """Bytes from client to server, as the sequence numbers tell."""
    received: int
    client_data: bytes
    """How it begins, as far as it was captured without a gap."""
    server_data: bytes
    client_retransmissions: int
    server_retransmissions: int
    complete: bool = True
    """False when it was given up to save memory."""
    peer_hop_limit: int | None = None
    """Of the first packet of the side that reset it; of the server where none did."""
    reset_hop_limit: int | None = None
    round_trip: float | None = None
    """Seconds from SYN to SYN and ACK, when the first was answered."""
    reset_delay: float | None = None
    """Seconds from what the other side said last to the reset."""
    lost_by: Side | None = None
    """Whose large segment never arrived, however often it was sent."""
    lost_size: int = 0
    """Bytes of data in that segment; of the gap where it was not seen at all."""
    gap_at: float | None = None
    """When a gap showed, where only what followed it was seen."""


@dataclass(slots=True)
class Direction:
    """What one side sends."""

    data: bytearray = field(default_factory=bytearray)
    retransmissions: int = 0
    first: int | None = None
    """Sequence number of the first byte."""
    reached: int = 0
    """Bytes up to the end of the farthest segment."""
    heard_at: float | None = None
    acknowledged: int = 0
    """Bytes that the other side has got."""
    gap_at: float | None = None
    """When a segment came with a gap before it, last."""
    _repeated_at: int = -1
    _repeated: int = 0
    _repeated_length: int = 0
    _answers: int = 0
    """What the other side sent since it was repeated: small packets pass."""
    _pending: dict[int, bytes] = field(default_factory=dict)
    _waiting: int = 0
    _broken: bool = False

    @property
    def kept(self) -> int:
        """Bytes of it that are in memory."""
        return len(self.data) + self._waiting

    @property
    def full(self) -> bool:
        """Whether no more of it is wanted."""
        return self._broken or len(self.data) >= KEPT_BYTES

    @property
    def lost(self) -> int:
        """Bytes of the segment that was repeated in vain."""
        waits = self._answers and self.acknowledged <= self._repeated_at
        return self._repeated_length if waits and self._repeated >= LOST_AFTER else 0

    @property
    def gap(self) -> int:
        """Bytes that are missing before what came, and that the other side has not got either."""
        have = len(self.data)
        if self._broken or not self._pending or self.acknowledged > have:
            return 0
        return min(self._pending) - have

    def begin(self, sequence: int) -> None:
        """Take the number of the first byte."""
        self.first = sequence % _SEQUENCES

    def acknowledge(self, number: int) -> None:
        """Take what the other side says that it has got."""
        if self.first is not None:
            self.acknowledged = max(self.acknowledged, self._offset(number))
            self._answers += self._repeated > 0

    def receive(self, segment: TCPSegment, at: float | None) -> None:
        """Take a segment with data."""
        if self.first is None:
            self.begin(segment.sequence)
            self._broken = True
        offset = self._offset(segment.sequence)
        end = offset + segment.length
        if end <= self.reached:
            if segment.length > 1 and self._is_later(at):
                self._repeat(offset, segment.length)
        else:
            self.reached = end
        self.heard_at = at
        if not self.full and offset >= 0:
            self._keep(offset, segment)

    def _repeat(self, offset: int, length: int) -> None:
        self.retransmissions += 1
        if offset != self._repeated_at:
            self._repeated_at, self._repeated, self._repeated_length = offset, 0, length
            self._answers = 0
        self._repeated += 1

    def pass_over(self, sequence: int) -> None:
        """Take the sequence number of a later segment, which was not looked at."""
        if self.first is not None:
            self.reached = max(self.reached, self._offset(sequence))

    def _offset(self, sequence: int) -> int:
        """Return the place of a byte, near to what was reached (numbers wrap at 4 GiB)."""
        near = ((self.first or 0) + self.reached) % _SEQUENCES
        return self.reached + (sequence - near + _HALF) % _SEQUENCES - _HALF

    def _is_later(self, at: float | None) -> bool:
        return at is None or self.heard_at is None or at - self.heard_at >= RETRANSMISSION_TIME

    def _keep(self, offset: int, segment: TCPSegment) -> None:
        have = len(self.data)
        if offset > have:
            if not self._pending:
                self.gap_at = self.heard_at
            if len(self._pending) < MAXIMUM_PENDING and offset not in self._pending:
                self._pending[offset] = segment.payload
                self._waiting += len(segment.payload)
            return
        self.data += segment.payload[have - offset :]
        if len(segment.payload) < segment.length:
            # Captured with a short length: what follows has a gap before it.
            self._broken = True
        while self._pending and (first := min(self._pending)) <= len(self.data):
            payload = self._pending.pop(first)
            self._waiting -= len(payload)
            self.data += payload[len(self.data) - first :]
        if self.full:
            self._pending.clear()
            self._waiting = 0
            del self.data[KEPT_BYTES:]


@dataclass(slots=True)
class Connection:
    """A connection that is being followed."""

    client: bytes
    client_port: int
    server: bytes
    server_port: int
    first_packet: int
    began: float | None
    from_client: Direction = field(default_factory=Direction)
    from_server: Direction = field(default_factory=Direction)
    last_packet: int = 0
    ended: float | None = None
    attempts: int = 0
    answered: bool = False
    established: bool = False
    reset_by: Side | None = None
    finished_by: Side | None = None
    counted: int = 0
    """Bytes of it in the sum over all connections."""
    reset_hop_limit: int | None = None
    reset_delay: float | None = None
    round_trip: float | None = None
    _hop_limits: dict[Side, int] = field(default_factory=dict)
    _heard: dict[Side, float | None] = field(default_factory=dict)
    _finished: set[Side] = field(default_factory=set)
    _asked_at: float | None = None
    _client_ciphers: bool = False
    _both_cipher: bool = False
    _in_the_clear: bool = False

    @property
    def closed(self) -> bool:
        """Whether nothing follows that matters."""
        return self.reset_by is not None or len(self._finished) == 2

    @property
    def told_all(self) -> bool:
        """Whether what comes now is only more data."""
        hidden = self._both_cipher and not self._in_the_clear
        return hidden or self.from_client.full or self.from_server.full

    @property
    def kept(self) -> int:
        """Bytes of it that are in memory."""
        return self.from_client.kept + self.from_server.kept

    def is_new(self, segment: TCPSegment, side: Side) -> bool:
        """Whether this segment begins another connection between the same ports."""
        if not segment.flags & _SYN or segment.flags & _ACK:
            return False
        began = self.from_client.first
        return side is Side.SERVER or began != (segment.sequence + 1) % _SEQUENCES

    def receive(
        self, segment: TCPSegment, side: Side, at: float | None, number: int, hop_limit: int = 0
    ) -> None:
        """Take a segment of either side."""
        self.last_packet, self.ended = number, at
        direction, other = self.from_client, self.from_server
        if side is Side.SERVER:
            direction, other = other, direction
        if segment.flags & _ACK:
            other.acknowledge(segment.acknowledgment)
        if segment.flags & _SYN:
            self._begin(segment, side, at, direction)
        elif side is Side.CLIENT and self.answered:
            self.established = True
        if segment.length:
            self.established = self.established or not segment.flags & _SYN
            direction.receive(segment, at)
            if segment.payload.startswith(_APPLICATION_DATA):
                self._receive_application(segment.payload, side)
        if segment.flags & _RST:
            self._reset(side, at, hop_limit)
        elif segment.flags & _FIN:
            self.finished_by = self.finished_by or side
            self._finished.add(side)
            direction.pass_over(segment.sequence + segment.length)
        self._hop_limits.setdefault(side, hop_limit)
        self._heard[side] = at

    def _receive_application(self, payload: bytes, side: Side) -> None:
        if side is Side.CLIENT:
            self._client_ciphers = True
            return
        self._both_cipher = self._both_cipher or self._client_ciphers
        # A NULL suite hides nothing: the link that begins here is worth reading.
        head = payload[len(_APPLICATION_DATA) : _HEAD_LENGTH]
        self._in_the_clear = self._in_the_clear or _HTTP in head

    def _reset(self, side: Side, at: float | None, hop_limit: int) -> None:
        if self.reset_by is not None:
            return
        self.reset_by, self.reset_hop_limit = side, hop_limit
        asked = self._heard.get(Side.CLIENT if side is Side.SERVER else Side.SERVER)
        if at is not None and asked is not None:
            self.reset_delay = at - asked

    def _begin(
        self, segment: TCPSegment, side: Side, at: float | None, direction: Direction
    ) -> None:
        direction.begin(segment.sequence + 1)
        if side is Side.SERVER:
            if not self.answered and self.attempts == 1 and None not in (at, self._asked_at):
                self.round_trip = (at or 0) - (self._asked_at or 0)
            self.answered = True
            return
        before, self._asked_at = self._asked_at, at
        if before is None or at is None or at - before >= RETRANSMISSION_TIME:
            self.attempts += 1

    def result(self, complete: bool = True) -> TCPFlow:
        """Return what is known now."""
        lost_by, lost_size, gap_at = self._lost()
        return TCPFlow(
            client=self.client,
            client_port=self.client_port,
            server=self.server,
            server_port=self.server_port,
            first_packet=self.first_packet,
            last_packet=self.last_packet,
            began=self.began,
            ended=self.ended,
            attempts=self.attempts,
            answered=self.answered,
            established=self.established,
            reset_by=self.reset_by,
            finished_by=self.finished_by,
            sent=self.from_client.reached,
            received=self.from_server.reached,
            client_data=bytes(self.from_client.data),
            server_data=bytes(self.from_server.data),
            client_retransmissions=self.from_client.retransmissions,
            server_retransmissions=self.from_server.retransmissions,
            complete=complete,
            peer_hop_limit=self._hop_limits.get(self.reset_by or Side.SERVER),
            reset_hop_limit=self.reset_hop_limit,
            round_trip=self.round_trip,
            reset_delay=self.reset_delay,
            lost_by=lost_by,
            lost_size=lost_size,
            gap_at=gap_at,
        )

    def _lost(self) -> tuple[Side | None, int, float | None]:
        for side, direction in ((Side.CLIENT, self.from_client), (Side.SERVER, self.from_server)):
            if direction.lost:
                return side, direction.lost, None
            if direction.gap:
                return side, direction.gap, direction.gap_at
        return None, 0, None
