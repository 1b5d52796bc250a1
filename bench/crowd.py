"""Very many IP-HTTPS clients in one process, for :mod:`bench.scale`: TLS, request, packets.

    python -m bench.crowd

Reads commands, one JSON object a line, from standard input and answers each with a line; between
them what the server sends is read. The clients have no kernel of their own: a ping is a packet
made here.
"""

import contextlib
import json
import os
import select
import socket
import ssl
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

from throughway.proto.iphttps.http import ResponseReader, build_request, parse_url
from throughway.wire.icmpv6 import Echo, build_icmpv6
from throughway.wire.ipv6 import ALL_NODES

NAME = "da.example.com"
URL = parse_url(f"https://{NAME}/IPHTTPS")
PORT = 443
READ = 64 * 1024
SOURCES_FROM = 0x7F010001
"""127.1.0.1: every caller binds to one of the addresses from here on."""
PATIENCE = 120.0
"""Seconds for a connection to become a session, and for the last answer of pings."""
DATAGRAM = 1200
"""Bytes of payload."""
BURST, ROOM = 25, 250
"""Datagrams at once, and how many may wait in the devices of the gateway: they have little room."""
ADVERTISEMENT, ECHO_REPLY, REPLY_AT = 134, 129, 40


Answer = dict[str, object]


class Caller:
    """One client."""

    def __init__(self, number: int, source: str, tls: ssl.SSLContext, server: str) -> None:
        self.number = number
        self.address = self.router = b""
        """Of the /64 which is advertised."""
        self.opened = False
        self.reading = True
        self.error = ""
        self.began = time.monotonic()
        self.answered: dict[int, float] = {}
        """When pings were answered, by sequence number."""
        self.unsent = b""
        self._reader: ResponseReader | None = None
        self._tail = b""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)
        self._shaken = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        # Ports are chosen at connect: else a source has no more than the local range in all.
        self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind((source, 0))
        self.socket.connect_ex((server, PORT))

    def receive(self) -> None:
        """Read what there is."""
        try:
            data = self.socket.recv(READ)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError("closed")
        self._incoming.write(data)
        self.advance()

    def advance(self) -> None:
        """Shake hands, ask, take packets, as far as it goes."""
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                self._reader = ResponseReader()
                self._tls.write(build_request(URL, f"caller-{self.number}"))
            while data := self._tls.read(READ):
                self._take(data)
            raise ConnectionResetError("ended")
        except ssl.SSLWantReadError:
            pass
        finally:
            self.flush()

    def _take(self, data: bytes) -> None:
        if self._reader is not None:
            response = self._reader.receive_data(data)
            if response is None:
                return
            if response.status != 200:
                raise ConnectionRefusedError(f"{response.status} {response.reason}")
            self._reader, data = None, response.remainder
        data, start, now = self._tail + data, 0, time.monotonic()
        while len(data) - start >= 40:
            end = start + 40 + (data[start + 4] << 8 | data[start + 5])
            if end > len(data):
                break
            if data[start + 6] == 58 and data[start + REPLY_AT] == ECHO_REPLY:
                sequence = int.from_bytes(data[start + 46 : start + 48], "big")
                self.answered.setdefault(sequence, now)
            elif data[start + 6] == 58 and data[start + REPLY_AT] == ADVERTISEMENT:
                self._join(data[start + 56 : end])
            start = end
        self._tail = data[start:]

    def _join(self, options: bytes) -> None:
        """Have an address of the prefix among the options (RFC 4861, section 4.6.2)."""
        while options:
            if options[0] == 3:
                prefix = options[16:24]
                self.address = prefix + (self.number + 0x10000).to_bytes(8, "big")
                self.router = prefix + bytes(7) + b"\x01"
                self.opened = True
            options = options[options[1] * 8 :]

    def send(self, packets: bytes) -> None:
        """Send packets, behind what is unsent."""
        self._tls.write(packets)
        self.flush()

    def flush(self) -> None:
        """Send what TLS has said."""
        self.unsent += self._outgoing.read()
        if self.unsent:
            with contextlib.suppress(BlockingIOError):
                self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def ping(self, sequence: int) -> None:
        """Ask the gateway for an echo."""
        echo = Echo(reply=False, identifier=self.number & 0xFFFF, sequence=sequence, data=b"scale")
        self.send(build_icmpv6(echo, source=self.address, destination=self.router))


class Crowd:
    """All clients, and one loop around them."""

    def __init__(self) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE
        self._callers: dict[int, Caller] = {}
        self._poll = select.epoll()
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        self._next = 0
        self._asked = b""
        self._going: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._floods: list[tuple[Caller, bytes]] = []

    def run(self) -> None:
        """Obey until the end of standard input."""
        while True:
            if b"\n" not in self._asked:
                if self.turn(None):
                    data = os.read(sys.stdin.fileno(), 65536)
                    if not data:
                        return
                    self._asked += data
                continue
            line, _, self._asked = self._asked.partition(b"\n")
            wanted = json.loads(line)
            answer = getattr(self, "do_" + wanted.pop("do"))(**wanted)
            print(json.dumps(answer), flush=True)

    def turn(self, timeout: float | None) -> bool:
        """Serve whoever is ready; return whether there is a command."""
        asked = False
        if self._floods:
            timeout = 0.0
        for fd, what in self._poll.poll(timeout):
            if fd == sys.stdin.fileno():
                asked = True
                continue
            caller = self._callers[fd]
            try:
                if what & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                    caller.receive()
                if what & select.EPOLLOUT:
                    caller.flush() if caller.unsent else caller.advance()
            except (OSError, ValueError) as error:
                self._lose(fd, f"{type(error).__name__}: {error}")
            else:
                self._watch(fd, caller)
        self._pour()
        return asked

    def _watch(self, fd: int, caller: Caller) -> None:
        wanted = (select.EPOLLIN if caller.reading else 0) | (
            select.EPOLLOUT if caller.unsent else 0
        )
        self._poll.modify(fd, wanted)

    def _lose(self, fd: int, why: str) -> None:
        caller = self._callers.pop(fd)
        caller.error = why
        self._poll.unregister(fd)
        caller.socket.close()
        self._failed[why] += 1

    def _start(self, sources: int, server: str) -> Caller:
        packed = SOURCES_FROM + self._next % sources
        source = socket.inet_ntoa(packed.to_bytes(4, "big"))
        caller = Caller(self._next, source, self._tls, server)
        self._next += 1
        self._callers[caller.socket.fileno()] = caller
        self._poll.register(caller.socket.fileno(), select.EPOLLOUT)
        return caller

    def _open(self) -> list[Caller]:
        return [caller for caller in self._callers.values() if caller.opened]

    # Commands

    def do_open(
        self, count: int, at_once: int, sources: int = 256, server: str = "127.0.0.1"
    ) -> Answer:
        """Open so many sessions, so many of them at a time."""
        begin, took = time.monotonic(), []
        left, pending = count, deque[Caller]()
        self._failed.clear()
        while left or pending:
            while left and len(pending) < at_once:
                pending.append(self._start(sources, server))
                left -= 1
            self.turn(0.05)
            now = time.monotonic()
            for _ in range(len(pending)):
                caller = pending.popleft()
                if caller.opened:
                    took.append(now - caller.began)
                elif not caller.error and now - caller.began < PATIENCE:
                    pending.append(caller)
                elif not caller.error:
                    self._lose(caller.socket.fileno(), "no answer in time")
        return {
            "opened": len(took),
            "failed": dict(self._failed),
            "seconds": time.monotonic() - begin,
            "longest": max(took, default=0.0),
        }

    def do_silent(self, count: int, hello: bool = False, sources: int = 256) -> Answer:
        """Connect and say nothing, or no more than the first word of TLS."""
        for _ in range(count):
            caller = self._start(sources, "127.0.0.1")
            self._poll.modify(caller.socket.fileno(), 0)
            if hello:
                with contextlib.suppress(OSError):
                    caller.advance()
        return {"connected": count}

    def do_ping(self, count: int, seconds: float, interval: float = 1.0, first: int = 0) -> Answer:
        """Let so many sessions ping the gateway in each interval, evenly spread."""
        chosen = self._open()[first : first + count]
        rounds = max(1, round(seconds / interval))
        begin, sent = time.monotonic(), {}
        for sequence in range(1, rounds + 1):
            for index, caller in enumerate(chosen):
                due = begin + (sequence - 1 + index / len(chosen)) * interval
                while (left := due - time.monotonic()) > 0:
                    self.turn(left)
                caller.answered.pop(sequence, None)
                sent[caller, sequence] = time.monotonic()
                caller.ping(sequence)
                self.turn(0)
        until = time.monotonic() + PATIENCE

        def missing() -> Iterator[tuple[Caller, int]]:
            return ((c, s) for c, s in sent if not c.error and s not in c.answered)

        while next(missing(), None) and time.monotonic() < until:
            self.turn(0.1)
        times = [c.answered[s] - at for (c, s), at in sent.items() if s in c.answered]
        return {
            "sent": len(sent),
            "lost": len(sent) - len(times),
            "rtt": statistics.median(times) if times else None,
            "longest": max(times, default=None),
        }

    def do_stop_reading(self, count: int, first: int = 0) -> Answer:
        """Let sessions read nothing any more."""
        for caller in self._open()[first : first + count]:
            caller.reading = False
            self._watch(caller.socket.fileno(), caller)
        return {}

    def do_bulk(self, count: int, size: int, first: int = 0) -> Answer:
        """Send so many bytes to each of the sessions, from the gateway's host: datagrams."""
        chosen = [
            (socket.inet_ntop(socket.AF_INET6, caller.address), 5001)
            for caller in self._open()[first : first + count]
        ]
        data, sent, before = bytes(DATAGRAM), 0, taken()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as source:
            for _ in range(size // DATAGRAM):
                for address in chosen:
                    source.sendto(data, address)
                    sent += 1
                    until = time.monotonic() + PATIENCE
                    while not sent % BURST and sent - (taken() - before) > ROOM:
                        if time.monotonic() > until:
                            raise TimeoutError("the gateway takes nothing from its devices")
                        self.turn(0.001)
                self.turn(0)
        return {"bytes": sent * DATAGRAM}

    def do_flood(self, count: int, kind: str, first: int = 0) -> Answer:
        """Let sessions send as fast as it goes, or stop it with none: ``bulk`` or ``slow``."""
        self._floods = [(c, _flood(c, kind)) for c in self._open()[first : first + count]]
        return {}

    def _pour(self) -> None:
        for caller, data in self._floods:
            if not caller.unsent and not caller.error:
                caller.send(data)

    def do_count(self) -> Answer:
        """Return how many sessions are still open, and why others are not."""
        self.turn(0)
        return {"open": len(self._open()), "failed": dict(self._failed)}

    def do_close(self) -> Answer:
        """End everything."""
        for fd in list(self._callers):
            self._lose(fd, "by us")
        self._failed.clear()
        return {}


def taken() -> int:
    """Return how many packets the gateway has taken from its devices, or they had no room for."""
    lines = Path("/proc/self/net/dev").read_text().splitlines()
    devices = (line.partition(":")[2].split() for line in lines if "iphttps" in line)
    return sum(int(counts[9]) + int(counts[11]) for counts in devices)


def _flood(caller: Caller, kind: str) -> bytes:
    """Return a piece of a flood: small packets for the kernel, or for one by one inspection."""
    makers: dict[str, Callable[[], bytes]] = {
        "bulk": lambda: build_icmpv6(
            Echo(reply=True, identifier=1, sequence=1, data=bytes(1000)),
            source=caller.address,
            destination=caller.router,
        ),
        "slow": lambda: build_icmpv6(
            Echo(reply=False, identifier=1, sequence=1, data=b""),
            source=caller.address,
            destination=ALL_NODES,
        ),
    }
    packet = makers[kind]()
    return packet * (64 * 1024 // len(packet))


if __name__ == "__main__":
    Crowd().run()
